"""A library that does not open: its damage is mended in a copy that takes its place, or the newest backup does. The damaged file is kept.

A kill during a checkpoint can tear the one metadata block that DuckDB rewrites in place. What the block held before is whole; only the checksum in
its first eight bytes no longer fits. A write-ahead log is cut before the first entry that is damaged, or left out. What a log or a backup lacks,
the journal brings back.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

import duckdb
import numpy as np

from store import backups, migrations
from store.atomic import atomic_write, sync_file, sync_folder
from store.migrations import Connect

log = logging.getLogger("rollcall.store")

BLOCK_BYTES = 262_144
TORN = re.compile(r"computed checksum \d+ does not match stored checksum \d+ in block at location (\d+)")
TORN_LOG = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")
DAMAGE = re.compile(r"corrupt|checksum|not a valid DuckDB|Could not read enough bytes|replaying WAL|WAL was created|WAL checkpoint", re.IGNORECASE)
"""What DuckDB says of a damaged file; a file that is locked, or a disk that is full, is none."""

MOST_STEPS = 64


def opened(path: Path, connect: Connect) -> duckdb.DuckDBPyConnection:
    """Open the library, mended or brought back when it is damaged. `notes` tells of it.

    Raises:
        duckdb.Error: it cannot be opened, nothing helped, and it was left as it was.
        NewerSchema: a newer version wrote it.
    """
    _clear(path)
    try:
        return migrations.open_current(path, connect)
    except duckdb.Error as error:
        if not DAMAGE.search(str(error)) or not _rescue(path, str(error)):
            raise
    return migrations.open_current(path, connect)


def notes(home: Path) -> list[str]:
    """What was done to damaged libraries whose files are still kept, oldest first."""
    return [path.read_text().strip() for path in sorted(home.glob("library.duckdb.damaged-*.txt"))]


def kept(home: Path) -> list[Path]:
    """Files of libraries that were replaced: damaged ones, and those from before a backup was brought back."""
    return sorted([*home.glob("library.duckdb.damaged-*"), *home.glob("library.duckdb.replaced-*")])


def _clear(path: Path) -> None:
    """Remove what a kill in the middle of a swap left: the file that was to come, and the second name of the one that was to be kept."""
    for fresh in path.parent.glob("library.re*.duckdb*"):
        fresh.unlink()
    for other in kept(path.parent):
        if path.exists() and other.samefile(path):
            other.unlink()


def _rescue(path: Path, reason: str) -> bool:
    """Put something that opens in the library's place; False when there is nothing."""
    home, wal = path.parent, log_of(path)
    log.error("%s is damaged: %s", path, reason)
    for left in (home / "tmp").glob("job-*"):
        shutil.rmtree(left, ignore_errors=True)  # copies of repairs that were killed would fill the disk
    with tempfile.TemporaryDirectory(prefix="job-", dir=home / "tmp") as scratch:
        found = _mended(path, Path(scratch)) or _from_backup(home, Path(scratch))
        if found is None:
            return False
        copy, done = found
        damaged = path.with_name(f"{path.name}.damaged-{backups.stamp()}")
        said = f"{path.name} was damaged ({reason.splitlines()[0]}). {done} The damaged file is kept as {damaged.name}; remove it when all is well."
        atomic_write(damaged.with_name(damaged.name + ".txt"), said.encode() + b"\n")
        os.link(path, damaged)
        if wal.exists():
            os.link(wal, log_of(damaged))
        # Killed between the two, the next start finds a library that is damaged still, or whole; either way the journal knows the rest.
        _put(log_of(copy), wal)
        _put(copy, path)
        sync_folder(home)
    log.warning("%s", said)
    return True


def _put(copy: Path, target: Path) -> None:
    """Let a copy take the place of a file; where there is no copy the file goes."""
    if not copy.exists():
        target.unlink(missing_ok=True)
        return
    sync_file(copy)
    copy.replace(target)


def _mended(path: Path, scratch: Path) -> tuple[Path, str] | None:
    """A mended copy that can be read from end to end, and what was done to it; None when it cannot be mended."""
    copy, done = scratch / "library.duckdb", []
    shutil.copyfile(path, copy)
    if log_of(path).exists():
        shutil.copyfile(log_of(path), log_of(copy))
    for _ in range(MOST_STEPS):
        try:
            backups.examine(copy)
        except duckdb.Error as error:
            step = _mend(copy, str(error))
            if step is None or step in done:
                return None
            done.append(step)
        else:
            return copy, " ".join(done)
    return None


def _mend(copy: Path, reason: str) -> str | None:
    """Do away with one damage; returns what was done, None when nothing can be."""
    wal = log_of(copy)
    if torn := TORN.search(reason):
        _seal(copy, int(torn[1]))
        return f"The torn block at {torn[1]} was sealed again with what it held before."
    if torn := TORN_LOG.search(reason):
        os.truncate(wal, int(torn[1]))
        return "The write-ahead log was cut before its first damaged entry; the journal brings back what was decided after it."
    if wal.exists() and "WAL" in reason:
        wal.unlink()
        return "The write-ahead log was left out; the journal brings back what was decided."
    return None


def _seal(path: Path, location: int) -> None:
    """Give a block the checksum of what is in it: 5381 xor every word times a constant."""
    with path.open("rb+") as file:
        file.seek(location + 8)
        words = np.frombuffer(file.read(BLOCK_BYTES - 8), "<u8")
        checksum = np.bitwise_xor.reduce(words * np.uint64(0xBF58476D1CE4E5B9)) ^ np.uint64(5381)
        file.seek(location)
        file.write(checksum.astype("<u8").tobytes())


def _from_backup(home: Path, scratch: Path) -> tuple[Path, str] | None:
    """A copy of the newest backup that can be read; None when there is none."""
    for number, backup in enumerate(backups.listed(home)):
        copy = scratch / f"backup-{number}.duckdb"
        shutil.copyfile(backup, copy)
        try:
            backups.examine(copy)
        except duckdb.Error as error:
            log.warning("%s cannot be used: %s", backup, error)
            copy.unlink()
            continue
        return copy, f"It could not be mended; {backup.name} was brought back, and the journal what was decided since."
    return None


def log_of(path: Path) -> Path:
    """The write-ahead log of a library."""
    return path.with_name(path.name + ".wal")
