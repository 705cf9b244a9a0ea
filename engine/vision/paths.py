"""A face followed through time: where its path is between samples, and how long each sample stands for.

Two runs rarely look at the same moments, so one's faces are held against the other's path: people are carried over from run to run by it
(engine/identity/persons.py), and decisions find their faces again (engine/review/anchors.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAME_FACE_IOU = 0.5
"""A box that overlaps the path at least this much is the same face."""

REACH_US = 1_100_000
"""A path says nothing between two samples further apart than this: one look a second still makes a path."""


class Places(NamedTuple):
    """A path at k times: boxes (k, 4) float32, interpolated; gap_us (k,) between the samples on both sides, 0 at a sample and beyond the ends;
    off_us (k,) to the nearest sample."""

    boxes: NDArray[np.float32]
    gap_us: NDArray[np.int64]
    off_us: NDArray[np.int64]


def along(t_us: NDArray[np.int64], boxes: NDArray[np.float32], at: NDArray[np.int64]) -> Places:
    """The path with samples at `t_us` (n,), ascending, n at least 1, at other times."""
    between = np.stack([np.interp(at, t_us, boxes[:, side]) for side in range(4)], axis=1).astype(np.float32)
    after = t_us[np.clip(np.searchsorted(t_us, at), 0, len(t_us) - 1)]
    before = t_us[np.clip(np.searchsorted(t_us, at, side="right") - 1, 0, len(t_us) - 1)]
    return Places(between, after - before, np.minimum(np.abs(after - at), np.abs(before - at)))


def shares(
    track: NDArray[np.int64], t_us: NDArray[np.int64], start_us: NDArray[np.int64], end_us: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,), (n,) the half-open part of its track each face stands for: half the way to its neighbours, at an end to the track's end.

    Args:
        track: (n,) row of each face's track in `start_us` and `end_us`; faces ascend by track and time.
    """
    same = np.diff(track) == 0
    middle = (t_us[:-1] + t_us[1:]) // 2
    start, end = start_us[track].copy(), end_us[track].copy()
    start[1:][same], end[:-1][same] = middle[same], middle[same]
    return start, end


def lengths(track: NDArray[np.int64], t_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) seconds each face stands for where tracks have no ends of their own: half the way to its neighbours, at an end as much on both sides;
    no gap counts for more than the path's reach. Faces in any order."""
    order = np.lexsort((t_us, track))
    step = np.diff(t_us[order]) / 1e6
    step = np.where(np.diff(track[order]) == 0, np.minimum(step, REACH_US / 1e6), np.nan)
    before, after = np.append(np.nan, step), np.append(step, np.nan)
    usual = float(np.nanmedian(step)) if np.isfinite(step).any() else REACH_US / 1e6
    before, after = (np.where(np.isnan(one), np.where(np.isnan(other), usual, other), one) for one, other in ((before, after), (after, before)))
    seconds = np.empty(len(t_us))
    seconds[order] = (before + after) / 2
    return seconds
