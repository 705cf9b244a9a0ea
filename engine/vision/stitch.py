"""Joining segments into one episode: shots from cuts, tracks through the detections both sides of a border share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.models.base import Calibration
from engine.tables import DETECTIONS, PICKS, SHOT, Episode, Observed, Tracked
from engine.vision.boxes import iou
from engine.vision.threads import threads
from engine.vision.tracks import track_table

SAME_FACE_IOU = 0.5


@dataclass(frozen=True)
class _Joined:
    """All own detections of all segments in time order, with the joined track of each (-1: none) and where its picture is."""

    detections: pa.Table
    track: NDArray[np.int64]
    position: dict[tuple[int, int], int]


def stitch(segments: list[tuple[Observed, Tracked]], first_us: int, duration_us: int, calibration: Calibration, settings: TrackSettings) -> Episode:
    """One episode from its segments.

    Args:
        segments: in order, as planned; each answers for the frames of its own window.
        first_us, duration_us: time of the recording's first frame, and its end.
    """
    shots = _shots(segments, first_us, duration_us)
    starts = shots["start_us"].to_numpy()
    joined = _join(segments, starts)
    frames = _own_frames(segments)
    picks, vectors = _picks(segments, joined)
    first = segments[0][0]
    detections = joined.detections.append_column("track", pa.array(joined.track, pa.int32()))
    tracks, pooled = track_table(detections, picks, vectors, _bodies(segments, joined), shots, frames["t_us"].to_numpy(), calibration, settings)
    return Episode(
        step_us=first.step_us,
        duration_us=duration_us,
        frame_size=first.frame_size,
        shots=shots.append_column("thread", pa.array(threads(shots, frames), pa.int32())).cast(SHOT),
        tracks=tracks,
        detections=detections,
        picks=picks,
        vectors=vectors,
        pooled=pooled,
    )


def picture_of(segments: list[tuple[Observed, Tracked]], episode: Episode, chips_of: Callable[[int], pa.Table]) -> pa.Table:
    """The best picture of each track: track, jpeg; tracks without one are left out. `chips_of` gives the candidate pictures (CHIPS) of a segment."""
    offsets = np.cumsum([0, *(len(_own(observed)) for observed, _ in segments)])
    tracks, pictures = [], []
    for track, det in zip(episode.tracks["track"].to_pylist(), episode.tracks["best_det"].to_pylist(), strict=True):
        chip = episode.detections["chip"][det].as_py()
        if chip >= 0:
            segment = int(np.searchsorted(offsets, det, side="right")) - 1
            tracks.append(track)
            pictures.append(chips_of(segment)["jpeg"][chip].as_py())
    return pa.table({"track": pa.array(tracks, pa.int32()), "jpeg": pa.array(pictures, pa.binary())})


def _shots(segments: list[tuple[Observed, Tracked]], first_us: int, duration_us: int) -> pa.Table:
    """Shots between cuts. A cut near a border is taken from the side that has seen more frames around it."""
    cuts: list[int] = []
    for n, (observed, _) in enumerate(segments):
        window = observed.window
        low = window.start_us if n == 0 else (window.start_us + segments[n - 1][0].window.seen_until_us) // 2
        high = (window.end_us + window.seen_until_us) // 2 if n + 1 < len(segments) else duration_us
        cuts += [t for t in observed.cuts["t_us"].to_pylist() if low <= t < high]
    edges = [first_us, *[t for t in sorted(set(cuts)) if t > first_us], duration_us]
    return pa.table(
        {
            "shot": pa.array(range(len(edges) - 1), pa.int32()),
            "start_us": pa.array(edges[:-1], pa.int64()),
            "end_us": pa.array(edges[1:], pa.int64()),
        }
    )


def _own(observed: Observed) -> NDArray[np.int64]:
    """Positions of the detections in a segment's own frames."""
    t_us = observed.detections["t_us"].to_numpy()
    own: NDArray[np.int64] = np.flatnonzero((t_us >= observed.window.start_us) & (t_us < observed.window.end_us))
    return own


def _own_frames(segments: list[tuple[Observed, Tracked]]) -> pa.Table:
    parts = []
    for observed, _ in segments:
        t_us = observed.frames["t_us"]
        parts.append(observed.frames.filter(pc.and_(pc.greater_equal(t_us, observed.window.start_us), pc.less(t_us, observed.window.end_us))))
    return pa.concat_tables(parts)


def _join(segments: list[tuple[Observed, Tracked]], shot_starts: NDArray[np.int64]) -> _Joined:
    """Give every own detection its place and its joined track."""
    parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(node: tuple[int, int]) -> tuple[int, int]:
        while parent.get(node, node) != node:
            node = parent[node]
        return node

    for n in range(len(segments) - 1):
        for left, right in _shared_tracks(segments[n], segments[n + 1]):
            parent[root((n + 1, right))] = root((n, left))

    parts, groups = [], []
    position: dict[tuple[int, int], int] = {}
    for n, (observed, tracked) in enumerate(segments):
        own = _own(observed)
        track_of = _track_of(observed, tracked)
        position.update(_placed(n, own, len(position)))
        parts.append(observed.detections.take(pa.array(own)))
        groups += [root((n, int(track_of[det]))) if track_of[det] >= 0 else None for det in own]
    detections = pa.concat_tables(parts)
    count = detections.num_rows
    detections = detections.set_column(0, DETECTIONS.field("det"), pa.array(np.arange(count), pa.int32()))
    shot = np.searchsorted(shot_starts, detections["t_us"].to_numpy(), side="right") - 1
    # A track that reaches across a cut only its neighbour segment saw is two tracks.
    keys = [(group, int(shot[i])) if group is not None else None for i, group in enumerate(groups)]
    return _Joined(detections, _numbered(keys, detections), position)


