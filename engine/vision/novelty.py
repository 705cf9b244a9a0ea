"""Whether anything new can have come into the picture, told from very small pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.sources.frame import Frame
from engine.vision.shots import PICTURE_LONG_SIDE

BLOCK = 8
"""Changes are looked for in blocks of this many pixels of the small picture: the mean of one loses grain, not a small face."""

_AROUND = 0.6
"""Faces move, and hair and shoulders with them: known faces are grown by this share of their size before what lies outside them is looked at."""


class Scenery:
    """The picture as it was when it was last looked at closely."""

    def __init__(self) -> None:
        self._then: NDArray[np.uint8] | None = None

    def remember(self, frame: Frame) -> None:
        """This frame was looked at closely."""
        self._then = frame.scaled(PICTURE_LONG_SIDE)

    def changed(self, frame: Frame, faces: NDArray[np.float32], least: float) -> bool:
        """Whether a block that lies outside all known faces differs by `least` grey levels or more from then; always so when nothing is remembered.

        Args:
            faces: (n, 4) normalised.
        """
        now = frame.scaled(PICTURE_LONG_SIDE)
        if self._then is None or self._then.shape != now.shape:
            return True
        difference = cv2.absdiff(now, self._then)
        height, width = now.shape[:2]
        for x1, y1, x2, y2 in faces.tolist():
            dx, dy = _AROUND * (x2 - x1), _AROUND * (y2 - y1)
            a, b, c, d = (x1 - dx) * width, (y1 - dy) * height, (x2 + dx) * width, (y2 + dy) * height
            difference[max(0, round(b)) : max(0, round(d)), max(0, round(a)) : max(0, round(c))] = 0
        blocks = cv2.resize(difference, (max(1, width // BLOCK), max(1, height // BLOCK)), interpolation=cv2.INTER_AREA)
        return bool(blocks.max() >= least)
