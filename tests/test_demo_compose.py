"""The demo episode: its truth is what a detector that had no part in making it sees, and what plain counting says."""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import cv2
import dlib
import numpy as np
import pytest

from engine.errors import BadMedia, Cancelled, NotFound
from tools.demo.compose import TRUTH_NAME, VIDEO_NAME, compose, episode_truth, frames_of, images_of, write_episode
from tools.demo.pictures import PEOPLE, PICTURES, Picture, load
from tools.demo.shots import EPISODE, FPS, FRAME_US, HEIGHT, WIDTH, Prop, Shot
from tools.demo.truth import faces_of, runs

Box = tuple[float, float, float, float]
SHORT = tuple(shot for shot in EPISODE if shot.name in {"dark, a card passes", "split, red and orange"})


@cache
def truth() -> dict[str, Any]:
    return episode_truth(EPISODE, 7)


def iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def hog(image: np.ndarray, upsample: int = 0) -> list[Box]:
    found = dlib.get_frontal_face_detector()(np.ascontiguousarray(image[..., ::-1]), upsample)
    return [(face.left(), face.top(), face.right(), face.bottom()) for face in found]


def shot_named(name: str) -> Shot:
    return next(shot for shot in EPISODE if shot.name == name)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.package)
def test_another_detector_finds_the_measured_faces(picture: Picture) -> None:
    found = hog(load(picture))
    assert len(found) == len(picture.people)
    for person in picture.people:
        assert max(iou(person.box, box) for box in found) > 0.45, person.name


def test_a_missing_or_different_picture_is_refused() -> None:
    with pytest.raises(NotFound):
        load(Picture("no_such_package", "a.png", "", ()))
    with pytest.raises(NotFound):
        load(Picture("insightface", "no_such_picture.png", "", ()))
    with pytest.raises(BadMedia):
        load(Picture("insightface", "data/images/t1.jpg", "0" * 64, ()))


def test_the_episode_is_a_minute_of_television() -> None:
    assert 60e6 <= truth()["duration_us"] <= 75e6
    assert len(truth()["cuts_us"]) == len(EPISODE) - 1
    assert all(cut * 6 % 1_000_000 for cut in truth()["cuts_us"]), "a cut lies on the grid of 6 samples a second"
    assert [(person["id"], person["name"]) for person in truth()["people"]] == [(person.id, person.name) for person in PEOPLE]
    assert min(person["visible_seconds"] for person in truth()["people"]) >= 8


def test_totals_agree_with_the_faces_they_are_made_of() -> None:
    faces = truth()["faces"]
    seen: dict[str, set[int]] = {person.id: set() for person in PEOPLE}
    for frame, person, counts in zip(faces["frame"], faces["person"], faces["counts"], strict=True):
        if counts:
            seen[person].add(frame)
    for person in truth()["people"]:
        mine = seen[person["id"]]
        others = set().union(*(frames for name, frames in seen.items() if name != person["id"]))
        assert person["visible_seconds"] == pytest.approx(len(mine) / FPS)
        assert person["solo_seconds"] == pytest.approx(len(mine - others) / FPS)
        assert {frame for start, end in person["intervals_us"] for frame in range(start // FRAME_US, end // FRAME_US)} == mine
        assert all(start < end for start, end in person["intervals_us"])
        assert all(a[1] < b[0] for a, b in zip(person["intervals_us"], person["intervals_us"][1:], strict=False))
    for pair, (a, b) in zip(truth()["pairs"], combinations(seen, 2), strict=True):
        assert (pair["a"], pair["b"]) == (a, b)
        assert pair["seconds"] == pytest.approx(len(seen[a] & seen[b]) / FPS)


def test_no_face_stays_near_the_limit_of_the_rule() -> None:
    faces = truth()["faces"]
    starts = np.cumsum([shot.frames for shot in EPISODE])
    doubtful: dict[tuple[int, str], int] = {}
    for frame, person, visible in zip(faces["frame"], faces["person"], faces["visible"], strict=True):
        if 0.35 < visible < 0.65:
            key = (int(np.searchsorted(starts, frame, "right")), person)
            doubtful[key] = doubtful.get(key, 0) + 1
    assert max(doubtful.values()) <= 0.5 * FPS


def test_the_camera_stays_inside_the_picture() -> None:
    sizes = {picture: load(picture).shape for picture in PICTURES}
    for staged in frames_of(EPISODE, 7):
        for part in staged.panes:
            left, top, right, bottom = part.pane.area
            back = cv2.invertAffineTransform(part.matrix)
            corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]) @ back.T
            height, width = sizes[part.pane.picture][:2]
            assert corners.min() > -8 and (corners < np.array([width + 8, height + 8])).all(), staged.shot.name


