"""A reviewer who answers truthfully, on an episode held in memory with the rules of review: what was decided stays, machine labels never
change silently, a decision about a cluster covers the members it had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.cluster import cluster
from engine.identity.gallery import match
from engine.identity.persons import UNIDENTIFIED, decide
from engine.identity.similarity import evidence
from engine.review.queue import Sheet, Unit, units
from engine.review.refit import ITSELF, MACHINE, NOBODY, WITH_CLUSTER, Ground, Standing, grouped, refit
from engine.totals.labels import DECIDED, Labels, identity
from tests.benchmarks.episode_maker import calibration
from tests.benchmarks.recipe import Made

UNNAMED = 1_000_000
"""Keys of clusters that are nobody known begin here."""

SPLIT_BELOW = 0.5
"""A cluster of which less than this share of the faces shown is one person is taken apart."""


@dataclass
class Desk:
    """An episode under review. people: cast member of each position among the people named so far."""

    made: Made
    ground: Ground
    track: NDArray[np.int64]
    seconds: NDArray[np.float64]
    cluster: NDArray[np.int64]
    person: NDArray[np.int64]
    how: NDArray[np.int8]
    rejected: NDArray[np.bool_]
    people: list[int]
    truth: NDArray[np.int64]
    whole: NDArray[np.bool_]  # tracks whose stretches were labelled one by one
    decisions: pa.Table
    posterior: pa.Table
    membership: pa.Table
    actions: int = 0

    @classmethod
    def open(cls, made: Made, settings: IdentitySettings) -> Desk:
        """Run the identity stages; labels are what the machine makes of them."""
        episode, curve = made.episode, calibration()
        found = evidence(episode, curve, settings)
        clustering = cluster(episode, found, settings)
        posterior = match(episode, clustering, found, made.gallery, curve, settings)
        decisions = decide(episode, clustering, posterior, settings)
        clusters, known = clustering.clusters.num_rows, len(made.known)
        matches = np.zeros((clusters, known + 1))
        who = posterior["candidate"].to_numpy()
        matches[posterior["cluster"].to_numpy(), np.where(who >= 0, who, known)] = posterior["probability"].to_numpy()
        candidate = decisions["candidate"].to_numpy()
        label = np.where(candidate >= 0, candidate, NOBODY)[clustering.label].astype(np.int64)
        count = len(label)
        tracks = episode.tracks
        seconds = (tracks["end_us"].to_numpy() - tracks["start_us"].to_numpy()) / 1e6
        best = made.of_detection[tracks["best_det"].to_numpy()]
        return cls(
            made,
            Ground.of(episode, found, clustering.membership, matches, settings),
            np.arange(count),
            seconds,
            clustering.label.astype(np.int64),
            label,
            np.zeros(count, np.int8),
            np.zeros((count, known), bool),
            made.known.tolist(),
            np.where(best < made.cast, best, NOBODY),
            np.zeros(count, bool),
            decisions,
            posterior,
            clustering.membership,
        )

    def standing(self) -> Standing:
        return Standing(self.track, self.seconds, self.cluster, self.person, self.how, self.rejected, len(self.people))

    def units(self, together: bool = True) -> list[Unit]:
        """What there is to ask now; `together`: leftovers that are likely one person as one."""
        standing = self.standing()
        ground = self.ground.following(standing)
        if together:
            ground, standing = grouped(ground, standing)
        belief = refit(ground, standing, IdentitySettings())
        return units(standing, belief, self.mixed())

    def mixed(self) -> NDArray[np.bool_]:
        flagged: NDArray[np.bool_] = self.made.episode.tracks["mixed"].to_numpy(zero_copy_only=False) & ~self.whole
        return flagged

    def position(self, cast: int) -> int:
        """Where a cast member stands among the people named; named now if they were not."""
        if cast < 0:
            return NOBODY
        if cast not in self.people:
            self.people.append(cast)
            self.rejected = np.concatenate([self.rejected, np.zeros((len(self.rejected), 1), bool)], axis=1)
        return self.people.index(cast)

    def answer(self, sheet: Sheet) -> None:
        """Answer a sheet truthfully: one action for all that is as proposed (or all one person), and one for each thing that has to be answered
        otherwise."""
        aside, proposed, given = 0, [], []
        for unit in sheet.units:
            if unit.kind == "mixed":
                aside += max(1, len(np.unique(self.made.of_detection[self._detections(int(unit.shown[0]))])))
                self.whole[unit.shown] = True
                self._label(unit.shown, int(self.truth[unit.shown[0]]), ITSELF)
                continue
            expected = self.people[unit.proposed] if unit.proposed >= 0 else NOBODY
            shown = self.truth[unit.shown]
            values, counts = np.unique(shown, return_counts=True)
            most = expected if (shown == expected).sum() == counts.max() else int(values[counts.argmax()])
            if unit.open and len(shown) > 3 and (shown == most).mean() < SPLIT_BELOW:
                self._take_apart(unit.rows)
                aside += 1
                continue
            self._label(np.setdiff1d(unit.rows, unit.shown), most, WITH_CLUSTER)
            proposed.append(expected)
            given.append(most)
            self._label(unit.shown[shown == most], most, ITSELF)
            for row in unit.shown[shown != most]:
                self._label(np.array([row]), int(self.truth[row]), ITSELF)
            aside += int((shown != most).sum())
        said = [proposed, *([one] * len(given) for one in dict.fromkeys(given))]
        otherwise = aside + min(sum(a != b for a, b in zip(given, one, strict=True)) for one in said)
        # Where nothing fits, the first answer is the sheet's own action.
        self.actions += otherwise + (1 if given else 0)

    def _take_apart(self, rows: NDArray[np.int64]) -> None:
        """ "These are many people": the longest track stays, every other is for itself (cluster_split --apart)."""
        out = rows[np.argsort(-self.seconds[rows], kind="stable")[1:]]
        self.cluster[out] = max(int(self.cluster.max()) + 1, self.ground.machine) + np.arange(len(out))

    def _label(self, rows: NDArray[np.int64], cast: int, how: int) -> None:
        if len(rows):
            rows = rows[self.how[rows] <= how]
            self.person[rows], self.how[rows] = self.position(cast), how

    def _detections(self, track: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.made.episode.detections["track"].to_numpy() == track)

    def labels(self) -> Labels:
        """What the totals are made of; people are keyed by their number in the cast, clusters of nobody known by a large one."""
        candidate = self.decisions["candidate"].to_numpy()
        called: dict[int, int | None] = {}
        for number, who in enumerate(candidate.tolist()):
            called[number] = int(self.made.known[who]) if who >= 0 else None if who == UNIDENTIFIED else UNNAMED + number
        table = identity(self.decisions, self.posterior, called, self.made.known)
        rows = np.flatnonzero((self.how != MACHINE) & ~self.whole)
        keys = [self.people[one] if one >= 0 else None for one in self.person[rows].tolist()]
        decided = pa.table([pa.array(self.track[rows], pa.int32()), pa.array(keys, pa.int64())], schema=DECIDED)
        return Labels(self.membership, table, decided)

    def correct(self) -> tuple[float, float]:
        """Share of truth face-seconds with the right label: of all faces, and of the cast's."""
        made = self.made
        named = np.append(np.array([*self.people, NOBODY], np.int64)[self.person], NOBODY)
        got = named[made.face_track]
        cast = made.face_person < made.cast
        right = np.where(cast, got == made.face_person, got < 0)
        right |= np.append(self.whole, False)[made.face_track]
        return float(right.mean()), float(right[cast].mean())

    def ceiling(self) -> tuple[float, float]:
        """The same if every face that was found had its right label."""
        made = self.made
        cast = made.face_person < made.cast
        found = (made.face_track >= 0) | ~cast
        return float(found.mean()), float(found[cast].mean())
