"""Frames of a video file, window by window, with exact times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

import av.error

from engine.config import ObserveSettings
from engine.errors import BadMedia
from engine.sources.ahead import ahead
from engine.sources.frame import Frame
from engine.sources.grid import Grid
from engine.sources.picture import Converter, DecodedFrame
from engine.sources.probe import MICROSECONDS, MediaInfo, open_video, origin_us, packets, to_us
from engine.sources.spare import Sparing
from engine.tables import SegmentWindow

_STEPS_BACK = 3
"""Key frames tried before the window's own when decoding does not start there (recovery points, coarse seeking); then the file's start."""


def read(
    path: Path, media: MediaInfo, window: SegmentWindow, settings: ObserveSettings, threads: int = 1, wait_s: float | None = None
) -> Iterator[tuple[Frame, bool]]:
    """Frames of a window in time order, each with whether it is to be analysed; decoded a little ahead in a thread of its own.

    Frames that no other frame needs, are not analysed and lie where nothing much changes are passed over (engine/sources/spare.py), unless
    `observe.every_frame` is set. Broken packets, repeated times and times going back are passed over; a frame without a time is put one frame
    after the one before it.

    Args:
        threads: of the decoder; 0 lets FFmpeg choose by the number of cores. One costs the least processor time.
        wait_s: longest wait for the next frame; None waits for ever. A decoder that was given up goes on until the process ends.

    Raises:
        BadMedia: the file cannot be opened any more, or decoding it does not go on.
    """
    size, rotation, converter = (media.width, media.height), media.rotation, Converter()
    at = bisect_left(media.key_frames_us, window.start_us)
    known = at < len(media.key_frames_us) and media.key_frames_us[at] == window.start_us
    grid = Grid(settings.fps, media.before_key_us[at] if known else -1)
    fps = None if settings.every_frame else settings.fps
    try:
        for found in ahead(_window_frames(path, media, window, fps, threads), wait_s):
            if found is not None:
                yield DecodedFrame(found[0], found[1], size, rotation, converter), grid.hit(found[1])
    except TimeoutError as error:
        hint = "Check that the disk it is on answers and that it plays in a video player; engine.media_wait_s gives it longer."
        raise BadMedia(f"Decoding {path} was given up: there was no new frame for {wait_s:.0f} s.", hint) from error


def _window_frames(
    path: Path, media: MediaInfo, window: SegmentWindow, fps: float | None, threads: int
) -> Generator[tuple[Any, int] | None, None, None]:
    """Decoded frames of the window, and None for each before it; `fps` as in `_decoded`."""
    at = bisect_left(media.key_frames_us, window.start_us)
    back = [media.key_frames_us[i] for i in range(at, max(0, at - _STEPS_BACK), -1) if i < len(media.key_frames_us)]
    for seek_us in [*back, None] if window.start_us > media.first_frame_us else [None]:
        frames = _decoded(path, media, seek_us, fps, threads)
        first = None
        for found in frames:
            if found[1] >= window.start_us:
                first = found
                break
            yield None
        if first is None or (first[1] > window.start_us and seek_us is not None):
            # Decoding really began later than asked: start further back.
            frames.close()
            continue
        yield from takewhile(lambda found: found[1] < window.seen_until_us, chain([first], frames))
        frames.close()
        return


def _decoded(path: Path, media: MediaInfo, seek_us: int | None, fps: float | None, threads: int) -> Generator[tuple[Any, int], None, None]:
    """Decoded frames in time order, from the key frame at or before `seek_us` on (None: from the start of the file).

    `fps` is the rate of the analysis when frames may be passed over, None when not.
    """
    container, stream = open_video(path)
    with container:
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        origin, time_base = origin_us(container), Fraction(stream.time_base)
        if seek_us is not None:
            container.seek(round((seek_us + origin) / (time_base * MICROSECONDS)), stream=stream, backward=True)
        step, previous = round(MICROSECONDS / media.fps), -1
        sparing = Sparing(fps) if fps is not None else None
        for packet in _packets(container, stream):
            if sparing is not None and packet.size:
                needed = packet.pts is None or sparing.needed(to_us(packet.pts, time_base, origin), packet.size, packet.is_keyframe)
                stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
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
        yield from packets(container, stream)
    except av.error.FFmpegError:
        return
