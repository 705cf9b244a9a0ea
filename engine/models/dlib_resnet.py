"""dlib's face recognition network: a ResNet with 29 layers, 128 numbers a face (King, 2017), aligned by its own 5-point predictor.

dlib compares its vectors by Euclidean distance: they lie on a small cap of the sphere, where strangers have a cosine of 0.83. Measured from the
cap's centre, strangers have a cosine near 0 and people are told apart a little better (d' 7.3 against 6.3 on 27 people), so that is what is given.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from engine.models.arcface import normalised
from engine.models.base import Chip
from engine.models.light import daylight, oval

SIDE = 150
PADDING = 0.25
# fmt: off
_THOUSANDTHS = [
    -68, 60, 44, -23, -59, 1, -11, -59, 109, -45, 135, -19, -155, -13, -11, 84,
    -103, -78, -67, -45, 27, 32, 14, 39, -93, -208, -55, -64, 43, -66, -3, 30,
    -110, -29, 23, 47, -29, -49, 131, 6, -123, 6, 30, 188, 139, 18, 15, -54,
    82, -190, 49, 96, 62, 45, 59, -120, 3, 89, -128, 62, 44, -55, -12, -39,
    122, 64, -79, -100, 107, -112, -22, 61, -75, -125, -188, 25, 271, 96, -118, 19,
    -47, -8, 33, 60, -36, -25, -62, 19, 131, -16, -11, 162, 6, -5, 17, 37,
    -77, -9, -81, -6, 5, -44, 6, 70, -127, 117, -11, -14, -9, -18, -64, -7,
    120, -187, 121, 119, 24, 96, 32, 46, 12, -7, -108, -41, 22, -35, 3, 24,
]
# fmt: on
CENTRE = np.array(_THOUSANDTHS, np.float32) / 1000
"""Mean of the unit vectors of 27 people, each person counting once. Another centre is another space: rename the model in the registry with it."""


class DlibResnet:
    """An embedder on the CPU (or on CUDA where dlib was built with it)."""

    dims = 128

    def __init__(self, name: str, digest: str, space: str, points: Path, network: Path) -> None:
        self.name = name
        self.digest = digest
        self.space = space
        self._predictor = dlib.shape_predictor(str(points))
        self._network = dlib.face_recognition_model_v1(str(network))

    def embed(self, chips: list[Chip]) -> NDArray[np.float32]:
        """L2-normalised vectors from the centre, (len(chips), 128) float32."""
        if not chips:
            return np.zeros((0, self.dims), np.float32)
        pictures = [self._aligned(chip) for chip in chips]
        vectors: NDArray[np.float32] = np.array(self._network.compute_face_descriptor(pictures), np.float32)
        return normalised((normalised(vectors) - CENTRE).astype(np.float32))

    def _aligned(self, chip: Chip) -> NDArray[np.uint8]:
        """The face as the network wants it: 150 x 150 RGB."""
        lit = daylight(chip.image.astype(np.float32), oval(chip.image.shape[:2], chip.box))  # its points are not found in the dark either
        picture = cv2.cvtColor(lit, cv2.COLOR_BGR2RGB)
        x1, y1, x2, y2 = (round(float(side)) for side in chip.box)
        shape = self._predictor(picture, dlib.rectangle(x1, y1, x2 - 1, y2 - 1))
        aligned: NDArray[np.uint8] = dlib.get_face_chip(picture, shape, size=SIDE, padding=PADDING)
        return aligned


def runs_on_cuda() -> bool:
    """Whether this build of dlib runs networks on a CUDA device."""
    return bool(dlib.DLIB_USE_CUDA) and dlib.cuda.get_num_devices() > 0
