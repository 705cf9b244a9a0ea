"""Hard cuts by PySceneDetect's adaptive detector, fed with frames that were decoded anyway, and flashes taken out again.

Only the frames around a change are looked at: those that are analysed are compared with one another first, and where two are alike there is
no cut between them. Every decision needs only the frames near it, so the cuts are the same however a recording is divided into segments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.sources.frame import Frame
from engine.tables import CUTS

PICTURE_LONG_SIDE = 128
"""Cuts are told apart on pictures of this size: a cut changes all of it, and it costs half a millisecond."""

NOMINAL_FPS = 25.0
"""PySceneDetect counts frames; this only turns counts into its time codes. Real times are kept beside and come from PTS."""

RETURNED = 0.35
"""A picture differing from the one before a jump by less than this share of the jump is the old shot again: it was a flash."""

LEAST_CONTENT = 15.0
"""Mean change of hue, saturation and value (0..255) that a cut makes at least, from one frame to the next (PySceneDetect's own default)."""

ALIKE = LEAST_CONTENT / 2
"""Two analysed frames that differ by less have no cut between them: for that, motion would have to undo half of one."""

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


@dataclass
class _Seen:
    """A frame and its place in the order of frames; `suspect` says whether a cut may be at it, None while that is not known."""

    number: int
    frame: Frame
    suspect: bool | None = None

    def picture(self) -> Image:
        return self.frame.scaled(PICTURE_LONG_SIDE)

    @cached_property
    def thumb(self) -> Thumb:
        return np.asarray(cv2.resize(self.picture(), _THUMB, interpolation=cv2.INTER_AREA), np.float32)


class _Detector(AdaptiveDetector):  # type: ignore[misc]  # PySceneDetect comes without types
    """PySceneDetect's, with its frame score taken at once from all three channels, which costs a fifth."""

    _before: NDArray[np.uint8] | None = None

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: Image) -> float:
        before, self._before = self._before, _hsv(frame_img)
        return 0.0 if before is None else _content(before, self._before)


class CutDetector:
    """Feed it every decoded frame in time order; `cuts` holds the times of first frames of new shots, certain before `settled_us`.

    Memory: the frames since the last two that are analysed, and a few before them.
    """

    def __init__(self, settings: ObserveSettings) -> None:
        self._threshold = settings.cut_threshold
        self._min_shot_us = round(settings.min_shot_s * 1e6)
        self._recent: deque[_Seen] = deque()
        self._compared: NDArray[np.uint8] | None = None
        self._detector = self._new_detector()
        self._next, self._until = 0, -1
        self._settled, self._settled_us = -1, 0
        self._pending: list[_Candidate] = []
        self._flash_until_us = -1
        self.cuts: list[int] = []
        self.settled_us = 0

    def push(self, frame: Frame, analysed: bool) -> None:
        """Take the next frame; of those that are not `analysed`, the pictures are looked at only where something changes."""
        seen = _Seen(self._recent[-1].number + 1 if self._recent else 0, frame)
        self._recent.append(seen)
        if analysed or seen.number == 0:
            self._suspect()
        self._examine()
        self._settle()

    def finish(self) -> None:
        """Decide what is left; no more frames come."""
        if self._recent:
            self._suspect()
            self._examine()
        self._decide(None)

    def table(self) -> pa.Table:
        """All cuts so far (schema CUTS)."""
        return pa.table({"t_us": pa.array(self.cuts, pa.int64())}, schema=CUTS)

    def _new_detector(self) -> _Detector:
        # The shortest shot is held in microseconds below: frame counts would be wrong at a variable rate.
        return _Detector(adaptive_threshold=self._threshold, min_scene_len=0, window_width=_WINDOW, min_content_val=LEAST_CONTENT)

    def _suspect(self) -> None:
        """Compare the last frame with the one compared before it; between the two all frames are suspect, or none is."""
        before, self._compared = self._compared, _hsv(self._recent[-1].picture())
        suspect = before is not None and _content(before, self._compared) >= ALIKE
        new = [seen for seen in self._recent if seen.suspect is None]
        for seen in new:
            seen.suspect = suspect
        for candidate in self._pending:
            self._compare(candidate, self._recent[-1])
        if suspect and new:
            # A frame is judged by the changes of two frames on either side of it, and a change takes two frames.
            first = max(0, new[0].number - _WINDOW - 1)
            if first > self._next:
                self._detector, self._next = self._new_detector(), first
            self._until = new[-1].number + _WINDOW

    def _examine(self) -> None:
        """Feed the frames around suspect ones to the detector."""
        for seen in list(self._recent):
            if self._next <= seen.number <= self._until:
                for candidate in self._pending:
                    self._compare(candidate, seen)
                found = self._detector.process_frame(FrameTimecode(seen.number, NOMINAL_FPS), seen.picture())
                self._next = seen.number + 1
                for code in found:
                    self._propose(code.frame_num)

    def _settle(self) -> None:
        """Note how far it is known which frames may be cuts, and forget the frames nothing needs any more."""
        for seen in self._recent:
            if seen.number > self._settled:
                if seen.suspect is None or (seen.suspect and self._next <= seen.number + _WINDOW):
                    break
                self._settled, self._settled_us = seen.number, seen.frame.t_us + 1
        self._decide(self._settled_us)
        self.settled_us = min(self._pending[0].t_us, self._settled_us) if self._pending else self._settled_us
        while self._recent[0].number < self._settled - _WINDOW:
            self._recent.popleft()

    def _propose(self, number: int) -> None:
        """A frame may start a shot."""
        recent = list(self._recent)
        at = number - recent[0].number
        if not recent[at].suspect:
            return
        candidate = _Candidate(recent[at].frame.t_us, recent[at - 1].thumb, _difference(recent[at - 1].thumb, recent[at].thumb))
        for later in recent[at + 1 :]:
            if later.number < self._next:
                self._compare(candidate, later)
        self._pending.append(candidate)

    def _compare(self, candidate: _Candidate, seen: _Seen) -> None:
        since = seen.frame.t_us - candidate.t_us
        near = 0 < since < self._min_shot_us and (candidate.returned_us is None or seen.frame.t_us < candidate.returned_us)
        if near and _difference(candidate.before, seen.thumb) < RETURNED * candidate.jump:
            candidate.returned_us = seen.frame.t_us

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


def _hsv(picture: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), np.uint8)


def _content(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean change of hue, saturation and value: PySceneDetect's content value with its own weights."""
    return cv2.norm(a, b, cv2.NORM_L1) / a.size


def _difference(a: Thumb, b: Thumb) -> float:
    return float(np.abs(a - b).mean())


def signature(picture: Image) -> bytes:
    """8 x 8 x 3 mean colours of a picture: enough to know a camera set-up again."""
    return bytes(cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA).tobytes())
