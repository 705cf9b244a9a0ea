"""Tracking inside a shot: two-threshold association after ByteTrack (Zhang et al., ECCV 2022), with costs made for few frames a second.

At six frames a second boxes of one face often do not overlap at all during a pan, so plain IoU fails. The cost mixes the overlap of
buffered boxes with the distance of centres in face sizes and the change of size, after a constant-velocity prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engine.config import TrackSettings
from engine.vision.boxes import grown, iou

BUFFER = 0.3
"""Boxes are grown by this share of their size before their overlap is measured."""

REACH = 1.5
"""Centres further apart than this many face sizes cost as much as no overlap at all."""

SIZE_WEIGHT = 0.5

LOST_WEIGHT = 0.1
"""Added per second a track has been lost: of two that fit a face, the one seen last goes on with it."""

_VELOCITY_KEPT = 0.7
_NEVER = 1e6


@dataclass
class _Track:
    box: NDArray[np.float32]
    t_us: int
    velocity: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))
    detections: list[int] = field(default_factory=list)

    def predicted(self, t_us: int) -> NDArray[np.float32]:
        """The box where it would be by now; per microsecond velocities are trusted for a second at most."""
        shift = self.velocity * min(t_us - self.t_us, 1_000_000)
        moved: NDArray[np.float32] = self.box + np.tile(shift, 2)
        return moved

    def take(self, detection: int, box: NDArray[np.float32], t_us: int) -> None:
        """Continue with a detection."""
        if self.detections and t_us > self.t_us:
            step = ((box[:2] + box[2:]) - (self.box[:2] + self.box[2:])) / 2 / (t_us - self.t_us)
            first = len(self.detections) == 1
            smooth = step if first else _VELOCITY_KEPT * step + (1 - _VELOCITY_KEPT) * self.velocity
            self.velocity = smooth.astype(np.float32)
        self.box, self.t_us = box, t_us
        self.detections.append(detection)


def associate(
    t_us: NDArray[np.int64], boxes: NDArray[np.float32], scores: NDArray[np.float32], cuts_us: NDArray[np.int64], settings: TrackSettings
) -> list[list[int]]:
    """Join detections into tracks.

    Args:
        t_us: (n,) frame times, ascending; detections of one frame share theirs.
        boxes: (n, 4) xyxy in any unit with square pixels.
        scores: (n,) detector scores.
        cuts_us: times of the first frames of new shots; no track reaches across one.

    Returns:
        Detection positions of each track in time order; detections too weak to start or continue a track are in none.
    """
    finished: list[_Track] = []
    live: list[_Track] = []
    shot = -1
    for start, stop in _frames(t_us):
        now = int(t_us[start])
        this_shot = int(np.searchsorted(cuts_us, now, side="right"))
        if this_shot != shot:
            finished, live, shot = finished + live, [], this_shot
        waiting = [track for track in live if now - track.t_us <= settings.max_gap_s * 1e6]
        finished += [track for track in live if now - track.t_us > settings.max_gap_s * 1e6]
        live = _step(waiting, np.arange(start, stop), now, boxes, scores, settings)
    tracks = [track.detections for track in finished + live if len(track.detections) >= settings.min_faces]
    return sorted(tracks, key=lambda detections: detections[0])


def _frames(t_us: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(start, stop) positions of each frame's detections."""
    if not len(t_us):
        return []
    edges = [0, *(np.flatnonzero(np.diff(t_us)) + 1).tolist(), len(t_us)]
    return list(pairwise(edges))


def _step(
    live: list[_Track], found: NDArray[np.int64], now: int, boxes: NDArray[np.float32], scores: NDArray[np.float32], settings: TrackSettings
) -> list[_Track]:
    """One frame: sure faces first, weak ones for what is left, new tracks from sure faces nobody took."""
    sure = found[scores[found] >= settings.high_score]
    weak = found[(scores[found] < settings.high_score) & (scores[found] >= settings.low_score)]
    left_tracks, left_sure = _match(live, sure, now, boxes, settings.match_cost)
    _match(left_tracks, weak, now, boxes, settings.match_cost)
    for detection in left_sure:
        track = _Track(boxes[detection], now)
        track.take(int(detection), boxes[detection], now)
        live = [*live, track]
    return live


def _match(
    tracks: list[_Track], found: NDArray[np.int64], now: int, boxes: NDArray[np.float32], limit: float
) -> tuple[list[_Track], NDArray[np.int64]]:
    """Continue tracks with detections at the least total cost; returns the tracks and detections left over."""
    if not tracks or not len(found):
        return tracks, found
    lost_s = np.array([now - track.t_us for track in tracks]) / 1e6
    costs = cost(np.stack([track.predicted(now) for track in tracks]), boxes[found]) + LOST_WEIGHT * lost_s[:, None]
    rows, columns = linear_sum_assignment(np.where(costs <= limit, costs, _NEVER))
    pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if costs[i, j] <= limit]
    for i, j in pairs:
        tracks[i].take(int(found[j]), boxes[found[j]], now)
    taken_tracks, taken = {i for i, _ in pairs}, {j for _, j in pairs}
    return [t for i, t in enumerate(tracks) if i not in taken_tracks], np.array([d for j, d in enumerate(found) if j not in taken], np.int64)


def cost(predicted: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(tracks, detections) association cost: 0 for the same box, about 1 for faces that have nothing to do with each other."""
    overlap = iou(grown(predicted, BUFFER), grown(boxes, BUFFER))
    heights = np.maximum(predicted[:, None, 3] - predicted[:, None, 1], 1e-6), np.maximum(boxes[None, :, 3] - boxes[None, :, 1], 1e-6)
    size = (heights[0] + heights[1]) / 2
    centres = (predicted[:, None, :2] + predicted[:, None, 2:]) / 2 - (boxes[None, :, :2] + boxes[None, :, 2:]) / 2
    distance = np.minimum(np.linalg.norm(centres, axis=2) / size / REACH, 1.0)
    change = np.abs(np.log(heights[0] / heights[1]))
    total: NDArray[np.float32] = (0.5 * (1 - overlap) + 0.5 * distance + SIZE_WEIGHT * change).astype(np.float32)
    return total
