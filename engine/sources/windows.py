"""Cutting a recording into segments at key frames, so that no frame has to be decoded twice to start one."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from engine.config import ObserveSettings
from engine.sources.probe import MICROSECONDS, MediaInfo
from engine.tables import SegmentWindow


def plan(media: MediaInfo, settings: ObserveSettings) -> list[SegmentWindow]:
    """Windows of about `segment_s`, each starting at a key frame and seeing `overlap_s` into the next; together they cover the recording.

    A recording whose key frames lie further apart than `segment_s` gets longer segments.
    """
    length, overlap = round(settings.segment_s * MICROSECONDS), round(settings.overlap_s * MICROSECONDS)
    starts, keys = [media.first_frame_us], media.key_frames_us
    while True:
        wanted = starts[-1] + length
        at = bisect_right(keys, wanted)
        # The last key frame up to the wanted time, if that leaves at least half a segment; else the first one after it.
        start = keys[at - 1] if at and keys[at - 1] >= wanted - length // 2 else keys[at] if at < len(keys) else media.duration_us
        # A last segment shorter than half the length is not worth its start-up; it stays with the one before.
        if media.duration_us - start < length // 2:
            break
        starts.append(start)
    bounds = [*starts, media.duration_us]
    return [
        SegmentWindow(segment=n, start_us=start, end_us=end, seen_until_us=min(end + overlap, media.duration_us))
        for n, (start, end) in enumerate(pairwise(bounds))
    ]
