"""ArcFace-style embedders (Deng et al., CVPR 2019): align by five points to the common 112 x 112 template, embed, normalise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Chip, Image
from engine.models.light import daylight, light, oval

SIDE = 112
PROBE = (1, 3, SIDE, SIDE)
BATCH = 16
AT_ONCE = 2
"""Runs of a network on the CPU beside each other: two, each with half of the threads, share better than one with all of them."""

TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64)
"""Where the five points of a face come to lie in the aligned picture, pixels."""

_FACE = oval((SIDE, SIDE), np.array([22, 22, 90, 110], np.float32))
"""Where the face is in the aligned picture."""

_BOX_CENTRE, _BOX_HEIGHT = np.array([55.0, 64.0]), 111.0
"""Where a detector's box comes to lie in the aligned picture: medians of 56 faces found by SCRFD and by YuNet. Used without points."""


class ArcFace:
    """An embedder on an onnxruntime session. `mean` and `std` are subtracted from and divide the RGB values 0..255; `at_once` pictures or batches
    are worked on beside each other."""

    def __init__(self, name: str, digest: str, space: str, session: Any, mean: float, std: float, at_once: int = 1) -> None:
        self.name = name
        self.digest = digest
        self.space = space
        self._session = session
        self._mean, self._std = mean, std
        self._at_once = at_once
        given, out = session.get_inputs()[0], session.get_outputs()[0]
        self._input = given.name
        self._batch = 1 if isinstance(given.shape[0], int) else BATCH  # some graphs are frozen to one picture a run
        self.dims = int(out.shape[-1])

    def embed(self, chips: list[Chip]) -> NDArray[np.float32]:
        """L2-normalised vectors, (len(chips), dims) float32."""
        size = max(1, min(self._batch, -(-len(chips) // self._at_once)))
        batches = [chips[start : start + size] for start in range(0, len(chips), size)]
        if self._at_once > 1 and len(batches) > 1:
            with ThreadPoolExecutor(self._at_once, "embed") as beside:
                parts = list(beside.map(self._run, batches))
        else:
            parts = [self._run(batch) for batch in batches]
        return normalised(np.concatenate([np.zeros((0, self.dims), np.float32), *parts]))

    def _run(self, chips: list[Chip]) -> NDArray[np.float32]:
        """One run of the network."""
        blob = cv2.dnn.blobFromImages([align(chip) for chip in chips], 1 / self._std, (SIDE, SIDE), (self._mean,) * 3, swapRB=True)
        vectors: NDArray[np.float32] = self._session.run(None, {self._input: blob})[0]
        return vectors


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1."""
    unit: NDArray[np.float32] = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit


def align(chip: Chip) -> Image:
    """The aligned face, 112 x 112 BGR, in daylight: by the points the detector gave if two or more, else by the box,
    which knows nothing of a tilted head."""
    transform = similarity(chip)
    aligned: Image = cv2.warpAffine(chip.image, transform, (SIDE, SIDE), borderValue=0.0)
    if light(aligned, _FACE) == 1:
        return aligned
    return daylight(cv2.warpAffine(chip.image.astype(np.float32), transform, (SIDE, SIDE), borderValue=0.0), _FACE)


def similarity(chip: Chip) -> NDArray[np.float64]:
    """(2, 3) transform from pixels of the chip to the aligned picture."""
    there = ~np.isnan(chip.landmarks).any(axis=1)
    if there.sum() >= 2:
        return umeyama(chip.landmarks[there].astype(np.float64), TEMPLATE[there])
    box = chip.box.astype(np.float64)
    scale = _BOX_HEIGHT / max(box[3] - box[1], 1.0)
    shift = _BOX_CENTRE - scale * (box[:2] + box[2:]) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def umeyama(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) rotation, scale and shift that bring (n, 2) points closest to a target in least squares, without mirroring (Umeyama, 1991)."""
    mean, target_mean = points.mean(axis=0), target.mean(axis=0)
    a, b = points - mean, target - target_mean
    cos, sin = float((a * b).sum()), float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
    spread = max(float((a * a).sum()), 1e-12)
    turn = np.array([[cos, -sin], [sin, cos]]) / spread
    return np.hstack([turn, (target_mean - turn @ mean)[:, None]])


def scaling_of(path: Path) -> tuple[float, float]:
    """Mean and divisor of an ArcFace graph's input: graphs that came from MXNet do both themselves (insightface's own rule)."""
    import onnx

    names = [node.name for node in onnx.load(str(path), load_external_data=False).graph.node[:8]]
    inside = any(name.startswith(("Sub", "_minus")) for name in names) and any(name.startswith(("Mul", "_mul")) for name in names)
    return (0.0, 1.0) if inside else (127.5, 127.5)
