"""The few vectors of each track by which its person is found in other episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import StoreError
from store import ids, results

if TYPE_CHECKING:
    from engine.service import Engine

EXEMPLARS = 3
"""Vectors of a track kept in the vector store: its best faces."""


def exemplars(run_id: int, picks: pa.Table, vectors: NDArray[np.float32]) -> tuple[pa.Table, NDArray[np.float32]]:
    """The first picks of each track (they come best first), with their ids."""
    tracks = picks["track"].to_numpy().astype(np.int64)
    rank = np.arange(len(tracks)) - np.searchsorted(tracks, tracks)
    keep = np.flatnonzero(rank < EXEMPLARS)
    track_ids = ids.track_id(run_id, tracks[keep])
    table = pa.table(
        {
            "vector_id": pa.array(ids.vector_id(track_ids, rank[keep]), pa.int64()),
            "track_id": pa.array(track_ids, pa.int64()),
            "quality": picks["quality"].combine_chunks().take(pa.array(keep)),
        }
    )
    return table, vectors[keep]


def rebuild(engine: Engine, run_id: int) -> None:
    """Write the vectors of a run again, from its artefact: the vector store is an index that can be lost.

    Raises:
        StoreError: the artefact is gone too.
    """
    run = results.run(engine.database, run_id)
    assert run is not None
    key = run["stages"]["identify"]
    if not engine.artefacts.exists("identify", key):
        step = f"`rollcall episode analyse {run['episode_id']}` makes them anew."
        raise StoreError(f"The vectors of run {run_id} (episode {run['episode_id']}) are gone, and so is what they were made of.", step)
    table, vectors = exemplars(run_id, engine.artefacts.table("identify", key, "picks"), engine.artefacts.array("identify", key, "vectors"))
    engine.vectors.add(run["space"], run_id, table["vector_id"].to_numpy(), vectors)
