"""Ids of machine results, made of the run and the position in it: monotonic per run, never burnt by a crash.

A run holds at most 10 million detections, 100,000 tracks and 100,000 clusters; all ids stay below 2^53, so JSON carries them exactly.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Position = TypeVar("Position", int, NDArray[np.int64])

DETECTIONS_PER_RUN = 10_000_000
TRACKS_PER_RUN = 100_000
CLUSTERS_PER_RUN = 100_000
VECTORS_PER_TRACK = 4


def detection_id(run_id: int, detection: Position) -> Position:
    """Id of the n-th detection of a run."""
    return run_id * DETECTIONS_PER_RUN + detection


def track_id(run_id: int, track: Position) -> Position:
    """Id of the n-th track of a run."""
    return run_id * TRACKS_PER_RUN + track


def cluster_id(run_id: int, cluster: Position) -> Position:
    """Id of the n-th cluster of a run."""
    return run_id * CLUSTERS_PER_RUN + cluster


def vector_id(track_identifier: Position, exemplar: Position) -> Position:
    """Id of the n-th exemplar of a track."""
    return track_identifier * VECTORS_PER_TRACK + exemplar


def run_of_cluster(cluster_identifier: int) -> int:
    """The run a cluster id belongs to."""
    return cluster_identifier // CLUSTERS_PER_RUN
