"""How coverage is kept: what a decision covers in a run as one column of records, since a decision about a cluster covers thousands of tracks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store import ids
from store.database import Reader, Transaction

RECORD = np.dtype([("number", "<i4"), ("part", "<i4"), ("track", "<i4"), ("start_us", "<i8"), ("end_us", "<i8"), ("level", "<i1")])
"""A stretch of a track. track: its number in the run; level: its place in LEVELS."""

LEVELS = ("cluster", "track", "frames")

TABLE = pa.schema([("run_id", pa.int64()), ("episode_id", pa.int64()), ("decision_id", pa.int64()), ("covers", pa.binary())])
"""A row for each decision that covers anything in a run."""

_MARK = b"\x01"
"""Cells begin with it; older ones are JSON."""

Cover = tuple[int, int, int, int, int, int, str]
"""decision_id, number, part, track_id, start_us, end_us (half-open), level."""


def add(transaction: Transaction, run_id: int, episode_id: int, covers: Iterable[Cover]) -> None:
    """Write down what decisions cover in a run in which they covered nothing before."""
    by_decision: dict[int, list[Cover]] = defaultdict(list)
    for cover in covers:
        by_decision[cover[0]].append(cover)
    rows = [
        {"run_id": run_id, "episode_id": episode_id, "decision_id": decision, "covers": _cell(mine, ids.track_id(run_id, 0))}
        for decision, mine in by_decision.items()
    ]
    transaction.insert_rows("coverage", rows)


def of_run(database: Reader, run_id: int) -> list[Cover]:
    """What decisions cover in a run, by decision."""
    found: list[Cover] = []
    for row in database.rows("SELECT decision_id, covers FROM coverage WHERE run_id = ? ORDER BY decision_id", [run_id]):
        records = _records(row["covers"])
        columns = {name: records[name].tolist() for name in RECORD.names or ()}
        tracks = (records["track"] + ids.track_id(run_id, 0)).tolist()
        levels = map(LEVELS.__getitem__, columns["level"])
        decision = [row["decision_id"]] * len(records)
        found += zip(decision, columns["number"], columns["part"], tracks, columns["start_us"], columns["end_us"], levels, strict=True)
    return found


def stretches(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """decision_id, track_id, start_us, end_us of all that some rows (run_id, decision_id, covers) cover."""
    held = [_records(row["covers"]) for row in rows]
    counts = [len(records) for records in held]
    every = np.concatenate([np.zeros(0, RECORD), *held])
    decision = np.repeat(np.array([row["decision_id"] for row in rows], np.int64), counts)
    first = np.repeat(np.array([ids.track_id(row["run_id"], 0) for row in rows], np.int64), counts)
    times = {name: every[name].astype(np.int64) for name in ("start_us", "end_us")}
    return pa.table({"decision_id": decision, "track_id": first + every["track"], **times})


def _cell(covers: Sequence[Cover], first_track: int) -> bytes:
    _, number, part, track, start, end, level = zip(*covers, strict=True)
    records = np.empty(len(covers), RECORD)
    for name, cells in (("number", number), ("part", part), ("start_us", start), ("end_us", end)):
        records[name] = cells
    records["track"] = np.array(track, np.int64) - first_track
    records["level"] = LEVELS.index(level[0]) if level.count(level[0]) == len(level) else [LEVELS.index(one) for one in level]
    return _MARK + records.tobytes()


def _records(cell: bytes) -> NDArray[Any]:
    if cell.startswith(_MARK):
        return np.frombuffer(cell, RECORD, offset=len(_MARK))
    rows = [(row["number"], row["part"], row["track"], row["start_us"], row["end_us"], LEVELS.index(row["level"])) for row in json.loads(cell)]
    return np.array(rows, RECORD)
