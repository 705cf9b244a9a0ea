"""Which packets have to be decoded.

No other picture is made from some (non-reference) ones, about half of them where an encoder uses B-frames, so passing over one costs nothing but
itself. The first picture of each point of the analysis grid is needed, and every picture where a cut may be: an encoder that meets a new scene
writes its next reference picture nearly anew, so its packet is large. It comes before the packets of the pictures shown between it and the
reference before it, in time to decode them all.

Everything is measured inside one group of pictures, so that a recording gives the same pictures wherever it is divided.
"""

from __future__ import annotations

from collections import deque
from statistics import median

from engine.sources.grid import Grid

NEW_JUMP = 2.0
"""A packet this many times as large as those before it in its group holds much that is new..."""

QUIET_SHARE = 0.03
"""... unless it is smaller than this share of the key picture: where next to nothing moves, sizes vary by chance."""

_REMEMBERED = 16


class Sparing:
    """Fed with the packets of a stream in the order of the file."""

    def __init__(self, fps: float) -> None:
        self._grid = Grid(fps, -1)
        self._first: dict[int, int] = {}
        self._latest_us = -1
        self._key_bytes = 0
        self._sizes: deque[int] = deque(maxlen=_REMEMBERED)
        self._new = True

    def needed(self, t_us: int, size: int, key: bool) -> bool:
        """Whether the picture shown at `t_us`, in a packet of `size` bytes, must be decoded although no other may need it."""
        if key or t_us > self._latest_us:
            self._latest_us = t_us
            self._new = self._is_new(size, key)
        return self._starts_a_point(t_us) or self._new

    def _is_new(self, size: int, key: bool) -> bool:
        """Whether a picture later than all before it holds much that they do not."""
        if key:
            self._key_bytes = size
            self._sizes.clear()
            return True
        usual = median(self._sizes) if self._sizes else 0.0  # after a key picture nobody knows yet what is usual
        self._sizes.append(size)
        return size > max(NEW_JUMP * usual, QUIET_SHARE * self._key_bytes)

    def _starts_a_point(self, t_us: int) -> bool:
        """Whether no earlier picture of the same grid point was met: pictures between two references come in time order or nearly so."""
        point = self._grid.point(t_us)
        first = self._first.get(point)
        if first is not None and first < t_us:
            return False
        self._first[point] = t_us
        for old in [known for known in self._first if known < point - _REMEMBERED]:
            del self._first[old]
        return True
