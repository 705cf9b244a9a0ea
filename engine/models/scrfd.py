"""SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022), decoded from its nine outputs.

Its own class in insightface keeps a session per input size; here one session takes every size, as the graph allows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelInvalid
from engine.models.base import NOBODY, Faces, Image

STRIDES = (8, 16, 32)
ANCHORS = 2
PROBE = (1, 3, 320, 320)
"""Shape of a picture for a first run."""


class Scrfd:
    """A face detector on an onnxruntime session of an SCRFD graph with key points.

    Raises:
        ModelInvalid: the graph does not have nine outputs.
    """

    min_size = 128
    sure_px = 32

    def __init__(self, name: str, digest: str, session: Any) -> None:
        self.name = name
        self.digest = digest
        self._session = session
        self._input = session.get_inputs()[0].name
        if len(session.get_outputs()) != 3 * len(STRIDES):
            raise ModelInvalid(f"{name} has {len(session.get_outputs())} outputs; an SCRFD with key points has nine.")

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        """Faces of one picture at the size it has; black is added on the right and below up to multiples of 32."""
        outputs = self._session.run(None, {self._input: _blob(image)})
        height, width = (-(-side // 32) * 32 for side in image.shape[:2])
        scores, boxes, points = [], [], []
        for level, stride in enumerate(STRIDES):
            score = outputs[level].reshape(-1)
            found = np.flatnonzero(score >= min_score)
            if not len(found):
                continue
            centres = _centres(height // stride, width // stride, stride)[found]
            distance = outputs[level + 3].reshape(-1, 4)[found] * stride
            scores.append(score[found])
            boxes.append(np.hstack([centres - distance[:, :2], centres + distance[:, 2:]]))
            points.append(centres[:, None] + outputs[level + 6].reshape(-1, 5, 2)[found] * stride)
        if not scores:
            return NOBODY
        return suppressed(np.concatenate(boxes), np.concatenate(scores), np.concatenate(points), min_score, nms_iou)


def suppressed(boxes: NDArray[np.float32], scores: NDArray[np.float32], points: NDArray[np.float32], min_score: float, nms_iou: float) -> Faces:
    """Faces left by greedy non-maximum suppression, best score first; (n, 4), (n,) and (n, 5, 2) arrays."""
    if len(scores) == 1:
        return Faces(boxes.astype(np.float32), scores.astype(np.float32), points.astype(np.float32))
    sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = np.array(cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), min_score, nms_iou), np.int64).reshape(-1)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return Faces(boxes[kept].astype(np.float32), scores[kept].astype(np.float32), points[kept].astype(np.float32))


def _blob(image: Image) -> NDArray[np.float32]:
    """(1, 3, height, width) RGB in about -1..1, sides padded with black to multiples of 32."""
    bottom, right = (-side % 32 for side in image.shape[:2])
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    blob: NDArray[np.float32] = cv2.dnn.blobFromImage(image, 1 / 128, None, (127.5, 127.5, 127.5), swapRB=True)
    return blob


@lru_cache(maxsize=64)
def _centres(rows: int, columns: int, stride: int) -> NDArray[np.float32]:
    """(rows * columns * ANCHORS, 2) anchor centres, pixels."""
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * stride
    return np.repeat(grid, ANCHORS, axis=0).astype(np.float32)
