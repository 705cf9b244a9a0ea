"""A stretch of a recording as a video file of its own, with its sound: encoded anew, so that it begins and ends where it was asked to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine.config import ObserveSettings
from engine.sources.file import read
from engine.sources.probe import MICROSECONDS, MediaInfo, open_video, origin_us, to_us
from engine.tables import SegmentWindow

_TICK = Fraction(1, 90_000)
_EVERY = ObserveSettings(every_frame=True)
_BEFORE_US = 500_000
"""Sound is decoded from a little earlier: seeking in it is coarse."""


def write(path: Path, source: Path, media: MediaInfo, start_us: int, end_us: int) -> int:
    """Write start..end (microseconds of the recording's clock, half-open) as MP4; returns how many frames it holds.

    The frame on screen at the start comes first. Rotation and pixel aspect are applied to the pixels.

    Raises:
        BadMedia: the source cannot be decoded there any more.
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        picture: Any = container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=media.fps)
        picture.width, picture.height, picture.pix_fmt = media.width & ~1, media.height & ~1, "yuv420p"
        picture.codec_context.thread_count = 1  # the engine answers others meanwhile
        picture.time_base = picture.codec_context.time_base = _TICK
        if picture.codec_context.name == "libx264":
            picture.options = {"crf": "18", "preset": "veryfast", "bf": "0"}  # frames coded out of order would bend the length of the file
        sound = _sound_stream(container, source) if media.has_audio else None
        count = _write_frames(container, picture, source, media, start_us, end_us)
        if sound is not None:
            for heard in _heard(source, start_us, end_us):
                container.mux(sound.encode(heard))
            container.mux(sound.encode(None))
    return count


def _write_frames(container: Any, stream: Any, source: Path, media: MediaInfo, start_us: int, end_us: int) -> int:
    lasting: dict[int, int] = {}
    for t_us, until_us, pixels in _seen(source, media, start_us, end_us):
        frame = av.VideoFrame.from_ndarray(pixels[: stream.height, : stream.width], format="bgr24")
        frame.time_base, frame.pts = _TICK, round((t_us - start_us) / MICROSECONDS / _TICK)
        lasting[frame.pts] = round((until_us - t_us) / MICROSECONDS / _TICK)
        _put(container, stream.encode(frame), lasting)
    _put(container, stream.encode(None), lasting)
    return len(lasting)


def _put(container: Any, packets: Iterable[Any], lasting: dict[int, int]) -> None:
    """Encoders do not carry every frame's own length through; without the last one's the file would end early."""
    for packet in packets:
        packet.duration = lasting[packet.pts]
        container.mux(packet)


def _seen(source: Path, media: MediaInfo, start_us: int, end_us: int) -> Iterator[tuple[int, int, Any]]:
    """Frames on screen in the stretch: from when, until when, BGR."""
    at = bisect_right(media.key_frames_us, start_us)
    first_us = media.key_frames_us[at - 1] if at else media.first_frame_us
    window = SegmentWindow(segment=0, start_us=first_us, end_us=media.duration_us, seen_until_us=media.duration_us)
    shown = None
    for frame, _ in read(source, media, window, _EVERY):
        if shown is not None and frame.t_us > start_us:
            yield max(start_us, shown.t_us), min(frame.t_us, end_us), _pixels(shown)
        shown = frame
        if frame.t_us >= end_us:
            return
    if shown is not None:
        yield max(start_us, shown.t_us), end_us, _pixels(shown)


def _pixels(frame: Any) -> Any:
    return np.ascontiguousarray(frame.scaled(max(frame.width, frame.height)))


def _sound_stream(container: Any, source: Path) -> Any:
    opened, _ = open_video(source)
    with opened:
        coded = opened.streams.audio[0].codec_context
        stream = container.add_stream("aac", rate=coded.sample_rate)
        stream.codec_context.layout = "mono" if coded.layout.nb_channels == 1 else "stereo"
        return stream


def _heard(source: Path, start_us: int, end_us: int) -> Iterator[Any]:
    """The sound of the stretch, to the sample; where it starts late the clip is silent until then."""
    container, _ = open_video(source)
    with container:
        stream = container.streams.audio[0]
        origin, rate = origin_us(container), stream.codec_context.sample_rate
        layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
        container.seek(max(0, start_us - _BEFORE_US) + origin, backward=True)
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        for decoded in container.decode(stream):
            if decoded.pts is None:
                continue
            for frame in resampler.resample(decoded):
                t_us = to_us(frame.pts, Fraction(frame.time_base), origin)
                if t_us >= end_us:
                    return
                low = max(0, round((start_us - t_us) * rate / MICROSECONDS))
                high = min(frame.samples, round((end_us - t_us) * rate / MICROSECONDS))
                if low >= high:
                    continue
                part = av.AudioFrame.from_ndarray(np.ascontiguousarray(frame.to_ndarray()[:, low:high]), format="fltp", layout=layout)
                part.sample_rate, part.time_base = rate, Fraction(1, rate)
                part.pts = max(0, round((t_us - start_us) * rate / MICROSECONDS) + low)
                yield part
