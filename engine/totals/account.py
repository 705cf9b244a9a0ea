"""The account of one total, from what the store holds of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.config import build
from engine.tables import Episode
from engine.totals.explain import explain
from engine.totals.labels import DECIDED, IDENTITY, Labels
from store import ids, results
from store.database import Database


def explain_person(database: Database, run: dict[str, Any], person_id: int) -> dict[str, Any]:
    """Stretches, tracks and doubts behind a person's total in a run, under the ids of the store.

    Returns:
        `most_probable_s`, `stretches`, `tracks`, `doubts`: rows as `engine.totals.explain` describes them.
    """
    run_id = run["run_id"]
    stored = results.explained(database, run_id)
    first_track, first_cluster = ids.track_id(run_id, 0), ids.cluster_id(run_id, 0)
    cluster = _position(stored["membership"], "cluster_id", first_cluster)
    membership = pa.table(
        {"track": _position(stored["membership"], "track_id", first_track), "cluster": cluster, "probability": stored["membership"]["probability"]}
    )
    identity = stored["identity"].drop_columns(["cluster_id"]).append_column("cluster", _position(stored["identity"], "cluster_id", first_cluster))
    labels = Labels(membership, identity.select(IDENTITY.names).cast(IDENTITY), DECIDED.empty_table())
    found = explain(_episode(stored, run), labels, person_id, build(run["settings"]).totals)
    tracks = [
        {"track_id": first_track + row["track"], "cluster_id": first_cluster + row["cluster"], **_without(row, "track", "cluster")}
        for row in found.tracks.to_pylist()
    ]
    return {
        "most_probable_s": found.most_probable_us / 1e6,
        "stretches": [{**row, "tracks": [first_track + track for track in row["tracks"]]} for row in found.stretches.to_pylist()],
        "tracks": tracks,
        "doubts": [{"track_id": first_track + row["track"], **_without(row, "track")} for row in found.doubts.to_pylist()],
    }


def _position(table: pa.Table, column: str, first: int) -> pa.Array:
    return pa.array(table[column].to_numpy() - first, pa.int32())


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _episode(stored: dict[str, pa.Table], run: dict[str, Any]) -> Episode:
    """The parts of an episode an account needs; faces and vectors are left out."""
    nothing, no_vectors = pa.table({}), np.zeros((0, 0), np.float32)
    return Episode(run["step_us"], 0, (0, 0), stored["shot"], stored["track"], nothing, nothing, no_vectors, no_vectors)
