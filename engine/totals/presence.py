"""When people are visible in every draw at once, on the cells between neighbouring starts and ends of tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.tables import Episode
from engine.totals.labels import NOBODY
from engine.totals.uncertainty import Edges


@dataclass(frozen=True)
class Presence:
    """Where one person may be visible: cells (k,) ascending, cell i lying between edges i and i + 1; visible (k, draws) bool."""

    cells: NDArray[np.int64]
    visible: NDArray[np.bool_]

    def seconds_with(self, other: Presence, edges: Edges) -> float:
        """Expected seconds both are visible."""
        cells, mine, theirs = np.intersect1d(self.cells, other.cells, assume_unique=True, return_indices=True)
        length = edges.at[cells + 1] - edges.at[cells]
        return float((length * (self.visible[mine] & other.visible[theirs])).sum() / edges.at.shape[1])


def presences(edges: Edges, people: NDArray[np.int32], episode: Episode, gap_s: float) -> tuple[dict[int, Presence], NDArray[np.uint8]]:
    """Where everybody is visible, and how many are.

    Args:
        people: (tracks, draws) whose each track is, NOBODY for nobody's.
        gap_s: gaps up to this long inside one shot are closed for people, not for those who are nobody.

    Returns:
        person -> presence (NOBODY among them), and (cells, draws) number of people visible, faces of nobody counting as one.
    """
    shots = np.stack([episode.shots[name].to_numpy() / 1e6 for name in ("start_us", "end_us")], axis=1)
    found: dict[int, Presence] = {}
    crowd = np.zeros((max(len(edges.at) - 1, 0), edges.at.shape[1]), np.uint8)
    for person, tracks in _tracks_of(people):
        found[person] = _presence(edges, tracks, people[tracks] == person, shots, -1.0 if person == NOBODY else gap_s)
        crowd[found[person].cells] += found[person].visible
    return found, crowd


def _tracks_of(people: NDArray[np.int32]) -> list[tuple[int, NDArray[np.int64]]]:
    """Each person who has a track in some draw, with all such tracks."""
    width = int(people.max(initial=NOBODY)) + 2
    seen = np.zeros((len(people), width), bool)
    np.put_along_axis(seen, (people + 1).astype(np.int64), True, axis=1)
    return [(person - 1, np.flatnonzero(seen[:, person])) for person in range(width) if seen[:, person].any()]


def _presence(edges: Edges, tracks: NDArray[np.int64], theirs: NDArray[np.bool_], shots: NDArray[np.float64], gap_s: float) -> Presence:
    """One person's presence, worked out between the ends of their own tracks and then cut into the cells of everybody."""
    own = np.concatenate([edges.start[tracks], edges.end[tracks]])
    order = np.argsort(own)
    own = own[order]
    change = np.concatenate([theirs, -theirs.astype(np.int8)]).astype(np.int16)[order]
    visible = np.cumsum(change, axis=0, dtype=np.int16)[:-1] > 0
    at, shot = edges.at[own], edges.shot[own]
    if gap_s > 0:
        _close_gaps(visible, at, shot, shots, gap_s)
    some = np.flatnonzero(visible.any(axis=1))
    counts = own[some + 1] - own[some]
    cells = np.repeat(own[some] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    return Presence(cells, np.repeat(visible[some], counts, axis=0))


def _close_gaps(visible: NDArray[np.bool_], at: NDArray[np.float64], shot: NDArray[np.int32], shots: NDArray[np.float64], gap_s: float) -> None:
    """Make short stretches visible that lie between visible ones of the same shot, in place."""
    inside = np.flatnonzero(shot[1:] == shot[:-1])
    before = np.maximum.accumulate(np.where(visible, at[1:], -np.inf), axis=0)[inside]
    after = np.minimum.accumulate(np.where(visible, at[:-1], np.inf)[::-1], axis=0)[::-1][inside]
    first, last = shots[shot[inside], 0, None], shots[shot[inside], 1, None]
    visible[inside] |= (after - before <= gap_s + 1e-9) & (before > first) & (after < last)
