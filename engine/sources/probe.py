"""What a video file is: one pass over its packets and a look at its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error

from engine.errors import BadMedia, NotFound

MICROSECONDS = 1_000_000
_ATTACHED_PICTURE = 0x0400
"""AV_DISPOSITION_ATTACHED_PIC: the cover of a song is no video."""

_NOT_VIDEO = {"image2": "a picture", "_pipe": "a picture", "tty": "text"} | dict.fromkeys(("lrc", "srt", "ass", "webvtt", "subviewer"), "subtitles")
"""FFmpeg opens pictures, text and subtitles too."""

_ROUNDING = 1e-4

SLOWEST = Fraction(1, 1001)
"""Frames a second of what hardly has any: a slide show, or a file whose times are damaged."""

_CUT_OFF = 0.97
"""A stream whose packets end before this share of what its header announces was cut off."""


@dataclass(frozen=True)
class MediaInfo:
    """A video file's picture stream.

    Times are microseconds of the recording's own clock, whose zero is the start of the earliest stream. `width` and `height` are those of the
    displayed picture: pixel aspect and rotation applied. `duration_us` is the end of the last picture. `key_frames_us` are the times decoding
    can start at, and `before_key_us` holds the time of the frame before each of them (-1 for none).
    """

    duration_us: int
    first_frame_us: int
    width: int
    height: int
    rotation: int
    fps: Fraction
    variable_rate: bool
    frames: int
    codec: str
    has_audio: bool
    audio_start_us: int
    key_frames_us: tuple[int, ...]
    before_key_us: tuple[int, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` reads it back."""
        return {**asdict(self), "fps": str(self.fps)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> MediaInfo:
        """What `as_dict` wrote."""
        lists = {name: tuple(found[name]) for name in ("key_frames_us", "before_key_us", "warnings")}
        return cls(**{**found, **lists, "fps": Fraction(found["fps"])})


def to_us(pts: int, time_base: Fraction, origin_us: int) -> int:
    """A presentation time stamp in microseconds of the recording's clock, exact to the microsecond."""
    return round(pts * time_base * MICROSECONDS) - origin_us


def origin_us(container: Any) -> int:
    """The clock's zero: where the earliest stream of an open container starts."""
    if container.start_time is not None:
        return int(container.start_time)
    starts = [round(s.start_time * s.time_base * MICROSECONDS) for s in container.streams if s.start_time is not None and s.time_base]
    return min(starts, default=0)


def open_video(path: Path) -> tuple[Any, Any]:
    """An open container and its first video stream.

    Raises:
        NotFound: no such file.
        BadMedia: unreadable, not a video, no video stream, or a codec that is not there.
    """
    if not path.exists():
        raise NotFound(f"There is no file {path}.", "Check the path.")
    if not path.is_file():
        raise BadMedia(f"{path} is not a file.", "Give the path of a video file.")
    try:
        if not path.stat().st_size:
            raise BadMedia(f"{path} is empty.", "Copy it again.")
        container = av.open(str(path))
    except PermissionError as error:
        raise BadMedia(f"{path} may not be read.", "Give this user permission to read it.") from error
    except (av.error.FFmpegError, ValueError) as error:
        hint = "Check that it was copied whole and plays in a video player."
        raise BadMedia(f"{path} is not a video rollcall can read, or only a part of one ({reason(error)}).", hint) from error
    try:
        return container, _picture_stream(path, container)
    except BadMedia:
        container.close()
        raise


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of a stream to the end of the file.

    A stream that only begins in the middle of the file, as in a broadcast or a damaged file, is passed over: PyAV does not know it.

    Raises:
        FFmpegError: the rest cannot be read.
    """
    while True:
        try:
            yield from container.demux(stream)
        except IndexError:
            continue
        return


def _picture_stream(path: Path, container: Any) -> Any:
    if other := next((words for kind, words in _NOT_VIDEO.items() if kind in container.format.name), ""):
        raise BadMedia(f"{path} is not a video but {other}.", "Give a file with moving pictures.")
    streams = [stream for stream in container.streams.video if not int(stream.disposition) & _ATTACHED_PICTURE]
    if not streams:
        raise BadMedia(f"{path} has no video stream.", "Give a file with moving pictures.")
    if streams[0].codec_context is None:
        raise BadMedia(f"{path} is coded in a way this FFmpeg build does not know.", "Convert it to H.264, for instance with ffmpeg.")
    return streams[0]


@dataclass
class _Packets:
    """What one pass over the packets found; times in microseconds."""

    times: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    end_us: int = 0
    untimed: int = 0
    warnings: list[str] = field(default_factory=list)


def probe(path: Path) -> MediaInfo:
    """Look at a file's packets and first frame.

    Raises:
        NotFound: no such file.
        BadMedia: it is not a video that can be decoded.
    """
    width, height, rotation, shown_us = _first_frame(path)
    container, stream = open_video(path)
    with container:
        found = _walk(container, stream)
        # Pictures before the first decodable one (a stream cut out of the middle of another) are never shown.
        times = sorted({at for at in found.times if at >= shown_us} | {shown_us})
        keys = sorted({at for at in found.keys if at >= shown_us} | {shown_us})
        before = dict(zip(times[1:], times, strict=False))
        step, rate = _rate(times, stream)
        end_us = max(times[-1] + 1, found.end_us or times[-1] + step)
        _check_length(stream, end_us - times[0], found)
        tick = max(1, round(Fraction(stream.time_base) * MICROSECONDS))
        odd = sum(abs(after - earlier - step) > max(tick, step // 5) for earlier, after in pairwise(times))
        audio = container.streams.audio
        return MediaInfo(
            duration_us=end_us,
            first_frame_us=times[0],
            width=width,
            height=height,
            rotation=rotation,
            fps=rate,
            variable_rate=odd > max(1, len(times) // 100),
            frames=len(times) + found.untimed,
            codec=stream.codec_context.name,
            has_audio=bool(audio),
            audio_start_us=to_us(audio[0].start_time, audio[0].time_base, origin_us(container)) if audio and audio[0].start_time is not None else 0,
            key_frames_us=tuple(keys),
            before_key_us=tuple(before.get(key, -1) for key in keys),
            warnings=tuple(found.warnings),
        )


def _walk(container: Any, stream: Any) -> _Packets:
    """Every packet of the picture stream: its time, whether decoding can start there, and what is wrong."""
    found, origin, time_base, corrupt = _Packets(), origin_us(container), Fraction(stream.time_base), 0
    try:
        for packet in packets(container, stream):
            if not packet.size or packet.is_discard:
                continue
            corrupt += packet.is_corrupt
            if packet.pts is None:
                found.untimed += 1
                continue
            at = to_us(packet.pts, time_base, origin)
            found.times.append(at)
            found.end_us = max(found.end_us, to_us(packet.pts + (packet.duration or 0), time_base, origin) if packet.duration else 0)
            if packet.is_keyframe:
                found.keys.append(at)
    except av.error.FFmpegError as error:
        at_s = max(found.times, default=0) / MICROSECONDS
        found.warnings.append(f"The file is damaged after {at_s:.1f} s ({reason(error)}); what comes before is used.")
    if corrupt:
        parts = "One packet of the file is" if corrupt == 1 else f"{corrupt} packets of the file are"
        found.warnings.append(f"{parts} damaged; the frames in them may be missing.")
    return found


def _check_length(stream: Any, length_us: int, found: _Packets) -> None:
    """Warn when the header promises more than the file holds."""
    if stream.duration is None or not stream.time_base:
        return
    announced = float(stream.duration * stream.time_base)
    if length_us / MICROSECONDS < _CUT_OFF * announced - 0.5:
        found.warnings.append(f"The file announces {announced:.1f} s of pictures but holds {length_us / MICROSECONDS:.1f} s: it may be cut off.")


def _rate(times: list[int], stream: Any) -> tuple[int, Fraction]:
    """The usual time between two frames (microseconds, median) and the average rate."""
    announced = Fraction(stream.average_rate) if stream.average_rate else Fraction(25)
    if len(times) < 2:
        return max(1, round(MICROSECONDS / announced)), announced
    gaps = sorted(after - before for before, after in pairwise(times))
    measured = Fraction((len(times) - 1) * MICROSECONDS, times[-1] - times[0])
    # Containers round times (Matroska to milliseconds): the announced rate is exact where it agrees with what was measured.
    agree = abs(measured / announced - 1) < 0.005 + 1 / len(times)
    return max(1, gaps[len(gaps) // 2]), _named_rate(announced if agree else measured)


def _named_rate(rate: Fraction) -> Fraction:
    """The whole or NTSC rate (n or n * 1000 / 1001) a rounded one stands for, if it is that close to one."""
    for base in (Fraction(1), Fraction(1000, 1001)):
        named = max(1, round(rate / base)) * base
        if abs(rate / named - 1) < _ROUNDING:
            return named
    return rate.limit_denominator(1001) or SLOWEST


def _first_frame(path: Path) -> tuple[int, int, int, int]:
    """(width, height, rotation, time in microseconds) of the first displayed picture; rotation is counter-clockwise, 0..359.

    Raises:
        BadMedia: no frame can be decoded.
    """
    container, stream = open_video(path)
    failure = ""
    with container:
        try:
            for packet in packets(container, stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as error:
                    failure = failure or f" ({reason(error)})"
                    continue
                for frame in frames:
                    aspect = Fraction(stream.sample_aspect_ratio or 1)
                    width, height = displayed_size(frame.width, frame.height, aspect, frame.rotation)
                    at = to_us(frame.pts, Fraction(stream.time_base), origin_us(container)) if frame.pts is not None else 0
                    return width, height, round(frame.rotation / 90) * 90 % 360, at
        except av.error.FFmpegError as error:
            failure = failure or f" ({reason(error)})"
    raise BadMedia(f"No frame of {path} can be decoded{failure}.", "Check that it was copied whole and plays in a video player.")


def displayed_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Size of the displayed picture: pixels made square by widening or heightening, then turned."""
    if aspect > 1:
        width = round(width * aspect)
    elif 0 < aspect < 1:
        height = round(height / aspect)
    return (height, width) if round(rotation / 90) % 2 else (width, height)


def reason(error: Exception) -> str:
    """What FFmpeg says about a failure, in its words."""
    return str(getattr(error, "strerror", None) or error)
