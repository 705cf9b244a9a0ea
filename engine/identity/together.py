"""Tracks seen apart in the same frames: strong evidence that they are two people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.identity.constraints import Pairs
from engine.vision.boxes import boxes_of, overlap

DISJOINT_IOU = 0.1
"""Boxes that overlap less than this are two faces, not one found twice."""


STILL_FACES, STILL_SPREAD = 6, 0.02
"""A face stands still when the centre of its box varies by less than this share of its size (standard deviation) over so many looks."""


@dataclass(frozen=True)
class Together:
    """Pairs of tracks seen apart in the same frames, each once.

    first, second: (k,) int32, first < second. frames: (k,) int32, in how many analysed frames. cost: (k,) float32, log odds against one person.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    frames: NDArray[np.int32]
    cost: NDArray[np.float32]

    def both_ways(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Row, column and cost of the symmetric matrix."""
        rows = np.concatenate([self.first, self.second])
        return rows, np.concatenate([self.second, self.first]), np.concatenate([self.cost, self.cost])

    def without(self, left_out: NDArray[np.bool_]) -> Together:
        """The pairs that are not left out (k,)."""
        kept = ~left_out
        return Together(self.first[kept], self.second[kept], self.frames[kept], self.cost[kept])


def standing_still(detections: pa.Table, tracks: int) -> NDArray[np.bool_]:
    """(tracks,) whose face keeps its place for many looks, as a picture on a wall or an inset of a photo does."""
    track, boxes = detections["track"].to_numpy().astype(np.int64), boxes_of(detections).astype(np.float64)
    boxes, track = boxes[track >= 0], track[track >= 0]
    faces = np.maximum(np.bincount(track, minlength=tracks), 1)
    spread = np.zeros(tracks)
    for low, high in ((0, 2), (1, 3)):
        size = np.bincount(track, boxes[:, high] - boxes[:, low], tracks) / faces
        centre = (boxes[:, low] + boxes[:, high]) / 2
        mean = np.bincount(track, centre, tracks) / faces
        variance = np.bincount(track, (centre - mean[track]) ** 2, tracks) / faces
        spread = np.maximum(spread, np.sqrt(variance) / np.maximum(size, 1e-9))
    result: NDArray[np.bool_] = (faces >= STILL_FACES) & (spread < STILL_SPREAD)
    return result


def seen_together(detections: pa.Table, tracks: int, together_cost: float, waived: Pairs) -> Together:
    """Every pair of tracks with disjoint boxes in at least two frames that are the same.

    One frame can be a detector's slip, so the cost is 0 for one and reaches half of `together_cost` for two, three quarters for three and so on.

    Args:
        detections: of the episode, with `track` (-1: untracked) and `t_us`.
        tracks: how many tracks there are.
        together_cost: log odds the cost tends to.
        waived: pairs that are left out.
    """
    track = detections["track"].to_numpy().astype(np.int64)
    time = detections["t_us"].to_numpy().astype(np.int64)
    order = np.lexsort((track, time))
    order = order[track[order] >= 0]
    track, time, boxes = track[order], time[order], boxes_of(detections)[order]
    found: list[NDArray[np.int64]] = []
    for apart in range(1, len(track)):
        here = np.flatnonzero(time[apart:] == time[:-apart])
        if not len(here):
            break
        here = here[overlap(boxes[here], boxes[here + apart]) < DISJOINT_IOU]
        pair = np.sort(np.stack([track[here], track[here + apart]], axis=1), axis=1)
        found.append(pair[pair[:, 0] != pair[:, 1]] @ np.array([tracks, 1]))
    key, count = np.unique(np.concatenate(found) if found else np.empty(0, np.int64), return_counts=True)
    keep = (count >= 2) & ~np.isin(key, np.sort(waived.astype(np.int64), axis=1) @ np.array([tracks, 1]))
    key, count = key[keep], count[keep]
    cost = together_cost * (1 - 0.5 ** (count - 1.0))
    return Together((key // tracks).astype(np.int32), (key % tracks).astype(np.int32), count.astype(np.int32), cost.astype(np.float32))
