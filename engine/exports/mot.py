"""MOTChallenge text: one line a face, `frame, id, left, top, width, height, confidence, -1, -1, -1`.

Frames, and the left and top edge in pixels of the displayed frame, count from 1 as the challenge's do. The id is the track's: two faces of a
frame never share it. Later pieces of a track that was split have ids of their own, above all others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write all faces of tracks, in time order; returns their number."""
    width, height = content.episode["width"], content.episode["height"]
    ids = _ids(content.pieces)
    faces = content.faces().to_pylist()
    with path.open("w", encoding="ascii", newline="\n") as file:
        for face in faces:
            left, top = face["x1"] * width + 1, face["y1"] * height + 1
            size = (face["x2"] - face["x1"]) * width, (face["y2"] - face["y1"]) * height
            target = ids[face["track_id"], face["piece_start_us"]]
            numbers = ",".join(f"{value:.2f}" for value in (left, top, *size))
            file.write(f"{face['frame'] + 1},{target},{numbers},{face['score']:.4f},-1,-1,-1\n")
    return len(faces)


def _ids(pieces: list[dict[str, Any]]) -> dict[tuple[int, int], int]:
    """The target number of each piece, by track and start."""
    ids: dict[tuple[int, int], int] = {}
    first: set[int] = set()
    free = max((piece["track_id"] for piece in pieces), default=0) + 1
    for piece in pieces:
        key = piece["track_id"], piece["start_us"]
        if piece["track_id"] in first:
            ids[key], free = free, free + 1
        else:
            ids[key] = piece["track_id"]
            first.add(piece["track_id"])
    return ids
