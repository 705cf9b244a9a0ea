"""What is known of each track once its faces are complete: interval, quality, pooled embedding, appearance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.models.base import Calibration
from engine.tables import BODY_DIMS, TRACK
from engine.vision.pick import GOOD


def track_table(
    detections: pa.Table,
    picks: pa.Table,
    vectors: NDArray[np.float32],
    bodies: tuple[NDArray[np.int64], NDArray[np.float32]],
    shots: pa.Table,
    frame_times: NDArray[np.int64],
    calibration: Calibration,
    settings: TrackSettings,
) -> tuple[pa.Table, NDArray[np.float32]]:
    """The TRACK table and the pooled embeddings (tracks, dims), in track order.

    Args:
        detections: schema DETECTIONS plus `track` (-1: none), in time order.
        picks, vectors: embedded faces, track by track, best first.
        bodies: (k,) some detections and (k, BODY_DIMS) their upper-body descriptors, in any order.
        frame_times: analysed frames, ascending; an interval ends halfway to the next one without the face, or at the cut before it.
    """
    track_of = detections["track"].to_numpy()
    count = int(track_of.max(initial=-1)) + 1
    order = np.argsort(track_of, kind="stable")
    edges = np.searchsorted(track_of[order], np.arange(count + 1))
    pick_edges = np.searchsorted(picks["track"].to_numpy(), np.arange(count + 1))
    columns = {name: detections[name].to_numpy() for name in ("t_us", "score", "height_px", "quality")}
    body_of, descriptors = np.full(len(track_of), -1, np.int64), bodies[1]
    body_of[bodies[0]] = np.arange(len(descriptors))
    starts, ends = shots["start_us"].to_numpy(), shots["end_us"].to_numpy()
    rows, pooled = [], np.zeros((count, vectors.shape[1]), np.float32)
    for track in range(count):
        faces = order[edges[track] : edges[track + 1]]
        mine = slice(pick_edges[track], pick_edges[track + 1])
        qualities, picked = picks["quality"].to_numpy()[mine], picks["det"].to_numpy()[mine]
        pooled[track], quality, spread = pool(vectors[mine], qualities)
        shot = int(np.searchsorted(starts, columns["t_us"][faces[0]], side="right")) - 1
        start, end = interval(columns["t_us"][faces], int(starts[shot]), int(ends[shot]), frame_times)
        good = qualities >= GOOD
        limit = calibration.slope * (1 - spread) + calibration.intercept
        rows.append(
            {
                "track": track,
                "shot": shot,
                "start_us": start,
                "end_us": end,
                "faces": len(faces),
                "score": float(np.median(columns["score"][faces])),
                "height_px": float(np.median(columns["height_px"][faces])),
                "quality": quality,
                "spread": spread,
                "mixed": bool(good.sum() >= 2 and limit < settings.mixed_log_odds),
                "best_det": int(picked[0]) if len(picked) else int(faces[columns["quality"][faces].argmax()]),
                "body": _body(descriptors[body_of[faces][body_of[faces] >= 0]]),
            }
        )
    return pa.Table.from_pylist(rows, schema=TRACK), pooled


def interval(faces_us: NDArray[np.int64], shot_start: int, shot_end: int, frame_times: NDArray[np.int64]) -> tuple[int, int]:
    """[start, end) of a track.

    Where the face is in the first (last) analysed frame of its shot nothing speaks against it having been there since the cut, so the
    interval reaches it; elsewhere it ends halfway to the neighbouring analysed frame, which did not show the face.
    """
    first, last = int(faces_us[0]), int(faces_us[-1])
    before = frame_times[np.searchsorted(frame_times, first) - 1] if np.searchsorted(frame_times, first) else -1
    after_at = int(np.searchsorted(frame_times, last, side="right"))
    after = frame_times[after_at] if after_at < len(frame_times) else shot_end
    start = shot_start if before < shot_start else (int(before) + first) // 2
    end = shot_end if after >= shot_end else (last + int(after)) // 2
    return start, end


def pool(vectors: NDArray[np.float32], qualities: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, float]:
    """Robust quality-weighted mean of a track's embeddings.

    Faces clearly off the first mean (less similar than the median by more than 0.2) are dropped and the mean is taken again.

    Returns:
        L2-normalised mean (zeros for no faces), quality of the track (mean of its best three faces), spread (largest cosine distance of
        a good face to the mean; of any face when none is good).
    """
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32), 0.0, 0.0
    weights = np.maximum(qualities, 0.01) ** 2
    mean = _unit(weights @ vectors)
    similarity = vectors @ mean
    kept = similarity >= np.median(similarity) - 0.2
    mean = _unit((weights * kept) @ vectors)
    good = qualities >= GOOD
    speaking = vectors[good] if good.any() else vectors
    return mean, float(np.sort(qualities)[::-1][:3].mean()), float(np.clip(1 - (speaking @ mean).min(), 0, 2))


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    normalised: NDArray[np.float32] = (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)
    return normalised


def _body(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean appearance of those faces (k, BODY_DIMS) whose upper body is in the picture."""
    seen = descriptors[descriptors.any(axis=1)]
    return _unit(seen.mean(axis=0)) if len(seen) else np.zeros(BODY_DIMS, np.float32)
