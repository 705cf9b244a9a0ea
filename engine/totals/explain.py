"""A total walked back: the shots and tracks of a person, what was closed as a gap, and where the expectation comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import TotalsSettings
from engine.tables import Episode
from engine.totals import intervals
from engine.totals.labels import Labels

STRETCHES = pa.schema(
    [
        ("shot", pa.int32()),
        ("shot_start_us", pa.int64()),
        ("shot_end_us", pa.int64()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("seconds", pa.float64()),
        ("gap_s", pa.float64()),  # of them without a face, closed because they are short
        ("tracks", pa.list_(pa.int32())),
    ]
)

TRACKS = pa.schema(
    [
        ("track", pa.int32()),
        ("cluster", pa.int32()),  # its most probable one
        ("shot", pa.int32()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("seconds", pa.float64()),
        ("faces", pa.int32()),
        ("probability", pa.float32()),  # that it is this person's
        ("quality", pa.float32()),
        ("decided", pa.bool_()),  # by people
    ]
)

DOUBTS = pa.schema(
    [
        ("track", pa.int32()),
        ("labelled", pa.bool_()),  # labelled theirs and maybe not, or labelled otherwise and maybe theirs
        ("probability", pa.float32()),  # that it is theirs
        ("seconds", pa.float64()),  # what it moves the expectation by, the rest of the person's tracks staying as labelled
    ]
)


@dataclass(frozen=True)
class Explanation:
    """stretches: STRETCHES, in time order; their seconds add up to `most_probable_us`. tracks: TRACKS, in time order. doubts: DOUBTS, largest
    first: why the expectation differs from the most probable figure."""

    most_probable_us: int
    stretches: pa.Table
    tracks: pa.Table
    doubts: pa.Table


def explain(episode: Episode, labels: Labels, person: int, settings: TotalsSettings) -> Explanation:
    """Explain a person's visual seconds.

    Args:
        person: a person of `labels.people`; anybody else has an empty explanation.
    """
    count = episode.tracks.num_rows
    place = int(np.searchsorted(labels.people, person))
    known = place < len(labels.people) and labels.people[place] == person
    mine = np.flatnonzero(labels.called(count) == place) if known else np.empty(0, np.int64)
    chance = labels.chances(count)[:, place] if known else np.zeros(count)
    counted = labels.chances(count, settings.sure_probability)[:, place] if known else chance
    gap_us = round(settings.gap_s * 1e6)
    stretches, total = _stretches(episode, mine, gap_us)
    return Explanation(total, stretches, _tracks(episode, labels, mine, chance), _doubts(episode, mine, chance, counted, gap_us))


def _spans(episode: Episode) -> intervals.Intervals:
    return np.stack([episode.tracks["start_us"].to_numpy(), episode.tracks["end_us"].to_numpy()], axis=1)


def _stretches(episode: Episode, mine: NDArray[np.int64], gap_us: int) -> tuple[pa.Table, int]:
    """Stretches of a person's tracks shot by shot, and their length."""
    spans, shot = _spans(episode), episode.tracks["shot"].to_numpy()
    first, last = episode.shots["start_us"].to_numpy(), episode.shots["end_us"].to_numpy()
    rows = []
    for number in np.unique(shot[mine]):
        inside = mine[shot[mine] == number]
        faces = intervals.normal(spans[inside])
        for stretch in intervals.close_gaps(faces, gap_us):
            part = inside[(spans[inside, 0] < stretch[1]) & (spans[inside, 1] > stretch[0])]
            length = int(stretch[1] - stretch[0])
            gap = length - intervals.length(intervals.clip(faces, stretch[0], stretch[1]))
            rows.append((number, first[number], last[number], *stretch, length / 1e6, gap / 1e6, part.tolist()))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in STRETCHES.names]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, STRETCHES, strict=True)], schema=STRETCHES)
    return table, sum(int(row[4] - row[3]) for row in rows)


def _tracks(episode: Episode, labels: Labels, mine: NDArray[np.int64], chance: NDArray[np.float64]) -> pa.Table:
    count = episode.tracks.num_rows
    rows = episode.tracks.take(pa.array(mine))
    spans = _spans(episode)[mine]
    columns = {
        "track": mine.astype(np.int32),
        "cluster": labels.clusters_of(count)[0][mine, 0],
        **{name: rows[name] for name in ("shot", "start_us", "end_us", "faces", "quality")},
        "seconds": (spans[:, 1] - spans[:, 0]) / 1e6,
        "probability": chance[mine].astype(np.float32),
        "decided": labels.decided_people(count)[0][mine],
    }
    return pa.table(columns).select(TRACKS.names).cast(TRACKS).sort_by([("start_us", "ascending"), ("track", "ascending")])


def _doubts(episode: Episode, mine: NDArray[np.int64], chance: NDArray[np.float64], counted: NDArray[np.float64], gap_us: int) -> pa.Table:
    """What every doubtful track adds to or takes from the expectation, in which it counts by `counted` (tracks,)."""
    spans, shot = _spans(episode), episode.tracks["shot"].to_numpy()
    labelled = np.zeros(len(spans), bool)
    labelled[mine] = True
    doubtful = np.flatnonzero(np.abs(counted - labelled) > 1e-6)
    seconds = np.zeros(len(doubtful))
    for row, track in enumerate(doubtful):
        here = mine[shot[mine] == shot[track]]
        others = spans[here[here != track]]
        without = intervals.length(intervals.close_gaps(others, gap_us))
        held = intervals.length(intervals.close_gaps(np.concatenate([others, spans[track : track + 1]]), gap_us)) - without
        seconds[row] = held / 1e6 * (counted[track] - labelled[track])
    table = pa.table([doubtful.astype(np.int32), labelled[doubtful], chance[doubtful].astype(np.float32), seconds], schema=DOUBTS)
    order = np.lexsort((doubtful, -np.abs(seconds)))
    return table.take(pa.array(order))
