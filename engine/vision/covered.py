"""Faces that something covers: a hand, hair, a card. The detector still fires on them, but scores them far below the same face uncovered.

A score also falls when a face turns, shrinks or is smeared, and such a face is visible. So a face is taken for covered only when it is large
enough for its score to be steady, faces the camera, and scores far below what is usual at its place in the shot, for longer than a track
would wait.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.vision.boxes import Boxes, iou

NEAR_US = 4_000_000
"""Faces at most this far away in time say what is usual at a place."""

SAME_PLACE_IOU = 0.4
SAME_SIZE = 1.25
"""Overlap, and ratio of heights up to which two faces of a shot are compared."""

LEAST_PX = 48.0
"""Smaller faces score now high, now low, as the size of the look changes."""

LEAST_FRONTAL = 0.5
"""Faces turned further than this score low for that reason."""

USUAL = 0.7
"""Quantile of the scores at a place that is usual for it."""


def covered(
    t_us: NDArray[np.int64],
    boxes: Boxes,
    scores: NDArray[np.float32],
    height_px: NDArray[np.float32],
    frontal: NDArray[np.float32],
    cuts_us: NDArray[np.int64],
    settings: TrackSettings,
) -> NDArray[np.bool_]:
    """(n,) which faces are covered.

    Args:
        t_us: (n,) frame times, ascending.
        boxes: (n, 4) xyxy in any one unit.
        cuts_us: first frames of new shots; faces of other shots say nothing.
    """
    found = np.zeros(len(t_us), bool)
    edges = np.searchsorted(t_us, cuts_us)
    for shot in np.split(np.arange(len(t_us)), edges):
        able = (height_px[shot] >= LEAST_PX) & (frontal[shot] >= LEAST_FRONTAL)
        low = _low(t_us[shot], boxes[shot], scores[shot], height_px[shot], able, settings.covered_score)
        found[shot[_long(low, t_us[shot], boxes[shot], settings.max_gap_s)]] = True
    return found


def _low(
    t_us: NDArray[np.int64], boxes: Boxes, scores: NDArray[np.float32], height_px: NDArray[np.float32], able: NDArray[np.bool_], share: float
) -> NDArray[np.int64]:
    """Faces of a shot that score less than a share of what is usual at their place."""
    low = []
    for face in np.flatnonzero(able & (scores < share)):
        near = slice(*np.searchsorted(t_us, [t_us[face] - NEAR_US, t_us[face] + NEAR_US + 1]))
        ratio = height_px[near] / height_px[face]
        same = (iou(boxes[face : face + 1], boxes[near])[0] >= SAME_PLACE_IOU) & (ratio <= SAME_SIZE) & (ratio >= 1 / SAME_SIZE)
        if scores[face] < share * np.quantile(scores[near][same], USUAL):
            low.append(face)
    return np.array(low, np.int64)


def _long(low: NDArray[np.int64], t_us: NDArray[np.int64], boxes: Boxes, gap_s: float) -> NDArray[np.int64]:
    """Those of the low faces of a shot in stretches too long for a slip of the detector: from the last other face at their place to the next."""
    others = np.setdiff1d(np.arange(len(t_us)), low)
    kept: list[int] = []
    for run in _runs(low, t_us, boxes, gap_s):
        here = others[iou(boxes[run], boxes[others]).max(axis=0, initial=0) >= SAME_PLACE_IOU]
        before, after = here[t_us[here] < t_us[run[0]]], here[t_us[here] > t_us[run[-1]]]
        start = t_us[before[-1]] if len(before) else t_us[run[0]]
        end = t_us[after[0]] if len(after) else t_us[run[-1]]
        if end - start > gap_s * 1e6:
            kept += run
    return np.array(kept, np.int64)


def _runs(low: NDArray[np.int64], t_us: NDArray[np.int64], boxes: Boxes, gap_s: float) -> list[list[int]]:
    """Low faces that follow one another at a place."""
    runs: list[list[int]] = []
    for face in low.tolist():
        near = [run for run in runs if 0 < t_us[face] - t_us[run[-1]] <= gap_s * 1e6]
        same = [run for run in near if iou(boxes[run[-1:]], boxes[face : face + 1])[0, 0] >= SAME_PLACE_IOU]
        if same:
            same[-1].append(face)
        else:
            runs.append([face])
    return runs
