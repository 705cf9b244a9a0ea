"""Choosing the faces of a track that are embedded, and splitting a track whose faces are two people's."""

from __future__ import annotations

from collections.abc import Container
from itertools import pairwise

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.models.base import Calibration, Chip, FaceEmbedder
from engine.tables import PICKS, TRACKED, Observed, Tracked
from engine.vision.covered import covered
from engine.vision.track import associate

BATCH = 64
TELLERS = {2: 2.0, 3: 1.0}
"""Faces that tell whether a track needs more, and how many times the log odds of `track.agree_log_odds` they must agree by: the first and the last,
then the best too."""

GOOD = 0.45
"""Faces of at least this quality may speak for two people in one track."""


def track_segment(observed: Observed, embedder: FaceEmbedder, calibration: Calibration, settings: TrackSettings) -> Tracked:
    """Tracks of a segment with the embeddings of their best faces, from what was observed alone: no frame is decoded."""
    detections = observed.detections
    t_us = detections["t_us"].to_numpy()
    width, height = observed.frame_size
    corners = [detections[name].to_numpy() for name in ("x1", "y1", "x2", "y2")]
    boxes = np.stack(corners, axis=1) * np.array([width, height, width, height], np.float32) if len(t_us) else np.zeros((0, 4), np.float32)
    boxes, scores, cuts_us = boxes.astype(np.float32), detections["score"].to_numpy(), observed.cuts["t_us"].to_numpy()
    hidden = covered(t_us, boxes, scores, detections["height_px"].to_numpy(), detections["frontal"].to_numpy(), cuts_us, settings)
    tracks = associate(t_us, boxes, np.where(hidden, 0, scores).astype(np.float32), cuts_us, settings)

    chip, quality = detections["chip"].to_numpy(), detections["quality"].to_numpy()
    chosen = [choose(np.array(track), t_us, quality, chip, settings.picks) for track in tracks]
    flat, vectors = _embedded(chosen, observed.chips, chip, quality, embedder, calibration, settings.agree_log_odds)
    row_of = {int(det): row for row, det in enumerate(flat)}
    chosen = [np.array([det for det in picks if int(det) in row_of], np.int64) for picks in chosen]

    pieces: list[tuple[list[int], list[int]]] = []
    for track, picks in zip(tracks, chosen, strict=True):
        good = [int(det) for det in np.sort(picks) if quality[det] >= GOOD]
        borders = _borders(good, vectors[[row_of[det] for det in good]], calibration, settings.split_log_odds)
        pieces += _split(track, picks, borders)
    return _tables(observed, pieces, quality, vectors, row_of)


