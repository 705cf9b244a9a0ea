"""Hard cuts by PySceneDetect's adaptive detector, fed with frames that were decoded anyway, and flashes taken out again.

Every decision needs only the frames near it, so the cuts are the same however a recording is divided into segments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.tables import CUTS

PICTURE_LONG_SIDE = 128
"""Cuts are told apart on pictures of this size: a cut changes all of it, and it costs half a millisecond."""

NOMINAL_FPS = 25.0
"""PySceneDetect counts frames; this only turns counts into its time codes. Real times are kept beside and come from PTS."""

RETURNED = 0.35
"""A picture differing from the one before a jump by less than this share of the jump is the old shot again: it was a flash."""

_WINDOW = 2
_THUMB = (16, 9)

Thumb = NDArray[np.float32]


@dataclass
class _Candidate:
    """A jump at `t_us` that may be a cut; `returned_us` is when the old picture came back."""

    t_us: int
    before: Thumb
    jump: float
    returned_us: int | None = None


class CutDetector:
    """Feed it every decoded frame in time order; `cuts` holds the times of first frames of new shots, certain before `settled_us`."""

    def __init__(self, settings: ObserveSettings) -> None:
        # The shortest shot is held in microseconds below: frame counts would be wrong at a variable rate.
        self._detector = AdaptiveDetector(adaptive_threshold=settings.cut_threshold, min_scene_len=0, window_width=_WINDOW)
        self._min_shot_us = round(settings.min_shot_s * 1e6)
        self._count = 0
        self._recent: deque[tuple[int, Thumb]] = deque(maxlen=2 * _WINDOW + 2)
        self._pending: list[_Candidate] = []
        self._flash_until_us = -1
        self.cuts: list[int] = []
        self.settled_us = 0

    def push(self, t_us: int, picture: Image) -> None:
        """Take the next frame (its long side about PICTURE_LONG_SIDE)."""
        thumb = cv2.resize(picture, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        self._recent.append((t_us, thumb))
        found = self._detector.process_frame(FrameTimecode(self._count, NOMINAL_FPS), picture)
        self._count += 1
        for candidate in self._pending:
            self._compare(candidate, t_us, thumb)
        for code in found:
            self._propose(len(self._recent) - (self._count - code.frame_num))
        self._decide(t_us)
        next_target = self._recent[-min(len(self._recent), _WINDOW)][0]
        self.settled_us = min(self._pending[0].t_us, next_target) if self._pending else next_target

    def finish(self) -> None:
        """Decide what is left; no more frames come."""
        self._decide(None)

    def table(self) -> pa.Table:
        """All cuts so far (schema CUTS)."""
        return pa.table({"t_us": pa.array(self.cuts, pa.int64())}, schema=CUTS)

    def _propose(self, at: int) -> None:
        """The frame at this place of the recent ones may start a shot."""
        recent = list(self._recent)
        t_us, before = recent[at][0], recent[at - 1][1]
        candidate = _Candidate(t_us, before, _difference(before, recent[at][1]))
        for later_us, later in recent[at + 1 :]:
            self._compare(candidate, later_us, later)
        self._pending.append(candidate)

    def _compare(self, candidate: _Candidate, t_us: int, thumb: Thumb) -> None:
        near = candidate.returned_us is None and t_us - candidate.t_us < self._min_shot_us
        if near and _difference(candidate.before, thumb) < RETURNED * candidate.jump:
            candidate.returned_us = t_us

    def _decide(self, now_us: int | None) -> None:
        while self._pending:
            first = self._pending[0]
            old_enough = now_us is None or now_us - first.t_us >= self._min_shot_us
            if first.returned_us is None and not old_enough:
                return
            self._pending.pop(0)
            if first.t_us <= self._flash_until_us:
                continue
            if first.returned_us is not None:
                self._flash_until_us = first.returned_us
            elif not self.cuts or first.t_us - self.cuts[-1] >= self._min_shot_us:
                self.cuts.append(first.t_us)


def _difference(a: Thumb, b: Thumb) -> float:
    return float(np.abs(a - b).mean())


def signature(picture: Image) -> bytes:
    """8 x 8 x 3 mean colours of a picture: enough to know a camera set-up again."""
    return bytes(cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA).tobytes())
