"""Evidence beside the face: clothes within a scene, and the same place in a recurring camera set-up. Both are bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array

from engine.config import IdentitySettings
from engine.identity.together import Together
from engine.tables import BODY_DIMS, Episode, matrix_of
from engine.vision.boxes import boxes_of, overlap

Pairwise = Any
"""A symmetric scipy.sparse.csr_array, float32: most pairs are of different scenes and set-ups and have no such evidence."""

Entries = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]

BLOCK = 128
"""Rows of the pair matrix computed at a time: of two thousand tracks, half a dozen such blocks at once take ten megabytes."""

BODY_FOR, BODY_AGAINST = 4.0, 2.0
"""Bounds of what clothes can say, log odds: others wear the same, and jackets come off."""

BODY_ASSUMED = (0.6, 0.9, 0.12)
"""Cosine of strangers' and of one person's clothes in a scene, and its standard deviation, before the episode's own pairs are seen."""

BODY_ASSUMED_PAIRS = 20.0
"""How many pairs of the episode weigh as much as the assumption."""

PLACE_FOR = 3.0
"""Bound of what the same place can say, log odds."""

PLACE_FROM, PLACE_FULL = 0.3, 0.7
"""Overlap (IoU) of two places from which it says something, and from which it says all it can."""

PLACE_ASSUMED = (6.0, 1.0)
"""Pairs of one person and of two at one place before the episode's own are counted."""

SURE_FACES = 0.25
"""Share of the largest evidence two faces can give at which a pair is counted as one person, or two."""

RETURN_S = 3.0
"""A face found again in a shot after at most this long, where it was lost, is likely the same."""


def middles(tracks: pa.Table) -> NDArray[np.float64]:
    """(n,) middle of each track, seconds."""
    result: NDArray[np.float64] = (tracks["start_us"].to_numpy() + tracks["end_us"].to_numpy()) / 2e6
    return result


def body_evidence(episode: Episode, face: NDArray[np.float32], together: Together, settings: IdentitySettings) -> Pairwise:
    """(n, n) log odds from upper-body appearance, none where it cannot be compared.

    How alike clothes of strangers and of one person are is learned from the episode: tracks seen together are strangers, faces that
    leave little doubt are one person. In uniform the two are equal and clothes say nothing.

    Args:
        face: (n, n) log odds of the faces.
    """
    body = matrix_of(episode.tracks["body"], BODY_DIMS)
    seen = np.flatnonzero(np.linalg.norm(body, axis=1) > 0.5)
    if settings.body_weight == 0:
        return _pairwise([], len(body))
    middle = middles(episode.tracks)
    seen = seen[np.argsort(middle[seen], kind="stable")]
    alike = _cosines(body, *_sure_pairs(face, seen, middle, settings))
    strangers, same, deviation = _clothes(_cosines(body, together.first, together.second), alike)
    slope, centre = (same - strangers) / deviation**2, (same + strangers) / 2
    found = []
    for rows, columns, near in _scenes(seen, middle, settings.scene_s):
        value = np.clip(slope * (body[rows] @ body[columns].T - centre), -BODY_AGAINST, BODY_FOR) * settings.body_weight
        found.append(_entries(rows, columns, np.where(near & (rows[:, None] != columns), value, 0)))
    return _pairwise(found, len(body))


