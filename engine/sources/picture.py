"""A decoded frame as displayed: converted when asked for, only where asked for, and only as large as asked for."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from engine.models.base import Grey, Image
from engine.sources.planes import PLANAR, Planes, resized

_TURN = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
_AREA = "AREA"

Box = tuple[int, int, int, int]
Size = tuple[int, int]


class Converter:
    """swscale contexts of one stream, one a size; making them anew for every frame would cost more than the conversion. Several threads may ask at
    once: a context serves one of them at a time."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Any] = {}
        self._lock = Lock()

    def bgr(self, decoded: Any, width: int, height: int) -> Image:
        """The stored picture at a size."""
        with self._lock:
            made = self._made.setdefault((width, height), VideoReformatter())
            # One thread: swscale starts and ends its threads in every call, which takes longer than scaling a frame.
            scaled = made.reformat(decoded, width, height, "bgr24", interpolation=_AREA, threads=1)
        picture: Image = scaled.to_ndarray()
        return picture


class DecodedFrame:
    """A frame of a video stream; implements `engine.sources.frame.Frame`.

    Args:
        decoded: PyAV's frame.
        t_us: its time.
        size: displayed (width, height).
        rotation: counter-clockwise degrees from the stored to the displayed picture: 0, 90, 180 or 270.
        converter: of the stream.
    """

    def __init__(self, decoded: Any, t_us: int, size: tuple[int, int], rotation: int, converter: Converter) -> None:
        self.t_us = t_us
        self.width, self.height = size
        self._decoded = decoded
        self._rotation = rotation
        self._converter = converter
        self._planes = Planes(decoded) if decoded.format.name in PLANAR else None
        self._scaled: dict[int, Image] = {}
        self._whole: Image | None = None

    def scaled(self, long_side: int) -> Image:
        """The whole picture with its long side at `long_side` pixels (never enlarged beyond the source)."""
        factor = min(1.0, long_side / max(self.width, self.height))
        width, height = max(2, round(self.width * factor)), max(2, round(self.height * factor))
        if width not in self._scaled:
            stored = (height, width) if self._rotation in (90, 270) else (width, height)
            picture = self._planes.whole(stored) if self._planes is not None else self._converter.bgr(self._decoded, *stored)
            self._scaled[width] = _turned(picture, self._rotation)
        return self._scaled[width]

    def crop(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Image:
        """A part of the picture at source resolution, at most `max_size` pixels a side; edge pixels are repeated outside it.

        The part is brought to whole pixels of the displayed picture first.
        """
        return self._cut((x1, y1, x2, y2), max_size, self._region)

    def grey(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Grey:
        """The same part in grey: of planar pictures only the luma is looked at."""
        return self._cut((x1, y1, x2, y2), max_size, self._luma)

    def _cut(self, box: tuple[float, float, float, float], max_size: int, region: Callable[[Box, Size], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """A part of the displayed picture, made by a function that is given one inside it and the size wanted."""
        x1, y1, x2, y2 = box
        left, top = round(x1 * self.width), round(y1 * self.height)
        right, bottom = max(left + 1, round(x2 * self.width)), max(top + 1, round(y2 * self.height))
        factor = min(1.0, max_size / max(right - left, bottom - top))
        a, b = min(max(left, 0), self.width - 1), min(max(top, 0), self.height - 1)
        c, d = max(a + 1, min(right, self.width)), max(b + 1, min(bottom, self.height))
        above, below, before, after = (max(0, round(pad * factor)) for pad in (b - top, bottom - d, a - left, right - c))
        target = (max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor)))
        inner = (max(1, target[0] - before - after), max(1, target[1] - above - below))
        picture = region((a, b, c, d), inner)
        if above or below or before or after:
            picture = np.asarray(cv2.copyMakeBorder(picture, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
        return np.ascontiguousarray(picture, dtype=np.uint8)

    def _region(self, box: Box, target: Size) -> Image:
        """A part inside the displayed picture, scaled to a displayed size."""
        part, size = self._as_stored(box, target)
        if self._planes is not None:
            return _turned(self._planes.part(part, size), self._rotation)
        if self._whole is None:
            self._whole = self._converter.bgr(self._decoded, self._decoded.width, self._decoded.height)
        whole = self._whole
        return _turned(resized(whole[part[1] : part[3], part[0] : part[2]], size), self._rotation)

    def _luma(self, box: Box, target: Size) -> Grey:
        """The same in grey."""
        if self._planes is None:
            return np.asarray(cv2.cvtColor(self._region(box, target), cv2.COLOR_BGR2GRAY), np.uint8)
        return _turned(self._planes.luma(*self._as_stored(box, target)), self._rotation)

    def _as_stored(self, box: Box, target: Size) -> tuple[Box, Size]:
        """A part of the displayed picture and a size, in pixels of the stored one; they differ by the pixel aspect and by turns."""
        width, height = self._decoded.width, self._decoded.height
        turned = self._rotation in (90, 270)
        x1, y1, x2, y2 = _stored(box, self.width, self.height, self._rotation)
        across, down = (self.height, self.width) if turned else (self.width, self.height)
        part = (x1 * width // across, y1 * height // down, -(-x2 * width // across), -(-y2 * height // down))
        return part, (target[1], target[0]) if turned else target


def _turned(picture: NDArray[np.uint8], rotation: int) -> NDArray[np.uint8]:
    turned: NDArray[np.uint8] = np.asarray(cv2.rotate(picture, _TURN[rotation]), np.uint8) if rotation in _TURN else np.ascontiguousarray(picture)
    return turned


def _stored(box: Box, width: int, height: int, rotation: int) -> Box:
    """A box of the displayed picture (width x height) in the picture before it was turned."""
    x1, y1, x2, y2 = box
    if rotation == 90:
        return height - y2, x1, height - y1, x2
    if rotation == 180:
        return width - x2, height - y2, width - x1, height - y1
    if rotation == 270:
        return y1, width - x2, y2, width - x1
    return box
