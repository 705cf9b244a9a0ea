"""Which frames are analysed."""

from __future__ import annotations

from fractions import Fraction

from engine.sources.probe import MICROSECONDS


class Grid:
    """The first frame at or after each point k / fps of the recording's clock, whatever the segment."""

    def __init__(self, fps: float, before_us: int) -> None:
        """`before_us` is the time of the frame before the first one asked about, -1 for none."""
        self._fps = Fraction(fps).limit_denominator(1000)
        self._last = self.point(before_us) if before_us >= 0 else -1

    def point(self, t_us: int) -> int:
        """The last point at or before a time."""
        return int(t_us * self._fps.numerator // (self._fps.denominator * MICROSECONDS))

    def hit(self, t_us: int) -> bool:
        """Whether the next frame, shown at `t_us`, is analysed."""
        point = self.point(t_us)
        new, self._last = point > self._last, max(point, self._last)
        return new
