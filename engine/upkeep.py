"""What the workspace no longer needs: pictures no track shows, stage results no analysis refers to, files a killed process left half-written."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import Config
from store import backups, repair, results, work

if TYPE_CHECKING:
    from engine.service import Engine

YOUNG_S = 3600.0
"""Pictures younger than this may belong to an analysis that is being loaded; half-written files, to an export that is being written."""

DAY_S = 86_400.0


@dataclass(frozen=True)
class Waste:
    """Something to remove: which kind, where, how many bytes it holds, and when it was last used."""

    kind: str
    path: Path
    bytes: int
    modified: float

    @classmethod
    def of(cls, kind: str, path: Path) -> Waste:
        """What is there now."""
        return cls(kind, path, folder_bytes(path), _modified(path))


def folder_bytes(folder: Path) -> int:
    """How much a folder or file holds; files that come and go meanwhile do not matter."""
    if not folder.is_dir():
        return _bytes(folder)
    return sum(_bytes(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def _bytes(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def remove(found: list[Waste]) -> None:
    """Remove what was found, unless it was taken up since; what is gone already is no error."""
    for waste in found:
        if _modified(waste.path) > waste.modified:
            continue
        if waste.path.is_dir() and not waste.path.is_symlink():
            shutil.rmtree(waste.path, ignore_errors=True)
        else:
            waste.path.unlink(missing_ok=True)


def leftovers(home: Path, older_than_s: float) -> list[Waste]:
    """Half-written files and scratch folders of processes that are gone.

    Args:
        older_than_s: younger ones may be in use; 0 before anything has been started, when all of them are old.
    """
    before = time.time() - older_than_s
    places = [*(home / "tmp").glob("job-*"), *(home / "exports").glob(".bundle-*")]
    places += [path for folder in ("exports", "media", "models", "backups") for path in (home / folder).glob("**/.*.tmp")]
    found = [path for path in places if _modified(path) <= before]
    found += [path for path in (home / "artefacts").glob("*/*/.*.tmp") if not _alive(path)]
    return [Waste.of("half-written", path) for path in found]


def _modified(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_mtime
    return 0.0


def _alive(path: Path) -> bool:
    """Whether the process that writes `.KEY.PID.tmp` still runs; a number taken over by another process loses its claim after a day."""
    process = path.name.split(".")[-2]
    if not process.isdigit() or time.time() - _modified(path) > DAY_S:
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def unused_pictures(engine: Engine) -> list[Waste]:
    """Pictures in the media store that no track, face or person refers to, young ones left out."""
    before = time.time() - YOUNG_S
    old = [path for path in _files(engine.media.folder) if _modified(path) <= before]
    needed = results.pictures_in_use(engine.database)
    return [Waste.of("picture", path) for path in old if path.name not in needed]


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def unused_artefacts(engine: Engine) -> list[Waste]:
    """Stage results no analysis refers to and no job can use any more: older than every job that may be taken up again, or than `keep_days`."""
    oldest = time.time() - Config(engine.home).settings.engine.keep_days * DAY_S
    made = [path for path in engine.artefacts.folder.glob("*/*/*") if not path.name.startswith(".")]
    waiting = work.oldest_open_job(engine.database)
    limit = max(oldest, waiting.timestamp()) if waiting is not None else time.time()
    needed = results.artefacts_in_use(engine.database)
    unused = [path for path in made if (path.parent.parent.name, path.name) not in needed and _modified(path) <= limit]
    return [Waste.of("stage result", path) for path in unused]


def waste(engine: Engine) -> list[Waste]:
    """Everything that can go."""
    return [*leftovers(engine.home, YOUNG_S), *unused_pictures(engine), *unused_artefacts(engine)]


def back_up(engine: Engine) -> tuple[Path, list[Path]]:
    """Copy the library and let backups beyond `backups_kept` go; returns the copy and those removed.

    Raises:
        duckdb.Error, OSError: it could not be copied; the older ones stay.
    """
    made = backups.folder(engine.home) / f"library-{backups.stamp()}.duckdb"
    engine.database.back_up(made)
    return made, backups.rotate(engine.home, Config(engine.home).settings.engine.backups_kept)


def backup_is_due(engine: Engine) -> bool:
    """Whether a day has passed since the last backup, there is something to keep, and there is room for it."""
    age = backups.age_s(engine.home)
    if (age is not None and age < DAY_S) or not engine.database.known_keys():
        return False
    needed = engine.database.path.stat().st_size + (Config(engine.home).settings.engine.free_space_floor_mb << 20)
    return shutil.disk_usage(engine.home).free > needed


SIZED = ("artefacts", "media", "vectors", "exports", "models", "backups", "journal", "tmp")


def sizes(engine: Engine) -> dict[str, int]:
    """Bytes of each part of the workspace."""
    write_ahead = repair.log_of(engine.database.path)
    library = _bytes(engine.database.path) + _bytes(write_ahead)
    return {"library": library, **{name: folder_bytes(engine.home / name) for name in SIZED}}
