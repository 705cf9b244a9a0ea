"""Planar 8-bit YUV pictures: scaled and cut plane by plane, and only what is left converted to BGR."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Image

PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}
_FULL_RANGE = 2
_BT709, _BT601 = (0.2126, 0.0722), (0.299, 0.114)
"""Share of red and of blue in luma."""

Plane = NDArray[np.uint8]


class Planes:
    """The planes of a decoded frame, and their halves as far as they were asked for: OpenCV halves five times as fast as it scales by other factors."""

    def __init__(self, decoded: Any) -> None:
        self._decoded = decoded
        self._halved: list[list[Plane]] = []

    def whole(self, size: tuple[int, int]) -> Image:
        """All of the picture at (width, height)."""
        return self._bgr([self._near(levels, size) for levels in self._levels()], size)

    def part(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> Image:
        """A part (x1, y1, x2, y2 in pixels) at (width, height), without converting the rest."""
        x1, y1, x2, y2 = box
        cut = []
        for plane in (levels[0] for levels in self._levels()):
            fx, fy = -(-self._decoded.width // plane.shape[1]), -(-self._decoded.height // plane.shape[0])
            cut.append(plane[y1 // fy : max(y1 // fy + 1, -(-y2 // fy)), x1 // fx : max(x1 // fx + 1, -(-x2 // fx))])
        return self._bgr(cut, size)

    def _levels(self) -> list[list[Plane]]:
        """Of Y, U and V: the plane and its halves."""
        if not self._halved:
            for plane in self._decoded.planes:
                rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                self._halved.append([rows[: plane.height, : plane.width]])
        return self._halved

    def _near(self, levels: list[Plane], size: tuple[int, int]) -> Plane:
        """The smallest halving of a plane that is not below a size."""
        for level in range(16):
            height, width = levels[level].shape
            if width % 2 or height % 2 or width // 2 < size[0] or height // 2 < size[1]:
                return levels[level]
            if level + 1 == len(levels):
                levels.append(resized(levels[level], (width // 2, height // 2)))
        return levels[-1]

    def _bgr(self, planes: list[Plane], size: tuple[int, int]) -> Image:
        return np.asarray(cv2.transform(cv2.merge([resized(plane, size) for plane in planes]), _matrix(self._decoded)), np.uint8)


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scaled to (width, height), averaging what becomes smaller."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    smaller = size[0] <= picture.shape[1] and size[1] <= picture.shape[0]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def _matrix(decoded: Any) -> NDArray[np.float32]:
    """(3, 4) from Y, U, V of 8 bits to B, G, R of 8 bits (ITU-T H.273, matrix coefficients 1 and 5; larger pictures default to 709)."""
    name = int(decoded.colorspace)
    high = name == 1 or (name == 2 and decoded.height > 576)
    kr, kb = _BT709 if high else _BT601
    full = int(decoded.color_range) == _FULL_RANGE or decoded.format.name.startswith("yuvj")
    luma, chroma, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    kg = 1 - kr - kb
    rows = np.array([[1, 2 * (1 - kb), 0], [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg], [1, 0, 2 * (1 - kr)]]) * [luma, chroma, chroma]
    offset = -(rows[:, 0] * black + (rows[:, 1] + rows[:, 2]) * 128)
    return np.column_stack([rows, offset]).astype(np.float32)
