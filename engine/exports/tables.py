"""The two tables of an episode: totals, a row a person, and segments, a row for every stretch of a track with one label."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

TOTALS = pa.schema(
    [
        ("episode_id", pa.int64()),
        ("run_id", pa.int64()),
        ("name", pa.string()),
        ("person_id", pa.int64()),
        ("kind", pa.string()),
        ("visual_s", pa.float64()),
        ("visual_low_s", pa.float64()),
        ("visual_high_s", pa.float64()),
        ("solo_s", pa.float64()),
        ("solo_low_s", pa.float64()),
        ("solo_high_s", pa.float64()),
        ("confidence", pa.float64()),
        ("tracks_count", pa.int64()),
        ("faces_count", pa.int64()),
        ("first_s", pa.float64()),
        ("last_s", pa.float64()),
    ]
)

SEGMENTS = pa.schema(
    [
        ("episode_id", pa.int64()),
        ("run_id", pa.int64()),
        ("name", pa.string()),
        ("person_id", pa.int64()),
        ("track_id", pa.int64()),
        ("cluster_id", pa.int64()),
        ("shot", pa.int64()),
        ("segment_start_s", pa.float64()),
        ("segment_end_s", pa.float64()),
        ("duration_s", pa.float64()),
        ("confidence", pa.float64()),
        ("source", pa.string()),
        ("faces_count", pa.int64()),
    ]
)


def totals_table(episode_id: int, run_id: int, people: list[dict[str, Any]]) -> pa.Table:
    """One row a person, most seen first."""
    return pa.Table.from_pylist(
        [
            {
                **row,
                "episode_id": episode_id,
                "run_id": run_id,
                "tracks_count": row["tracks"],
                "faces_count": row["faces"],
                "first_s": row["first_us"] / 1e6,
                "last_s": row["last_us"] / 1e6,
            }
            for row in people
        ],
        schema=TOTALS,
    )


def segments_table(episode_id: int, run_id: int, pieces: list[dict[str, Any]]) -> pa.Table:
    """One row for every stretch of a track with one label, in time order; unidentified ones have neither name nor person."""
    return pa.Table.from_pylist(
        [
            {
                **row,
                "episode_id": episode_id,
                "run_id": run_id,
                "name": row["person"],
                "segment_start_s": row["start_us"] / 1e6,
                "segment_end_s": row["end_us"] / 1e6,
                "duration_s": (row["end_us"] - row["start_us"]) / 1e6,
                "confidence": row["probability"],
                "source": row["label_source"],
                "faces_count": row["faces"],
            }
            for row in pieces
        ],
        schema=SEGMENTS,
    )
