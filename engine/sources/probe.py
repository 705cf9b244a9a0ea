"""What a video file is, without decoding it: one pass over its packets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error

from engine.errors import BadMedia, NotFound

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class MediaInfo:
    """A video file's picture stream.

    Times are microseconds of the recording's own clock, whose zero is the start of the earliest stream. `width` and `height` are those of the
    displayed picture: pixel aspect and rotation applied. `key_frames_us` are the times decoding can start at.
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
    key_frames_us: tuple[int, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` reads it back."""
        return {**asdict(self), "fps": str(self.fps), "key_frames_us": list(self.key_frames_us), "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> MediaInfo:
        """What `as_dict` wrote."""
        lists = {"key_frames_us": tuple(found["key_frames_us"]), "warnings": tuple(found["warnings"])}
        return cls(**{**found, **lists, "fps": Fraction(found["fps"])})


def to_us(pts: int, time_base: Fraction, origin_us: int) -> int:
    """A presentation time stamp in microseconds of the recording's clock, exact to the microsecond."""
    return round(pts * time_base * MICROSECONDS) - origin_us


def open_video(path: Path) -> tuple[Any, Any]:
    """An open container and its first video stream.

    Raises:
        NotFound: no such file.
        BadMedia: unreadable, not a video, no video stream, or a codec that is not there.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", "Check the path.")
    try:
        container = av.open(str(path))
    except PermissionError as error:
        raise BadMedia(f"{path} may not be read.", "Give this user permission to read it.") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise BadMedia(f"{path} is not a video rollcall can read ({_reason(error)}).", "Check that it plays in a video player.") from error
    streams = [stream for stream in container.streams.video if stream.disposition & 0x0400 == 0]  # attached cover pictures are no video
    if not streams:
        container.close()
        raise BadMedia(f"{path} has no video stream.", "Give a file with moving pictures.")
    if streams[0].codec_context is None:
        container.close()
        raise BadMedia(f"{path} is coded in a way this FFmpeg build does not know.", "Convert it to H.264, for instance with ffmpeg.")
    return container, streams[0]


def origin_us(container: Any) -> int:
    """The clock's zero: where the earliest stream of the container starts."""
    return int(container.start_time or 0)


def probe(path: Path) -> MediaInfo:
    """Look at a file's packets and first frame.

    Raises:
        NotFound: no such file.
        BadMedia: it is not a video that can be decoded.
    """
    container, stream = open_video(path)
    with container:
        return _probe(path, container, stream)


def _probe(path: Path, container: Any, stream: Any) -> MediaInfo:
    origin, time_base = origin_us(container), Fraction(stream.time_base)
    times, keys, warnings = _packets(container, stream, origin)
    if not times:
        raise BadMedia(f"{path} holds no frames.", "Check that the file was copied whole.")
    step = _typical_step(times, stream)
    width, height, rotation = _displayed_size(path)
    announced_us = int(container.duration or 0)
    end_us = times[-1] + step
    if announced_us and end_us < 0.9 * (announced_us - step) and not container.streams.audio:
        warnings.append(f"The file announces {announced_us / 1e6:.1f} s but holds pictures for {end_us / 1e6:.1f} s: it may be cut off.")
    gaps = [after - before for before, after in pairwise(times)]
    tick = round(time_base * MICROSECONDS)
    rate = Fraction(stream.average_rate) if stream.average_rate else Fraction(MICROSECONDS, step)
    return MediaInfo(
        duration_us=end_us,
        first_frame_us=times[0],
        width=width,
        height=height,
        rotation=rotation,
        fps=rate,
        variable_rate=any(abs(gap - step) > max(tick, step // 5) for gap in gaps),
        frames=len(times),
        codec=stream.codec_context.name,
        has_audio=bool(container.streams.audio),
        key_frames_us=tuple(keys),
        warnings=tuple(warnings),
    )


def _packets(container: Any, stream: Any, origin: int) -> tuple[list[int], list[int], list[str]]:
    """Sorted frame times, key frame times, and what was wrong on the way."""
    times, keys, warnings = [], [], []
    time_base = Fraction(stream.time_base)
    try:
        for packet in container.demux(stream):
            if packet.pts is None or not packet.size:
                continue
            at = to_us(packet.pts, time_base, origin)
            times.append(at)
            if packet.is_keyframe:
                keys.append(at)
    except av.error.FFmpegError as error:
        warnings.append(f"The file is damaged after {max(times, default=0) / 1e6:.1f} s ({_reason(error)}); what comes before is used.")
    return sorted(set(times)), sorted(set(keys)), warnings


def _typical_step(times: list[int], stream: Any) -> int:
    """The usual time between two frames."""
    if len(times) > 1:
        gaps = sorted(after - before for before, after in pairwise(times))
        return max(1, gaps[len(gaps) // 2])
    return round(MICROSECONDS / stream.average_rate) if stream.average_rate else MICROSECONDS // 25


def _displayed_size(path: Path) -> tuple[int, int, int]:
    """(width, height, rotation) of the displayed picture, from the first frame that can be decoded.

    Raises:
        BadMedia: none can.
    """
    container, stream = open_video(path)
    with container:
        try:
            for frame in container.decode(stream):
                aspect = stream.sample_aspect_ratio
                return (*displayed_size(frame.width, frame.height, Fraction(aspect) if aspect else Fraction(1), frame.rotation), frame.rotation)
        except av.error.FFmpegError as error:
            raise BadMedia(f"No frame of {path} can be decoded ({_reason(error)}).", "Check that it plays in a video player.") from error
    raise BadMedia(f"No frame of {path} can be decoded.", "Check that it plays in a video player.")


def displayed_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Size of the displayed picture: pixels made square by widening or heightening, then turned."""
    if aspect > 1:
        width = round(width * aspect)
    elif 0 < aspect < 1:
        height = round(height / aspect)
    return (height, width) if rotation % 180 else (width, height)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
