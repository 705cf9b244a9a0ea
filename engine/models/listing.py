"""What `rollcall model list` and `rollcall model verify` show."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import ModelInvalid
from engine.fingerprint import file_digest
from engine.models.entry import ModelEntry
from engine.models.registry import PACKS, PROFILES
from engine.models.store import Models


@dataclass(frozen=True)
class Row:
    """A known model. `path` is None when it is not installed; `how` is the command that gets it, or says where it comes from; `size` in bytes."""

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
    models: tuple[str, ...]
    problem: str


def rows(models: Models) -> list[Row]:
    """Every known model, installed or not, in the registry's order."""
    installed = models.installed()
    return [_row(entry, str(installed[entry.name].paths[-1]) if entry.name in installed else None) for entry in models.entries]


def verify(models: Models) -> list[Checked]:
    """Hash every model file again, trusting no cache, and name those that carry a model's name but are something else."""
    names = {file.filename: file for file in models.files()}
    checked = []
    for path in models.candidates():
        size, sha256 = path.stat().st_size, ""
        if models.known_size(size) or path.name in names:
            sha256 = file_digest(path)
            models.remember(path, sha256)
        if sha256 and models.known(sha256):
            checked.append(Checked(str(path), models.using(sha256), ""))
        elif path.name in names:
            wanted = names[path.name]
            problem = f"it should have {wanted.size} bytes and digest {wanted.sha256[:12]}, it has {size} and {sha256[:12]}"
            checked.append(Checked(str(path), models.using(wanted.sha256), problem))
    models.save()
    return checked


def demand_valid(checked: list[Checked]) -> None:
    """Refuse files that are not what the registry says.

    Raises:
        ModelInvalid: naming each of them.
    """
    wrong = [one for one in checked if one.problem]
    if wrong:
        listed = "; ".join(f"{one.path}: {one.problem}" for one in wrong)
        raise ModelInvalid(f"Not what the registry says: {listed}.", "Remove or replace them.", files=[one.path for one in wrong])


def how(entry: ModelEntry) -> str:
    """The command that installs a model, or where it comes from."""
    if entry.packaged:
        return "comes with rollcall's packages dlib-bin and face-recognition-models"
    if not entry.pullable:
        return f"`rollcall model import FILE` with {entry.files[0].filename} from {entry.source}"
    pack = next((pack for pack, members in PACKS.items() if entry.name in members and pack.startswith("buffalo")), entry.name)
    return f"`rollcall model pull {pack}`"


def _row(entry: ModelEntry, path: str | None) -> Row:
    profiles = tuple(name for name, pairs in PROFILES.items() if any(entry.name in pair for pair in pairs))
    return Row(
        name=entry.name,
        task=entry.task,
        licence=entry.licence,
        commercial=entry.commercial,
        space=entry.space,
        size=entry.size,
        path=path,
        profiles=profiles,
        how=how(entry),
        note=entry.note,
        source=entry.source,
    )
