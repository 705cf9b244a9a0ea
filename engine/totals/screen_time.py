"""Screen time: for each person the seconds visible and visible alone, with 95 % intervals, and the seconds two are visible at once.

Visible means that the face is: the union of the intervals of a person's tracks, with gaps closed only inside one shot and only up to the
setting. Alone means that no other face was tracked, named or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array, triu

from engine.config import TotalsSettings
from engine.tables import Episode
from engine.totals.labels import NOBODY, Labels
from engine.totals.presence import Presence, presences
from engine.totals.slips import draw_slips
from engine.totals.uncertainty import Edges, draw_chance, draw_doubtful, draw_edges, draw_expected

SCREEN_TIME = pa.schema(
    [
        ("person", pa.int64()),
        ("visual_s", pa.float64()),
        ("visual_low_s", pa.float64()),
        ("visual_high_s", pa.float64()),
        ("solo_s", pa.float64()),
        ("solo_low_s", pa.float64()),
        ("solo_high_s", pa.float64()),
        ("tracks", pa.int32()),
        ("faces", pa.int32()),
        ("first_us", pa.int64()),
        ("last_us", pa.int64()),
        ("confidence", pa.float32()),  # probability-weighted share of the seconds of the tracks that are labelled theirs
    ]
)

CO_PRESENCE = pa.schema([("person_a", pa.int64()), ("person_b", pa.int64()), ("seconds", pa.float64())])

INTERVAL = (0.025, 0.975)

LEAST_S = 1e-3
"""Pairs of people expected together for less than this are left out."""


@dataclass(frozen=True)
class Totals:
    """screen_time: SCREEN_TIME, by person: those with a track labelled theirs, and those who are likely there unnamed (0 tracks). co_presence:
    CO_PRESENCE among them, person_a < person_b. unidentified_s: expected seconds in which a face is visible that is nobody's."""

    screen_time: pa.Table
    co_presence: pa.Table
    unidentified_s: float


def screen_time(episode: Episode, labels: Labels, settings: TotalsSettings) -> Totals:
    """Total an episode. Equal inputs and an equal seed give equal totals.

    The interval holds every doubt. The expectation takes memberships of at least `sure_probability` as certain: no curve tells .99 from 1,
    and always rounding down would make every total of a clear episode too short.
    """
    rng = np.random.default_rng(settings.seed)
    count = episode.tracks.num_rows
    edges = draw_edges(episode, settings, rng)
    chance = draw_chance(count, labels, settings, rng)
    doubtful = draw_doubtful(count, labels, chance, settings)
    expected = draw_expected(count, labels, chance, settings.sure_probability)
    called = labels.called(count)
    shown = np.union1d(np.unique(called[called >= 0]), _likely(expected, labels.people, settings)).astype(np.int32)
    mean, mean_solo, together, unidentified = _expect(edges, expected, shown, episode, settings)
    same = np.array_equal(doubtful, expected)
    visual, solo = (mean, mean_solo) if same else _measure(edges, doubtful, shown, episode, settings)
    slips = draw_slips(episode, called, shown, settings, rng)
    alone = mean_solo.mean(axis=1) / np.maximum(mean.mean(axis=1), 1e-9)
    columns = {
        **_with_interval("visual", mean, np.maximum(visual + slips, 0)),
        **_with_interval("solo", mean_solo, np.maximum(solo + slips * alone[:, None], 0)),
        **_facts(episode, labels, called, shown),
    }
    keys = labels.people[shown]
    table = pa.table({"person": keys, **columns}).select(SCREEN_TIME.names).cast(SCREEN_TIME)
    pairs = [(keys[a], keys[b], seconds) for (a, b), seconds in sorted(together.items()) if seconds >= LEAST_S]
    co_presence = pa.table([list(column) for column in zip(*pairs, strict=True)] or [[], [], []], schema=CO_PRESENCE)
    return Totals(table, co_presence, unidentified)


def _likely(people: NDArray[np.int32], everybody: NDArray[np.int64], settings: TotalsSettings) -> NDArray[np.int64]:
    """Positions of people who are visible in enough of the draws, labelled or not."""
    there = np.zeros((len(everybody) + 1, people.shape[1]), bool)
    there[people, np.arange(people.shape[1])] = True
    return np.flatnonzero(there[:-1].mean(axis=1) >= settings.likely_probability)


