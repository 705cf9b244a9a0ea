"""Whose each track is, as the totals see it: probabilities for the machine's part, certainty for what people decided."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

IDENTITY = pa.schema(
    [
        ("cluster", pa.int32()),
        ("person", pa.int64()),  # any number that stands for a person; null: nobody who can be named
        ("probability", pa.float32()),  # what a cluster's rows lack to 1 is nobody
        ("label", pa.bool_()),  # the row in force; at most one a cluster
    ]
)

DECIDED = pa.schema([("track", pa.int32()), ("person", pa.int64())])
"""Tracks labelled by people; null: decided to be nobody in particular."""

NOBODY = -1


@dataclass(frozen=True)
class Labels:
    """membership: MEMBERSHIP. identity: IDENTITY. decided: DECIDED, which wins over both."""

    membership: pa.Table
    identity: pa.Table
    decided: pa.Table

    @cached_property
    def people(self) -> NDArray[np.int64]:
        """Every person some track may be, ascending; positions in it are used for people below."""
        keys = [table["person"].drop_null().to_numpy() for table in (self.identity, self.decided)]
        result: NDArray[np.int64] = np.unique(np.concatenate(keys)).astype(np.int64)
        return result

    def _person(self, table: pa.Table) -> NDArray[np.int32]:
        """Position in `people`, NOBODY for null."""
        missing = table["person"].is_null().to_numpy()
        place = np.searchsorted(self.people, table["person"].fill_null(0).to_numpy())
        return np.where(missing, NOBODY, place).astype(np.int32)

    def clusters_of(self, tracks: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(tracks, r) clusters of each track, most probable first, and their probabilities; padded with -1 and 0."""
        track, cluster, chance = (self.membership[name].to_numpy() for name in ("track", "cluster", "probability"))
        return _padded(tracks, track, cluster, chance, np.lexsort((cluster, -chance, track)))

    def people_of(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """(clusters, q) people of each cluster, the label first, and their probabilities; padded with NOBODY and 0."""
        cluster, chance = self.identity["cluster"].to_numpy(), self.identity["probability"].to_numpy()
        label = self.identity["label"].to_numpy()
        clusters = 1 + max(int(cluster.max(initial=-1)), int(self.membership["cluster"].to_numpy().max(initial=-1)))
        return _padded(clusters, cluster, self._person(self.identity), chance, np.lexsort((-chance, ~label, cluster)))

    def called(self, tracks: int) -> NDArray[np.int32]:
        """(tracks,) the person in force for each track: decided, else the label of its most probable cluster, else NOBODY."""
        clusters, people = self.clusters_of(tracks)[0][:, 0], np.append(self.label_of_cluster(), np.int32(NOBODY))
        person = people[clusters]
        person[self.decided["track"].to_numpy()] = self._person(self.decided)
        return person

    def label_of_cluster(self) -> NDArray[np.int32]:
        """(clusters,) the label of each cluster, NOBODY where it has none."""
        label = np.full(len(self.people_of()[0]), NOBODY, np.int32)
        rows = self.identity["label"].to_numpy()
        label[self.identity["cluster"].to_numpy()[rows]] = self._person(self.identity)[rows]
        return label

    def decided_people(self, tracks: int) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
        """(tracks,) whether people decided, and (tracks,) the person where they did."""
        decided, person = np.zeros(tracks, bool), np.full(tracks, NOBODY, np.int32)
        rows = self.decided["track"].to_numpy()
        decided[rows], person[rows] = True, self._person(self.decided)
        return decided, person

    def chances(self, tracks: int, sure: float = np.inf) -> NDArray[np.float64]:
        """(tracks, people) probability that each track is each person's; memberships of at least `sure` are taken as certain."""
        clusters, member = self.clusters_of(tracks)
        member = rounded(member, sure)
        people, chance = self.people_of()
        by_cluster = np.zeros((len(people) + 1, len(self.people) + 1))
        np.add.at(by_cluster, (np.arange(len(people))[:, None], people), chance)
        total = np.zeros((tracks, by_cluster.shape[1]))
        for rank in range(member.shape[1]):
            total += member[:, rank, None] * by_cluster[clusters[:, rank]]
        decided, person = self.decided_people(tracks)
        total[decided] = 0
        total[decided, person[decided]] = 1
        return total[:, :-1]


def rounded(member: NDArray[np.float64], sure: float) -> NDArray[np.float64]:
    """(n, r) memberships, most probable first, with rows led by at least `sure` made certain."""
    return np.where(member[:, :1] >= sure, np.eye(1, member.shape[1]), member)


def _padded(
    count: int, item: NDArray[np.int32], value: NDArray[np.int32], chance: NDArray[np.float32], order: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Rows of a table as two (count, most) matrices, in the given order."""
    item, value, chance = item[order], value[order], chance[order]
    rank = np.arange(len(item)) - np.searchsorted(item, item)
    most = int(rank.max(initial=0)) + 1
    values, chances = np.full((count, most), -1, np.int32), np.zeros((count, most))
    values[item, rank], chances[item, rank] = value, chance
    return values, chances


def identity(decisions: pa.Table, posterior: pa.Table, person_of: dict[int, int | None], people: NDArray[np.int64]) -> pa.Table:
    """What the identity stage found, as IDENTITY.

    A cluster is each known person as probable as its posterior says. What is left is the person it is called, when that is not the one
    accepted from the gallery (but new, or carried over from an earlier run, and then what speaks for the one accepted speaks for the
    person too); otherwise it is nobody.

    Args:
        decisions: DECISION of `engine.identity.persons`.
        posterior: POSTERIOR.
        person_of: cluster -> person it is called, None for unidentified.
        people: (gallery people,) int64: person of each candidate.
    """
    accepted = {row["cluster"]: int(people[row["candidate"]]) for row in decisions.to_pylist() if row["candidate"] >= 0}
    rows: dict[tuple[int, int | None], float] = {}
    for cluster, candidate, chance in zip(*(posterior[name].to_pylist() for name in ("cluster", "candidate", "probability")), strict=True):
        called, best = person_of.get(cluster), accepted.get(cluster)
        person = int(people[candidate]) if candidate >= 0 else None
        if called is not None and called != best and person in (None, best):
            person = called
        rows[cluster, person] = rows.get((cluster, person), 0.0) + chance
    for cluster in decisions["cluster"].to_pylist():
        rows.setdefault((cluster, person_of.get(cluster)), 0.0)
    keys = sorted(rows, key=lambda key: (key[0], -rows[key], key[1] is None, key[1] or 0))
    columns = [
        pa.array([key[0] for key in keys], pa.int32()),
        pa.array([key[1] for key in keys], pa.int64()),
        pa.array([rows[key] for key in keys], pa.float32()),
        pa.array([person_of.get(key[0]) == key[1] for key in keys], pa.bool_()),
    ]
    return pa.table(columns, schema=IDENTITY)
