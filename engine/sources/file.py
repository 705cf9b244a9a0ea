"""Frames of a video file, window by window, with exact times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import cv2
import numpy as np

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.sources.frame import Frame
from engine.sources.probe import MICROSECONDS, MediaInfo, open_video, origin_us, to_us
from engine.tables import SegmentWindow

_TURN = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class FileFrame:
    """A decoded frame; pictures are converted when asked for, and only as large as asked for."""

    def __init__(self, decoded: Any, t_us: int, media: MediaInfo) -> None:
        self.t_us = t_us
        self.width = media.width
        self.height = media.height
        self._decoded = decoded
        self._rotation = media.rotation % 360
        self._full: Image | None = None

    def _converted(self, width: int, height: int) -> Image:
        """The displayed picture at a size, by swscale, then turned."""
        across = self._rotation in (90, 270)
        stored = (height, width) if across else (width, height)
        picture = self._decoded.reformat(width=stored[0], height=stored[1], format="bgr24", interpolation="AREA").to_ndarray()
        return np.ascontiguousarray(cv2.rotate(picture, _TURN[self._rotation]) if self._rotation in _TURN else picture)

    def scaled(self, long_side: int) -> Image:
        """The whole picture with its long side at `long_side` pixels (never enlarged beyond the source)."""
        factor = min(1.0, long_side / max(self.width, self.height))
        return self._converted(max(2, round(self.width * factor)), max(2, round(self.height * factor)))

    def crop(self, x1: float, y1: float, x2: float, y2: float, max_size: int) -> Image:
        """A part of the picture at source resolution, at most `max_size` pixels a side; edge pixels are repeated outside it."""
        if self._full is None:
            self._full = self._converted(self.width, self.height)
        left, top = round(x1 * self.width), round(y1 * self.height)
        right, bottom = max(left + 1, round(x2 * self.width)), max(top + 1, round(y2 * self.height))
        pads = (max(0, -top), max(0, bottom - self.height), max(0, -left), max(0, right - self.width))
        inside = self._full[
            min(max(0, top), self.height - 1) : max(1, min(bottom, self.height)), min(max(0, left), self.width - 1) : max(1, min(right, self.width))
        ]
        picture = cv2.copyMakeBorder(inside, *pads, cv2.BORDER_REPLICATE) if any(pads) else inside
        size = max(picture.shape[:2])
        if size > max_size:
            factor = max_size / size
            target = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
            picture = cv2.resize(picture, target, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(picture, dtype=np.uint8)


def read(path: Path, media: MediaInfo, window: SegmentWindow, settings: ObserveSettings) -> Iterator[tuple[Frame, bool]]:
    """Frames of a window in time order, each with whether it is to be analysed.

    The grid of analysed times is that of the whole recording (k / fps), and the first frame at or after each of its points is analysed, so
    both sides of a segment's border analyse the same frames.

    Raises:
        BadMedia: the file cannot be opened any more.
    """
    step = Fraction(MICROSECONDS) / Fraction(settings.fps).limit_denominator(1000)
    last_point = -1
    for decoded, t_us in _decoded(path, media, window):
        if t_us >= window.seen_until_us:
            return
        point = int(t_us // step)
        if last_point < 0 and window.segment:
            # Whether this frame is the first at or after its grid point is known only from the frame before it.
            last_point = point - 1 if t_us - point * step < Fraction(MICROSECONDS) / media.fps else point
        analyse, last_point = point > last_point, max(point, last_point)
        if t_us >= window.start_us:
            yield FileFrame(decoded, t_us, media), analyse


def _decoded(path: Path, media: MediaInfo, window: SegmentWindow) -> Iterator[tuple[Any, int]]:
    """Decoded frames from the window's key frame on, in time order; broken packets are passed over."""
    container, stream = open_video(path)
    with container:
        stream.thread_type = "AUTO"
        origin, time_base = origin_us(container), Fraction(stream.time_base)
        if window.segment:
            container.seek(round((window.start_us + origin) / (time_base * MICROSECONDS)), stream=stream, backward=True)
        previous = -1
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is None:
                    continue
                t_us = to_us(frame.pts, time_base, origin)
                if t_us > previous:
                    previous = t_us
                    yield frame, t_us


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets until the end of the file or of its readable part."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return
