"""One decoded frame, whatever the source."""

from __future__ import annotations

from typing import Protocol

from engine.models.base import Grey, Image


class Frame(Protocol):
    """A frame as displayed: rotation and pixel aspect are already applied to `width`, `height` and every picture taken from it."""

    t_us: int
    """Microseconds of the recording's own clock, from the frame's PTS."""
    width: int
    height: int

    def scaled(self, long_side: int) -> Image:
        """The whole picture with its long side at `long_side` pixels (never enlarged beyond the source)."""
        ...

    def crop(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Image:
        """A part of the picture at source resolution, at most `max_size` pixels a side; normalised coordinates, which may reach
        outside the picture (edge pixels are repeated there)."""
        ...

    def grey(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Grey:
        """The same part in grey."""
        ...
