"""Upper-body appearance: what somebody wears carries them through a scene where their face is turned away."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Image
from engine.sources.frame import Frame
from engine.tables import BODY_DIMS

_BANDS = 3
_LOOK_PX = 64

DARK_VALUE = 80.0
"""Brightness (HSV value, 8 bit) that something on face or body has to reach; below, all clothes look alike and grain gives them colours."""


def describe(frame: Frame, box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour histograms of the region under a face, in three bands from the collar down.

    Args:
        box: (4,) normalised xyxy of the face.

    Returns:
        (BODY_DIMS,) L2-normalised square roots of histogram shares, so that the dot product of two is their Bhattacharyya coefficient;
        all zero when less than half of the region is in the picture, or it is too dark.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    x1, x2, y1, y2 = box[0] - 0.5 * width, box[2] + 0.5 * width, box[3] + 0.15 * height, box[3] + 1.65 * height
    inside = max(0.0, min(x2, 1) - max(x1, 0)) * max(0.0, min(y2, 1) - max(y1, 0)) / max((x2 - x1) * (y2 - y1), 1e-9)
    if inside < 0.5 or _brightest(frame, float(max(x1, 0)), float(max(box[1], 0)), float(min(x2, 1)), float(min(y2, 1))) < DARK_VALUE:
        return np.zeros(BODY_DIMS, np.float32)
    region = frame.crop(float(max(x1, 0)), float(max(y1, 0)), float(min(x2, 1)), float(min(y2, 1)), _LOOK_PX)
    hsv = cv2.cvtColor(region, cv2.COLOR_BGR2HSV)
    joined = np.sqrt(np.concatenate([_histogram(band) for band in np.array_split(hsv, _BANDS, axis=0)]))
    unit: NDArray[np.float32] = (joined / max(float(np.linalg.norm(joined)), 1e-9)).astype(np.float32)
    return unit


def _brightest(frame: Frame, x1: float, y1: float, x2: float, y2: float) -> float:
    """Brightness of the lightest twentieth of a region."""
    return float(np.percentile(frame.crop(x1, y1, x2, y2, _LOOK_PX).max(axis=2), 95))


def _histogram(hsv: Image) -> NDArray[np.float32]:
    """16 hues weighted by saturation, 8 saturations, 8 values; each third sums to a third."""
    if not hsv.size:
        return np.zeros(BODY_DIMS // _BANDS, np.float32)
    hue, saturation, value = (hsv[..., i].ravel() for i in range(3))
    hues = np.bincount(hue.astype(np.intp) * 16 // 180, saturation + 1.0, 16)
    parts = [hues, np.bincount(saturation >> 5, minlength=8), np.bincount(value >> 5, minlength=8)]
    return np.concatenate([part / max(part.sum(), 1) / len(parts) for part in parts]).astype(np.float32)
