"""Faces are followed at six looks a second: through pans, crossings and short losses, and never across a cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.vision.track import associate

STEP = 166_667
Path2D = list[tuple[float, float] | None]


def follow(
    paths: list[Path2D],
    cuts: tuple[int, ...] = (),
    settings: TrackSettings | None = None,
    scores: dict[tuple[int, int], float] | None = None,
    sizes: tuple[float, float] = (80, 100),
    order: int = 1,
) -> list[list[tuple[int, int]]]:
    """Tracks as lists of (who, frame), for faces whose centres run along paths (pixels; None: not seen)."""
    found: list[tuple[int, int]] = []
    boxes: list[NDArray[np.float64]] = []
    half = np.array(sizes) / 2
    for frame in range(max(len(path) for path in paths)):
        for who in range(len(paths))[::order]:
            if frame < len(paths[who]) and (centre := paths[who][frame]) is not None:
                found.append((who, frame))
                boxes.append(np.concatenate([np.array(centre) - half, np.array(centre) + half]))
    given = scores or {}
    tracks = associate(
        np.array([frame * STEP for _, frame in found], np.int64),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([given.get(entry, 0.9) for entry in found], np.float32),
        np.array([cut * STEP for cut in cuts], np.int64),
        settings or TrackSettings(),
    )
    return [[found[position] for position in track] for track in tracks]


def straight(start: tuple[float, float], step: tuple[float, float], count: int) -> Path2D:
    return [(start[0] + step[0] * i, start[1] + step[1] * i) for i in range(count)]


def pure(tracks: list[list[tuple[int, int]]], people: int) -> bool:
    """One track a person, all of it that person's."""
    return len(tracks) == people and all(len({who for who, _ in track}) == 1 for track in tracks)


@pytest.mark.parametrize("speed", [0, 20, 50, 70, 85])
def test_a_pan_moves_faces_by_most_of_their_width_between_looks(speed: float) -> None:
    jitter = np.random.default_rng(1).normal(0, 3, (30, 2))
    paths = [[(x + dx, y + dy) for (x, y), (dx, dy) in zip(straight((100 + 300 * i, 300), (speed, 0), 30), jitter, strict=True)] for i in range(2)]  # type: ignore[misc]
    assert pure(follow(paths), 2)


def test_a_whip_pan_gains_speed() -> None:
    x, path = 100.0, []
    for i in range(14):
        x += 18 * i
        path.append((x, 300.0))
    assert pure(follow([path]), 1)


def test_people_cross_and_stay_themselves() -> None:
    left, right = straight((100, 300), (40, 0), 20), straight((860, 330), (-40, 0), 20)
    assert pure(follow([left, right]), 2)
    assert pure(follow([left, right], order=-1), 2)


def test_one_person_hides_another_for_a_moment() -> None:
    still: Path2D = [(500, 300)] * 20
    walking = straight((100, 300), (40, 0), 20)
    hidden = [None if 9 <= i <= 11 else at for i, at in enumerate(still)]
    tracks = follow([hidden, walking])
    assert sorted(len(track) for track in tracks) == [17, 20] and pure(tracks, 2)


def test_nothing_is_bridged_across_a_cut() -> None:
    tracks = follow([[(400, 300)] * 20], cuts=(8, 15))
    assert [[frame for _, frame in track] for track in tracks] == [list(range(8)), list(range(8, 15)), list(range(15, 20))]


@pytest.mark.parametrize(("missing", "tracks"), [(3, 1), (4, 1), (6, 2)])
def test_a_lost_face_is_waited_for_as_long_as_the_setting_says(missing: int, tracks: int) -> None:
    path: Path2D = [(400, 300) if i < 5 or i >= 5 + missing else None for i in range(20)]
    assert len(follow([path], settings=TrackSettings(max_gap_s=1.0))) == tracks


def test_weak_faces_continue_a_track_but_start_none() -> None:
    path: Path2D = [(400, 300)] * 10
    dips = follow([path], scores={(0, frame): 0.35 for frame in (3, 4, 5, 9)})
    assert [len(track) for track in dips] == [10]
    assert follow([path], scores={(0, frame): 0.45 for frame in range(10)}) == []
    late = follow([path], scores={(0, frame): 0.35 for frame in range(4)})
    assert [[frame for _, frame in track] for track in late] == [list(range(4, 10))]


def test_a_face_elsewhere_is_somebody_else() -> None:
    assert len(follow([[(100, 300)] * 5 + [None] * 5, [None] * 5 + [(900, 300)] * 5])) == 2  # type: ignore[list-item]


def test_tracks_do_not_jump_to_a_neighbour_of_another_size() -> None:
    count = 8
    boxes = np.array([[100, 100, 180, 200]] * count + [[110, 90, 310, 340]] * count, np.float32)
    times = np.arange(2 * count) * STEP
    assert len(associate(times, boxes, np.full(2 * count, 0.9, np.float32), np.zeros(0, np.int64), TrackSettings())) == 2


def test_short_tracks_are_dropped_when_asked_and_nothing_is_no_tracks() -> None:
    path: Path2D = [(400, 300), (402, 300)]
    assert follow([path], settings=TrackSettings(min_faces=3)) == []
    assert associate(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), TrackSettings()) == []
