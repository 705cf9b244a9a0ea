"""The faces of one run in memory: which a stretch of a track shows, how they look, and whether two people are in one frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.review.draft import Target
from engine.vision.boxes import boxes_of

TIME_BITS = 42
"""Enough for 50 days of microseconds."""


class Look(NamedTuple):
    """What tells how well a track can be judged, and the file of its picture."""

    quality: float
    height_px: float
    mixed: bool
    chip: str | None


def looks_of(table: pa.Table) -> dict[int, Look]:
    """track -> look, from track_id and the fields of a look."""
    return dict(zip(table["track_id"].to_pylist(), map(Look, *(table[name].to_pylist() for name in Look._fields)), strict=True))


@dataclass(frozen=True)
class RunFaces:
    """Faces by track and time: tracks (m,) ids ascending; key (n,) place in `tracks` and time in one ascending number; t_us (n,); boxes (n, 4)."""

    tracks: NDArray[np.int64]
    key: NDArray[np.int64]
    t_us: NDArray[np.int64]
    boxes: NDArray[np.float32]

    @classmethod
    def of(cls, table: pa.Table) -> RunFaces:
        """From track_id, t_us, x1, y1, x2, y2, by track and time."""
        track, t_us = table["track_id"].to_numpy(), table["t_us"].to_numpy()
        begins = np.diff(track, prepend=-1) != 0
        place = np.cumsum(begins, dtype=np.int64) - 1
        return cls(track[begins], (place << TIME_BITS) | t_us, t_us, boxes_of(table))

    def shown(self, targets: Iterable[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First face of each target, and how many it shows."""
        asked = np.array(list(targets), np.int64).reshape(-1, 4)
        at = np.searchsorted(self.tracks, asked[:, 0])
        there = np.append(self.tracks, -1)[at] == asked[:, 0]
        first = np.searchsorted(self.key, (at << TIME_BITS) | asked[:, 1])
        last = np.searchsorted(self.key, (at << TIME_BITS) | asked[:, 2])
        return first, np.where(there, last - first, 0)

    def rows(self, targets: Iterable[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, targets) the faces some targets show, target by target in time order, and which target each is of."""
        first, count = self.shown(targets)
        of = np.repeat(np.arange(len(count)), count)
        return np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum()), of

    def apart(self, one: Iterable[Target], other: Iterable[Target]) -> int | None:
        """The first moment at which a face of one set of tracks and a face of the other are in one frame without touching; None: never."""
        mine, theirs = (self._of_tracks({target.track_id for target in targets}) for targets in (one, other))
        theirs = theirs[np.argsort(self.t_us[theirs], kind="stable")]
        times = self.t_us[theirs]
        low = np.searchsorted(times, self.t_us[mine])
        count = np.searchsorted(times, self.t_us[mine], "right") - low
        a = np.repeat(mine, count)
        b = theirs[np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())]
        free = (np.minimum(self.boxes[a, 2:], self.boxes[b, 2:]) <= np.maximum(self.boxes[a, :2], self.boxes[b, :2])).any(axis=1)
        free &= self.key[a] >> TIME_BITS != self.key[b] >> TIME_BITS
        return int(self.t_us[a[free]].min()) if free.any() else None

    def _of_tracks(self, tracks: set[int]) -> NDArray[np.int64]:
        """Rows of all faces of some tracks."""
        return self.rows([Target(track, 0, (1 << TIME_BITS) - 1) for track in sorted(tracks)])[0]
