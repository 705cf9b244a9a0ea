"""What the torture does to an engine, its disk and its files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from engine.errors import RollcallError
from engine.wire import Client

HEADER, BLOCK, PAGE = 12_288, 262_144, 4096
SMALL_MB = 400
LIBRARY = "library.duckdb"


class Disk:
    """Where the workspace is."""

    def __init__(self, folder: Path, small: bool) -> None:
        self.folder, self.small, self.home = folder, small, folder / "home"

    def leave(self, bytes_free: int) -> None:
        """Fill it until only so much is free."""
        found = os.statvfs(self.folder)
        with contextlib.suppress(OSError), (self.folder / "filler").open("ab") as file:
            file.write(b"x" * max(0, found.f_bavail * found.f_frsize - bytes_free))

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(folder: Path, small: bool) -> Iterator[Disk]:
    """A small file system where this user may mount one; else a plain folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "tmpfs", str(folder)]
    small = small and not subprocess.run(command, capture_output=True, check=False).returncode
    try:
        yield Disk(folder, small)
    finally:
        if small:
            subprocess.run(["umount", "-l", str(folder)], check=True)


class Engine:
    """The engine of the workspace, as somebody with a killer's rights sees it."""

    def __init__(self, home: Path) -> None:
        self.home, self.client = home, Client(home, "script:torture")
        self._seen: set[int] = set()

    def pid(self) -> int | None:
        """The process that answers."""
        answer = self.client.ping()
        if answer:
            self._seen.add(int(answer["pid"]))
        return int(answer["pid"]) if answer else None

    def starts(self) -> int:
        """Engines seen so far."""
        self.pid()
        return len(self._seen)

    def children(self) -> list[int]:
        """Its workers, while there are any."""
        pid = self.pid()
        try:
            return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
        except OSError:
            return []

    def kill(self) -> bool:
        """SIGKILL; False when none runs."""
        pid = self.pid()
        return pid is not None and _kill(pid)

    @contextlib.contextmanager
    def dead(self) -> Iterator[bool]:
        """Killed, and none can start while the block runs; False when another one was quicker."""
        if not self.kill():
            yield False
            return
        with (self.home / "library.lock").open("a+") as lock:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield True
                    return
            yield False


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_engine(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """kill -9, wherever it is."""
    return engine.kill()


def kill_worker(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """kill -9 one of its workers."""
    children = engine.children()
    return bool(children) and _kill(moments.choice(children))


def fill_disk(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """Little or no room for some seconds; sometimes the engine dies of it too, or is killed while it lasts."""
    disk.leave(moments.choice([0, 4096, 65_536, 400_000, 2_000_000]))
    time.sleep(moments.uniform(0.5, 5.0))
    if moments.random() < 0.3:
        engine.kill()
        time.sleep(moments.uniform(0.5, 3.0))
    disk.free()
    return True


def tear_block(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """What a power cut in the middle of a checkpoint leaves: of each block it rewrote only some pages arrived; header and log are the old ones."""
    with engine.dead() as dead:
        library, wal = disk.home / LIBRARY, disk.home / f"{LIBRARY}.wal"
        if not dead or not wal.exists() or not wal.stat().st_size:
            return False
        before = library.read_bytes()
        after = _checkpointed(library, wal)
        if after is None:
            return False
        torn = bytearray(before)
        for at in range(HEADER, len(before), BLOCK):
            if before[at : at + BLOCK] != after[at : at + BLOCK]:
                for page in [0, *moments.sample(range(1, BLOCK // PAGE), 20)]:
                    torn[at + page * PAGE : at + (page + 1) * PAGE] = after[at + page * PAGE : at + (page + 1) * PAGE]
        if bytes(torn) == before:
            return False
        library.write_bytes(torn)
        for path in disk.home.glob(f"{LIBRARY}.damaged-*"):
            if path.suffix != ".txt":
                path.unlink()  # as its note asks for, when all is well
        return True


def _checkpointed(library: Path, wal: Path) -> bytes | None:
    """The library as a whole checkpoint would leave it, made from a copy elsewhere; None when it is damaged already."""
    copy = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"torture-{os.getpid()}.duckdb"
    try:
        shutil.copyfile(library, copy)
        shutil.copyfile(wal, copy.with_name(copy.name + ".wal"))
        duckdb.connect(str(copy)).close()
        return copy.read_bytes()
    except duckdb.Error:
        return None
    finally:
        copy.unlink(missing_ok=True)
        copy.with_name(copy.name + ".wal").unlink(missing_ok=True)


def cut_log(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """The end of the write-ahead log never reached the disk."""
    with engine.dead() as dead:
        wal = disk.home / f"{LIBRARY}.wal"
        if not dead or not wal.exists() or wal.stat().st_size < 2:
            return False
        os.truncate(wal, moments.randrange(1, wal.stat().st_size))
        return True


def back_up(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """A backup while everything goes on."""
    return _asked(disk, "store_backup", {})


def bring_back(engine: Engine, disk: Disk, moments: random.Random) -> bool:
    """The newest backup brought back, for which whoever does it cancels the job that runs; sometimes the engine is killed in the middle."""
    found = sorted((disk.home / "backups").glob("library-2*.duckdb"))
    if not found:
        return False
    killer = threading.Timer(moments.uniform(0.0, 1.5), engine.kill) if moments.random() < 0.3 else None
    with contextlib.suppress(RollcallError):
        keeper = Client(disk.home, "person:keeper")
        for job in keeper.call("job_list", {"state": "running"})["rows"]:
            keeper.call("job_cancel", {"job_id": job["job_id"]})
    if killer:
        killer.start()
    done = any(_asked(disk, "store_restore", {"backup": found[-1].name}) for _ in range(5))
    if killer:
        killer.join()
    for path in disk.home.glob(f"{LIBRARY}.replaced-*"):
        path.unlink(missing_ok=True)
    return done


def _asked(disk: Disk, name: str, parameters: dict[str, Any]) -> bool:
    try:
        Client(disk.home, "person:keeper").call(name, parameters)
    except RollcallError:
        return False
    return True


@dataclass(frozen=True)
class Blow:
    """Something that is done to the engine; True when it hit."""

    strike: Callable[[Engine, Disk, random.Random], bool]
    needs_small_disk: bool = False


BLOWS = {
    "engine killed": Blow(kill_engine),
    "worker killed": Blow(kill_worker),
    "disk full": Blow(fill_disk, needs_small_disk=True),
    "block torn": Blow(tear_block),
    "log cut": Blow(cut_log),
    "backup made": Blow(back_up),
    "backup brought back": Blow(bring_back),
}
