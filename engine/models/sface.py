"""SFace (Zhong et al., "SFace: Sigmoid-constrained hypersphere loss", 2021), as OpenCV's FaceRecognizerSF feeds it: the same template and
alignment as ArcFace, RGB values 0..255 as they are. Run through onnxruntime, so that it can use an accelerator; a test holds it equal to OpenCV."""

from __future__ import annotations

from typing import Any

from engine.models.arcface import ArcFace


class SFace(ArcFace):
    """An embedder on an onnxruntime session of SFace."""

    def __init__(self, name: str, digest: str, space: str, session: Any, at_once: int = 1) -> None:
        super().__init__(name, digest, space, session, mean=0.0, std=1.0, at_once=at_once)
