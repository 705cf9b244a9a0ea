"""What models are installed: files found in the workspace, in ROLLCALL_MODELS and in installed packages, recognised by size and digest."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import ModelMissing
from engine.fingerprint import file_digest
from engine.models.entry import Installed, ModelEntry, ModelFile
from engine.models.registry import ENTRIES
from store.atomic import atomic_write

CACHE = ".digests.json"
"""Digests of files already hashed, in the workspace's folder of models, so that a second process does not hash them again."""

VARIABLE = "ROLLCALL_MODELS"

Key = tuple[str, int, int]
"""Path, size in bytes, time of the last change in nanoseconds."""

_digests: dict[Key, str] = {}


class Models:
    """The models a workspace can use.

    Args:
        folder: the workspace's folder of models; it need not exist.
        entries: what is known, the registry's by default.
    """

    def __init__(self, folder: Path, entries: Sequence[ModelEntry] = ENTRIES) -> None:
        self.folder = folder
        self.entries = entries
        self._files = {file.sha256: file for entry in entries for file in entry.files}
        self._sizes = {file.size for file in self._files.values()}

    def folders(self) -> list[Path]:
        """Folders searched: the workspace's first, then those of ROLLCALL_MODELS."""
        named = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
        return [self.folder, *named]

    def here(self) -> dict[str, Path]:
        """Where each known file lies that is here, by digest."""
        self._load()
        before = len(_digests)
        here: dict[str, Path] = {}
        for path in self.candidates():
            if (file := self.recognise(path)) is not None:
                here.setdefault(file.sha256, path)
        if len(_digests) != before:
            self.save()
        return here

    def installed(self) -> dict[str, Installed]:
        """Models whose files are all here, by name."""
        here, found = self.here(), {}
        for entry in self.entries:
            usable = importlib.util.find_spec("dlib") is not None or not entry.runtime.startswith("dlib")
            if usable and all(file.sha256 in here for file in entry.files):
                found[entry.name] = Installed(entry, tuple(here[file.sha256] for file in entry.files))
        return found

    def find(self, name: str) -> Installed:
        """An installed model.

        Raises:
            ModelMissing: it is not installed.
        """
        found = self.installed().get(name)
        if found is None:
            raise ModelMissing(f"The model {name} is not installed.", "`rollcall model list` shows how to get it.")
        return found

    def candidates(self) -> Iterator[Path]:
        """Files that may be models, the preferred ones first: of the folders at any depth, then of installed packages."""
        for folder in self.folders():
            for parent, below, names in os.walk(folder):
                below[:] = sorted(name for name in below if not name.startswith("."))
                paths = [Path(parent) / name for name in sorted(names) if not name.startswith(".")]
                yield from (path for path in paths if path.is_file())
        for file in self._files.values():
            if file.package and (path := package_file(file)) is not None:
                yield path

    def recognise(self, path: Path) -> ModelFile | None:
        """The known model file a file is, by size and digest, or None; a file that cannot be read is none."""
        try:
            stat = path.stat()
            if stat.st_size not in self._sizes:
                return None
            key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
            if key not in _digests:
                _digests[key] = file_digest(path)
        except OSError:
            return None
        return self._files.get(_digests[key])

    def files(self) -> list[ModelFile]:
        """Every known model file."""
        return list(self._files.values())

    def known(self, sha256: str) -> ModelFile | None:
        """The known model file with a digest, or None."""
        return self._files.get(sha256)

    def known_size(self, size: int) -> bool:
        """Whether some known model file has this many bytes."""
        return size in self._sizes

    def using(self, sha256: str) -> tuple[str, ...]:
        """Names of the models a file belongs to."""
        return tuple(entry.name for entry in self.entries if any(file.sha256 == sha256 for file in entry.files))

    def remember(self, path: Path, sha256: str) -> None:
        """Take a digest just computed into the cache; `save` keeps it."""
        stat = path.stat()
        _digests[(str(path.absolute()), stat.st_size, stat.st_mtime_ns)] = sha256

    def save(self) -> None:
        """Keep the digests for the next process."""
        lines = [[*key, sha256] for key, sha256 in sorted(_digests.items()) if Path(key[0]).exists()]
        try:
            atomic_write(self.folder / CACHE, json.dumps(lines).encode())
        except OSError:
            return  # a folder that cannot be written costs a hash at the next start, nothing else

    def _load(self) -> None:
        """Take over what earlier processes hashed; a cache that cannot be read is made anew."""
        try:
            lines = json.loads((self.folder / CACHE).read_text())
            known = {(str(path), int(size), int(changed)): str(sha256) for path, size, changed, sha256 in lines}
        except (OSError, ValueError, TypeError):
            return
        for key, sha256 in known.items():
            _digests.setdefault(key, sha256)


def package_file(file: ModelFile) -> Path | None:
    """Where an installed package keeps a model file. The package is not imported: face_recognition_models needs pkg_resources to be."""
    spec = importlib.util.find_spec(file.package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "models" / file.filename
        if path.is_file():
            return path
    return None
