"""The stage clip, labelled by hand: who can be seen when, and about where, in ten seconds of real television.

Looked at frame by frame with a grid on it. A face in profile counts; one that the picture's border leaves less than half of does not. Faces
of the audience behind the lights, dark and out of focus, do not count: finding them is neither right nor wrong (their boxes are drawn where a
detector saw something). The others are exact to about ten pixels, so recall at IoU 0.5 says less here than in the made clips.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engine.sources.file import read
from engine.sources.probe import probe
from engine.sources.windows import plan
from tests.benchmarks.film import Truth

CLIP = "tv/short_hamilton_clip.mp4"
WIDTH, HEIGHT = 640, 360
SHOTS_S = (0.844, 1.511, 3.580, 7.884)

Key = tuple[float, int, int, int, int]
"""(seconds, x1, y1, x2, y2) in pixels of the frame; in between, boxes go straight from one to the next."""

# (person, from, to, counts, boxes); seconds
SEEN: tuple[tuple[str, float, float, bool, tuple[Key, ...]], ...] = (
    ("singer", 0.844, 1.511, True, ((0.844, 527, 42, 573, 100), (1.478, 514, 40, 560, 98))),
    ("pianist", 0.844, 1.511, True, ((0.844, 57, 180, 87, 223), (1.478, 55, 178, 84, 221))),
    (
        "pianist",
        1.511,
        2.58,
        True,
        (
            (1.545, 402, 0, 600, 285),
            (1.645, 360, 0, 570, 295),
            (1.812, 298, 75, 500, 355),
            (2.012, 291, 100, 470, 360),
            (2.212, 337, 100, 510, 360),
            (2.346, 396, 80, 595, 335),
            (2.446, 478, 30, 640, 280),
            (2.546, 528, 10, 640, 250),
        ),
    ),
    ("pianist", 2.58, 3.10, False, ((2.646, 561, 10, 640, 240), (2.746, 590, 15, 640, 235), (2.913, 585, 20, 640, 240), (3.013, 569, 30, 640, 250))),
    (
        "pianist",
        3.10,
        3.580,
        True,
        (
            (3.113, 526, 40, 640, 270),
            (3.213, 489, 40, 640, 320),
            (3.313, 457, 80, 640, 345),
            (3.413, 438, 130, 620, 360),
            (3.513, 436, 120, 615, 360),
        ),
    ),
    (
        "singer",
        3.580,
        7.884,
        True,
        (
            (3.613, 136, 48, 222, 160),
            (4.014, 182, 52, 268, 165),
            (4.414, 222, 56, 312, 165),
            (4.815, 214, 42, 306, 152),
            (5.115, 200, 38, 296, 140),
            (5.415, 172, 34, 270, 142),
            (5.649, 176, 28, 270, 128),
            (5.916, 222, 32, 317, 140),
            (6.316, 226, 36, 323, 142),
            (6.717, 196, 52, 290, 168),
            (7.084, 210, 34, 308, 136),
            (7.584, 273, 34, 373, 144),
            (7.780, 278, 40, 381, 141),
        ),
    ),
    ("woman in stripes", 7.884, 10.1, True, ((7.884, 168, 68, 240, 166), (9.953, 172, 74, 244, 170))),
    ("man with his hand at his chin", 7.884, 10.1, True, ((7.884, 319, 46, 380, 126), (9.953, 325, 54, 384, 128))),
    ("woman with earrings", 7.884, 10.1, True, ((7.884, 392, 72, 458, 172), (9.953, 402, 72, 468, 170))),
    ("man at the left", 7.884, 10.1, True, ((7.884, 46, 62, 120, 126), (9.386, 38, 58, 110, 124), (9.953, 46, 64, 118, 126))),
    ("audience 1", 8.3, 9.1, False, ((8.52, 28, 30, 70, 92),)),
    ("audience 2", 7.884, 10.1, False, ((7.884, 585, 55, 635, 134),)),
    ("audience 3", 1.511, 3.580, False, ((1.85, 143, 60, 199, 143), (2.51, 187, 65, 245, 143), (2.85, 203, 80, 261, 162), (3.51, 169, 79, 226, 162))),
    ("audience 4", 2.3, 3.580, False, ((2.85, 321, 173, 365, 250), (3.18, 310, 173, 363, 250), (3.51, 284, 175, 337, 250))),
    ("audience 5", 2.4, 3.580, False, ((2.51, 453, 118, 513, 220), (2.85, 467, 148, 520, 236), (3.18, 443, 150, 497, 247))),
    ("audience 6", 2.3, 3.580, False, ((2.51, 335, 81, 393, 152), (2.85, 349, 83, 404, 166), (3.18, 333, 83, 388, 166), (3.51, 316, 95, 365, 165))),
    ("audience 7", 2.4, 3.580, False, ((2.51, 402, 162, 453, 226), (2.85, 411, 180, 464, 250), (3.51, 379, 180, 434, 247))),
)


def truth() -> Truth:
    """The labels at every frame of the clip, whose times are read from it."""
    times, end_us = _times(Path(os.environ["ROLLCALL_TEST_MEDIA"]) / CLIP)
    people = tuple(sorted({name for name, *_ in SEEN}))
    rows = []
    for frame, at in enumerate(times / 1e6):
        for name, start, end, counts, keys in SEEN:
            if start - 0.01 <= at < end - 0.01:
                moments = [key[0] for key in keys]
                box = [float(np.interp(at, moments, [key[side] for key in keys])) for side in (1, 2, 3, 4)]
                rows.append((frame, people.index(name), box, counts))
    boxes = np.array([box for _, _, box, _ in rows])
    counts = np.array([row[3] for row in rows])
    return Truth(
        people=people,
        t_us=times,
        end_us=end_us,
        shot=np.searchsorted(np.array(SHOTS_S) - 0.01, times / 1e6, side="right") - 1,
        frame=np.array([row[0] for row in rows]),
        person=np.array([row[1] for row in rows]),
        box=boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT],
        height=boxes[:, 3] - boxes[:, 1],
        visible=np.where(counts, 1.0, 0.0),
        counts=counts,
        cuts_us=np.round(np.array(SHOTS_S[1:]) * 1e6).astype(np.int64),
    )


def _times(path: Path) -> tuple[np.ndarray, int]:
    """When each frame starts, and the end of the last one, on the recording's clock."""
    from engine.config import ObserveSettings

    media, settings = probe(path), ObserveSettings(fps=60)
    times = sorted({frame.t_us for window in plan(media, settings) for frame, _ in read(path, media, window, settings)})
    return np.array(times, np.int64), media.duration_us
