"""The faces of one run in memory: which a stretch of a track shows, how they look, and whether two people are in one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.review import anchors
from engine.review.draft import Target
from engine.vision.boxes import boxes_of
from store import anchored

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
        _, first, count = self._asked(targets)
        return first, count

    def _asked(self, targets: Iterable[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Place in `tracks` and first face of each target, and how many it shows."""
        track, start, end, _ = _columns(targets)
        at = np.searchsorted(self.tracks, track)
        there = np.append(self.tracks, -1)[at] == track
        first = np.searchsorted(self.key, (at << TIME_BITS) | start)
        last = np.searchsorted(self.key, (at << TIME_BITS) | end)
        return at, first, np.where(there, last - first, 0)

    def rows(self, targets: Iterable[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, targets) the faces some targets show, target by target in time order, and which target each is of."""
        first, count = self.shown(targets)
        return _ranges(first, count), np.repeat(np.arange(len(count)), count)

    @cached_property
    def _sampled(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the faces kept of every track when it is sampled whole; (tracks + 1,) where each track begins, and where the last ends."""
        track = self.key >> TIME_BITS
        return np.flatnonzero(anchors.sample(track, self.t_us, self.boxes)), np.searchsorted(track, np.arange(len(self.tracks) + 1))

    @cached_property
    def _steps(self) -> NDArray[np.int16]:
        """The boxes as anchors keep them."""
        return anchored.steps(self.boxes)

    def remembered(self, decision_id: int, episode_id: int, targets: Sequence[Target]) -> anchored.Pack:
        """What a decision about some targets is remembered by: an anchor for each."""
        rows, count = self.sampled(targets)
        _, start, end, part = _columns(targets)
        return anchored.pack(decision_id, episode_id, (np.arange(len(targets)), part, start, end), count, self.t_us[rows], self._steps[rows])

    def _whole(self, at: NDArray[np.int64], first: NDArray[np.int64], count: NDArray[np.int64]) -> bool:
        """Whether targets, as `_asked` has them, show all faces of their tracks."""
        begins = self._sampled[1]
        return bool((count > 0).all() and (begins[at] == first).all() and (begins[at + 1] == first + count).all())

    def sampled(self, targets: Sequence[Target]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, count) the faces some targets are remembered by (see `anchors.sample`), target by target in time order, and how many of each."""
        at, first, count = self._asked(targets)
        if self._whole(at, first, count):
            kept = self._sampled[0]
            low = np.searchsorted(kept, first)
            kept_of_each = np.searchsorted(kept, first + count) - low
            return kept[_ranges(low, kept_of_each)], kept_of_each
        rows, of = self.rows(targets)
        here = anchors.sample(of, self.t_us[rows], self.boxes[rows])
        return rows[here], np.bincount(of[here], minlength=len(count))

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


def _columns(targets: Iterable[Target]) -> NDArray[np.int64]:
    """(4, targets) track, start, end and part."""
    return np.fromiter(chain.from_iterable(targets), np.int64).reshape(-1, 4).T


def _ranges(first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers from each `first` on, so many."""
    return np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
