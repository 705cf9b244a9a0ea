"""Half-open integer intervals: (n, 2) int64 arrays of [start, end).

A set of intervals is *normal* when it is sorted, disjoint, not touching and has no empty interval; every function here takes any
array and returns a normal one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Intervals = NDArray[np.int64]


def normal(intervals: Intervals) -> Intervals:
    """The same ticks as a normal set."""
    return close_gaps(intervals, 0)


def close_gaps(intervals: Intervals, gap: int) -> Intervals:
    """The union with gaps of at most `gap` ticks filled."""
    kept = intervals[intervals[:, 1] > intervals[:, 0]]
    if not len(kept):
        return np.empty((0, 2), np.int64)
    kept = kept[np.argsort(kept[:, 0], kind="stable")]
    reach = np.maximum.accumulate(kept[:, 1])
    first = np.concatenate([[True], kept[1:, 0] - reach[:-1] > gap])
    last = np.concatenate([first[1:], [True]])
    return np.stack([kept[first, 0], reach[last]], axis=1)


def intersection(a: Intervals, b: Intervals) -> Intervals:
    """Ticks in both."""
    return _covered(a, b, 1, 1)


def difference(a: Intervals, b: Intervals) -> Intervals:
    """Ticks in `a` and not in `b`."""
    return _covered(a, b, 1, 0)


def length(intervals: Intervals) -> int:
    """Number of ticks, each once."""
    return int(np.diff(normal(intervals), axis=1).sum())


def clip(intervals: Intervals, low: int, high: int) -> Intervals:
    """Ticks in [low, high)."""
    return normal(np.clip(intervals, low, max(low, high)))


def _covered(a: Intervals, b: Intervals, in_a: int, in_b: int) -> Intervals:
    """Ticks covered by `a` and `b` as asked: 1 inside, 0 outside."""
    a, b = normal(a), normal(b)
    at = np.unique(np.concatenate([a.ravel(), b.ravel()]))
    inside_a, inside_b = (np.searchsorted(side.ravel(), at, side="right") % 2 for side in (a, b))
    wanted = np.flatnonzero((inside_a == in_a) & (inside_b == in_b))
    wanted = wanted[wanted < len(at) - 1]
    return normal(np.stack([at[wanted], at[wanted + 1]], axis=1))