def choose(track: NDArray[np.int64], t_us: NDArray[np.int64], quality: NDArray[np.float32], chip: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """The best faces of a track that have a picture, spread over its time: the best of each of `count` equal stretches, best first."""
    candidates = track[chip[track] >= 0]
    if not len(candidates):
        return candidates
    span = max(1, int(t_us[candidates[-1]] - t_us[candidates[0]]))
    stretch = np.minimum((t_us[candidates] - t_us[candidates[0]]) * count // (span + 1), count - 1)
    order = np.lexsort((-quality[candidates], stretch))
    first = np.concatenate([[True], np.diff(stretch[order]) != 0])
    best = candidates[order[first]]
    ranked: NDArray[np.int64] = best[np.argsort(-quality[best], kind="stable")]
    return ranked


def _embedded(
    chosen: list[NDArray[np.int64]],
    chips: pa.Table,
    chip: NDArray[np.int32],
    quality: NDArray[np.float32],
    embedder: FaceEmbedder,
    calibration: Calibration,
    agree: float,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Detections embedded, and their vectors: of each track as few of those chosen as tell that it is one person (TELLERS), all if none do."""
    vector_of: dict[int, NDArray[np.float32]] = {}
    unsure = chosen
    for count, times in TELLERS.items():
        told = [_tellers(picks, count) for picks in unsure]
        vector_of |= _embed_more(told, vector_of, chips, chip, embedder)
        least = (times * agree - calibration.intercept) / calibration.slope
        sure = [_alike([vector_of[int(det)] for det in picks], least) and bool((quality[picks] >= GOOD).all()) for picks in told]
        unsure = [picks for picks, certain in zip(unsure, sure, strict=True) if not certain]
    vector_of |= _embed_more(unsure, vector_of, chips, chip, embedder)
    vectors = np.stack(list(vector_of.values())) if vector_of else np.zeros((0, embedder.dims), np.float32)
    return np.array(list(vector_of), np.int64), vectors


def _tellers(picks: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first, the last and the best of some faces, up to `count`; the next best where these are fewer."""
    if len(picks) <= count:
        return picks
    ends = [int(picks.min()), int(picks.max())]
    return np.array([*ends, *[int(det) for det in picks if int(det) not in ends][: count - 2]], np.int64)


def _alike(vectors: list[NDArray[np.float32]], least: float) -> bool:
    """Whether every two of some vectors have at least a cosine."""
    return not vectors or float((np.stack(vectors) @ np.stack(vectors).T).min()) >= least


def _embed_more(
    wanted: list[NDArray[np.int64]], known: Container[int], chips: pa.Table, chip: NDArray[np.int32], embedder: FaceEmbedder
) -> dict[int, NDArray[np.float32]]:
    """Vectors of the detections of some tracks that have none yet."""
    new = [int(det) for picks in wanted for det in picks if int(det) not in known]
    return dict(zip(new, _embed(chips, chip[new], embedder), strict=True))


def _embed(chips: pa.Table, rows: NDArray[np.int32], embedder: FaceEmbedder) -> NDArray[np.float32]:
    """(len(rows), dims) vectors of some candidate pictures."""
    parts = []
    for start in range(0, len(rows), BATCH):
        wanted = chips.take(pa.array(rows[start : start + BATCH]))
        images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in wanted["jpeg"].to_pylist()]
        landmarks = np.array(wanted["landmarks"].to_pylist(), np.float32).reshape(-1, 5, 2)
        boxes = np.array(wanted["box"].to_pylist(), np.float32)
        parts.append(
            embedder.embed([Chip(np.asarray(image, np.uint8), points, box) for image, points, box in zip(images, landmarks, boxes, strict=True)])
        )
    return np.concatenate(parts) if parts else np.zeros((0, embedder.dims), np.float32)


def _borders(good: list[int], vectors: NDArray[np.float32], calibration: Calibration, limit: float) -> list[int]:
    """First detections of a new person: where a good face speaks against the good face before it.

    Where one face dissolves into another, the face between is like both: then the faces on its two sides are held against each other, and
    it goes with the one it is more like.
    """
    similarity = vectors @ vectors.T
    against = calibration.slope * similarity + calibration.intercept < limit
    borders = []
    for before, after in pairwise(range(len(good))):
        passed = before > 0 and against[before - 1, after] and similarity[before, after] < similarity[before - 1, before]
        coming = after + 1 < len(good) and against[before, after + 1] and similarity[before, after] <= similarity[after, after + 1]
        if against[before, after] or passed or coming:
            borders.append(good[after])
    return borders


def _split(track: list[int], picks: NDArray[np.int64], borders: list[int]) -> list[tuple[list[int], list[int]]]:
    """(detections, picks) of each piece; between the last face of one person and the first of the next the border is halfway."""
    if not borders:
        return [(track, picks.tolist())]
    edges = [0]
    for border in borders:
        before = max((int(p) for p in picks if p < border), default=track[0])
        edges.append((track.index(before) + track.index(border) + 1) // 2)
    pieces = [track[a:b] for a, b in zip(edges, [*edges[1:], len(track)], strict=True)]
    return [(piece, [p for p in picks.tolist() if piece[0] <= p <= piece[-1]]) for piece in pieces if piece]


def _tables(
    observed: Observed, pieces: list[tuple[list[int], list[int]]], quality: NDArray[np.float32], vectors: NDArray[np.float32], row_of: dict[int, int]
) -> Tracked:
    pieces = sorted(pieces)
    members = [(track, det) for track, (detections, _) in enumerate(pieces) for det in detections]
    picked = [(track, det) for track, (_, picks) in enumerate(pieces) for det in picks]
    rows = [row_of[det] for _, det in picked]
    tracked = pa.table({"track": [t for t, _ in members], "det": [d for _, d in members]}, schema=TRACKED)
    picks = pa.table(
        {"track": [t for t, _ in picked], "det": [d for _, d in picked], "quality": quality[[d for _, d in picked]] if picked else []}, schema=PICKS
    )
    return Tracked(observed.window, tracked, picks, vectors[rows] if rows else np.zeros((0, vectors.shape[1]), np.float32))
