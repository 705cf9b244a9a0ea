"""Made-up episodes with known truth: who every track is, and when everybody was really visible.

People are unit vectors; a track's embedding is its person's, seen from some pose, plus noise, plus (the poorer the face, the more) a direction
that all poor faces share. Scenes have a few people, recurring framings with fixed places, and clothes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.models.base import Calibration
from engine.tables import BODY_DIMS, DETECTIONS, PICKS, SHOT, TRACK, Episode

DIMS = 128
CALIBRATION = Calibration(20.0, -8.4, "made up: strangers around .0, one person around .7")


@dataclass(frozen=True)
class World:
    """episode; person (n,) of each track; visible: (person, start_us, end_us) of every true stretch; faces: (people, DIMS) their vectors,
    extras last."""

    episode: Episode
    person: NDArray[np.int64]
    visible: list[tuple[int, int, int]]
    faces: NDArray[np.float64]


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def people(rng: np.random.Generator, count: int, lookalikes: int = 0) -> NDArray[np.float64]:
    """(count, DIMS) unit vectors; the first `lookalikes` pairs have cosine about .45."""
    vectors = unit(rng.normal(size=(count, DIMS)))
    for pair in range(lookalikes):
        vectors[2 * pair + 1] = unit(0.45 * vectors[2 * pair] + 0.89 * vectors[2 * pair + 1])
    return vectors


def embed(rng: np.random.Generator, face: NDArray[np.float64], quality: float, hub: NDArray[np.float64]) -> NDArray[np.float64]:
    """A track's embedding: good ones of one person have a cosine around .75, poor ones of different people .5 to .9."""
    noise = unit(rng.normal(size=DIMS)) * 0.55
    return unit(face * min(1.0, 0.25 + quality) + noise + hub * 2.2 * max(0.0, 0.55 - quality) / 0.55)


