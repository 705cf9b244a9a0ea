"""The detection cascade: a small look at most frames, a full look where it can change something.

A full look is two sizes merged: small faces need resolution, and SCRFD misses faces that fill the picture unless it is shrunk. It is taken
when the picture has changed (a new shot), at intervals, and when a small look loses a face or finds one.
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
CHANGED = 18.0
"""Mean difference of two frame signatures (0..255) above which the second shows something else."""

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
        self._small_size = max(settings.small_size, detector.min_size)
        self._last_full_us: int | None = None
        self._signature: NDArray[np.float32] | None = None
        self._faces: NDArray[np.float32] = np.zeros((0, 4), np.float32)

    def look(self, frame: Frame, signature: bytes) -> Look:
        """Find the faces of a frame."""
        small = self._at(frame, self._small_size)
        if self._small_size < self._full_size and self._needs_full(frame.t_us, signature, small):
            self._last_full_us = frame.t_us
            faces, kind = _merged(self._at(frame, self._full_size), small, self._settings.nms_iou), FULL
        else:
            faces, kind = small, SMALL if self._small_size < self._full_size else FULL
        self._signature = np.frombuffer(signature, np.uint8).astype(np.float32)
        self._faces = faces.boxes
        return Look(faces, kind)

    def _needs_full(self, t_us: int, signature: bytes, small: Faces) -> bool:
        if self._last_full_us is None or self._signature is None or t_us - self._last_full_us >= self._settings.full_every_s * 1e6:
            return True
        if float(np.abs(np.frombuffer(signature, np.uint8) - self._signature).mean()) > CHANGED:
            return True
        same = iou(grown(self._faces, 0.2), grown(small.boxes, 0.2)) > _SAME_FACE_IOU
        return not (same.any(axis=1).all() and same.any(axis=0).all())

    def _at(self, frame: Frame, long_side: int) -> Faces:
        picture = frame.scaled(long_side)
        found = self._detector.detect(picture, min_score=self._settings.min_score, nms_iou=self._settings.nms_iou)
        size = np.array([picture.shape[1], picture.shape[0]], np.float32)
        boxes: NDArray[np.float32] = (found.boxes / np.tile(size, 2)).astype(np.float32)
        return Faces(boxes, found.scores, (found.landmarks / size).astype(np.float32))


def _merged(a: Faces, b: Faces, nms_iou: float) -> Faces:
    boxes, scores = np.concatenate([a.boxes, b.boxes]), np.concatenate([a.scores, b.scores])
    landmarks = np.concatenate([a.landmarks, b.landmarks])
    kept = nms(boxes, scores, nms_iou)
    return Faces(boxes[kept], scores[kept], landmarks[kept])
