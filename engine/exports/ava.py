"""AVA-ActiveSpeaker CSV: one row a face, boxes normalised, no header.

`video_id, frame_timestamp, x1, y1, x2, y2, label, entity_id`. The label says whether somebody is speaking; that is not measured yet, and so the
label is `NOT_MEASURED` rather than one of the set's own. An entity is one stretch of a track: `video:person:track`, person 0 being nobody identified.
"""

from __future__ import annotations

import csv
from pathlib import Path

from engine.exports.content import Content

LABEL = "NOT_MEASURED"


def write(path: Path, content: Content) -> int:
    """Write all faces of tracks, in time order; returns their number."""
    video = Path(content.file_name).stem
    faces = content.faces().to_pylist()
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        for face in faces:
            box = [f"{min(1.0, max(0.0, face[side])):.5f}" for side in ("x1", "y1", "x2", "y2")]
            rows.writerow([video, f"{face['t_us'] / 1e6:.6f}", *box, LABEL, f"{video}:{face['person_id'] or 0}:{face['track_id']}"])
    return len(faces)
