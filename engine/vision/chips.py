"""Candidate pictures: the best crop of each face every half second, so that tracking and embedding never decode the video again.

Faces are followed by a greedy chain of overlapping boxes; it only has to be good enough to spread the crops over faces and time. Every chain
gives at least one picture. What waits is the frame itself, not a crop of it: a picture is cut and coded once, when its time is over.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Image
from engine.sources.frame import Frame
from engine.vision.body import describe
from engine.vision.boxes import grown, iou

MARGIN = 0.4
"""Room kept around the box, as a share of its longer side."""

MAX_SIDE = 192
JPEG_QUALITY = 92
_LINK_IOU = 0.25


@dataclass(frozen=True)
class Crop:
    """A candidate picture of one detection; landmarks (5, 2) and box (4,) in its pixels, body (BODY_DIMS,)."""

    det: int
    jpeg: bytes
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    body: NDArray[np.float32]


@dataclass(frozen=True)
class _Sight:
    """A face in a frame; box (4,) and landmarks (5, 2) normalised."""

    frame: Frame
    det: int
    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    quality: float


@dataclass
class _Chain:
    last: _Sight
    window_us: int
    best: _Sight | None


class ChipKeeper:
    """Follows faces from analysed frame to analysed frame and keeps their best pictures in `kept`.

    Memory: the frames of the last `every_us` that hold the best sight of a face.
    """

    def __init__(self, every_us: int, forget_us: int) -> None:
        self._every_us = every_us
        self._forget_us = forget_us
        self._chains: list[_Chain] = []
        self.kept: list[Crop] = []

    def push(self, frame: Frame, first_det: int, boxes: NDArray[np.float32], landmarks: NDArray[np.float32], qualities: NDArray[np.float32]) -> None:
        """Take the faces of a frame.

        Args:
            first_det: detection number of the first face; the others follow.
            boxes, landmarks: normalised, (n, 4) and (n, 5, 2).
            qualities: (n,)
        """
        self._forget(frame.t_us)
        linked = self._link(boxes)
        for i in range(len(boxes)):
            sight = _Sight(frame, first_det + i, boxes[i], landmarks[i], float(qualities[i]))
            chain = linked.get(i)
            if chain is None:
                self._chains.append(_Chain(sight, frame.t_us, sight))
                continue
            chain.last = sight
            if frame.t_us - chain.window_us >= self._every_us:
                self._keep(chain)
                chain.window_us = frame.t_us
            if chain.best is None or sight.quality > chain.best.quality:
                chain.best = sight

    def cut(self) -> None:
        """End all chains: the picture has changed, or there are no more frames."""
        for chain in self._chains:
            self._keep(chain)
        self._chains = []

    def _link(self, boxes: NDArray[np.float32]) -> dict[int, _Chain]:
        """The chain each face continues, greedily by overlap."""
        linked: dict[int, _Chain] = {}
        if not self._chains or not len(boxes):
            return linked
        overlap = iou(grown(boxes, 0.3), grown(np.stack([chain.last.box for chain in self._chains]), 0.3))
        taken: set[int] = set()
        for flat in np.argsort(-overlap, axis=None, kind="stable"):
            i, j = divmod(int(flat), len(self._chains))
            if overlap[i, j] < _LINK_IOU:
                break
            if i not in linked and j not in taken:
                linked[i] = self._chains[j]
                taken.add(j)
        return linked

    def _forget(self, t_us: int) -> None:
        for chain in self._chains:
            if t_us - chain.last.frame.t_us > self._forget_us:
                self._keep(chain)
        self._chains = [chain for chain in self._chains if t_us - chain.last.frame.t_us <= self._forget_us]

    def _keep(self, chain: _Chain) -> None:
        if chain.best is not None:
            best = chain.best
            self.kept.append(cut(best.frame, best.det, best.box, best.landmarks))
        chain.best = None


def cut(frame: Frame, det: int, box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> Crop:
    """The square picture around a face with its margin, at source resolution."""
    size = np.array([frame.width, frame.height], np.float32)
    centre, longest = (box[:2] + box[2:]) / 2 * size, float(((box[2:] - box[:2]) * size).max())
    # Whole pixels of the source, so that landmarks keep their place exactly.
    low = np.floor(centre - longest * (0.5 + MARGIN))
    side = max(1, round(longest * (1 + 2 * MARGIN)))
    x1, y1, x2, y2 = (np.concatenate([low, low + side]) / np.tile(size, 2)).tolist()
    image = frame.crop(x1, y1, x2, y2, MAX_SIDE)
    scale = image.shape[1] / side
    points = ((landmarks * size - low) * scale).astype(np.float32)
    inner = ((box.reshape(2, 2) * size - low) * scale).reshape(4).astype(np.float32)
    return Crop(det, jpeg(image), points, inner, describe(frame, box))


def jpeg(image: Image) -> bytes:
    """The picture as JPEG."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
