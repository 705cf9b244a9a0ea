"""The one face a picture is about."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from engine.errors import BadMedia
from engine.models.base import Chip, FaceDetector, FaceEmbedder
from engine.sources.photo import Photo
from engine.vision import quality
from engine.vision.chips import cut
from engine.vision.detect import FaceFinder


@dataclass(frozen=True)
class Portrait:
    """vector: (dims,) float32, L2-normalised. quality: 0..1. chip: JPEG of the face with its margin."""

    vector: NDArray[np.float32]
    quality: float
    chip: bytes


def portrait(photo: Photo, name: str, detector: FaceDetector, embedder: FaceEmbedder, settings: Settings) -> Portrait:
    """Find the face a picture is about and embed it: the only one, or one clearly larger than all others.

    Raises:
        BadMedia: there is no face, or it cannot be told which is meant.
    """
    found = FaceFinder(detector, settings.observe).look(photo, new_shot=True).faces
    sure = np.flatnonzero(found.scores >= settings.track.high_score)
    if not len(sure):
        raise BadMedia(f"{name} shows no face.", "Use a picture in which the face can be seen.")
    height = (found.boxes[sure, 3] - found.boxes[sure, 1]) * photo.height
    order = np.argsort(-height, kind="stable")
    if len(sure) > 1 and height[order[0]] < settings.bank.clearly_larger * height[order[1]]:
        raise BadMedia(f"{name} shows {len(sure)} faces, and none is clearly the largest.", "Cut the picture to the one face.")
    at = int(sure[order[0]])
    box, landmarks = found.boxes[at].astype(np.float32), found.landmarks[at].astype(np.float32)
    crop = cut(photo, 0, box, landmarks)
    image = np.asarray(cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    vector = embedder.embed([Chip(image, crop.landmarks, crop.box)])[0]
    return Portrait(vector, _quality(photo, box, landmarks, float(found.scores[at])), crop.jpeg)


def _quality(photo: Photo, box: NDArray[np.float32], landmarks: NDArray[np.float32], score: float) -> float:
    """Of one face, as it is measured in video."""
    size = np.array([photo.width, photo.height], np.float32)
    facing = quality.frontal(landmarks[None] * size, box[None] * np.tile(size, 2))
    sharp = np.array([quality.face_sharpness(photo, box)], np.float32)
    tall = np.array([(box[3] - box[1]) * photo.height], np.float32)
    return float(quality.quality(tall, sharp, facing, np.array([score], np.float32), quality.inside(box[None]))[0])