@pytest.mark.parametrize(
    "name", ["everybody, slow zoom", "grey, by night", "split, lace and right", "left three, mirrored", "orange, dark and noisy"]
)
def test_faces_are_where_the_truth_says(name: str) -> None:
    shot = shot_named(name)
    image = list(images_of((shot,), 7))[-1]
    expected = faces_of(list(frames_of((shot,), 7))[-1], 0)
    found = hog(image)
    assert len(found) == sum(face.counts for face in expected)
    for face in expected:
        assert not face.counts or max(iou(face.box, box) for box in found) > 0.45, PEOPLE[face.person].name


@pytest.mark.parametrize("name", ["empty table", "lamp", "helmet"])
def test_empty_shots_are_empty(name: str) -> None:
    shot = shot_named(name)
    assert not any(face.counts for staged in frames_of((shot,), 7) for face in faces_of(staged, 0))
    assert hog(next(images_of((shot,), 7))) == []


def test_a_prop_hides_what_it_covers() -> None:
    bare = Shot("bare", 1, shot_named("dark, reverse").panes)
    face = next(face for face in faces_of(next(frames_of((bare,), 7)), 0) if face.counts)
    x0, y0, x1, y1 = face.box
    assert face.visible == 1

    def visible(centre_x: float) -> float:
        card = Prop("card", (x1 - x0, 2 * (y1 - y0)), ((0, centre_x, (y0 + y1) / 2), (1, centre_x, 0)))
        covered = Shot("covered", 1, bare.panes, props=(card,))
        return next((found.visible for found in faces_of(next(frames_of((covered,), 7)), 0) if found.person == face.person), 0.0)

    assert visible((x0 + x1) / 2) == 0
    assert visible(x0) == pytest.approx(0.5, abs=0.03)
    assert visible(x0 - (x1 - x0) * 0.25) == pytest.approx(0.75, abs=0.03)
    assert visible(x1 + WIDTH) == 1


def test_a_mirrored_shot_is_the_flip_of_the_plain_one() -> None:
    shot = Shot("plain", 1, shot_named("left three, mirrored").panes)
    mirrored = next(images_of((shot,), 7))
    plain = next(images_of((Shot("plain", 1, tuple(type(pane)(pane.picture, pane.views) for pane in shot.panes)),), 7))
    difference = cv2.absdiff(cv2.flip(plain, 1)[:, :-1], mirrored[:, 1:])
    assert difference.mean() < 1


def test_runs_are_half_open() -> None:
    assert runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert runs(np.zeros(3, np.bool_)) == []


def test_the_files_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    shares: list[float] = []
    video = write_episode(tmp_path / "a", SHORT, seed=7, progress=shares.append)
    again = write_episode(tmp_path / "b", SHORT, seed=7)
    assert video == tmp_path / "a" / VIDEO_NAME
    assert video.read_bytes() == again.read_bytes()
    assert video.with_name(TRUTH_NAME).read_bytes() == again.with_name(TRUTH_NAME).read_bytes()
    assert sorted(path.name for path in video.parent.iterdir()) == [TRUTH_NAME, VIDEO_NAME]
    assert shares == sorted(shares) and shares[-1] == 1
    said = json.loads(video.with_name(TRUTH_NAME).read_text(encoding="utf-8"))
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate, stream.width, stream.height) == ("h264", FPS, WIDTH, HEIGHT)
        assert container.streams.audio[0].codec_context.name == "aac"
        times = [round(frame.time * 1_000_000) for frame in container.decode(stream)]
    assert times == list(range(0, said["duration_us"], FRAME_US))


def test_another_seed_is_another_take(tmp_path: Path) -> None:
    shot = (shot_named("grey, hand-held"),)
    assert episode_truth(shot, 7) == episode_truth(shot, 7)
    assert episode_truth(shot, 7)["faces"] != episode_truth(shot, 8)["faces"]


def test_a_stopped_composition_leaves_nothing(tmp_path: Path) -> None:
    def stop(share: float) -> None:
        if share > 0.1:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        compose(tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_the_picture_fills_the_screen() -> None:
    image = next(images_of((shot_named("split, red and orange"),), 7))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image[:, : WIDTH // 2].mean() > 40 and image[:, WIDTH // 2 :].mean() > 40
