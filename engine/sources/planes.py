"""Planar 8-bit YUV pictures: scaled and cut plane by plane, and only what is left converted to BGR."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
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
    """The planes of a decoded frame, and their halves as far as asked for: OpenCV halves much faster than it scales by other factors.

    Several threads may ask at once: each half is put in its place whole, and made twice at worst.
    """

    def __init__(self, decoded: Any) -> None:
        self._decoded = decoded
        self._halved: list[dict[int, Plane]] = []

    def whole(self, size: tuple[int, int]) -> Image:
        """All of the picture at (width, height)."""
        return self._bgr([self._near(levels, size) for levels in self._levels()], size)

    def part(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> Image:
        """A part (x1, y1, x2, y2 in pixels) at (width, height), without converting the rest."""
        return self._bgr([self._part(levels, box, size) for levels in self._levels()], size)

    def luma(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> Plane:
        """The same part in grey."""
        return np.asarray(cv2.LUT(resized(self._part(self._levels()[0], box, size), size), _greys(self._full_range())), np.uint8)

    def _part(self, levels: dict[int, Plane], box: tuple[int, int, int, int], size: tuple[int, int]) -> Plane:
        """A part of a plane, not below the size it is wanted in."""
        x1, y1, x2, y2 = box
        width, height = self._decoded.width, self._decoded.height
        # The picture at the scale the part is wanted in, rounded up: its halves serve as well as the picture itself.
        scale = min(1.0, max(size[0] / (x2 - x1), size[1] / (y2 - y1)))
        plane = self._near(levels, (ceil(width * scale), ceil(height * scale)))
        fx, fy = width / plane.shape[1], height / plane.shape[0]
        left, top = floor(x1 / fx), floor(y1 / fy)
        return plane[top : max(top + 1, ceil(y2 / fy)), left : max(left + 1, ceil(x2 / fx))]

    def _levels(self) -> list[dict[int, Plane]]:
        """Of Y, U and V: the plane, and its halves by how often it was halved."""
        if not self._halved:
            self._halved = [{0: _whole(plane)} for plane in self._decoded.planes]
        return self._halved

    def _near(self, levels: dict[int, Plane], size: tuple[int, int]) -> Plane:
        """The smallest halving of a plane that is not below a size."""
        for level in range(16):
            height, width = levels[level].shape
            if width % 2 or height % 2 or width // 2 < size[0] or height // 2 < size[1]:
                return levels[level]
            if level + 1 not in levels:
                levels[level + 1] = resized(levels[level], (width // 2, height // 2))
        return levels[level + 1]

    def _matrix(self) -> NDArray[np.float32]:
        """Larger pictures that do not say which matrix they are in are taken to be in BT.709."""
        name = int(self._decoded.colorspace)
        high = name == 1 or (name == 2 and self._decoded.height > 576)
        return _matrix(high, self._full_range())

    def _full_range(self) -> bool:
        return int(self._decoded.color_range) == _FULL_RANGE or str(self._decoded.format.name).startswith("yuvj")

    def _bgr(self, planes: list[Plane], size: tuple[int, int]) -> Image:
        return np.asarray(cv2.transform(cv2.merge([resized(plane, size) for plane in planes]), self._matrix()), np.uint8)


def _whole(plane: Any) -> Plane:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scaled to (width, height), averaging what becomes smaller by half or more; for less, four neighbours are as good and cost an eighth."""
    width, height = picture.shape[1], picture.shape[0]
    if (width, height) == size:
        return picture
    smaller = size[0] <= width and size[1] <= height and (2 * size[0] <= width or 2 * size[1] <= height)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


@lru_cache(maxsize=16)
def _matrix(high: bool, full: bool) -> NDArray[np.float32]:
    """(3, 4) from Y, U, V of 8 bits to B, G, R of 8 bits (ITU-T H.273, matrix coefficients 1 (`high`) and 5; `full` range or that of television)."""
    kr, kb = _BT709 if high else _BT601
    luma, chroma, black = (1.0, 1.0, 0.0) if full else (255 / 219, 255 / 224, 16.0)
    kg = 1 - kr - kb
    rows = np.array([[1, 2 * (1 - kb), 0], [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg], [1, 0, 2 * (1 - kr)]]) * [luma, chroma, chroma]
    offset = -(rows[:, 0] * black + (rows[:, 1] + rows[:, 2]) * 128)
    return np.column_stack([rows, offset]).astype(np.float32)


@lru_cache(maxsize=2)
def _greys(full: bool) -> Plane:
    """(256,) grey of each value of luma."""
    luma = np.arange(256, dtype=np.float32)
    return np.asarray(np.clip(np.round(luma if full else (luma - 16) * 255 / 219), 0, 255), np.uint8)
