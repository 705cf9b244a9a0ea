"""Whether anything new can have come into the picture, and whether faces have moved, told from very small pictures."""

from __future__ import annotations

from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.sources.frame import Frame
from engine.vision.shots import PICTURE_LONG_SIDE

BLOCK = 8
"""Changes are looked for in blocks of this many pixels of the small picture: the mean of one loses grain, not a small face."""

_AROUND = 0.6
"""Faces move, and hair and shoulders with them: known faces are grown by this share of their size before what lies outside them is looked at."""

SAME_FACE = 0.12
"""A face whose picture changes by less than this share of its contrast is where it was: in 1,700 pairs of frames a sixth of a second apart
(panel, stage, talking heads, made slices) the boxes of such a face always had an IoU of 0.7 or more, and nine in ten of its points had moved by
less than 2.5 % of its height."""


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

    def unmoved(self, frame: Frame, faces: NDArray[np.float32]) -> bool:
        """Whether every face still looks as it did then; not so when nothing is remembered.

        Args:
            faces: (n, 4) normalised, as they were then.
        """
        now = frame.scaled(PICTURE_LONG_SIDE)
        if self._then is None or self._then.shape != now.shape:
            return False
        height, width = now.shape[:2]
        for x1, y1, x2, y2 in np.clip(faces, 0, 1).tolist():
            at = slice(floor(y1 * height), ceil(y2 * height)), slice(floor(x1 * width), ceil(x2 * width))
            before, after = self._then[at], now[at]
            if not before.size:
                return False
            contrast = float(cv2.meanStdDev(before)[1].mean())
            if cv2.norm(before, after, cv2.NORM_L1) > SAME_FACE * max(contrast, 1.0) * before.size:
                return False
        return True
