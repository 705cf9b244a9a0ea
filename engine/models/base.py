"""What a model of each task can do; one wrapper file per runtime implements one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""BGR, height x width x 3."""

Grey = NDArray[np.uint8]
"""Height x width, black at 0 and white at 255."""


@dataclass(frozen=True)
class Faces:
    """Faces of one picture, in pixels of that picture, best score first.

    boxes: (n, 4) float32 xyxy; scores: (n,) float32 in 0..1, on SCRFD's scale whatever the model's own; landmarks: (n, 5, 2) float32 in the
    order left eye, right eye, nose, left mouth corner, right mouth corner (left and right as the viewer sees them), NaN where the model does not
    give a point.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]


NOBODY = Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


@dataclass(frozen=True)
class Chip:
    """A square crop around a face: BGR image, landmarks (5, 2) and box (4,) in pixels of the crop."""

    image: Image
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]


class FaceDetector(Protocol):
    """Finds faces."""

    name: str
    digest: str
    min_size: int
    """Long side below which the model is not worth running, pixels."""
    sure_px: int
    """Height in pixels from which on a face is found as surely as in a larger picture."""

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        """Faces of one picture at the size it has (the caller scales)."""
        ...


class FaceEmbedder(Protocol):
    """Turns faces into vectors that are close for one person."""

    name: str
    digest: str
    space: str
    """Identifies the embedding space; vectors of two spaces are never compared."""
    dims: int

    def embed(self, chips: list[Chip]) -> NDArray[np.float32]:
        """L2-normalised vectors, (len(chips), dims) float32, in batches of the model's choosing."""
        ...


@dataclass(frozen=True)
class Calibration:
    """How a cosine similarity of one embedding space becomes evidence: log odds (natural) that two well-seen faces of different
    tracks are one person, at even prior odds, `slope * similarity + intercept`. `source` says what it was fitted on."""

    slope: float
    intercept: float
    source: str
