"""What the registry says of a model and of its files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.models.base import Calibration

Task = Literal["detect", "embed"]
Runtime = Literal["scrfd", "yunet", "arcface", "sface", "dlib_hog", "dlib_resnet"]


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: bytes, digest, and where to get it. `url` may be an archive and `member` the file's name inside it; `package` names
    the installed Python package that carries it instead."""

    filename: str
    size: int
    sha256: str
    url: str = ""
    member: str = ""
    package: str = ""


@dataclass(frozen=True)
class ModelEntry:
    """A model: what it does, what its licence allows (`commercial`), where it comes from (`source`, a page). `dims` and `calibration` are an
    embedder's."""

    name: str
    task: Task
    runtime: Runtime
    files: tuple[ModelFile, ...]
    licence: str
    commercial: bool
    source: str
    note: str = ""
    dims: int | None = None
    calibration: Calibration | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the file, or of the digests of several."""
        digests = [file.sha256 for file in self.files]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def space(self) -> str:
        """The embedding space: vectors of two are never compared. Empty for detectors."""
        return f"face-{self.name}-{self.digest[:12]}" if self.task == "embed" else ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def pullable(self) -> bool:
        """Whether every file has an address to download it from."""
        return all(file.url for file in self.files)

    @property
    def packaged(self) -> bool:
        """Whether the model comes with a Python package instead of a download."""
        return any(file.package for file in self.files)


@dataclass(frozen=True)
class Installed:
    """A model whose files are all here: `paths` in the order of `entry.files`."""

    entry: ModelEntry
    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def digest(self) -> str:
        return self.entry.digest

    @property
    def licence(self) -> str:
        return self.entry.licence

    @property
    def commercial(self) -> bool:
        return self.entry.commercial

    @property
    def space(self) -> str:
        return self.entry.space

    @property
    def calibration(self) -> Calibration | None:
        return self.entry.calibration
