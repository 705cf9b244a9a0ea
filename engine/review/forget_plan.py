"""What goes when somebody is forgotten, found before anything is touched and kept in a marker until all of it is gone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.review import forget_artefacts, forget_faces, forget_scan
from engine.review.forget_faces import Faces, Stretch
from engine.review.forget_scan import Canary
from engine.review.scrub import Scrub
from store import backups, erase, ids, repair, results, work
from store.atomic import atomic_write, sync_folder
from store.database import now
from store.media import Media

if TYPE_CHECKING:
    from engine.service import Engine

MARKER = "forgetting.json"
VECTORS = 6
"""Vectors of a person that are looked for: more would say nothing more."""


@dataclass(frozen=True)
class Going:
    """Everything a forgetting needs, also after a crash in the middle of it.

    stretches: run -> where the faces are. digests: of every picture of them. vectors: some of how they look. exports: files inside the exports
    folder. runs: every analysis whose figures mention them. before: what the scan found.
    """

    person_id: int
    people: list[int]
    show_id: int
    called: str
    names: list[str]
    kept: list[str]
    namesakes: list[int]
    sentences: list[str]
    actor: str
    key: str
    reason: str | None
    at: str
    stretches: dict[int, list[Stretch]]
    runs: list[int]
    pictures: list[str]
    digests: list[str]
    vectors: list[list[float]]
    exports: list[str]
    counts: dict[str, Any]
    before: dict[str, int]

    @property
    def word(self) -> str:
        """What stands where the name was."""
        return f"Erased {self.person_id}"

    def scrub(self) -> Scrub:
        """For texts."""
        people, pictures = frozenset(self.people), frozenset(self.pictures)
        return Scrub(people, self.word, tuple(self.names), tuple(self.kept), frozenset(self.namesakes), pictures)

    def canary(self) -> Canary:
        """For the scan."""
        return Canary(self.scrub(), tuple(np.array(vector, np.float32) for vector in self.vectors), frozenset(self.digests))

    def vector_ids(self, engine: Engine) -> dict[str, list[int]]:
        """space -> vectors of the tracks that go, whole or in part."""
        found: dict[str, list[int]] = {}
        for run_id, held in self.stretches.items():
            run = results.run(engine.database, run_id)
            if run is not None:
                tracks = sorted({track for track, *_ in held})
                found.setdefault(run["space"], []).extend(
                    ids.vector_id(track, exemplar) for track in tracks for exemplar in range(ids.VECTORS_PER_TRACK)
                )
        return found

    def save(self, home: Path) -> None:
        """Write the marker: from here on the forgetting is finished, whatever happens."""
        atomic_write(home / MARKER, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, home: Path) -> Going | None:
        """The marker, when there is one."""
        try:
            found = json.loads((home / MARKER).read_bytes())
        except FileNotFoundError:
            return None
        found["stretches"] = {int(run): [tuple(one) for one in held] for run, held in found["stretches"].items()}
        return cls(**found)

    def done(self, home: Path) -> None:
        """Take the marker away."""
        (home / MARKER).unlink(missing_ok=True)
        sync_folder(home)


def plan(engine: Engine, person_id: int, actor: str, key: str, reason: str | None) -> Going:
    """Find what goes. Nothing is changed; `before` is empty until `searched`."""
    database = engine.database
    row = engine.review.person(person_id)
    assert row is not None
    people = erase.group(database, person_id)
    held = forget_faces.stretches(engine, frozenset(people))
    faces = {run_id: forget_faces.faces(engine, run_id, one) for run_id, one in held.items()}
    names, kept, namesakes, sentences = _names(engine, people)
    pictures = _pictures(engine, people, held)
    digests = {name.split(".")[0] for name in pictures}
    for run_id, one in faces.items():
        digests |= {Media.name(jpeg, "") for jpeg in forget_artefacts.pictures(engine, run_id, one)}
    runs = sorted(erase.runs_about(database, people) | set(held))
    going = Going(
        person_id=person_id,
        people=people,
        show_id=row["show_id"],
        called=engine.review.called(person_id),
        names=names,
        kept=kept,
        namesakes=namesakes,
        sentences=sentences,
        actor=actor,
        key=key,
        reason=reason,
        at=now().isoformat(),
        stretches=held,
        runs=runs,
        pictures=sorted(pictures),
        digests=sorted(digests),
        vectors=_vectors(engine, people, faces),
        exports=[],
        counts={},
        before={},
    )
    going = replace(going, exports=_exports(engine, going))
    return replace(going, counts=_counts(engine, going))


def searched(engine: Engine, going: Going) -> Going:
    """The plan with what the scan finds before."""
    return replace(going, before=forget_scan.scan(engine, going.canary()))


def _names(engine: Engine, people: list[int]) -> tuple[list[str], list[str], list[int], list[str]]:
    """(names that go, other text that holds one and stays, others called the same, what is said of it)."""
    database = engine.database
    present, earlier = erase.names(database, people)
    taken = erase.others(database, people)
    # A name somebody else has by now is theirs, whoever had it before.
    names = sorted({*present, *(name for name in earlier if name.casefold() not in {one.casefold() for one in taken})})
    own = Scrub(frozenset(people), "", tuple(names))
    kept = [name for name in taken if own.mentions(name)]
    namesakes = sorted({person for name in kept for person in taken[name] if name.casefold() in {one.casefold() for one in names}})
    sentences = [f"Person {person} is called the same; their name stays where it is theirs." for person in namesakes]
    for what, text in erase.catalogue(database):
        if own.mentions(text):
            kept.append(text)
            sentences.append(f"The name is part of {what}, which is left alone.")
    sentences.append("Copies of the workspace or of its files that were made elsewhere are not reached; one that is brought back is cleared of them.")
    return names, sorted(set(kept)), namesakes, sentences


def _pictures(engine: Engine, people: list[int], held: dict[int, list[Stretch]]) -> set[str]:
    """Files of the media folder that show them."""
    held_by_hand = {name for row in erase.bank(engine.database, people) for name in (row["chip"], row["picture"]) if name}
    found = held_by_hand | erase.featured(engine.database, people)
    for run_id, stretches in held.items():
        found |= erase.pictures_of(engine.database, run_id, [stretch[:3] for stretch in stretches])
    return found


def _vectors(engine: Engine, people: list[int], faces: dict[int, Faces]) -> list[list[float]]:
    """Some vectors of theirs from wherever there are any."""
    found = [row["vector"] for row in erase.bank(engine.database, people)][:2]
    for run_id, one in faces.items():
        found += forget_artefacts.vectors(engine, run_id, one, 1).tolist()
    unique: list[list[float]] = []
    for vector in found:
        if np.any(vector) and not any(len(vector) == len(one) and np.allclose(vector, one, atol=1e-6) for one in unique):
            unique.append([float(value) for value in vector])
    return unique[:VECTORS]


def _exports(engine: Engine, going: Going) -> list[str]:
    """Files of the exports folder that tell of them: made from an analysis they are in, or holding a name."""
    folder = engine.exports
    about = {Path(row["path"]).name for row in work.exports_of_runs(engine.database, erase.runs_showing(engine.database, going.people))}
    scrub = going.scrub()
    called = replace(scrub, names=(*scrub.names, *(f"Unknown {person}" for person in going.people)))
    canary = replace(going.canary(), scrub=called)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    telling = (path for path in files if path.name in about or canary.names_in(path.name) or forget_scan.decoded(path, canary))
    return [str(path.relative_to(folder)) for path in telling]


def _counts(engine: Engine, going: Going) -> dict[str, Any]:
    """What is said of it to people."""
    database = engine.database
    active = {row["active_run_id"]: row["episode_id"] for row in database.rows("SELECT episode_id, active_run_id FROM episode")}
    shown = [stretch for run_id, held in going.stretches.items() if run_id in active for stretch in held]
    return {
        "episodes": sorted({results.episode_of_run(database, run_id) for run_id in going.stretches}),
        "tracks": len({track for held in going.stretches.values() for track, *_ in held}),
        "seconds": round(sum(end - start for _, start, end, _ in shown) / 1e6, 3),
        "pictures": len(going.digests),
        "facebank": len(erase.bank(database, going.people)),
        "decisions": erase.decided(database, going.people),
        "exports": going.exports,
        "backups": sorted(
            [path.name for path in backups.folder(engine.home).glob("*") if holds(path, going)] + [path.name for path in repair.kept(engine.home)]
        ),
    }


def holds(path: Path, going: Going) -> bool:
    """Whether a copy of the library knows them; one that cannot be read may."""
    return path.suffix == ".duckdb" and (forget_scan.knows(path, going.people) or forget_scan.backup(path, going.canary()) > 0)
