"""OpenTimelineIO: the whole video as one clip, with a coloured marker for every stretch somebody is visible.

Times are frames from the first picture of the file; the media reference holds the file's name, to be linked where the file lies.
"""

from __future__ import annotations

from pathlib import Path

import opentimelineio as otio

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write the timeline; returns the number of markers."""
    rate = float(content.rate)

    def span(start_us: int, end_us: int) -> otio.opentime.TimeRange:
        first = content.frame(start_us)
        last = max(first + 1, content.frame(end_us))
        return otio.opentime.TimeRange(otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(last - first, rate))

    whole = span(content.info.first_frame_us, content.info.duration_us)
    clip = otio.schema.Clip(content.file_name, otio.schema.ExternalReference(content.file_name, whole), whole)
    for stretch in content.shown:
        clip.markers.append(
            otio.schema.Marker(
                content.names[stretch.person_id],
                span(stretch.start_us, stretch.end_us),
                content.colours[stretch.person_id].marker,
                {"rollcall": {"person_id": stretch.person_id, "shot": stretch.shot, "probability": round(stretch.probability, 4)}},
            )
        )
    timeline = otio.schema.Timeline(content.label, metadata={"rollcall": {"run_id": content.run["run_id"]}})
    timeline.tracks.append(otio.schema.Track("Video", [clip], kind=otio.schema.TrackKind.Video))
    path.write_text(otio.adapters.write_to_string(timeline, "otio_json"), encoding="utf-8")
    return len(clip.markers)
