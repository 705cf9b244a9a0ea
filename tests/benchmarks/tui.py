"""What the terminal screens cost: processor time to the first rows, key to paint, bytes on the wire, memory.

    python -m tests.benchmarks.tui [--tracks 99999] [--keys 200]

The screens run in a terminal of their own (a pseudo terminal of 160 x 50) over a made library: an episode with a hundred thousand tracks, and one
with a cluster of 24 faces. A bare app of the same toolkit runs beside them, so that times can be read as ratios on a busy machine.

Both start as installed programs do, from compiled modules (a shell with PYTHONDONTWRITEBYTECODE set makes Python compile the toolkit at every start,
which costs more than all the rest), each started once before it is measured.

Of a key two times are told: until the first bytes of its answer (the row under the cursor), and until the last (what stands beside it: its face, the
people it may be, asked of the engine).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from app.paint import clock
from engine.wire import Client
from tests.clips import FACES, framing
from tests.desk import Bench, Seen

SIZE = (160, 50)
TITLE = "Hundred thousand"
FACES_TITLE = "Twenty-four faces"
QUIET_S = 0.15
"""Silence after which a key's answer is taken to be complete."""
MOST_S = 30.0
IDLE_S = 10.0
BACK = b"\x7f"
BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("bare rows")

    def on_key(self, event):
        self.query_one(Static).update(f"{event.time} bare rows")

Bare().run()
"""


class Terminal:
    """A program in a pseudo terminal: keys in, bytes out."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), environment)
        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        os.kill(self.pid, signal.SIGWINCH)
        self.seen = b""
        self.total = 0

    def read(self, wait_s: float) -> bytes:
        """What comes within the time; empty when nothing does."""
        ready, _, _ = select.select([self.handle], [], [], wait_s)
        if not ready:
            return b""
        try:
            found = os.read(self.handle, 1 << 20)
        except OSError:
            return b""
        self.total += len(found)
        self.seen = (self.seen + found)[-400_000:]
        return found

    def until(self, words: str, wait_s: float = MOST_S) -> None:
        """Read until words are on the screen (colours between them do not matter)."""
        self.seen = b""
        end = time.monotonic() + wait_s
        while words not in self.text():
            if time.monotonic() > end:
                raise TimeoutError(f"{words!r} did not come within {wait_s:.0f} s; the end of what did: {self.text()[-2000:]!r}")
            self.read(0.05)

    def text(self) -> str:
        """What came since words were last waited for, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen.decode("utf-8", "replace"))

    def key(self, keys: bytes) -> tuple[float, float, int]:
        """Send keys; seconds to the first and to the last byte that follow, and how many there are."""
        start = time.perf_counter()
        os.write(self.handle, keys)
        count, first, last = 0, 0.0, 0.0
        while found := self.read(2.0 if not count else QUIET_S):
            last = time.perf_counter() - start
            first = first or last
            count += len(found)
        return first, last, count

    def quiet(self, seconds: float = 0.5) -> int:
        """Read until nothing has come for so long; how much came.

        Raises:
            TimeoutError: it never was: something blinks.
        """
        count, end = 0, time.monotonic() + MOST_S
        while found := self.read(seconds):
            count += len(found)
            if time.monotonic() > end:
                raise TimeoutError(f"the screen was never quiet for {seconds} s; the end of what came: {self.text()[-500:]!r}")
        return count

    def idle(self, seconds: float) -> int:
        """Bytes that come in a time without any key."""
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            count += len(self.read(left))
        return count

    def cpu_s(self) -> float:
        """Processor time of the program so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) / 1000  # type: ignore[index]

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.handle)


def make(home: Path, tracks: int) -> None:
    """The library."""
    bench = Bench(home)
    many = bench.episode(tracks / 10)
    person = bench.person("Ana")
    bench.run(many, [Seen(n / 10, n / 10 + 0.4, n % 300, person if n % 2 else None, step_us=400_000) for n in range(tracks)])
    few = bench.episode(100)
    run = bench.run(few, [Seen(n * 4, n * 4 + 2, 0, person) for n in range(24)])
    pictures = [cv2.imencode(".jpg", cv2.resize(framing(*FACES[name], 480, 480), (180, 180)))[1].tobytes() for name in FACES]
    with bench.engine.database.write() as transaction:
        for n in range(24):
            chip = bench.engine.media.put(pictures[n % 3])
            transaction.execute("UPDATE track SET chip = ? WHERE run_id = ? AND track_id = ?", [chip, run, bench.track(few, n)])
        made = {"detector": "made", "embedder": "made", "profile": "made"}
        transaction.execute("UPDATE run SET models = ?, settings = ?", [json.dumps(made), json.dumps({"observe.fps": 6.0})])
        transaction.execute("UPDATE episode SET title = ? WHERE episode_id = ?", [TITLE, many])
        transaction.execute("UPDATE episode SET title = ? WHERE episode_id = ?", [FACES_TITLE, few])
    bench.close()


