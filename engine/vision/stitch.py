"""Joining segments into one episode: shots from cuts, tracks through the detections both sides of a border share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.models.base import Calibration
from engine.tables import BODY_DIMS, DETECTIONS, PICKS, SHOT, Episode, Observed, SegmentWindow, Tracked, matrix_of
from engine.vision.boxes import iou
from engine.vision.threads import threads
from engine.vision.tracks import track_table

SAME_FACE_IOU = 0.5


@dataclass(frozen=True)
class _Part:
    """What is kept of one segment once its neighbours are joined to it: of its own detections (n,) the rows, and the node of the track each is in
    (-1: none); of its embedded faces (k,) the places among the own detections of all segments (-1: another's), and of its upper bodies (m,) too."""

    detections: pa.Table
    node: NDArray[np.int64]
    picks: NDArray[np.int64]
    qualities: NDArray[np.float32]
    vectors: NDArray[np.float32]
    bodies: NDArray[np.int64]
    descriptors: NDArray[np.float32]
    frames: pa.Table


@dataclass
class _Joining:
    """All segments so far. Tracks of segments are nodes, numbered through; `parent` leads from each to the first it is the same as."""

    parts: list[_Part] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    windows: list[SegmentWindow] = field(default_factory=list)
    cuts: list[NDArray[np.int64]] = field(default_factory=list)
    places: int = 0

    def root(self, node: int) -> int:
        """The first node that is the same track."""
        while self.parent[node] != node:
            node = self.parent[node]
        return node


def stitch(
    segments: Iterable[tuple[Observed, Tracked]], first_us: int, duration_us: int, calibration: Calibration, settings: TrackSettings
) -> Episode:
    """One episode from its segments.

    Args:
        segments: in order, as planned; each answers for the frames of its own window. Two at a time are held.
        first_us, duration_us: time of the recording's first frame, and its end.
    """
    joining, first, before = _Joining(), None, None
    for here in segments:
        first = first or (here[0].step_us, here[0].frame_size)
        _add(joining, before, here)
        before = here
    assert first is not None
    del before
    shots = _shots(joining, first_us, duration_us)
    detections = pa.concat_tables([part.detections for part in joining.parts])
    detections = detections.set_column(0, DETECTIONS.field("det"), pa.array(np.arange(detections.num_rows), pa.int32()))
    track = _numbered(joining, detections, shots["start_us"].to_numpy())
    frames = pa.concat_tables([part.frames for part in joining.parts])
    picks, vectors = _picks(joining.parts, track)
    detections = detections.append_column("track", pa.array(track, pa.int32()))
    tracks, pooled = track_table(detections, picks, vectors, _bodies(joining.parts), shots, frames["t_us"].to_numpy(), calibration, settings)
    return Episode(
        step_us=first[0],
        duration_us=duration_us,
        frame_size=first[1],
        shots=shots.append_column("thread", pa.array(threads(shots, frames), pa.int32())).cast(SHOT),
        tracks=tracks,
        detections=detections,
        picks=picks,
        vectors=vectors,
        pooled=pooled,
    )


def picture_of(windows: list[SegmentWindow], episode: Episode, pictures: Iterable[pa.Table]) -> pa.Table:
    """The best picture of each track, in the order of the segments: track, jpeg; tracks without one are left out.

    Args:
        windows: of the segments, in order.
        pictures: of each segment (CHIPS, or its column `jpeg`).
    """
    best, chip = episode.tracks["best_det"].to_numpy(), episode.detections["chip"].to_numpy()
    starts, t_us = [window.start_us for window in windows], episode.detections["t_us"].to_numpy()[best]
    segment = np.where(chip[best] >= 0, np.searchsorted(starts, t_us, side="right") - 1, -1)
    parts = [pa.table([pa.array([], pa.int32()), pa.array([], pa.binary())], names=["track", "jpeg"])]
    for n, table in enumerate(pictures):
        tracks = np.flatnonzero(segment == n)
        parts.append(pa.table({"track": pa.array(tracks, pa.int32()), "jpeg": table["jpeg"].take(pa.array(chip[best[tracks]]))}))
    return pa.concat_tables(parts)


def _add(joining: _Joining, before: tuple[Observed, Tracked] | None, here: tuple[Observed, Tracked]) -> None:
    """Join a segment to the one before it, and keep what the episode needs of it."""
    observed, tracked = here
    nodes = len(joining.parent)
    joining.parent += range(nodes, nodes + int(tracked.tracked["track"].to_numpy().max(initial=-1)) + 1)
    if before is not None:
        earlier = nodes - int(before[1].tracked["track"].to_numpy().max(initial=-1)) - 1
        for left, right in _shared_tracks(before, here):
            joining.parent[joining.root(nodes + right)] = joining.root(earlier + left)
    own, track = _own(observed), _track_of(observed, tracked)
    bodies, descriptors = observed.chips["det"].to_numpy(), matrix_of(observed.chips["body"], BODY_DIMS)
    place = np.full(len(track), -1, np.int64)
    place[own] = joining.places + np.arange(len(own))
    shown = np.flatnonzero((place[bodies] >= 0) & descriptors.any(axis=1))
    joining.places += len(own)
    joining.windows.append(observed.window)
    joining.cuts.append(observed.cuts["t_us"].to_numpy().copy())
    joining.parts.append(
        _Part(
            detections=observed.detections.take(pa.array(own)),
            node=np.where(track[own] >= 0, nodes + track[own], -1),
            picks=place[tracked.picks["det"].to_numpy()],
            qualities=tracked.picks["quality"].to_numpy().copy(),
            vectors=tracked.vectors,
            bodies=place[bodies[shown]],
            descriptors=descriptors[shown],
            frames=_own_frames(observed),
        )
    )


def _shots(joining: _Joining, first_us: int, duration_us: int) -> pa.Table:
    """Shots between cuts. A cut near a border is taken from the side that has seen more frames around it."""
    cuts: list[int] = []
    for n, window in enumerate(joining.windows):
        low = window.start_us if n == 0 else (window.start_us + joining.windows[n - 1].seen_until_us) // 2
        high = (window.end_us + window.seen_until_us) // 2 if n + 1 < len(joining.windows) else duration_us
        cuts += [t for t in joining.cuts[n].tolist() if low <= t < high]
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


def _own_frames(observed: Observed) -> pa.Table:
    t_us = observed.frames["t_us"]
    return observed.frames.filter(pc.and_(pc.greater_equal(t_us, observed.window.start_us), pc.less(t_us, observed.window.end_us)))


def _track_of(observed: Observed, tracked: Tracked) -> NDArray[np.int64]:
    """(detections,) local track of each detection, -1 for none."""
    found = np.full(observed.detections.num_rows, -1, np.int64)
    found[tracked.tracked["det"].to_numpy()] = tracked.tracked["track"].to_numpy()
    return found


def _shared_tracks(left: tuple[Observed, Tracked], right: tuple[Observed, Tracked]) -> list[tuple[int, int]]:
    """Pairs of tracks that hold the same faces in the frames both segments saw: most shared faces first, each track once."""
    votes: dict[tuple[int, int], int] = {}
    start, of_left, of_right = right[0].window.start_us, _track_of(*left), _track_of(*right)
    for a, b in _shared_detections(left[0], right[0], start):
        pair = (int(of_left[a]), int(of_right[b]))
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


def _numbered(joining: _Joining, detections: pa.Table, shot_starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(detections,) track of each, -1 for none. Tracks are numbered by the time of their first face, then from left to right: the same however the
    recording was cut into segments. A track that reaches across a cut only its neighbour segment saw is two tracks."""
    t_us, x1 = detections["t_us"].to_numpy(), detections["x1"].to_numpy()
    node = np.concatenate([part.node for part in joining.parts])
    root = np.array([joining.root(at) for at in range(len(joining.parent))], np.int64)
    faces = np.flatnonzero(node >= 0)
    key = root[node[faces]] * (len(shot_starts) + 1) + np.searchsorted(shot_starts, t_us[faces], side="right")
    _, first, of_face = np.unique(key, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.lexsort((first, x1[faces[first]], t_us[faces[first]]))] = np.arange(len(first))
    track = np.full(len(node), -1, np.int64)
    track[faces] = number[of_face]
    return track


def _picks(parts: list[_Part], track: NDArray[np.int64]) -> tuple[pa.Table, NDArray[np.float32]]:
    """Embedded faces of own frames under their new numbers, track by track, best first."""
    place, quality = np.concatenate([part.picks for part in parts]), np.concatenate([part.qualities for part in parts])
    kept = np.flatnonzero((place >= 0) & (track[place] >= 0)) if len(track) else np.zeros(0, np.int64)
    order = kept[np.lexsort((place[kept], -quality[kept], track[place[kept]]))] if len(kept) else kept
    table = pa.table({"track": track[place[order]] if len(order) else [], "det": place[order], "quality": quality[order]}, schema=PICKS)
    return table, np.concatenate([part.vectors for part in parts])[order]


def _bodies(parts: list[_Part]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Detections that have an upper-body descriptor, and the descriptors."""
    return np.concatenate([part.bodies for part in parts]), np.concatenate([part.descriptors for part in parts])