def _scenes(
    ordered: NDArray[np.int64], middle: NDArray[np.float64], scene_s: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Blocks of tracks, those near enough to any of them, and which are near to which; `ordered` is in time order."""
    for start in range(0, len(ordered), BLOCK):
        rows = ordered[start : start + BLOCK]
        low, high = np.searchsorted(middle[ordered], [middle[rows[0]] - scene_s - 1, middle[rows[-1]] + scene_s + 1])
        columns = ordered[low:high]
        yield rows, columns, np.abs(middle[rows, None] - middle[columns]) <= scene_s


def _entries(rows: NDArray[np.int64], columns: NDArray[np.int64], value: NDArray[np.float32]) -> Entries:
    """What is not zero of a block of pairs."""
    i, j = np.nonzero(value)
    return rows[i].astype(np.int32), columns[j].astype(np.int32), value[i, j].astype(np.float32)


def _pairwise(found: list[Entries], count: int) -> Pairwise:
    rows, columns, value = (np.concatenate(part) for part in zip(*found, strict=True)) if found else (np.empty(0, np.int32),) * 3
    return coo_array((value.astype(np.float32), (rows, columns)), shape=(count, count)).tocsr()


def _cosines(body: NDArray[np.float32], first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.float32]:
    """Cosines of pairs whose bodies are both in the picture."""
    both = (np.linalg.norm(body[first], axis=1) > 0.5) & (np.linalg.norm(body[second], axis=1) > 0.5)
    result: NDArray[np.float32] = np.einsum("nd,nd->n", body[first[both]], body[second[both]])
    return result


def _sure_pairs(
    face: NDArray[np.float32], seen: NDArray[np.int64], middle: NDArray[np.float64], settings: IdentitySettings
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each track with the track of the same scene whose face is most like it, if that leaves little doubt."""
    first, second = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for rows, columns, near in _scenes(seen, middle, settings.scene_s):
        value = np.where(near & (rows[:, None] != columns), face[np.ix_(rows, columns)], -np.inf)
        best = value.argmax(axis=1)
        sure = value[np.arange(len(rows)), best] > settings.face_limit / 2
        first.append(rows[sure].astype(np.int32))
        second.append(columns[best[sure]].astype(np.int32))
    return np.concatenate(first), np.concatenate(second)


def _clothes(apart: NDArray[np.float32], alike: NDArray[np.float32]) -> tuple[float, float, float]:
    """Mean cosine of strangers and of one person, and the pooled standard deviation, each shrunk to the assumption."""
    strangers, same, deviation = BODY_ASSUMED

    def mean(values: NDArray[np.float32], assumed: float) -> float:
        return (float(values.sum()) + BODY_ASSUMED_PAIRS * assumed) / (len(values) + BODY_ASSUMED_PAIRS)

    strangers, same = mean(apart, strangers), mean(alike, same)
    squares = float(((apart - strangers) ** 2).sum() + ((alike - same) ** 2).sum()) + BODY_ASSUMED_PAIRS * deviation**2
    pooled = (squares / (len(apart) + len(alike) + BODY_ASSUMED_PAIRS)) ** 0.5
    return strangers, max(same, strangers), pooled


@dataclass(frozen=True)
class _Places:
    """Shot, time (seconds) and boxes of n tracks: the median, the first and the last."""

    shot: NDArray[np.int32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    median: NDArray[np.float32]
    first: NDArray[np.float32]
    last: NDArray[np.float32]

    def same(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """(rows, columns) IoU of two places of one camera set-up: medians across shots; inside a shot where one track ends and the other begins."""
        i, j = rows[:, None], columns[None, :]
        across = overlap(self.median[i], self.median[j])
        wait = np.maximum(self.start[j] - self.end[i], self.start[i] - self.end[j])
        later = (self.start[j] > self.start[i])[..., None]
        inside = overlap(np.where(later, self.last[i], self.last[j]), np.where(later, self.first[j], self.first[i]))
        inside[(wait < 0) | (wait > RETURN_S)] = 0
        return np.where(self.shot[i] == self.shot[j], inside, across)


def thread_evidence(episode: Episode, face: NDArray[np.float32], settings: IdentitySettings) -> Pairwise:
    """(n, n) log odds, never negative: two tracks at the same place of a recurring camera set-up, or of one shot.

    How much a place says is learned from the episode: where good faces at one place are different people (interviews in one chair), little.

    Args:
        face: (n, n) log odds of the faces.
    """
    count = episode.tracks.num_rows
    if settings.thread_weight == 0 or not count:
        return _pairwise([], count)
    places = _places(episode)
    thread = episode.shots["thread"].to_numpy()[places.shot]
    order = np.argsort(thread, kind="stable")
    found = []
    one, two = PLACE_ASSUMED
    for members in np.split(order, np.flatnonzero(np.diff(thread[order])) + 1):
        for start in range(0, len(members), BLOCK):
            rows = members[start : start + BLOCK]
            value = np.clip((places.same(rows, members) - PLACE_FROM) / (PLACE_FULL - PLACE_FROM), 0, 1)
            value[rows[:, None] == members] = 0
            found.append(_entries(rows, members, value))
            known = face[found[-1][:2]][found[-1][2] > 0.5] / settings.face_limit
            one += float((known > SURE_FACES).sum()) / 2
            two += float((known < -SURE_FACES).sum()) / 2
    return _pairwise(found, count) * np.float32(np.clip(np.log(one / two), 0, PLACE_FOR) * settings.thread_weight)


def _places(episode: Episode) -> _Places:
    detections, tracks = episode.detections, episode.tracks
    track = detections["track"].to_numpy()
    order = np.lexsort((detections["t_us"].to_numpy(), track))
    order = order[track[order] >= 0]
    boxes, track = boxes_of(detections)[order], track[order]
    median, first, last = (np.full((tracks.num_rows, 4), np.nan, np.float32) for _ in range(3))
    edges = np.flatnonzero(np.diff(track)) + 1
    for part, rows in zip(np.split(boxes, edges), np.split(track, edges), strict=True):
        if len(part):
            median[rows[0]], first[rows[0]], last[rows[0]] = np.median(part, axis=0), part[0], part[-1]
    start, end = tracks["start_us"].to_numpy() / 1e6, tracks["end_us"].to_numpy() / 1e6
    return _Places(tracks["shot"].to_numpy(), start, end, median, first, last)
