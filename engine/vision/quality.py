"""How much a face picture can be trusted: size, sharpness, pose, the detector's own score, and how much of it is in the picture.

Poor faces lie: profiles, blurred and tiny faces of strangers sit close together in embedding space, so the parts are multiplied; one
bad part is enough to make a poor face.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Grey
from engine.models.light import daylight, light, oval
from engine.sources.frame import Frame

SHARPNESS_SIDE = 64
"""Faces are brought to this size before their sharpness is measured, so that it does not depend on how large they are."""

_LOOK_PX = 96

GRAIN_SIGMA = 0.8
"""Gaussian blur, pixels at SHARPNESS_SIDE, that takes grain away before detail is measured."""

DETAIL_VARIANCE = 6.0
"""Variance of the second derivative at which a face counts as half sharp (of 8-bit grey values; good television faces reach 10 to 60, faces
smeared by 10 pixels or lit by a fifth of the light stay under 5)."""

FORM_SIGMA = 2.0
"""Gaussian blur that leaves the forms of a face: eye sockets, nose, mouth."""

CLEAN_RATIO = 12.0
"""Contrast of the forms over the standard deviation of the grain from which grain no longer hurts."""

LIGHT_POWER = 0.75
"""How much of its sharpness a dark face keeps: its light (1 where it need not be raised) to this power. With it the cosine of a face with its person
falls with quality in the dark as it does elsewhere."""

_FACE = oval((SHARPNESS_SIDE, SHARPNESS_SIDE), np.array([6, 0, 58, 64], np.float32))

_GRAIN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)

SMALL_PX, LARGE_PX = 20.0, 80.0
"""Face heights at which size stops helping at all, and stops hurting."""


def sharpness(face: Grey) -> float:
    """0 (nothing but blur, or grain) to 1, of the face at a standard size.

    Detail is the variance of the second derivative, along the picture's width or height, whichever is less: a smear leaves detail across it.
    Grain is no detail: it is blurred away first, its strength estimated (Immerkaer 1996), and held against the contrast of the face. In the dark,
    detail is what the embedder gets to see of it: that of the face in daylight.
    """
    standard = cv2.resize(face, (SHARPNESS_SIDE, SHARPNESS_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    lit = light(standard, _FACE)
    seen = standard if lit == 1 else daylight(standard, _FACE).astype(np.float32)
    smooth = cv2.GaussianBlur(seen, (0, 0), GRAIN_SIGMA)
    across, down = smooth[:, 2:] - 2 * smooth[:, 1:-1] + smooth[:, :-2], smooth[2:] - 2 * smooth[1:-1] + smooth[:-2]
    detail = min(_deviation(across), _deviation(down)) ** 2
    grain = cv2.norm(cv2.filter2D(standard, -1, _GRAIN)[1:-1, 1:-1], cv2.NORM_L1) / (SHARPNESS_SIDE - 2) ** 2 * np.sqrt(np.pi / 2) / 6
    contrast = _deviation(cv2.GaussianBlur(standard, (0, 0), FORM_SIGMA))
    clean = min(1.0, contrast / max(CLEAN_RATIO * grain, 1e-6))
    return float(lit**LIGHT_POWER * clean * detail / (detail + DETAIL_VARIANCE))


def _deviation(values: Any) -> float:
    """Standard deviation of grey values: OpenCV takes a third of NumPy's time for so few."""
    return float(cv2.meanStdDev(values)[1][0, 0])


def face_sharpness(frame: Frame, box: NDArray[np.float32]) -> float:
    """Sharpness of a face in a frame; only its own pixels are looked at, and those outside the picture do not count.

    Args:
        box: (4,) normalised xyxy.
    """
    x1, y1, x2, y2 = np.clip(box, 0, 1)
    return sharpness(frame.grey(float(x1), float(y1), float(x2), float(y2), _LOOK_PX))


def frontal(landmarks: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) 0 (profile) to 1 (facing the camera).

    The nose lies midway between the eyes of a face seen from the front, and beyond one of them in profile; the eyes are then also close
    together for the size of the face.

    Args:
        landmarks: (n, 5, 2) in the order of `Faces.landmarks`, same unit as the boxes, aspect ratio 1.
        boxes: (n, 4) xyxy.
    """
    left, right, nose = landmarks[:, 0], landmarks[:, 1], landmarks[:, 2]
    between = right - left
    distance = np.linalg.norm(between, axis=1)
    along = np.einsum("nd,nd->n", nose - left, between) / np.maximum(distance**2, 1e-6)
    symmetry = 1 - np.minimum(1, np.abs(along - 0.5) / 0.5)
    spread = np.minimum(1, distance / np.maximum(0.35 * (boxes[:, 3] - boxes[:, 1]), 1e-6))
    value = np.where(np.isnan(symmetry), 0.5, symmetry * spread)
    result: NDArray[np.float32] = np.clip(value, 0, 1).astype(np.float32)
    return result


def inside(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) share of each normalised box that is within the picture; detectors reach beyond it for cropped faces."""
    whole = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9)
    seen = np.clip(boxes[:, 2:], 0, 1) - np.clip(boxes[:, :2], 0, 1)
    share: NDArray[np.float32] = np.prod(np.maximum(seen, 0) / whole, axis=1).astype(np.float32)
    return share


def quality(
    height_px: NDArray[np.float32],
    sharp: NDArray[np.float32],
    facing: NDArray[np.float32],
    scores: NDArray[np.float32],
    share_inside: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(n,) 0..1: the product of the parts, each brought to 0..1 so that a good television face comes out above 0.6."""
    size = np.clip(np.log(np.maximum(height_px, 1) / SMALL_PX) / np.log(LARGE_PX / SMALL_PX), 0, 1)
    clear = np.minimum(1, sharp / 0.6)
    pose = 0.2 + 0.8 * np.minimum(1, facing / 0.7)
    sure = np.clip((scores - 0.3) / 0.4, 0, 1)
    whole = np.clip((share_inside - 0.5) / 0.4, 0, 1)
    product: NDArray[np.float32] = (size**0.5 * clear**0.75 * pose * sure**0.5 * whole).astype(np.float32)
    return product
