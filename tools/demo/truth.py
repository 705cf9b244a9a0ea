"""Who can be seen in each frame of the demo episode, and the totals that follow.

The rule, for one face in one frame: visible when at least half of its box lies inside the pane that shows it and under no prop, and the box
is at least 24 pixels high on screen.  Everything is counted in whole frames of 40 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.demo.camera import Staged
from tools.demo.pictures import PEOPLE
from tools.demo.shots import FPS, FRAME_US, HEIGHT, WIDTH, Shot

MIN_VISIBLE = 0.5
MIN_HEIGHT = 24
_INDEX = {person.id: index for index, person in enumerate(PEOPLE)}
_STEPS = (np.arange(40) + 0.5) / 40


@dataclass(frozen=True)
class FaceInFrame:
    """A face on screen: `person` is its place in PEOPLE, `box` xyxy in pixels clipped to its pane, `visible` the share 0..1 of the whole
    box that can be seen, `counts` whether the rule calls it visible."""

    frame: int
    person: int
    box: tuple[float, float, float, float]
    visible: float
    counts: bool


def faces_of(staged: Staged, frame: int) -> list[FaceInFrame]:
    """The faces of a frame of which anything can be seen."""
    found = []
    for part in staged.panes:
        area = part.pane.area
        for person in part.pane.picture.people:
            x0, y0, x1, y1 = person.box
            x, y = part.matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
            half_width, half_height = (x1 - x0) / 2 * part.scale, (y1 - y0) / 2 * part.scale
            box = (x - half_width, y - half_height, x + half_width, y + half_height)
            visible = _visible_share(box, area, [outline for _, outline in staged.props])
            if visible > 0:
                clipped = (max(box[0], area[0]), max(box[1], area[1]), min(box[2], area[2]), min(box[3], area[3]))
                counts = visible >= MIN_VISIBLE and 2 * half_height >= MIN_HEIGHT
                found.append(FaceInFrame(frame, _INDEX[person.id], clipped, visible, counts))
    return found


def _visible_share(box: tuple[float, float, float, float], area: tuple[int, int, int, int], covers: list[NDArray[np.float64]]) -> float:
    """The share of a box inside an area and outside convex polygons, by sampling 40 x 40 points."""
    x = (box[0] + (box[2] - box[0]) * _STEPS)[None, :]
    y = (box[1] + (box[3] - box[1]) * _STEPS)[:, None]
    seen = (x >= area[0]) & (x < area[2]) & (y >= area[1]) & (y < area[3])
    for outline in covers:
        edges = np.roll(outline, -1, axis=0) - outline
        sides = [dx * (y - py) - dy * (x - px) for (px, py), (dx, dy) in zip(outline, edges, strict=True)]
        seen &= ~np.logical_and.reduce([side >= 0 for side in sides])
    return float(seen.mean())


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a mask (n,) is true: [start, end) pairs in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def describe(shots: tuple[Shot, ...], faces: list[FaceInFrame], *, seed: int, video: str) -> dict[str, Any]:
    """The truth file: times in integer microseconds, boxes normalised xyxy; `faces` holds columns of one row per face and frame."""
    frames = sum(shot.frames for shot in shots)
    seen = np.zeros((frames, len(PEOPLE)), np.bool_)
    for face in faces:
        seen[face.frame, face.person] |= face.counts
    alone = seen.sum(axis=1) == 1
    starts = np.cumsum([0, *(shot.frames for shot in shots)])
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    return {
        "video": video,
        "seed": seed,
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "duration_us": frames * FRAME_US,
        "rule": {"min_visible": MIN_VISIBLE, "min_height": MIN_HEIGHT},
        "cuts_us": [int(start) * FRAME_US for start in starts[1:-1]],
        "shots": [
            {"name": shot.name, "start_us": int(a) * FRAME_US, "end_us": int(b) * FRAME_US}
            for shot, a, b in zip(shots, starts[:-1], starts[1:], strict=True)
        ],
        "people": [_person(index, seen[:, index], alone) for index in range(len(PEOPLE))],
        "pairs": [
            {"a": PEOPLE[a].id, "b": PEOPLE[b].id, "seconds": _seconds(seen[:, a] & seen[:, b])} for a, b in combinations(range(len(PEOPLE)), 2)
        ],
        "faces": {
            "frame": [face.frame for face in faces],
            "person": [PEOPLE[face.person].id for face in faces],
            "box": [[round(float(v), 5) for v in np.array(face.box) / size] for face in faces],
            "visible": [round(face.visible, 4) for face in faces],
            "counts": [face.counts for face in faces],
        },
    }


def _seconds(mask: NDArray[np.bool_]) -> float:
    return round(int(mask.sum()) * FRAME_US / 1e6, 6)


def _person(index: int, seen: NDArray[np.bool_], alone: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "id": PEOPLE[index].id,
        "name": PEOPLE[index].name,
        "intervals_us": [[start * FRAME_US, end * FRAME_US] for start, end in runs(seen)],
        "visible_seconds": _seconds(seen),
        "solo_seconds": _seconds(seen & alone),
    }
