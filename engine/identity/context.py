"""Evidence beside the face: clothes within a scene, and the same place in a recurring camera set-up. Both are bounded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.together import Together, boxes_of, iou
from engine.tables import BODY_DIMS, Episode

BLOCK = 512
"""Rows of the pair matrix computed at a time."""

BODY_FOR, BODY_AGAINST = 2.0, 1.0
"""Bounds of what clothes can say, log odds: others wear the same, and jackets come off."""

BODY_ASSUMED = (0.6, 0.9, 0.12)
"""Cosine of strangers' and of one person's clothes in a scene, and its standard deviation, before the episode's own pairs are seen."""

BODY_ASSUMED_PAIRS = 20.0
"""How many pairs of the episode weigh as much as the assumption."""

PLACE_FOR = 2.0
"""Bound of what the same place in the same camera set-up can say, log odds."""

PLACE_FROM, PLACE_FULL = 0.3, 0.7
"""Overlap (IoU) of two places from which it says something, and from which it says all it can."""


def middles(tracks: pa.Table) -> NDArray[np.float64]:
    """(n,) middle of each track, seconds."""
    result: NDArray[np.float64] = (tracks["start_us"].to_numpy() + tracks["end_us"].to_numpy()) / 2e6
    return result


def matrix_of(column: pa.ChunkedArray, width: int) -> NDArray[np.float32]:
    """A fixed-size list column as (n, width) float32."""
    flat = column.combine_chunks().flatten() if column.num_chunks else []
    result: NDArray[np.float32] = np.asarray(flat, np.float32).reshape(-1, width)
    return result


def body_evidence(episode: Episode, face: NDArray[np.float32], together: Together, settings: IdentitySettings) -> NDArray[np.float16]:
    """(n, n) float16 log odds from upper-body appearance, 0 where it cannot be compared.

    How alike clothes of strangers and of one person are is learned from the episode: tracks seen together are strangers, faces that
    leave little doubt are one person. In uniform the two are equal and clothes say nothing.

    Args:
        face: (n, n) log odds of the faces.
    """
    body = matrix_of(episode.tracks["body"], BODY_DIMS)
    count = len(body)
    evidence = np.zeros((count, count), np.float16)
    seen = np.flatnonzero(np.linalg.norm(body, axis=1) > 0.5)
    if settings.body_weight == 0 or len(seen) < 2:
        return evidence
    middle = middles(episode.tracks)
    apart = _cosines(body, together.first, together.second)
    alike = _cosines(body, *_sure_pairs(face, seen, middle, settings))
    strangers, same, deviation = _clothes(apart, alike)
    slope, centre = (same - strangers) / deviation**2, (same + strangers) / 2
    for start in range(0, len(seen), BLOCK):
        rows = seen[start : start + BLOCK]
        value = np.clip(slope * (body[rows] @ body[seen].T - centre), -BODY_AGAINST, BODY_FOR) * settings.body_weight
        value[np.abs(middle[rows, None] - middle[seen]) > settings.scene_s] = 0
        evidence[np.ix_(rows, seen)] = value
    np.fill_diagonal(evidence, 0)
    return evidence


def _cosines(body: NDArray[np.float32], first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.float32]:
    """Cosines of pairs whose bodies are both in the picture."""
    both = (np.linalg.norm(body[first], axis=1) > 0.5) & (np.linalg.norm(body[second], axis=1) > 0.5)
    result: NDArray[np.float32] = np.einsum("nd,nd->n", body[first[both]], body[second[both]])
    return result


def _sure_pairs(
    face: NDArray[np.float32], seen: NDArray[np.int64], middle: NDArray[np.float64], settings: IdentitySettings
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each track with the track of the same scene whose face is most like it, if that leaves little doubt."""
    near = np.full(len(seen), -1, np.int32)
    for start in range(0, len(seen), BLOCK):
        rows = seen[start : start + BLOCK]
        value = np.where(np.abs(middle[rows, None] - middle[seen]) <= settings.scene_s, face[np.ix_(rows, seen)], -np.inf)
        value[np.arange(len(rows)), start + np.arange(len(rows))] = -np.inf
        best = value.argmax(axis=1)
        near[start : start + len(rows)] = np.where(value[np.arange(len(rows)), best] > settings.face_limit / 2, seen[best], -1)
    return seen[near >= 0].astype(np.int32), near[near >= 0]


def _clothes(apart: NDArray[np.float32], alike: NDArray[np.float32]) -> tuple[float, float, float]:
    """Mean cosine of strangers and of one person, and the pooled standard deviation, each shrunk to the assumption."""
    strangers, same, deviation = BODY_ASSUMED

    def mean(values: NDArray[np.float32], assumed: float) -> float:
        return (float(values.sum()) + BODY_ASSUMED_PAIRS * assumed) / (len(values) + BODY_ASSUMED_PAIRS)

    strangers, same = mean(apart, strangers), mean(alike, same)
    squares = float(((apart - strangers) ** 2).sum() + ((alike - same) ** 2).sum()) + BODY_ASSUMED_PAIRS * deviation**2
    pooled = (squares / (len(apart) + len(alike) + BODY_ASSUMED_PAIRS)) ** 0.5
    return strangers, max(same, strangers), pooled


def thread_evidence(episode: Episode, settings: IdentitySettings) -> NDArray[np.float16]:
    """(n, n) float16 log odds, never negative: two tracks of different shots of one thread whose median boxes are at the same place."""
    tracks = episode.tracks
    evidence = np.zeros((tracks.num_rows, tracks.num_rows), np.float16)
    if settings.thread_weight == 0 or not tracks.num_rows:
        return evidence
    shot = tracks["shot"].to_numpy()
    thread = episode.shots["thread"].to_numpy()[shot]
    place = median_boxes(episode)
    order = np.argsort(thread, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(thread[order])) + 1):
        for start in range(0, len(members), BLOCK):
            rows = members[start : start + BLOCK]
            overlap = iou(place[rows, None], place[None, members])
            value = np.clip((overlap - PLACE_FROM) / (PLACE_FULL - PLACE_FROM), 0, 1) * PLACE_FOR * settings.thread_weight
            value[shot[rows, None] == shot[members]] = 0
            evidence[np.ix_(rows, members)] = value
    return evidence


def median_boxes(episode: Episode) -> NDArray[np.float32]:
    """(n, 4) median box of each track's faces, NaN for a track without faces."""
    track = episode.detections["track"].to_numpy()
    order = np.argsort(track, kind="stable")
    order = order[track[order] >= 0]
    boxes, track = boxes_of(episode.detections)[order], track[order]
    place = np.full((episode.tracks.num_rows, 4), np.nan, np.float32)
    edges = np.flatnonzero(np.diff(track)) + 1
    for part, rows in zip(np.split(boxes, edges), np.split(track, edges), strict=True):
        if len(part):
            place[rows[0]] = np.median(part, axis=0)
    return place
