"""dlib's frontal face detector: HOG features and linear filters (King, 2015), with the 5-point shape predictor. Comes with the packages."""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Faces, Image
from engine.models.scrfd import suppressed

ADJUST = -0.5
"""How far below dlib's own threshold a filter's answer may lie."""

STEEPNESS, OFFSET = 4.0, 1.2
"""Score = logistic(STEEPNESS * answer + OFFSET): 0.31 at ADJUST, 0.5 at -0.3, 0.77 at dlib's threshold. On 142 test pictures every answer over
-0.2 was a face and about half of those between -0.8 and -0.2; a fit gives an offset of 2.4, and half of it allows for emptier pictures."""

ENLARGE_BELOW = 480
"""Pictures with a shorter long side are doubled, as HOG sees nothing under 75 pixels; it costs less than 50 ms."""


class DlibHog:
    """A face detector for upright frontal faces from about 75 pixels."""

    min_size = 960
    sure_px = 100

    def __init__(self, name: str, digest: str, points: Path) -> None:
        self.name = name
        self.digest = digest
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(points))

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        """Faces of one picture at the size it has; the mouth's corners are NaN."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        twice = int(max(grey.shape) <= ENLARGE_BELOW)
        found, answers, _ = self._detector.run(grey, twice, ADJUST)
        boxes = np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in found], np.float32).reshape(-1, 4)
        points = np.array([five_points(self._predictor(grey, rectangle)) for rectangle in found], np.float32).reshape(-1, 5, 2)
        return suppressed(boxes, score(np.array(answers, np.float32)), points, min_score, nms_iou)


def score(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filter answers (0 is dlib's own threshold) as scores in 0..1."""
    scores: NDArray[np.float32] = (1 / (1 + np.exp(-(STEEPNESS * answers + OFFSET)))).astype(np.float32)
    return scores


def five_points(shape: dlib.full_object_detection) -> NDArray[np.float32]:
    """(5, 2) points in the order of `Faces.landmarks` from dlib's five: corners of the eye on the viewer's right, of the other, base of the nose."""
    parts = np.array([[part.x, part.y] for part in shape.parts()], np.float32)
    nothing = np.full(2, np.nan, np.float32)
    return np.stack([parts[2:4].mean(axis=0), parts[0:2].mean(axis=0), parts[4], nothing, nothing])
