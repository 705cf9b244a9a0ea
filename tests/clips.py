"""Small clips made in tests from a picture that comes with insightface: known people in known places at known times."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

FACES = {
    "left": (210, 110, 640),
    "middle": (430, 190, 640),
    "right": (880, 200, 400),
}
"""Square framings of the group photo: x, y and side in its pixels."""


def photo() -> NDArray[np.uint8]:
    """The group photo, 1280 x 886, BGR."""
    spec = importlib.util.find_spec("insightface")
    assert spec is not None and spec.submodule_search_locations
    picture = cv2.imread(str(Path(spec.submodule_search_locations[0]) / "data" / "images" / "t1.jpg"))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def write(path: Path, frames: list[NDArray[np.uint8]], fps: int = 25, key_every: int = 25) -> Path:
    """Encode BGR frames as H.264 with a key frame every so many frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "20", "preset": "veryfast", "g": str(key_every), "bf": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        for picture in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def framing(x: int, y: int, side: int, width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """A part of the group photo at a size; `side` is its width in the photo."""
    tall = round(side * height / width)
    picture = photo()
    y = max(0, min(y, picture.shape[0] - tall))
    x = max(0, min(x, picture.shape[1] - side))
    return np.asarray(cv2.resize(picture[y : y + tall, x : x + side], (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
