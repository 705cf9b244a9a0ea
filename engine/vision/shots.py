"""Hard cuts by PySceneDetect's adaptive detector, fed with frames that were decoded anyway."""

from __future__ import annotations

from collections import deque

import cv2
import pyarrow as pa
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.tables import CUTS

PICTURE_LONG_SIDE = 128
"""Cuts are told apart on pictures of this size: a cut changes all of it, and it costs half a millisecond."""

NOMINAL_FPS = 25.0
"""PySceneDetect counts frames; this only turns counts into its time codes. Real times are kept beside and come from PTS."""

_WINDOW = 2


class CutDetector:
    """Feed it every decoded frame in time order; cuts come out a few frames later, at the exact time of the new shot's first frame."""

    def __init__(self, settings: ObserveSettings) -> None:
        # The shortest shot is held in microseconds below: frame counts would be wrong at a variable rate.
        self._detector = AdaptiveDetector(adaptive_threshold=settings.cut_threshold, min_scene_len=0, window_width=_WINDOW)
        self._min_shot_us = round(settings.min_shot_s * 1e6)
        self._count = 0
        self._recent: deque[tuple[int, int]] = deque(maxlen=2 * _WINDOW + 2)
        self._cuts: list[int] = []
        self._first_us: int | None = None

    def push(self, t_us: int, picture: Image) -> int | None:
        """Take the next frame (its long side about PICTURE_LONG_SIDE); returns the time of a cut that has just become certain."""
        if self._first_us is None:
            self._first_us = t_us
        self._recent.append((self._count, t_us))
        found = self._detector.process_frame(FrameTimecode(self._count, NOMINAL_FPS), picture)
        self._count += 1
        if not found:
            return None
        times = dict(self._recent)
        at = times[found[0].frame_num]
        last = self._cuts[-1] if self._cuts else self._first_us
        if at - last < self._min_shot_us:
            return None
        self._cuts.append(at)
        return at

    def table(self) -> pa.Table:
        """All cuts so far (schema CUTS)."""
        return pa.table({"t_us": pa.array(self._cuts, pa.int64())}, schema=CUTS)


def signature(picture: Image) -> bytes:
    """8 x 8 x 3 mean colours of a picture: enough to know a camera set-up again."""
    return bytes(cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA).tobytes())
