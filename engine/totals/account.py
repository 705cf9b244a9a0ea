"""The account of one total, from what the store holds of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.config import build
from engine.tables import MEMBERSHIP, Episode
from engine.totals.explain import explain
from engine.totals.labels import IDENTITY
from engine.totals.pieces import PIECES, in_pieces, labels_of
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
    pieces = stored["pieces"].drop_columns(["track_id"]).append_column("track", _position(stored["pieces"], "track_id", first_track))
    pieces = pieces.select(PIECES.names).cast(PIECES)
    labels = labels_of(membership.cast(MEMBERSHIP), identity.select(IDENTITY.names).cast(IDENTITY), pieces)
    tracks = stored["track"].drop_columns(["track_id"]).append_column("track", _position(stored["track"], "track_id", first_track))
    episode = in_pieces(_episode(stored["shot"], tracks, run), pieces)
    track_of = first_track + pieces.filter(pa.compute.invert(pieces["excluded"]))["track"].to_numpy()
    found = explain(episode, labels, person_id, build(run["settings"]).totals)
    shown = [
        {"track_id": int(track_of[row["track"]]), "cluster_id": first_cluster + row["cluster"], **_without(row, "track", "cluster")}
        for row in found.tracks.to_pylist()
    ]
    return {
        "most_probable_s": found.most_probable_us / 1e6,
        "stretches": [{**row, "tracks": [int(track_of[track]) for track in row["tracks"]]} for row in found.stretches.to_pylist()],
        "tracks": shown,
        "doubts": [{"track_id": int(track_of[row["track"]]), **_without(row, "track")} for row in found.doubts.to_pylist()],
    }


def _position(table: pa.Table, column: str, first: int) -> pa.Array:
    return pa.array(table[column].to_numpy() - first, pa.int32())


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _episode(shots: pa.Table, tracks: pa.Table, run: dict[str, Any]) -> Episode:
    """The parts of an episode an account needs; faces and vectors are left out."""
    nothing, no_vectors = pa.table({}), np.zeros((0, 0), np.float32)
    return Episode(run["step_us"], 0, (0, 0), shots, tracks, nothing, nothing, no_vectors, no_vectors)