def _placed(segment: int, own: NDArray[np.int64], offset: int) -> dict[tuple[int, int], int]:
    return {(segment, int(det)): offset + i for i, det in enumerate(own)}


def _track_of(observed: Observed, tracked: Tracked) -> NDArray[np.int64]:
    """(detections,) local track of each detection, -1 for none."""
    found = np.full(observed.detections.num_rows, -1, np.int64)
    found[tracked.tracked["det"].to_numpy()] = tracked.tracked["track"].to_numpy()
    return found


def _shared_tracks(left: tuple[Observed, Tracked], right: tuple[Observed, Tracked]) -> list[tuple[int, int]]:
    """Pairs of tracks that hold the same faces in the frames both segments saw: most shared faces first, each track once."""
    votes: dict[tuple[int, int], int] = {}
    start = right[0].window.start_us
    for a, b in _shared_detections(left[0], right[0], start):
        pair = (int(_track_of(*left)[a]), int(_track_of(*right)[b]))
        if min(pair) >= 0:
            votes[pair] = votes.get(pair, 0) + 1
    pairs: list[tuple[int, int]] = []
    for pair, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if all(pair[0] != other[0] and pair[1] != other[1] for other in pairs):
            pairs.append(pair)
    return pairs


def _shared_detections(left: Observed, right: Observed, start_us: int) -> list[tuple[int, int]]:
    """Detections of the same face in the same frame, seen by both segments."""
    pairs = []
    times = [side.detections["t_us"].to_numpy() for side in (left, right)]
    boxes = [np.stack([side.detections[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1) for side in (left, right)]
    for t_us in np.intersect1d(times[0][times[0] >= start_us], times[1]):
        rows = [np.flatnonzero(side == t_us) for side in times]
        overlap = iou(boxes[0][rows[0]], boxes[1][rows[1]])
        for i in range(len(rows[0])):
            j = int(overlap[i].argmax())
            if overlap[i, j] >= SAME_FACE_IOU and int(overlap[:, j].argmax()) == i:
                pairs.append((int(rows[0][i]), int(rows[1][j])))
    return pairs


def _numbered(keys: list[tuple[tuple[int, int], int] | None], detections: pa.Table) -> NDArray[np.int64]:
    """Tracks numbered by the time of their first face, then from left to right: the same however the recording was cut into segments."""
    t_us, x1 = detections["t_us"].to_numpy(), detections["x1"].to_numpy()
    first: dict[tuple[tuple[int, int], int], tuple[int, float]] = {}
    for i, key in enumerate(keys):
        if key is not None and key not in first:
            first[key] = (int(t_us[i]), float(x1[i]))
    number = {key: n for n, key in enumerate(sorted(first, key=lambda key: first[key]))}
    return np.array([number[key] if key is not None else -1 for key in keys], np.int64)


def _picks(segments: list[tuple[Observed, Tracked]], joined: _Joined) -> tuple[pa.Table, NDArray[np.float32]]:
    """Embedded faces of own frames under their new numbers, track by track, best first."""
    tracks, detections, qualities, rows = [], [], [], []
    for n, (_, tracked) in enumerate(segments):
        for row, (det, quality) in enumerate(zip(tracked.picks["det"].to_pylist(), tracked.picks["quality"].to_pylist(), strict=True)):
            place = joined.position.get((n, det))
            if place is not None and joined.track[place] >= 0:
                tracks.append(int(joined.track[place]))
                detections.append(place)
                qualities.append(quality)
                rows.append(tracked.vectors[row])
    order = np.lexsort((np.array(detections), -np.array(qualities), np.array(tracks))) if tracks else np.zeros(0, np.int64)
    table = pa.table({"track": tracks, "det": detections, "quality": qualities}, schema=PICKS)
    vectors = np.stack(rows) if rows else np.zeros((0, segments[0][1].vectors.shape[1]), np.float32)
    return table.take(pa.array(order)), vectors[order]


def _bodies(segments: list[tuple[Observed, Tracked]], joined: _Joined) -> dict[int, NDArray[np.float32]]:
    """Upper-body descriptors by detection, where there is a picture."""
    bodies = {}
    for n, (observed, _) in enumerate(segments):
        chips = observed.chips
        flat = chips["body"].combine_chunks().flatten().to_numpy() if chips.num_rows else np.zeros(0, np.float32)
        for det, body in zip(chips["det"].to_pylist(), flat.reshape(chips.num_rows, -1) if chips.num_rows else [], strict=True):
            place = joined.position.get((n, det))
            if place is not None:
                bodies[place] = body
    return bodies
