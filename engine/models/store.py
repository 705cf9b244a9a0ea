"""What models are installed: files found in the workspace, in ROLLCALL_MODELS and in installed packages, recognised by size and digest."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelMissing
from engine.fingerprint import file_digest
from engine.models.entry import Installed, ModelEntry, ModelFile
from engine.models.registry import ENTRIES, PACKS, PROFILES
from store.atomic import atomic_write

CACHE = ".digests.json"
"""Digests of files already hashed, in the workspace's folder of models, so that a second process does not hash them again."""

VARIABLE = "ROLLCALL_MODELS"

Key = tuple[str, int, int]
_digests: dict[Key, str] = {}


@dataclass(frozen=True)
class Row:
    """A line of `rollcall model list`. `path` is None when it is not installed; `how` is the command that gets it, or says where it comes from."""

    name: str
    task: str
    licence: str
    commercial: bool
    space: str
    size: int
    path: str | None
    profiles: tuple[str, ...]
    how: str
    note: str
    source: str


@dataclass(frozen=True)
class Checked:
    """A model file read again: `problem` is empty when it is what the registry says."""

    path: str
    model: str
    problem: str


class Models:
    """The models a workspace can use.

    Args:
        folder: the workspace's folder of models; it need not exist.
        entries: what is known, the registry's by default.
    """

    def __init__(self, folder: Path, entries: Sequence[ModelEntry] = ENTRIES) -> None:
        self.folder = folder
        self._entries = entries
        self._files = {file.sha256: file for entry in entries for file in entry.files}
        self._sizes = {file.size for file in self._files.values()}

    def folders(self) -> list[Path]:
        """Folders searched: the workspace's first, then those of ROLLCALL_MODELS."""
        named = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
        return [self.folder, *named]

    def installed(self) -> dict[str, Installed]:
        """Models whose files are all here, by name."""
        here = {sha256: path for path, sha256 in self._recognised()}
        found = {}
        for entry in self._entries:
            paths = [self._path_of(file, here) for file in entry.files]
            if all(paths) and not (entry.runtime.startswith("dlib") and importlib.util.find_spec("dlib") is None):
                found[entry.name] = Installed(entry, tuple(path for path in paths if path))
        return found

    def find(self, name: str) -> Installed:
        """An installed model.

        Raises:
            ModelMissing: it is not installed.
        """
        found = self.installed().get(name)
        if found is None:
            known = next((entry for entry in self._entries if entry.name == name), None)
            raise ModelMissing(f"The model {name} is not installed.", f"Get it: {how(known)}." if known else "")
        return found

    def rows(self) -> list[Row]:
        """Every known model, installed or not, in the registry's order."""
        installed = self.installed()
        rows = []
        for entry in self._entries:
            path = str(installed[entry.name].paths[-1]) if entry.name in installed else None
            profiles = tuple(name for name, pairs in PROFILES.items() if any(entry.name in pair for pair in pairs))
            rows.append(
                Row(
                    entry.name,
                    entry.task,
                    entry.licence,
                    entry.commercial,
                    entry.space,
                    entry.size,
                    path,
                    profiles,
                    how(entry),
                    entry.note,
                    entry.source,
                )
            )
        return rows

    def verify(self) -> list[Checked]:
        """Hash every installed model file again, trusting no cache, and name those that carry a model's name but are something else."""
        names = {file.filename: file for file in self._files.values()}
        checked = []
        for path in [*self._candidates(), *self._packaged()]:
            size = path.stat().st_size
            if size not in self._sizes and path.name not in names:
                continue
            sha256 = file_digest(path)
            _remember(path, sha256)
            if sha256 in self._files:
                checked.append(Checked(str(path), self._models_of(sha256), ""))
            elif path.name in names:
                wanted = names[path.name]
                problem = f"it should have {wanted.size} bytes and digest {wanted.sha256[:12]}, it has {size} and {sha256[:12]}"
                checked.append(Checked(str(path), self._models_of(wanted.sha256), problem))
        self._save()
        return checked

    def recognise(self, path: Path) -> ModelFile | None:
        """The known model file a file is, by size and digest, or None."""
        if path.stat().st_size not in self._sizes:
            return None
        return self._files.get(_digest(path))

    def known(self, sha256: str) -> ModelFile | None:
        """The known model file with a digest, or None."""
        return self._files.get(sha256)

    def known_size(self, size: int) -> bool:
        """Whether some known model file has this many bytes."""
        return size in self._sizes

    def names(self) -> list[str]:
        """Names of the known models."""
        return [entry.name for entry in self._entries]

    def _models_of(self, sha256: str) -> str:
        return ", ".join(entry.name for entry in self._entries if any(file.sha256 == sha256 for file in entry.files))

    def _recognised(self) -> Iterator[tuple[Path, str]]:
        """Known files found, the most preferred folder last."""
        self._load()
        before = len(_digests)
        for path in reversed(list(self._candidates())):
            if (file := self.recognise(path)) is not None:
                yield path, file.sha256
        if len(_digests) != before:
            self._save()

    def _candidates(self) -> Iterator[Path]:
        for folder in self.folders():
            for parent, _, names in os.walk(folder):
                for name in sorted(names):
                    path = Path(parent) / name
                    if not name.startswith(".") and path.is_file():
                        yield path

    def _packaged(self) -> Iterator[Path]:
        for file in self._files.values():
            if file.package and (path := package_file(file)) is not None:
                yield path

    def _path_of(self, file: ModelFile, here: dict[str, Path]) -> Path | None:
        if file.sha256 in here:
            return here[file.sha256]
        path = package_file(file) if file.package else None
        return path if path is not None and self.recognise(path) == file else None

    def _load(self) -> None:
        """Take over what earlier processes hashed; a cache that cannot be read is made anew."""
        try:
            lines = json.loads((self.folder / CACHE).read_text())
            known = {(str(path), int(size), int(mtime)): str(sha256) for path, size, mtime, sha256 in lines}
        except (OSError, ValueError, TypeError):
            return
        for key, sha256 in known.items():
            _digests.setdefault(key, sha256)

    def _save(self) -> None:
        lines = [[*key, sha256] for key, sha256 in sorted(_digests.items()) if Path(key[0]).exists()]
        try:
            atomic_write(self.folder / CACHE, json.dumps(lines).encode())
        except OSError:
            return  # a folder that cannot be written costs a hash at the next start, nothing else


def how(entry: ModelEntry) -> str:
    """The command that installs a model, or where it comes from."""
    if entry.packaged:
        return "comes with rollcall's packages dlib-bin and face-recognition-models"
    if not entry.pullable:
        return f"`rollcall model import FILE` with {entry.files[0].filename} from {entry.source}"
    pack = next((pack for pack, members in PACKS.items() if entry.name in members and pack.startswith("buffalo")), entry.name)
    return f"`rollcall model pull {pack}`"


def package_file(file: ModelFile) -> Path | None:
    """Where an installed package keeps a model file. The package is not imported: face_recognition_models needs pkg_resources to be."""
    spec = importlib.util.find_spec(file.package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "models" / file.filename
        if path.is_file():
            return path
    return None


def _digest(path: Path) -> str:
    stat = path.stat()
    key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        _digests[key] = file_digest(path)
    return _digests[key]


def _remember(path: Path, sha256: str) -> None:
    stat = path.stat()
    _digests[(str(path.absolute()), stat.st_size, stat.st_mtime_ns)] = sha256