def _measure(
    edges: Edges, people: NDArray[np.int32], shown: NDArray[np.int32], episode: Episode, settings: TotalsSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(people shown, draws) seconds visible, and visible alone."""
    found, crowd = presences(edges, people, episode, settings.gap_s)
    return _seconds(found, crowd, shown, edges)


def _seconds(
    found: dict[int, Presence], crowd: NDArray[np.uint8], shown: NDArray[np.int32], edges: Edges
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    visual, solo = np.zeros((len(shown), edges.at.shape[1])), np.zeros((len(shown), edges.at.shape[1]))
    for row, person in enumerate(shown):
        if person in found:
            one = found[person]
            length = edges.at[one.cells + 1] - edges.at[one.cells]
            length *= one.visible
            visual[row] = length.sum(axis=0)
            length *= crowd[one.cells] == 1
            solo[row] = length.sum(axis=0)
    return visual, solo


def _expect(
    edges: Edges, people: NDArray[np.int32], shown: NDArray[np.int32], episode: Episode, settings: TotalsSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[tuple[int, int], float], float]:
    """As `_measure`, with the expected seconds of each pair of people shown (by position) and of faces that are nobody's."""
    found, crowd = presences(edges, people, episode, settings.gap_s)
    visual, solo = _seconds(found, crowd, shown, edges)
    together: dict[tuple[int, int], float] = {}
    for a, b in _meeting(found, shown, len(crowd)):
        seconds = found[shown[a]].seconds_with(found[shown[b]], edges)
        if seconds:
            together[a, b] = seconds
    nobody = found.get(NOBODY)
    unidentified = nobody.seconds_with(nobody, edges) if nobody else 0.0
    return visual, solo, together, unidentified


def _meeting(found: dict[int, Presence], shown: NDArray[np.int32], cells: int) -> list[tuple[int, int]]:
    """Pairs of people shown (by position) who may be visible in the same cell."""
    there = [(row, found[person].cells) for row, person in enumerate(shown) if person in found]
    if not there:
        return []
    row = np.concatenate([np.full(len(where), row) for row, where in there])
    where = coo_array((np.ones(len(row), np.int32), (row, np.concatenate([where for _, where in there]))), shape=(len(shown), cells)).tocsr()
    a, b = triu(where @ where.T, k=1).nonzero()
    return list(zip(a.tolist(), b.tolist(), strict=True))


def _with_interval(name: str, expected: NDArray[np.float64], draws: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Expectation and interval of each row, in seconds; a lopsided expectation is kept inside its interval."""
    low, high = np.quantile(draws, INTERVAL, axis=1) if len(draws) else (np.empty(0), np.empty(0))
    mean = expected.mean(axis=1)
    return {f"{name}_s": np.clip(mean, low, high), f"{name}_low_s": low, f"{name}_high_s": high}


def _facts(episode: Episode, labels: Labels, called: NDArray[np.int32], shown: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
    """Counts, first and last time and confidence of the tracks labelled as each person's; of those without, the times of their likeliest tracks."""
    tracks = episode.tracks
    mine = np.flatnonzero(called >= 0)
    row = np.searchsorted(shown, called[mine])
    start, end = tracks["start_us"].to_numpy()[mine], tracks["end_us"].to_numpy()[mine]
    first, last = np.full(len(shown), np.iinfo(np.int64).max), np.zeros(len(shown), np.int64)
    np.minimum.at(first, row, start)
    np.maximum.at(last, row, end)
    length = (end - start).astype(np.float64)
    chances = labels.chances(tracks.num_rows)
    for place in np.flatnonzero(last == 0):
        theirs = chances[:, shown[place]]
        likeliest = np.flatnonzero((theirs > 0) & (theirs >= theirs.max() / 2))
        start_us, end_us = tracks["start_us"].to_numpy()[likeliest], tracks["end_us"].to_numpy()[likeliest]
        first[place], last[place] = (start_us.min(), end_us.max()) if len(likeliest) else (0, 0)
    chance = chances[mine, called[mine]]
    total = np.bincount(row, weights=length, minlength=len(shown))
    return {
        "tracks": np.bincount(row, minlength=len(shown)),
        "faces": np.bincount(row, weights=tracks["faces"].to_numpy()[mine], minlength=len(shown)).astype(np.int64),
        "first_us": first,
        "last_us": last,
        "confidence": np.bincount(row, weights=length * chance, minlength=len(shown)) / np.maximum(total, 1),
    }
