"""Anchors: how a decision remembers its faces without naming a track, and finds them again in another run (rule 5).

An anchor is a stretch of time with the path of boxes through it. Samples are at most half a second apart, and closer where the face does not move
in a straight line, so that the path between them is on the face too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.review.decision import Cover, Decision
from engine.vision.boxes import overlap
from engine.vision.paths import REACH_US, SAME_FACE_IOU, along, shares

SAMPLE_US = 500_000
"""Longest time between two samples of a path."""

STRAIGHT_IOU = 0.7
"""A sample is left out only while the path drawn without it lies on its box this well."""


@dataclass(frozen=True)
class Path:
    """One anchor: start_us, end_us half-open; t_us (n,) int64 ascending; boxes (n, 4) float32, xyxy normalised."""

    number: int
    part: int
    start_us: int
    end_us: int
    t_us: NDArray[np.int64]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Faces:
    """The tracked faces of a run by track and time: track (n,) row in `tracks`, t_us (n,), boxes (n, 4).

    track_id, start_us, end_us: (tracks,) of each track, ascending by id.
    """

    track: NDArray[np.int64]
    t_us: NDArray[np.int64]
    boxes: NDArray[np.float32]
    track_id: NDArray[np.int64]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]


def sample(path: NDArray[np.int64], t_us: NDArray[np.int64], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which faces of some paths are kept: the first and last of each, between them as few as leave no more than half a second without one where there
    are any, and those that the path drawn without them would miss.

    Args:
        path: (n,) which path each face is of, ascending; t_us: (n,) ascending within a path; boxes: (n, 4).
    """
    if not len(path):
        return np.zeros(0, bool)
    begins = np.diff(path, prepend=path[0] - 1) != 0
    ends = np.append(begins[1:], True)
    kept = begins | ends
    number = np.cumsum(begins) - 1
    last, key = np.flatnonzero(ends), number * (int(t_us.max()) + SAMPLE_US + 1) + t_us
    at = np.flatnonzero(begins & ~ends)
    while len(at):  # all paths at once, from one kept face to the next
        at = np.minimum(np.maximum(np.searchsorted(key, key[at] + SAMPLE_US, "right") - 1, at + 1), last[number[at]])
        kept[at] = True
        at = at[~ends[at]]
    place = np.arange(len(path))
    before = np.maximum.accumulate(np.where(kept, place, 0))
    after = np.minimum.accumulate(np.where(kept, place, len(path) - 1)[::-1])[::-1]
    share = ((t_us - t_us[before]) / np.maximum(t_us[after] - t_us[before], 1))[:, None].astype(np.float32)
    drawn = boxes[before] * (1 - share) + boxes[after] * share
    result: NDArray[np.bool_] = kept | (overlap(drawn, boxes) < STRAIGHT_IOU)
    return result


def covers(decision: Decision, paths: Sequence[Path], faces: Faces) -> list[Cover]:
    """Where a decision's anchors lie in a run.

    A track most of whose seconds lie on an anchor is covered whole, at the decision's level; else the stretches that do are covered at frame
    level, as those of a decision about frames always are.
    """
    share_start, share_end = shares(faces.track, faces.t_us, faces.start_us, faces.end_us)
    by_time = np.argsort(faces.t_us, kind="stable")
    found: list[Cover] = []
    for path in paths:
        on = _on_path(path, faces, by_time)
        for track in np.unique(faces.track[on]):
            mine = on[faces.track[on] == track]
            found += _of_track(decision, path, int(track), mine, faces, share_start, share_end)
    return found


def _on_path(path: Path, faces: Faces, by_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Faces on the path, ascending; of two at one moment the nearer."""
    times = faces.t_us[by_time]
    near = by_time[slice(*np.searchsorted(times, [path.start_us, path.end_us]))]
    if not len(near) or not len(path.t_us):
        return np.empty(0, np.int64)
    at = faces.t_us[near]
    place = along(path.t_us, path.boxes, at)
    iou = overlap(place.boxes, faces.boxes[near])
    iou[(place.gap_us > REACH_US) & (place.off_us > SAMPLE_US)] = 0
    iou[place.off_us > REACH_US] = 0
    hit = iou >= SAME_FACE_IOU
    near, at, iou = near[hit], at[hit], iou[hit]
    order = np.lexsort((-iou, at))
    first = np.diff(at[order], prepend=-1) > 0
    return np.sort(near[order[first]])


def _of_track(
    decision: Decision, path: Path, track: int, mine: NDArray[np.int64], faces: Faces, share_start: NDArray[np.int64], share_end: NDArray[np.int64]
) -> list[Cover]:
    """What an anchor covers of one track."""
    start, end = int(faces.start_us[track]), int(faces.end_us[track])
    level = str(decision.level)
    held = int((share_end[mine] - share_start[mine]).sum())
    if level != "frames" and 2 * held >= end - start:
        return [Cover(decision.decision_id, path.number, path.part, int(faces.track_id[track]), start, end, level)]
    found = []
    for run in np.split(mine, np.flatnonzero(np.diff(mine) > 1) + 1):
        first, last = int(run[0]), int(run[-1])
        # The decision's own boundary is kept where it lies between the last face it covers and the next; else the stretch ends half way.
        low = _bound(path.start_us, faces, first - 1, first, int(share_start[first]), start)
        high = _bound(path.end_us, faces, last, last + 1, int(share_end[last]), end)
        found.append(Cover(decision.decision_id, path.number, path.part, int(faces.track_id[track]), low, high, "frames"))
    return found


def _bound(wanted: int, faces: Faces, before: int, after: int, middle: int, edge: int) -> int:
    """A boundary between two neighbouring faces of a track, `wanted` if it lies there; the track's own end where there is no neighbour."""
    inside = before >= 0 and after < len(faces.track) and faces.track[before] == faces.track[after]
    if not inside:
        return edge
    return wanted if faces.t_us[before] < wanted <= faces.t_us[after] else middle
