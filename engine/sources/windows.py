"""Cutting a recording into segments at key frames, so that no frame has to be decoded twice to start one."""

from __future__ import annotations

from bisect import bisect_left

from engine.config import ObserveSettings
from engine.sources.probe import MICROSECONDS, MediaInfo
from engine.tables import SegmentWindow


def plan(media: MediaInfo, settings: ObserveSettings) -> list[SegmentWindow]:
    """Windows of about `segment_s`, each starting at a key frame and seeing `overlap_s` into the next; together they cover the recording."""
    length, overlap = round(settings.segment_s * MICROSECONDS), round(settings.overlap_s * MICROSECONDS)
    starts = [media.first_frame_us]
    keys = media.key_frames_us
    while True:
        at = bisect_left(keys, starts[-1] + length)
        # A last segment shorter than half the length is not worth its start-up; it stays with the one before.
        if at >= len(keys) or media.duration_us - keys[at] < length // 2:
            break
        starts.append(keys[at])
    ends = [*starts[1:], media.duration_us]
    return [
        SegmentWindow(segment=n, start_us=start, end_us=end, seen_until_us=min(end + overlap, media.duration_us))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
