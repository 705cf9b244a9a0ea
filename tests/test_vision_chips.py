"""Every face gets its pictures: enough, the best, with landmarks that still point at it, and no more than that in memory."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.tables import BODY_DIMS
from engine.vision.body import describe
from engine.vision.chips import MAX_SIDE, ChipKeeper, cut
from tests.footage import Still, scene

STEP = 166_667
BOX = np.array([[0.4, 0.3, 0.5, 0.5]], np.float32)
POINTS = np.array([[[0.43, 0.37], [0.47, 0.37], [0.45, 0.4], [0.43, 0.45], [0.47, 0.45]]], np.float32)


def keeper() -> ChipKeeper:
    return ChipKeeper(500_000, round(2.5 * STEP))


def feed(chips: ChipKeeper, qualities: list[float], start: int = 0) -> None:
    picture = scene(1, 640, 360)
    for i, quality in enumerate(qualities):
        chips.push(Still(picture, (start + i) * STEP), start + i, BOX, POINTS, np.array([quality], np.float32))


def test_one_picture_every_half_second_the_best_of_it() -> None:
    chips = keeper()
    feed(chips, [0.1, 0.5, 0.3, 0.6, 0.2, 0.1, 0.4, 0.4, 0.9])
    chips.cut()
    assert [crop.det for crop in chips.kept] == [1, 3, 8]


def test_a_single_look_at_a_face_gives_a_picture() -> None:
    chips = keeper()
    feed(chips, [0.0])
    assert chips.kept == []
    chips.cut()
    assert [crop.det for crop in chips.kept] == [0]


def test_faces_far_apart_are_different_chains_and_a_cut_ends_all() -> None:
    chips = keeper()
    boxes = np.concatenate([BOX, BOX + np.array([0.3, 0, 0.3, 0], np.float32)])
    for i in range(3):
        chips.push(Still(scene(1, 640, 360), i * STEP), 2 * i, boxes, np.repeat(POINTS, 2, axis=0), np.array([0.5, 0.9 - 0.1 * i], np.float32))
        if i == 1:
            chips.cut()
    chips.cut()
    assert sorted(crop.det for crop in chips.kept) == [0, 1, 4, 5]


def test_a_face_away_for_long_is_a_new_chain() -> None:
    chips = keeper()
    feed(chips, [0.9])
    feed(chips, [0.1], start=4)
    chips.cut()
    assert [crop.det for crop in chips.kept] == [0, 4]


def test_frames_are_let_go() -> None:
    chips = keeper()
    frames = [Still(scene(1, 64, 36), i * STEP) for i in range(60)]
    for i, frame in enumerate(frames):
        chips.push(frame, i, BOX, POINTS, np.array([1 - i / 100], np.float32))
        held = {chain.best.frame.t_us for chain in chips._chains if chain.best}
        assert len(held) <= 1 and all(frame.t_us - t_us <= 700_000 for t_us in held)


@pytest.mark.parametrize(
    "box", [(0.4, 0.3, 0.5, 0.5), (0.45, 0.4, 0.46, 0.42), (-0.02, -0.03, 0.1, 0.2), (0.2, 0.05, 0.8, 0.98), (0.93, 0.9, 1.02, 1.05)]
)
def test_landmarks_and_box_point_at_the_same_pixels_in_the_crop(box: tuple[float, float, float, float]) -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    corners = np.array(box, np.float32)
    inner = corners[:2] + (corners[2:] - corners[:2]) * np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    for x, y in inner * [1280, 720]:
        cv2.circle(picture, (round(x), round(y)), 2, (255, 255, 255), -1)
    crop = cut(Still(picture, 0), 0, corners, inner.astype(np.float32))
    image = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] == image.shape[1] <= MAX_SIDE
    centre = crop.box.reshape(2, 2).mean(axis=0)
    assert np.allclose(centre, image.shape[0] / 2, atol=1.5)
    if min(box) > 0 and max(box) < 0.9 and box[2] - box[0] > 0.05:
        for x, y in crop.landmarks:
            assert image[max(0, round(y) - 1) : round(y) + 2, max(0, round(x) - 1) : round(x) + 2].max() > 100


def test_clothes_tell_people_apart() -> None:
    def wearing(seed: int, at: float) -> tuple[Still, np.ndarray]:
        picture = np.full((360, 640, 3), 90, np.uint8)
        x = round(at * 640)
        picture[150:330, x - 20 : x + 90] = cv2.resize(scene(seed, 40, 40), (110, 180))
        return Still(picture, 0), np.array([at, 0.25, at + 0.1, 0.42], np.float32)

    red, red_again, blue = describe(*wearing(1, 0.3)), describe(*wearing(1, 0.6)), describe(*wearing(2, 0.3))
    assert red.shape == (BODY_DIMS,) and np.linalg.norm(red) == pytest.approx(1, abs=1e-5)
    assert red @ red_again > 0.97 > 0.9 > red @ blue


def test_no_body_in_the_picture_is_all_zero() -> None:
    still = Still(scene(1, 640, 360), 0)
    assert not describe(still, np.array([0.4, 0.6, 0.5, 0.95], np.float32)).any()
    assert describe(still, np.array([0.4, 0.1, 0.5, 0.3], np.float32)).any()
