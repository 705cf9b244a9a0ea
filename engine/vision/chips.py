"""Candidate pictures: the best crop of each face every half second, so that tracking and embedding never decode the video again.

Faces are followed by a greedy chain of overlapping boxes; it only has to be good enough to spread the crops over faces and time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Image
from engine.sources.frame import Frame
from engine.tables import BODY_DIMS
from engine.vision.boxes import grown, iou
from engine.vision.quality import sharpness

MARGIN = 0.4
"""Room kept around the box, as a share of its longer side."""

MAX_SIDE = 192
JPEG_QUALITY = 92
_LINK_IOU = 0.25
_WORTH_A_LOOK = 0.8
_BODY_CELLS = 3


@dataclass
class Crop:
    """A candidate picture of one detection."""

    det: int
    image: Image
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    body: NDArray[np.float32]
    sharpness: float
    quality: float


@dataclass
class _Chain:
    box: NDArray[np.float32]
    seen_us: int
    window_us: int
    best_guess: float = -1.0
    best: Crop | None = None
    sharpness: float = 0.5


class ChipKeeper:
    """Follows faces from analysed frame to analysed frame and keeps their best crops. Memory: one crop a face in the picture."""

    def __init__(self, every_us: int, forget_us: int) -> None:
        self._every_us = every_us
        self._forget_us = forget_us
        self._chains: list[_Chain] = []
        self.kept: list[Crop] = []

    def push(
        self, frame: Frame, first_det: int, boxes: NDArray[np.float32], landmarks: NDArray[np.float32], guess: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Take the faces of a frame.

        Args:
            first_det: detection number of the first face; the others follow.
            boxes, landmarks: normalised, (n, 4) and (n, 5, 2).
            guess: (n,) quality without sharpness.

        Returns:
            (n,) sharpness of each face, measured on its crop or else taken over from the face's last crop.
        """
        self._forget(frame.t_us)
        chains = self._link(frame.t_us, boxes)
        for i, chain in enumerate(chains):
            if frame.t_us - chain.window_us >= self._every_us:
                self._keep(chain)
                chain.window_us = frame.t_us
            if guess[i] >= _WORTH_A_LOOK * chain.best_guess:
                crop = cut(frame, first_det + i, boxes[i], landmarks[i])
                chain.sharpness = crop.sharpness
                crop.quality = float(guess[i]) * min(1.0, crop.sharpness / 0.6) ** 0.5
                chain.best_guess = max(chain.best_guess, float(guess[i]))
                if chain.best is None or crop.quality > chain.best.quality:
                    chain.best = crop
        return np.array([chain.sharpness for chain in chains], np.float32)

    def cut(self) -> None:
        """End all chains: the picture has changed."""
        for chain in self._chains:
            self._keep(chain)
        self._chains = []

    def _link(self, t_us: int, boxes: NDArray[np.float32]) -> list[_Chain]:
        """The chain of each face, continued or new; greedy by overlap."""
        linked: dict[int, _Chain] = {}
        if self._chains and len(boxes):
            overlap = iou(grown(boxes, 0.3), grown(np.stack([chain.box for chain in self._chains]), 0.3))
            taken: set[int] = set()
            for flat in np.argsort(-overlap, axis=None, kind="stable"):
                i, j = divmod(int(flat), len(self._chains))
                if overlap[i, j] < _LINK_IOU:
                    break
                if i not in linked and j not in taken:
                    linked[i] = self._chains[j]
                    taken.add(j)
        chains = []
        for i in range(len(boxes)):
            chain = linked.get(i)
            if chain is None:
                chain = _Chain(boxes[i], t_us, t_us)
                self._chains.append(chain)
            chain.box, chain.seen_us = boxes[i], t_us
            chains.append(chain)
        return chains

    def _forget(self, t_us: int) -> None:
        for chain in self._chains:
            if t_us - chain.seen_us > self._forget_us:
                self._keep(chain)
        self._chains = [chain for chain in self._chains if t_us - chain.seen_us <= self._forget_us]

    def _keep(self, chain: _Chain) -> None:
        if chain.best is not None:
            self.kept.append(chain.best)
        chain.best, chain.best_guess = None, -1.0


def cut(frame: Frame, det: int, box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> Crop:
    """The square crop around a face with its margin, at source resolution."""
    size = np.array([frame.width, frame.height], np.float32)
    centre, longest = (box[:2] + box[2:]) / 2 * size, float(((box[2:] - box[:2]) * size).max())
    half = longest * (0.5 + MARGIN)
    low, high = (centre - half) / size, (centre + half) / size
    image = frame.crop(float(low[0]), float(low[1]), float(high[0]), float(high[1]), MAX_SIDE)
    scale = np.array([image.shape[1], image.shape[0]], np.float32) / (high - low)
    inner = ((box.reshape(2, 2) - low) * scale).reshape(4).astype(np.float32)
    x1, y1, x2, y2 = np.clip(np.round(inner), 0, max(image.shape[:2])).astype(int)
    face = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return Crop(det, image, ((landmarks - low) * scale).astype(np.float32), inner, body(frame, box), sharpness(face), 0.0)


def body(frame: Frame, box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Upper-body appearance: colour histograms of the region under the face, in three bands from the collar down.

    Returns:
        (BODY_DIMS,) L2-normalised square roots of histogram shares, so that the dot product of two is their Bhattacharyya coefficient;
        all zero when less than half of the region is in the picture.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    x1, x2, y1, y2 = box[0] - 0.5 * width, box[2] + 0.5 * width, box[3] + 0.15 * height, box[3] + 1.65 * height
    seen = max(0.0, min(x2, 1) - max(x1, 0)) * max(0.0, min(y2, 1) - max(y1, 0)) / max((x2 - x1) * (y2 - y1), 1e-9)
    if seen < 0.5:
        return np.zeros(BODY_DIMS, np.float32)
    region = frame.crop(float(max(x1, 0)), float(max(y1, 0)), float(min(x2, 1)), float(min(y2, 1)), 64)
    hsv = cv2.cvtColor(region, cv2.COLOR_BGR2HSV)
    bands = [_histogram(band) for band in np.array_split(hsv, _BODY_CELLS, axis=0)]
    joined = np.sqrt(np.concatenate(bands) / _BODY_CELLS)
    return (joined / max(float(np.linalg.norm(joined)), 1e-9)).astype(np.float32)


def _histogram(hsv: Image) -> NDArray[np.float32]:
    """16 hues weighted by saturation, 8 saturations, 8 values; each third sums to a third."""
    if not hsv.size:
        return np.zeros(BODY_DIMS // _BODY_CELLS, np.float32)
    hue, saturation, value = (hsv[..., i].ravel() for i in range(3))
    hues = np.histogram(hue, 16, (0, 180), weights=saturation.astype(np.float32) + 1)[0]
    parts = [hues, np.histogram(saturation, 8, (0, 256))[0], np.histogram(value, 8, (0, 256))[0]]
    return np.concatenate([part / max(part.sum(), 1) / 3 for part in parts]).astype(np.float32)


def jpeg(image: Image) -> bytes:
    """The picture as JPEG."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
