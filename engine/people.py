"""Who an episode's clusters are, seen from the library: the faces it knows, and the ids people keep from run to run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.config import Settings
from engine.exemplars import rebuild
from engine.totals import labels
from store import facebank, results

if TYPE_CHECKING:
    from engine.service import Engine

EXEMPLARS_PER_PERSON = 30
"""Faces of one person an episode is compared with: the best ones, whatever number of episodes they come from."""


@dataclass(frozen=True)
class KnownFaces:
    """Faces of a show's people from other episodes.

    vectors (n, dims) float32, L2-normalised; person_id (n,) int64; known (n,) bool: whether the person has a name; quality (n,) float32.
    """

    vectors: NDArray[np.float32]
    person_id: NDArray[np.int64]
    known: NDArray[np.bool_]
    quality: NDArray[np.float32]

    @property
    def digest(self) -> str:
        """Identifies the content."""
        digest = hashlib.sha256()
        for part in (self.vectors, self.person_id, self.known, self.quality):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:32]

    def people(self) -> NDArray[np.int64]:
        """The people, each once, ascending: candidate k of a match is the k-th of them."""
        return np.unique(self.person_id)

    def joined(self, other: KnownFaces) -> KnownFaces:
        """Both; `other` may be empty."""
        parts = [one for one in (self, other) if len(one.person_id)]
        return KnownFaces(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("vectors", "person_id", "known", "quality")))

    def save(self, path: Path) -> None:
        """Write to an .npz file."""
        np.savez(path, vectors=self.vectors, person_id=self.person_id, known=self.known, quality=self.quality)

    @classmethod
    def read(cls, path: Path) -> KnownFaces:
        """Read what `save` wrote."""
        with np.load(path) as found:
            return cls(found["vectors"], found["person_id"], found["known"], found["quality"])


def gallery_for(engine: Engine, episode: dict[str, Any], space: str) -> KnownFaces:
    """The faces people picked for the bank, all of them, and the best faces of everybody from the show's other episodes."""
    seen = _seen_elsewhere(engine, episode, space)
    bank = facebank.in_force(engine.database, episode["show_id"], space)
    if not bank.num_rows:
        return seen
    picked = KnownFaces(
        facebank.vectors(bank),
        bank["person_id"].to_numpy().astype(np.int64),
        bank["known"].to_numpy(zero_copy_only=False).astype(bool),
        bank["quality"].to_numpy().astype(np.float32),
    )
    return picked.joined(seen)


def _seen_elsewhere(engine: Engine, episode: dict[str, Any], space: str) -> KnownFaces:
    """The best faces of the people of the episode's show, from its other episodes."""
    rows = results.gallery_tracks(engine.database, episode["show_id"], space, episode["episode_id"])
    quality = rows["quality"].to_numpy().astype(np.float32)
    person = rows["person_id"].to_numpy().astype(np.int64)
    order = np.lexsort((-quality, person))
    ranked = person[order]
    keep = np.sort(order[np.arange(len(order)) - np.searchsorted(ranked, ranked) < EXEMPLARS_PER_PERSON])
    kept = rows.take(pa.array(keep))
    wanted = kept["vector_id"].to_numpy().astype(np.int64)
    runs = sorted(set(kept["run_id"].to_pylist()))
    ids, vectors = engine.vectors.of_runs(space, runs)
    if missing := set(kept["run_id"].to_numpy()[~np.isin(wanted, ids)].tolist()):
        for run_id in sorted(missing):
            rebuild(engine, run_id)
        ids, vectors = engine.vectors.of_runs(space, runs)
    at = np.searchsorted(ids, wanted)
    return KnownFaces(vectors[at], person[keep], kept["known"].to_numpy(zero_copy_only=False).astype(bool), quality[keep])


@dataclass(frozen=True)
class Naming:
    """Who is who in a run. People are library ids, or a negative number for an unknown that is new and gets its id when loaded.

    assignment: track, cluster, person_id (null: unidentified), probability, method, threshold.
    identity: `engine.totals.labels.IDENTITY` plus `similarity`: who each cluster may be, and which of them it is taken for.
    """

    assignment: pa.Table
    identity: pa.Table

    def new_people(self) -> list[int]:
        """The negative numbers in use, those of the largest clusters first."""
        found = {value for value in self.assignment["person_id"].to_pylist() if value is not None and value < 0}
        return sorted(found, reverse=True)

    def with_ids(self, new: dict[int, int]) -> Naming:
        """The same with the ids new unknowns were given."""
        return Naming(renamed(self.assignment, "person_id", new), renamed(self.identity, "person", new))

    def save(self, path: Path) -> None:
        """Write what the totals stage needs."""
        pq.write_table(self.identity, path)


