"""Faces in the dark are brought to the light embedders were trained in.

An embedder given a face in a fifth of the light sees darkness: strangers have a cosine of 0.4 on average, and of 0.9 at worst. The same pictures with
their grey values stretched, and the grain that comes up with them smoothed a little, tell people apart almost as well as daylight does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Image

DARK = 60.0
"""Mean grey value (of 255) of a face under which its light is raised; faces of any skin in usual light have 70 to 170."""

MEAN, BRIGHTEST = 100.0, 200.0
"""Mean grey value of the face, and of its brightest hundredth, once its light is raised."""

GRAIN_SIGMA = 0.85
"""Gaussian blur for a face whose light is doubled or more, pixels of one brought to a height of FACE_PX; less for one that is hardly dark."""

FACE_PX = 88

_LEAST_SIGMA = 0.2

_WEIGHTS = np.array([0.114, 0.587, 0.299], np.float32)


def oval(shape: tuple[int, int], box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(height, width) of that shape: what lies in the ellipse a box is drawn around, xyxy in pixels."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    (x1, y1), (x2, y2) = box[:2].tolist(), box[2:].tolist()
    return np.asarray(((2 * columns - x1 - x2) / max(x2 - x1, 1)) ** 2 + ((2 * rows - y1 - y2) / max(y2 - y1, 1)) ** 2 <= 1)


def light(picture: NDArray[np.float32] | NDArray[np.uint8], face: NDArray[np.bool_]) -> float:
    """Mean grey value of a face over DARK, at most 1; below 1 its light is raised.

    Args:
        picture, face: as for `daylight`.
    """
    if not face.any():
        return 1.0
    mean = np.array(cv2.mean(picture, face.view(np.uint8)))
    return min(1.0, float(mean[0] if picture.ndim == 2 else mean[:3] @ _WEIGHTS) / DARK)


def daylight(picture: NDArray[np.float32], face: NDArray[np.bool_]) -> Image:
    """The picture with the light of its face raised, if that is dark.

    The brightest parts of the face are stretched to BRIGHTEST, and a power of at most 1 brings its mean to MEAN: the shadows are raised more.

    Args:
        picture: (h, w) grey or (h, w, 3) BGR, 0..255, as floats so that the few grey values of the dark stay apart.
        face: (h, w) where the face is.
    """
    lit = light(picture, face)
    if lit < 1:
        grey = _grey(picture[face])
        highest = max(float(np.percentile(grey, 99)), 1.0)
        mean = float(np.clip(grey / highest, 0, 1).mean())
        power = min(1.0, float(np.log(MEAN / BRIGHTEST) / np.log(np.clip(mean, 1e-3, 0.999))))
        picture = BRIGHTEST * np.clip(picture / highest, 0, 1) ** np.float32(power)
        sigma = GRAIN_SIGMA * min(1.0, 1 / max(lit, 1e-3) - 1) * int(face.any(axis=1).sum()) / FACE_PX
        picture = cv2.GaussianBlur(picture, (0, 0), sigma) if sigma >= _LEAST_SIGMA else picture
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _grey(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return pixels @ _WEIGHTS if pixels.ndim > 1 else pixels
