"""Model files brought by hand: one file, a folder or an archive of them; only files the registry knows by digest are taken."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from engine.errors import BadInput, NotFound
from engine.fingerprint import CHUNK
from engine.models.entry import ModelFile
from engine.models.store import Models
from store.atomic import atomic_path


def import_path(path: Path, models: Models) -> list[str]:
    """Copy every known model file of `path` (a file, a folder, a zip or a tar archive) into the workspace, each whole or not at all.

    Returns:
        Names of the models whose files were taken, in the registry's order.

    Raises:
        NotFound: there is no such path.
        BadInput: nothing in it is a known model file, or the archive is damaged.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadInput(f"{path} is neither a file nor a folder.", "Give a model file, a folder, or a .zip or .tar archive.")
    if not path.exists():
        raise NotFound(f"There is nothing at {path}.", "Give a model file, a folder, or a .zip or .tar archive.")
    taken: set[str] = set()
    try:
        for size, opener in _members(path):
            if models.known_size(size) and (stream := opener()) is not None:
                with stream:
                    taken.update(install(stream, models))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise BadInput(f"{path} is a damaged archive: {error}.", "Get it again.") from error
    if not taken:
        known = ", ".join(file.filename for file in models.files())
        raise BadInput(f"No file of {path} is a model rollcall knows; files are recognised by digest.", f"Known files are: {known}.")
    return [entry.name for entry in models.entries if entry.name in taken]


def install(stream: IO[bytes], models: Models, wanted: ModelFile | None = None) -> tuple[str, ...]:
    """Copy a stream into the workspace if its digest is a known one (`wanted`'s, when given).

    Returns:
        Names of the models it belongs to; none when the digest is not known, and then nothing is left behind.
    """
    models.folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=models.folder, prefix=".import-") as folder:
        copy = Path(folder) / "copy"
        with copy.open("wb") as out:
            while block := stream.read(CHUNK):
                digest.update(block)
                out.write(block)
        file = models.known(digest.hexdigest())
        if file is None or wanted not in (None, file):
            return ()
        with atomic_path(models.folder / file.filename) as target:
            copy.replace(target)
    models.remember(models.folder / file.filename, file.sha256)
    models.save()
    return models.using(file.sha256)


def _members(path: Path) -> Iterator[tuple[int, Callable[[], IO[bytes] | None]]]:
    """Size and opener of every regular file of a folder or archive, or of the one file."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.stat().st_size, _reader(file)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                yield info.file_size, partial(archive.open, info)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    yield member.size, partial(tar.extractfile, member)
    else:
        yield path.stat().st_size, _reader(path)


def _reader(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")