def renamed(table: pa.Table, column: str, new: dict[int, int]) -> pa.Table:
    """The table with new unknowns under their ids."""
    values = [new.get(value, value) for value in table[column].to_pylist()]
    return table.set_column(table.column_names.index(column), column, pa.array(values, pa.int64()))


def label(engine: Engine, episode: dict[str, Any], identify: str, gallery: KnownFaces, settings: Settings) -> Naming:
    """Give every cluster its person.

    A named person found by face comes first; then the person the same faces had in the episode's active run, so that unknowns keep their
    ids whatever was re-run (but not who was matched there with faces of the bank that have left it since); then an unknown known from other
    episodes; then a new unknown. Clusters too poor to be a person stay unidentified.
    """
    from engine.identity.persons import UNIDENTIFIED  # brings scipy, which an engine that only answers questions does without

    artefacts = engine.artefacts
    decisions = artefacts.table("identify", identify, "decisions").to_pylist()
    people, named = gallery.people(), {int(p) for p, known in zip(gallery.person_id, gallery.known, strict=True) if known}
    before = _carried(engine, episode, identify, settings)
    person_of: dict[int, int | None] = {}
    method_of: dict[int, str] = {}
    for row in decisions:
        cluster, candidate = row["cluster"], row["candidate"]
        matched = int(people[candidate]) if candidate >= 0 else None
        if matched is not None and (matched in named or cluster not in before):
            person_of[cluster], method_of[cluster] = matched, "face match"
        elif candidate != UNIDENTIFIED and cluster in before:
            person_of[cluster], method_of[cluster] = before[cluster], "same faces as before"
        elif candidate == UNIDENTIFIED:
            person_of[cluster], method_of[cluster] = None, "too poor to tell"
        else:
            person_of[cluster], method_of[cluster] = -(cluster + 1), "cluster"
    assignment = _assign(artefacts.table("identify", identify, "membership"), person_of, method_of, settings)
    posterior = artefacts.table("identify", identify, "posterior")
    table = labels.identity(artefacts.table("identify", identify, "decisions"), posterior, person_of, people)
    return Naming(assignment, table.append_column("similarity", _similarity(table, posterior, people)))


def _carried(engine: Engine, episode: dict[str, Any], identify: str, settings: Settings) -> dict[int, int]:
    """cluster -> person of the episode's active run, by the face-time they share."""
    from engine.identity.persons import carry_over

    active = episode["active_run_id"]
    if active is None:
        return {}
    run = results.run(engine.database, active)
    assert run is not None
    previous = results.person_tracks(engine.database, active, sorted(facebank.left_since(engine.database, run["space"], active)))
    artefacts = engine.artefacts
    membership = artefacts.table("identify", identify, "membership")
    return carry_over(previous, artefacts.table("identify", identify, "detections"), membership, settings.identity)


def _assign(membership: pa.Table, person_of: dict[int, int | None], method_of: dict[int, str], settings: Settings) -> pa.Table:
    """Each track to its most probable cluster."""
    best: dict[int, tuple[float, int]] = {}
    for row in membership.to_pylist():
        entry = (row["probability"], -row["cluster"])
        if row["track"] not in best or entry > best[row["track"]]:
            best[row["track"]] = entry
    tracks = sorted(best)
    clusters = [-best[track][1] for track in tracks]
    return pa.table(
        {
            "track": pa.array(tracks, pa.int32()),
            "cluster": pa.array(clusters, pa.int32()),
            "person_id": pa.array([person_of[cluster] for cluster in clusters], pa.int64()),
            "probability": pa.array([best[track][0] for track in tracks], pa.float32()),
            "method": pa.array([method_of[cluster] for cluster in clusters], pa.string()),
            "threshold": pa.array([settings.identity.accept_probability] * len(tracks), pa.float32()),
        }
    )


def _similarity(identity: pa.Table, posterior: pa.Table, people: NDArray[np.int64]) -> pa.Array:
    """Cosine to the known person of each row, null for people known from nowhere else."""
    candidates = zip(*(posterior[name].to_pylist() for name in ("cluster", "candidate", "similarity")), strict=True)
    known = {(cluster, int(people[candidate])): similarity for cluster, candidate, similarity in candidates if candidate >= 0}
    keys = zip(identity["cluster"].to_pylist(), identity["person"].to_pylist(), strict=True)
    return pa.array([known.get((cluster, person)) for cluster, person in keys], pa.float32())