def world(
    seed: int,
    cast: int = 6,
    scenes: int = 4,
    shots_per_scene: int = 12,
    step_us: int = 166_667,
    poor: float = 0.25,
    lookalikes: int = 0,
    turns: float = 0.3,
    extras: float = 0.0,
    swaps: float = 0.0,
    uniforms: float = 0.0,
) -> World:
    """An episode. `poor` is the share of poor tracks, `turns` how often a face turns up or away inside a shot, `extras` how often a shot
    shows somebody seen nowhere else (poorly), `swaps` how often two people of a framing are in each other's place, `uniforms` the share of
    scenes where all wear the same."""
    rng = np.random.default_rng(seed)
    faces, hub = people(rng, cast, lookalikes), unit(rng.normal(size=DIMS))
    shots, tracks, visible, vectors, detections = [], [], [], [], []
    clock = thread_base = 0
    for _ in range(scenes):
        here = rng.choice(cast, size=min(cast, int(rng.integers(2, 5))), replace=False)
        alike = rng.random() < uniforms
        clothes = {who: np.abs(rng.normal(size=BODY_DIMS)) ** 2 for who in here}
        clothes = {who: clothes[here[0]] if alike else own for who, own in clothes.items()}
        framings = [rng.choice(here, size=int(rng.integers(1, min(3, len(here)) + 1)), replace=False) for _ in range(3)]
        places = [{who: (0.1 + 0.28 * spot, 0.2, 0.1 + 0.28 * spot + 0.2, 0.6) for spot, who in enumerate(group)} for group in framings]
        for _ in range(shots_per_scene):
            thread = int(rng.integers(3))
            length = int(rng.uniform(1.5, 7.0) * 1e6)
            start, end = clock, clock + length
            shots.append((len(shots), start, end, thread_base + thread))
            clock = end
            spots = dict(places[thread])
            if rng.random() < swaps:
                spots = dict(zip(spots, [*list(spots.values())[1:], next(iter(spots.values()))], strict=True))
            shown = list(framings[thread])
            if rng.random() < extras:
                shown.append(-1)
            for who in shown:
                if who < 0:
                    faces = np.concatenate([faces, people(rng, 1)])
                    who = len(faces) - 1
                    spots[who], clothes[who] = (0.7, 0.2, 0.85, 0.5), np.abs(rng.normal(size=BODY_DIMS)) ** 2
                for low, high in _stretches(rng, start, end, turns):
                    visible.append((int(who), low, high))
                    looks = np.arange(-(-low // step_us), -(-high // step_us)) * step_us
                    if not len(looks):
                        continue
                    quality = float(rng.uniform(0.02, 0.3) if rng.random() < (poor if who < cast else 0.9) else rng.uniform(0.45, 0.95))
                    body = unit(clothes[who] + np.abs(rng.normal(size=BODY_DIMS)) * 0.4) if rng.random() < 0.8 else np.zeros(BODY_DIMS)
                    first = start if looks[0] - step_us < start else int(looks[0] - step_us // 2)
                    last = end if looks[-1] + step_us >= end else int(looks[-1] + step_us // 2)
                    row = (len(tracks), len(shots) - 1, first, last)
                    tracks.append((*row, len(looks), 0.8, 90.0, quality, 0.1, False, len(detections), body))
                    box = np.array(spots[who]) + rng.normal(size=4) * 0.01
                    detections += [(int(at), len(tracks) - 1, box, quality) for at in looks]
                    vectors.append((int(who), embed(rng, faces[who], quality, hub)))
        thread_base += 3
    return World(_episode(step_us, clock, shots, tracks, detections, [v for _, v in vectors]), np.array([w for w, _ in vectors]), visible, faces)


def _stretches(rng: np.random.Generator, start: int, end: int, turns: float) -> list[tuple[int, int]]:
    """When a face is visible in a shot: from cut to cut, or not all of it, or with a turn away between (longer than any gap setting)."""
    low, high = start, end
    if rng.random() < turns:
        low = int(rng.uniform(start + 170_000, start + (end - start) * 0.4))
    if rng.random() < turns:
        high = int(rng.uniform(start + (end - start) * 0.6, end - 170_000))
    if high - low > 4_000_000 and rng.random() < turns:
        middle = (low + high) // 2
        return [(low, middle - 600_000), (middle + 600_000, high)]
    return [(low, high)]


def _episode(step_us: int, duration: int, shots: list, tracks: list, detections: list, vectors: list) -> Episode:
    count = len(detections)
    boxes = np.array([box for _, _, box, _ in detections], np.float32).reshape(-1, 4)
    columns = {
        "det": np.arange(count, dtype=np.int32),
        "frame": np.array([at // step_us for at, *_ in detections], np.int32),
        "t_us": np.array([at for at, *_ in detections], np.int64),
        **{name: boxes[:, side] for side, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": np.full(count, 0.8, np.float32),
        "landmarks": pa.FixedSizeListArray.from_arrays(np.full(count * 10, np.nan, np.float32), 10),
        "height_px": np.full(count, 90, np.float32),
        "sharpness": np.full(count, 0.8, np.float32),
        "frontal": np.full(count, 0.8, np.float32),
        "quality": np.array([quality for *_, quality in detections], np.float32),
        "chip": np.full(count, -1, np.int32),
    }
    table = pa.table([columns[name] for name in DETECTIONS.names], schema=DETECTIONS)
    table = table.append_column("track", pa.array([track for _, track, *_ in detections], pa.int32()))
    pooled = np.array(vectors, np.float32).reshape(-1, DIMS)
    rows = pa.table([pa.array([list(row[k]) if k == 11 else row[k] for row in tracks], field.type) for k, field in enumerate(TRACK)], schema=TRACK)
    picks = pa.table([rows["track"], rows["best_det"], rows["quality"]], schema=PICKS)
    shot_table = pa.table([pa.array([row[k] for row in shots], field.type) for k, field in enumerate(SHOT)], schema=SHOT)
    return Episode(step_us, duration, (1280, 720), shot_table, rows, table, picks, pooled, pooled)
