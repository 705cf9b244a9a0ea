"""Interval algebra against sets of ticks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.totals import intervals
from engine.totals.intervals import Intervals

LAST = 40

sets = st.lists(st.tuples(st.integers(0, LAST), st.integers(0, LAST)), max_size=8).map(lambda pairs: np.array(pairs, np.int64).reshape(-1, 2))


def ticks(a: Intervals) -> set[int]:
    return {tick for start, end in a.tolist() for tick in range(start, end)}


def runs(members: set[int]) -> list[list[int]]:
    """The normal set with these ticks, one tick at a time."""
    found: list[list[int]] = []
    for tick in sorted(members):
        if found and found[-1][1] == tick:
            found[-1][1] = tick + 1
        else:
            found.append([tick, tick + 1])
    return found


@given(sets, sets)
def test_set_operations(a: Intervals, b: Intervals) -> None:
    assert intervals.normal(a).tolist() == runs(ticks(a))
    assert intervals.intersection(a, b).tolist() == runs(ticks(a) & ticks(b))
    assert intervals.difference(a, b).tolist() == runs(ticks(a) - ticks(b))
    assert intervals.length(a) == len(ticks(a))


@given(sets, st.integers(0, LAST), st.integers(0, LAST))
def test_clip(a: Intervals, low: int, high: int) -> None:
    assert intervals.clip(a, low, high).tolist() == runs({tick for tick in ticks(a) if low <= tick < high})


@given(sets, st.integers(0, 10))
def test_gaps_are_closed_up_to_the_limit(a: Intervals, gap: int) -> None:
    kept = sorted(ticks(a))
    closed = set(kept)
    for before, after in pairwise(kept):
        if after - before - 1 <= gap:
            closed |= set(range(before, after))
    assert intervals.close_gaps(a, gap).tolist() == runs(closed)
