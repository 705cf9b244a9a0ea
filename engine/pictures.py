"""An import of pictures: a folder with a sub-folder for each person, found and embedded by workers, put into the facebank as one batch."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np

from engine.config import Config, flatten
from engine.errors import BadInput, RollcallError, WorkerFailed
from engine.models.base import Calibration
from engine.models.load import Choice, choose
from engine.review import bank, naming
from engine.review.draft import Draft, Entry, Plan
from engine.sources.photo import SUFFIXES
from engine.workers import WorkerPool, first_failure, pool_size

if TYPE_CHECKING:
    from engine.jobs import JobHandle
    from engine.service import Engine


@dataclass(frozen=True)
class Picture:
    """A file that is meant to show a person. why: the reason it is not taken, if any. vector, quality, chip (a file): found by a worker."""

    person: str
    path: Path
    why: str | None = None
    vector: list[float] | None = None
    quality: float = 0.0
    chip: str = ""

    @property
    def name(self) -> str:
        """The file within the folder imported."""
        return f"{self.person}/{self.path.name}"


def listed(folder: Path) -> list[Picture]:
    """The pictures of a folder, by person and name; files of other kinds are listed with that as their reason.

    Raises:
        BadInput: it is no folder, or has no sub-folder with files.
    """
    try:
        people = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise BadInput(f"{folder} cannot be listed: {error.strerror}.", "Give a folder with one sub-folder for each person.") from error
    found: list[Picture] = []
    for person in people:
        for path in sorted(person.iterdir()) if os.access(person, os.R_OK | os.X_OK) else []:
            if path.is_file() and not path.name.startswith("."):
                other = (
                    None
                    if path.suffix.lower() in SUFFIXES
                    else f"{person.name}/{path.name} is no picture by its name ({', '.join(sorted(SUFFIXES))})."
                )
                found.append(Picture(person.name, path, other))
    if not found:
        raise BadInput(f"{folder} has no sub-folder with pictures.", "Make one sub-folder for each person, called by the person's name.")
    return found


async def run(engine: Engine, handle: JobHandle, job: dict[str, Any]) -> dict[str, Any]:
    """Import what the job names; returns the answer of the change, and of every file whether it was taken.

    Raises:
        RollcallError: the folder or the models cannot be used.
    """
    from engine.operations.facebank import ImportChange, put_in

    p = ImportChange.model_validate(job["parameters"]["import"])
    settings = Config(engine.home, p.settings).settings
    choice = await engine.in_thread(choose, settings.models.profile, engine.home / "models")
    pictures = await engine.in_thread(listed, Path(p.folder))
    with engine.scratch() as scratch:
        workers, threads = pool_size(settings.engine.workers)
        task = {
            "kind": "faces",
            "artefacts": str(engine.artefacts.folder),
            "settings": flatten(settings),
            "profile": choice.profile,
            "models": str(engine.home / "models"),
            "model_digests": [choice.detector.digest, choice.embedder.digest],
            "threads": threads,
        }
        async with WorkerPool.open(workers, engine.home / "engine.log") as pool:
            found = await _look(pool, handle, task, pictures, scratch)
        return await engine.in_thread(put_in, engine, job, p, settings, choice, found)


async def _look(pool: WorkerPool, handle: JobHandle, task: dict[str, Any], pictures: list[Picture], scratch: Path) -> list[Picture]:
    """Have workers find the face in each picture; what is wrong with one does not stop the others."""
    found, done = list(pictures), 0
    waiting = iter(range(len(pictures)))

    async def work_off() -> None:
        nonlocal done
        for place in waiting:
            if pictures[place].why is None:
                found[place] = await _face(pool, task, pictures[place], scratch / f"{place}.jpg")
            done += 1
            handle.report(stage="faces", share=done / len(pictures), pictures=len(pictures), pictures_done=done)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(pool.size):
                group.start_soon(work_off)
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None
    await handle.log("faces", "computed", detail=f"{len(pictures)} pictures, {sum(one.why is None for one in found)} with a face to take")
    return found


async def _face(pool: WorkerPool, task: dict[str, Any], picture: Picture, chip: Path) -> Picture:
    try:
        answer = await pool.submit({**task, "path": str(picture.path), "name": picture.name, "chip": str(chip)}, lambda message: None)
    except WorkerFailed as error:
        return replace(picture, why=f"{picture.name}: {error.message}")
    if answer["why"] is not None:
        return replace(picture, why=answer["why"])
    return replace(picture, vector=answer["vector"], quality=answer["quality"], chip=str(chip))


@dataclass
class Sorted:
    """A plan, and of every picture why it was left out."""

    plan: Plan
    pictures: list[Picture]

    def report(self) -> list[dict[str, Any]]:
        """A row a picture: person, file, taken, why, quality."""
        return [
            {
                "person": one.person,
                "file": one.name,
                "taken": one.why is None,
                "why": one.why,
                "quality": round(one.quality, 3) if one.vector else None,
            }
            for one in self.pictures
        ]


def plan(engine: Engine, show_id: int, choice: Choice, settings: Any, pictures: list[Picture], *, create: bool, force: bool, keep: bool) -> Sorted:
    """Judge the faces found by the rules of the bank, the best of each person first, and draft those that go in.

    Args:
        keep: put the pictures into the media store; else nothing is written.
    """
    desk, plan, space = engine.review, Plan(), choice.embedder.space
    calibration = choice.embedder.calibration
    assert isinstance(calibration, Calibration)
    known = bank.Bank(engine.database, show_id, space, calibration, settings)
    people: dict[str, int | str] = {}
    done = list(pictures)
    for place in sorted(range(len(pictures)), key=lambda place: (pictures[place].person, -pictures[place].quality, place)):
        one = pictures[place]
        if one.why is not None:
            continue
        if one.person not in people:
            people[one.person] = _who(desk, plan, show_id, one.person, create)
        who = people[one.person]
        vector = np.array(one.vector, np.float32)
        why = who if isinstance(who, str) else bank.offer(desk, known, bank.Face(one.name, vector, one.quality), who, force=force)
        done[place] = replace(one, why=why)
        if why is None and isinstance(who, int):
            chip, whole = (engine.media.put(path.read_bytes(), suffix) for path, suffix in _files(one)) if keep else (None, None)
            plan.drafts.append(Draft("bank_add", None, show_id, None, who, (), {"origin": f"picture {one.name}"}))
            plan.entries.append(Entry(len(plan.drafts) - 1, space, vector, one.quality, f"picture {one.name}", chip, whole))
    _drop_unused(plan)
    skipped = sum(one.why is not None for one in done)
    if skipped:
        plan.notes.append(f"{skipped} of {len(done)} pictures were left out; `pictures` says why.")
    return Sorted(plan, done)


def _files(one: Picture) -> list[tuple[Path, str]]:
    return [(Path(one.chip), ".jpg"), (one.path, one.path.suffix.lower())]


def _who(desk: Any, plan: Plan, show_id: int, name: str, create: bool) -> int | str:
    """The person a sub-folder is called after, or why there is none."""
    try:
        return naming.named(desk, plan, show_id, name, create=create)
    except RollcallError as error:
        return error.message


def _drop_unused(plan: Plan) -> None:
    """Nobody is made of whom no picture was taken."""
    used = {draft.person_id for draft in plan.drafts if draft.verb == "bank_add"}
    kept = [place for place, draft in enumerate(plan.drafts) if draft.verb == "bank_add" or draft.person_id in used]
    place_of = {old: new for new, old in enumerate(kept)}
    plan.drafts[:] = [plan.drafts[place] for place in kept]
    plan.entries[:] = [replace(entry, draft=place_of[entry.draft]) for entry in plan.entries]
