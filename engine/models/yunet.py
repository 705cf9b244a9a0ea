"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) through OpenCV's FaceDetectorYN, on the CPU."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engine.errors import ModelInvalid
from engine.models.base import Faces, Image

TOP_K = 5000

SCORES = np.array([[0, 0.14, 0.24, 0.67, 0.89, 0.91, 0.92, 0.93, 0.94, 1], [0, 0.12, 0.17, 0.56, 0.69, 0.76, 0.80, 0.84, 0.89, 1]])
"""YuNet's scores, and those SCRFD gives at the same quantiles of 1034 faces both found (small, dark, smeared, covered and plain ones, and a dark
stage): YuNet is as good as sure of nearly every face, so thresholds would mean something else for it."""


class YuNet:
    """A face detector; takes pictures of any size.

    Raises:
        ModelInvalid: OpenCV cannot open the file.
    """

    min_size = 128
    sure_px = 32

    def __init__(self, name: str, digest: str, path: Path) -> None:
        self.name = name
        self.digest = digest
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns at each opening about a target nobody asked for
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), top_k=TOP_K)
        except cv2.error as error:
            raise ModelInvalid(f"{path} cannot be opened by OpenCV: {error.err}.", "Run `rollcall model verify`.") from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        """Faces of one picture at the size it has; scores are on the common scale."""
        self._net.setInputSize((image.shape[1], image.shape[0]))
        self._net.setScoreThreshold(float(np.interp(min_score, SCORES[1], SCORES[0])))
        self._net.setNMSThreshold(nms_iou)
        rows = self._net.detect(image)[1]
        if rows is None:
            rows = np.zeros((0, 15), np.float32)
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        boxes = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        scores = np.interp(rows[:, 14], SCORES[0], SCORES[1]).astype(np.float32)
        return Faces(boxes, scores, rows[:, 4:14].reshape(-1, 5, 2))
