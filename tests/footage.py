"""Video made in a test: pictures with a known content at known times, written with PyAV, and frames that never were a video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from engine.models.base import Grey, Image

WIDTH, HEIGHT = 192, 108


def scene(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A picture unlike those of other seeds: soft patches of strong colours."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def pattern(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Red, green, blue and white quarters, so that every turn of the picture shows."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (30, 30, 220)
    picture[: height // 2, width // 2 :] = (30, 200, 30)
    picture[height // 2 :, : width // 2] = (220, 60, 30)
    picture[height // 2 :, width // 2 :] = 235
    return picture


def write(
    path: Path,
    pictures: Iterable[Image],
    pts: Sequence[int],
    time_base: Fraction = Fraction(1, 25),
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound_s: float = 0.0,
    spare: int = 0,
) -> Path:
    """Write pictures shown at `pts * time_base`; with `sound_s`, silence from time 0 on; `spare`: frames in a row no other frame needs."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=round(1 / time_base) if time_base > Fraction(1, 1000) else 25)
        stream.pix_fmt, stream.time_base = pix_fmt, time_base
        stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = gop
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "12", "sc_threshold": "0", "bf": str(spare)}
        if rotation:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=16000) if sound_s else None
        for at, picture in zip(pts, pictures, strict=False):
            if not stream.codec_context.is_open:
                stream.width, stream.height = picture.shape[1], picture.shape[0]
                if aspect:
                    stream.codec_context.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = at, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, round(16000 * sound_s)), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = 16000, 0
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


class Still:
    """A frame from an array."""

    def __init__(self, picture: Image, t_us: int) -> None:
        self.t_us = t_us
        self.height, self.width = picture.shape[:2]
        self.picture = picture

    def scaled(self, long_side: int) -> Image:
        factor = min(1.0, long_side / max(self.width, self.height))
        size = (max(2, round(self.width * factor)), max(2, round(self.height * factor)))
        return np.asarray(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def crop(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Image:
        left, top, right, bottom = round(x1 * self.width), round(y1 * self.height), round(x2 * self.width), round(y2 * self.height)
        columns = np.clip(np.arange(left, max(right, left + 1)), 0, self.width - 1)
        rows = np.clip(np.arange(top, max(bottom, top + 1)), 0, self.height - 1)
        part = self.picture[rows][:, columns]
        factor = min(1.0, max_size / max(part.shape[:2]))
        size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)

    def grey(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Grey:
        return np.asarray(cv2.cvtColor(self.crop(x1, y1, x2, y2, max_size), cv2.COLOR_BGR2GRAY), np.uint8)
