"""Frames of a video file, window by window, with exact times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from engine.config import ObserveSettings
from engine.sources.frame import Frame
from engine.sources.picture import Converter, DecodedFrame
from engine.sources.probe import MICROSECONDS, MediaInfo, open_video, origin_us, to_us
from engine.tables import SegmentWindow

_STEPS_BACK = 3
"""Key frames tried before the window's own when decoding does not start there (recovery points, coarse seeking); then the file's start."""


class Grid:
    """Which frames are analysed: the first at or after each point k / fps of the recording's clock, whatever the segment."""

    def __init__(self, fps: float, before_us: int) -> None:
        """`before_us` is the time of the frame before the first one asked about, -1 for none."""
        self._fps = Fraction(fps).limit_denominator(1000)
        self._last = self._point(before_us) if before_us >= 0 else -1

    def _point(self, t_us: int) -> int:
        return int(t_us * self._fps.numerator // (self._fps.denominator * MICROSECONDS))

    def hit(self, t_us: int) -> bool:
        """Whether the next frame, shown at `t_us`, is analysed."""
        point = self._point(t_us)
        new, self._last = point > self._last, max(point, self._last)
        return new


def read(path: Path, media: MediaInfo, window: SegmentWindow, settings: ObserveSettings, threads: int = 0) -> Iterator[tuple[Frame, bool]]:
    """Frames of a window in time order, each with whether it is to be analysed.

    Broken packets, repeated times and times going back are passed over; a frame without a time is put one frame after the one before it.

    Args:
        threads: of the decoder; 0 lets FFmpeg choose by the number of cores.

    Raises:
        BadMedia: the file cannot be opened any more.
    """
    size, rotation, converter = (media.width, media.height), media.rotation, Converter()
    at = bisect_left(media.key_frames_us, window.start_us)
    known = at < len(media.key_frames_us) and media.key_frames_us[at] == window.start_us
    grid = Grid(settings.fps, media.before_key_us[at] if known else -1)
    for decoded, t_us in _window_frames(path, media, window, threads):
        if t_us >= window.seen_until_us:
            return
        yield DecodedFrame(decoded, t_us, size, rotation, converter), grid.hit(t_us)


def _window_frames(path: Path, media: MediaInfo, window: SegmentWindow, threads: int) -> Iterator[tuple[Any, int]]:
    """Decoded frames from the window's start on."""
    at = bisect_left(media.key_frames_us, window.start_us)
    back = [media.key_frames_us[i] for i in range(at, max(0, at - _STEPS_BACK), -1) if i < len(media.key_frames_us)]
    for seek_us in [*back, None] if window.start_us > media.first_frame_us else [None]:
        frames = _decoded(path, media, seek_us, threads)
        first = next((found for found in frames if found[1] >= window.start_us), None)
        if first is None or (first[1] > window.start_us and seek_us is not None):
            # Decoding really began later than asked: start further back.
            frames.close()
            continue
        yield first
        yield from frames
        return


def _decoded(path: Path, media: MediaInfo, seek_us: int | None, threads: int) -> Generator[tuple[Any, int], None, None]:
    """Decoded frames in time order, from the key frame at or before `seek_us` on (None: from the start of the file)."""
    container, stream = open_video(path)
    with container:
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        origin, time_base = origin_us(container), Fraction(stream.time_base)
        if seek_us is not None:
            container.seek(round((seek_us + origin) / (time_base * MICROSECONDS)), stream=stream, backward=True)
        step, previous = round(MICROSECONDS / media.fps), -1
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                t_us = to_us(frame.pts, time_base, origin) if frame.pts is not None else previous + step
                if t_us > previous:
                    previous = t_us
                    yield frame, t_us


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets until the end of the file or of its readable part."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return