def first_rows(command: Sequence[str], words: str, environment: dict[str, str], times: int = 5) -> tuple[float, float]:
    """Least processor time and wall time until words are on the screen."""
    cpu, wall = [], []
    for n in range(times + 1):
        start = time.monotonic()
        terminal = Terminal(command, environment)
        terminal.until(words)
        if n:  # the first compiles its modules
            cpu.append(terminal.cpu_s())
            wall.append(time.monotonic() - start)
        terminal.close()
    return min(cpu), min(wall)


def table(name: str, timed: list[tuple[float, float, int]]) -> str:
    """A line of the key table."""
    count = statistics.median(bytes_ for *_, bytes_ in timed)
    return f"| {name} | {spread([key[0] for key in timed])} | {spread([key[1] for key in timed])} | {count / 1000:.1f} kB |"


def spread(seconds: list[float]) -> str:
    """Median and 95th percentile in ms."""
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1000:.0f} / {ordered[int(len(ordered) * 0.95)] * 1000:.0f} ms"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tui", description="what the terminal screens cost")
    parser.add_argument("--tracks", type=int, default=99_999)
    parser.add_argument("--keys", type=int, default=200)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tui-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch) / "home"
        make(home, chosen.tracks)
        client = Client(home, "person:bench")
        client.ensure_running()
        shell = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "ROLLCALL_ACTOR": "person:bench", "PYTHONPYCACHEPREFIX": f"{scratch}/compiled"}
        environment = {**shell, **own}
        command = [sys.executable, "-m", "tools.cli", "--home", str(home)]
        try:
            bare_cpu, bare_wall = first_rows([sys.executable, "-c", BARE], "bare rows", environment)
            cpu, wall = first_rows(command, TITLE, environment)
            print(f"first rows: {cpu * 1000:.0f} ms of processor, {wall * 1000:.0f} ms wall")
            print(f"a bare app of the toolkit: {bare_cpu * 1000:.0f} and {bare_wall * 1000:.0f} ms; ratio {cpu / bare_cpu:.2f}\n")
            bare = Terminal([sys.executable, "-c", BARE], environment)
            bare.until("bare rows")
            bare.quiet(1.0)
            print("| key, 100 k tracks: median / p95 | first byte | last byte | bytes |\n|---|---|---|---|")
            print(table("a bare app: one line", [bare.key(b"j") for _ in range(chosen.keys)]))
            bare.close()
            measure(Terminal(command, environment), chosen.keys, clock(round((chosen.tracks - 1) * 1e5)))
        finally:
            client.stop()


def measure(terminal: Terminal, keys: int, last: str) -> None:
    """Keys, bytes and memory, walking through the screens; `last` is what the last track's row says."""
    terminal.until(TITLE)
    terminal.quiet()
    start_mb = terminal.memory_mb()
    press(terminal, b"jj\r", "nobody was seen")
    press(terminal, b"\t", "shot 1")
    press(terminal, b"\x1b[F", last)
    press(terminal, b"\x1b[H", "shot 1")
    print(table("one row down", [terminal.key(b"j") for _ in range(keys)]))
    print(table("a page down", [terminal.key(b"\x1b[6~") for _ in range(keys // 2)]))
    print(table("to the end and back", [terminal.key(key) for key in [b"\x1b[F", b"\x1b[H"] * (keys // 20)]))
    terminal.key(b"/")
    terminal.idle(0.5)
    letters = [b"a", b"n", b"a", BACK, BACK, BACK]
    print(table("a letter of the filter", [terminal.key(key) for key in letters * (keys // 20)]))
    terminal.key(b"ana\r")  # enter leaves the line, whose cursor blinks
    print(f"\nmemory: {start_mb:.0f} MB at the library, {terminal.memory_mb():.0f} MB with every track read")
    terminal.quiet(1.0)
    terminal.key(b"\x1b")
    terminal.quiet(1.0)  # a key right after escape would be taken for one with alt
    press(terminal, b"L", TITLE)
    press(terminal, b"j\r", FACES_TITLE)
    press(terminal, b"\t", "shot 1")
    before = terminal.total
    press(terminal, b"\t", "taken for")
    terminal.quiet(2.0)
    print(f"a page of 24 faces: {(terminal.total - before) / 1000:.0f} kB")
    used = terminal.cpu_s()
    count = terminal.idle(IDLE_S)
    print(f"idle: {count / IDLE_S:.0f} bytes a second, {(terminal.cpu_s() - used) / IDLE_S:.1%} of a processor")
    terminal.close()


def press(terminal: Terminal, keys: bytes, words: str) -> None:
    """Send keys and wait until words are there and all is quiet."""
    os.write(terminal.handle, keys)
    terminal.until(words)
    terminal.quiet(1.0)


if __name__ == "__main__":
    main()
