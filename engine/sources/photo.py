"""A picture file as a frame, so that faces are found and cut in it as in a video's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engine.errors import BadMedia
from engine.models.base import Grey, Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LARGEST_BYTES = 64 << 20
LARGEST_PIXELS = 100_000_000


class Photo:
    """A whole picture in memory; implements `engine.sources.frame.Frame`."""

    t_us = 0

    def __init__(self, picture: Image) -> None:
        self._picture = picture
        self.height, self.width = picture.shape[:2]

    def scaled(self, long_side: int) -> Image:
        """The whole picture with its long side at `long_side` pixels (never enlarged)."""
        factor = min(1.0, long_side / max(self.width, self.height))
        return _resized(self._picture, max(2, round(self.width * factor)), max(2, round(self.height * factor)))

    def crop(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Image:
        """A part of the picture, at most `max_size` pixels a side; edge pixels are repeated outside it."""
        left, top = round(x1 * self.width), round(y1 * self.height)
        right, bottom = max(left + 1, round(x2 * self.width)), max(top + 1, round(y2 * self.height))
        columns, rows = np.clip(np.arange(left, right), 0, self.width - 1), np.clip(np.arange(top, bottom), 0, self.height - 1)
        factor = min(1.0, max_size / max(right - left, bottom - top))
        part = self._picture[rows[:, None], columns]
        return _resized(part, max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor)))

    def grey(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Grey:
        """The same part in grey."""
        return np.asarray(cv2.cvtColor(self.crop(x1, y1, x2, y2, max_size), cv2.COLOR_BGR2GRAY), np.uint8)


def _resized(picture: Image, width: int, height: int) -> Image:
    if (picture.shape[1], picture.shape[0]) == (width, height):
        return np.ascontiguousarray(picture)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def read(path: Path) -> Photo:
    """Decode a picture, turned as its camera says.

    Raises:
        BadMedia: it cannot be read, is no picture, or is larger than any photo.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BadMedia(f"{path.name} has more than {LARGEST_BYTES >> 20} MB.", "Give a smaller picture.")
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise BadMedia(f"{path.name} cannot be read: {error.strerror}.", "Check the file and its permissions.") from error
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        decoded = None
    if decoded is None:
        raise BadMedia(f"{path.name} is not a picture that can be read.", "Use JPEG, PNG, WebP, BMP or TIFF.")
    if decoded.shape[0] * decoded.shape[1] > LARGEST_PIXELS:
        raise BadMedia(f"{path.name} has more than {LARGEST_PIXELS // 10**6} million pixels.", "Give a smaller picture.")
    return Photo(np.asarray(decoded, np.uint8))
