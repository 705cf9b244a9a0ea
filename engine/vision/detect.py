"""The detection cascade: looks just large enough for the faces known, a full look where it can change something.

Small faces need resolution, and SCRFD misses some that fill the picture unless it is shrunk, so a frame is looked at in two sizes, merged, at
the start of a shot and when the faces are not those of the frame before. In between one size is enough: the small one when it saw all faces
last time, else the large one, and at intervals both, or while there is nobody the large one. Where nothing changed but the faces known, it is a size
at which those are still certain to be found, or no look at all when there are none, or when every one of them still looks as it did a
moment ago: then they are where they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from engine.config import ObserveSettings
from engine.models.base import NOBODY, FaceDetector, Faces
from engine.sources.frame import Frame
from engine.vision.boxes import grown, iou, nms
from engine.vision.novelty import Scenery

NOT_RUN, SMALL, FULL, UNMOVED = 0, 1, 2, 3
"""Kinds of looks: none, as there is nobody; in one size; in two, or in the large one; none, as the faces of the look before are where they were."""

_SAME_FACE_IOU = 0.3

_SURE = 0.4
"""Score from which on a face that comes or goes is news."""

_FIRM = 0.7
"""Score from which on a face is looked at only every so often while its picture stays the same."""

_SIZE_STEP = 32
"""Networks take multiples of this; what is smaller is padded and costs the same."""

_LESS_SURE = 1.3
"""Faces that were lost in a look just large enough for them are followed in pictures this much larger for the rest of the shot."""

_STILL_INTERVALS = 3
"""Where nothing changes, full looks are this many intervals apart."""


@dataclass(frozen=True)
class Look:
    """What one look found: faces in normalised coordinates, and which kind of look it was."""

    faces: Faces
    kind: int


class FaceFinder:
    """Looks at analysed frames in time order and decides how closely."""

    def __init__(self, detector: FaceDetector, settings: ObserveSettings) -> None:
        self._detector = detector
        self._settings = settings
        self._full_size = max(settings.full_size, detector.min_size)
        self._small_size = min(max(settings.small_size, detector.min_size), self._full_size)
        self._interval: int | None = None
        self._faces = NOBODY
        self._size = self._small_size
        self._looked, self._looked_fully, self._found = Scenery(), Scenery(), Scenery()
        self._found_us = 0
        self._sure_px = float(detector.sure_px)

    def look(self, frame: Frame, new_shot: bool) -> Look:
        """Find the faces of a frame; `new_shot` says that the one before belongs to another shot."""
        if self._small_size >= min(self._full_size, max(frame.width, frame.height)):
            return Look(self._at(frame, self._full_size), FULL)
        if new_shot or self._interval is None:
            self._sure_px = float(self._detector.sure_px)
            return self._closely(frame, self._at(frame, self._small_size), self._small_size)
        due, changed = self._due(frame), self._looked.changed(frame, self._faces.boxes, self._settings.still_below)
        if not (due or changed):
            if not len(self._faces.scores):
                return Look(NOBODY, NOT_RUN)
            if self._still_there(frame):
                return Look(self._faces, UNMOVED)
        # Boxes of one face differ a little between sizes, so a known one is looked at in the usual size too whenever it is in the large one.
        alone = due and not len(self._faces.scores)
        size = self._full_size if alone else self._size if changed else min(self._size, self._following(frame))
        first = self._at(frame, size)
        same = _same_faces(self._faces, first)
        if not same and size < self._size:
            self._sure_px *= _LESS_SURE
        if not same or (due and not alone):
            return self._closely(frame, first, size)
        self._remember(frame, first)
        if size >= self._size:
            self._looked.remember(frame)
        if due:
            self._interval = self._interval_of(frame.t_us)
            self._looked_fully.remember(frame)
        return Look(first, FULL if size == self._full_size else SMALL)

    def _closely(self, frame: Frame, first: Faces, size: int) -> Look:
        """A look in two sizes, of which the first was taken."""
        small, full = self._small_size, self._full_size
        other = self._at(frame, small if size == full else full)
        faces = _merged(first, other, self._settings.nms_iou)
        if size in (small, full):
            self._size = small if _same_faces(faces, first if size == small else other) else full
        self._interval = self._interval_of(frame.t_us)
        self._remember(frame, faces)
        self._looked.remember(frame)
        self._looked_fully.remember(frame)
        return Look(faces, FULL)

    def _remember(self, frame: Frame, faces: Faces) -> None:
        self._faces, self._found_us = faces, frame.t_us
        self._found.remember(frame)

    def _still_there(self, frame: Frame) -> bool:
        """Whether all known faces are where they were a moment ago; of a face that scores low that is never sure: it may be turning or covered."""
        lately = frame.t_us - self._found_us < self._settings.unmoved_s * 1e6
        return lately and float(self._faces.scores.min()) >= _FIRM and self._found.unmoved(frame, self._faces.boxes)

    def _following(self, frame: Frame) -> int:
        """The long side at which the known faces are certain to be found."""
        boxes = self._faces.boxes
        if not len(boxes):
            return self._small_size
        heights = (boxes[:, 3] - boxes[:, 1]) * frame.height / max(frame.width, frame.height)
        wanted = self._sure_px / max(float(heights.min()), 1e-3)
        return max(self._detector.min_size, min(ceil(wanted / _SIZE_STEP) * _SIZE_STEP, self._full_size))

    def _interval_of(self, t_us: int) -> int:
        """Intervals are counted from the start of the recording, so that every segment takes its full looks at the same frames."""
        every = self._settings.full_every_s
        return int(t_us / (every * 1e6)) if every else t_us

    def _due(self, frame: Frame) -> bool:
        """Whether it is time for a full look; every so often without any change."""
        interval = self._interval_of(frame.t_us)
        if interval == self._interval:
            return False
        assert self._interval is not None
        late = interval // _STILL_INTERVALS > self._interval // _STILL_INTERVALS
        return late or not self._settings.full_every_s or self._looked_fully.changed(frame, self._faces.boxes, self._settings.still_below)

    def _at(self, frame: Frame, long_side: int) -> Faces:
        picture = frame.scaled(long_side)
        found = self._detector.detect(picture, min_score=self._settings.min_score, nms_iou=self._settings.nms_iou)
        size = np.array([picture.shape[1], picture.shape[0]], np.float32)
        boxes = (found.boxes / np.tile(size, 2)).astype(np.float32)
        return Faces(boxes, found.scores, (found.landmarks / size).astype(np.float32))


def _same_faces(a: Faces, b: Faces) -> bool:
    """Whether every sure face of each side is on the other; unsure ones come and go where nothing happens."""
    same = iou(grown(a.boxes, 0.2), grown(b.boxes, 0.2)) > _SAME_FACE_IOU
    return bool(same[a.scores >= _SURE].any(axis=1).all() and same[:, b.scores >= _SURE].any(axis=0).all())


def _merged(a: Faces, b: Faces, nms_iou: float) -> Faces:
    boxes, scores = np.concatenate([a.boxes, b.boxes]), np.concatenate([a.scores, b.scores])
    landmarks = np.concatenate([a.landmarks, b.landmarks])
    kept = nms(boxes, scores, nms_iou)
    return Faces(boxes[kept], scores[kept], landmarks[kept])
