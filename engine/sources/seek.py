"""Single frames of a recording, found by their times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.config import ObserveSettings
from engine.sources.file import read
from engine.sources.frame import Frame
from engine.sources.probe import MediaInfo
from engine.tables import SegmentWindow

_EVERY = ObserveSettings(every_frame=True)


def frames_at(path: Path, media: MediaInfo, times_us: Sequence[int]) -> Iterator[Frame]:
    """The frame on screen at each time (rising, microseconds); times outside the recording give its first or last frame.

    Decodes forward through the stretch, or again from a later key frame where that skips more than it costs.

    Raises:
        BadMedia: the file cannot be opened any more.
        NotFound: it is not where it was.
    """
    waiting = [min(max(t, media.first_frame_us), media.duration_us - 1) for t in times_us]
    while waiting:
        start = _key_before(media, waiting[0])
        # All times up to the next key frame after the first one that lies in another group are served by one pass.
        taken = next((n for n in range(1, len(waiting)) if _key_before(media, waiting[n]) > _next_key(media, waiting[n - 1])), len(waiting))
        batch, waiting = waiting[:taken], waiting[taken:]
        yield from _forward(path, media, start, batch)


def _key_before(media: MediaInfo, t_us: int) -> int:
    at = bisect_right(media.key_frames_us, t_us)
    return media.key_frames_us[at - 1] if at else media.first_frame_us


def _next_key(media: MediaInfo, t_us: int) -> int:
    at = bisect_right(media.key_frames_us, t_us)
    return media.key_frames_us[at] if at < len(media.key_frames_us) else media.duration_us


def _forward(path: Path, media: MediaInfo, start_us: int, times_us: list[int]) -> Iterator[Frame]:
    """One pass of the decoder from a key frame on."""
    window = SegmentWindow(segment=0, start_us=start_us, end_us=media.duration_us, seen_until_us=media.duration_us)
    waiting, shown = list(times_us), None
    for frame, _ in read(path, media, window, _EVERY, threads=1):
        while waiting and shown is not None and frame.t_us > waiting[0]:
            waiting.pop(0)
            yield shown
        if not waiting:
            return
        shown = frame
    if shown is not None:
        yield from (shown for _ in waiting)
