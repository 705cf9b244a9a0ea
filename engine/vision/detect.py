"""The detection cascade: a small look at most frames, a full look where it can change something.

Small faces need resolution, and SCRFD misses some that fill the picture unless it is shrunk, so a frame is looked at in two sizes, merged, at
the start of a shot, at intervals, and when the faces are not those of the frame before. In between one size is enough: the small one
when it saw all faces last time, else the large one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config import ObserveSettings
from engine.models.base import FaceDetector, Faces
from engine.sources.frame import Frame
from engine.vision.boxes import grown, iou, nms

SMALL, FULL = 1, 2

_SAME_FACE_IOU = 0.3


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
        self._faces: NDArray[np.float32] = np.zeros((0, 4), np.float32)
        self._size = self._small_size

    def look(self, frame: Frame, new_shot: bool) -> Look:
        """Find the faces of a frame; `new_shot` says that the one before belongs to another shot."""
        full, small = self._full_size, self._small_size
        if small >= min(full, max(frame.width, frame.height)):
            return Look(self._at(frame, full), FULL)
        due = self._due(frame.t_us) or new_shot or self._interval is None
        first = self._at(frame, self._size)
        if not due and _same_faces(self._faces, first.boxes):
            self._faces = first.boxes
            return Look(first, FULL if self._size == full else SMALL)
        other = self._at(frame, small if self._size == full else full)
        faces = _merged(first, other, self._settings.nms_iou)
        seen_small = first if self._size == small else other
        self._size = small if _same_faces(faces.boxes, seen_small.boxes) else full
        self._interval, self._faces = self._interval_of(frame.t_us), faces.boxes
        return Look(faces, FULL)

    def _interval_of(self, t_us: int) -> int:
        """Intervals are counted from the start of the recording, so that every segment takes its full looks at the same frames."""
        every = self._settings.full_every_s
        return int(t_us / (every * 1e6)) if every else t_us

    def _due(self, t_us: int) -> bool:
        return self._interval != self._interval_of(t_us)

    def _at(self, frame: Frame, long_side: int) -> Faces:
        picture = frame.scaled(long_side)
        found = self._detector.detect(picture, min_score=self._settings.min_score, nms_iou=self._settings.nms_iou)
        size = np.array([picture.shape[1], picture.shape[0]], np.float32)
        boxes = (found.boxes / np.tile(size, 2)).astype(np.float32)
        return Faces(boxes, found.scores, (found.landmarks / size).astype(np.float32))


def _same_faces(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether every face of each side is on the other."""
    same = iou(grown(a, 0.2), grown(b, 0.2)) > _SAME_FACE_IOU
    return bool(same.any(axis=1).all() and same.any(axis=0).all())


def _merged(a: Faces, b: Faces, nms_iou: float) -> Faces:
    boxes, scores = np.concatenate([a.boxes, b.boxes]), np.concatenate([a.scores, b.scores])
    landmarks = np.concatenate([a.landmarks, b.landmarks])
    kept = nms(boxes, scores, nms_iou)
    return Faces(boxes[kept], scores[kept], landmarks[kept])
