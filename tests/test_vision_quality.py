"""Good television faces come out above .6; profiles, blurred, tiny, cut-off and doubtful ones below .35."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.models.base import Grey
from engine.vision.quality import face_sharpness, frontal, inside, quality, sharpness
from tests.clips import photo
from tests.footage import Still

FACES = [(56, 261, 169, 398), (270, 145, 372, 270), (464, 267, 573, 415), (745, 342, 847, 480), (906, 60, 1011, 206), (1130, 273, 1227, 401)]
"""The six faces of insightface's group photo."""

FRONT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
PROFILE = np.array([[20, 40], [38, 41], [8, 58], [20, 80], [32, 80]], np.float32)
BOX = np.array([[0, 0, 95, 120]], np.float32)


def face(number: int) -> Grey:
    x1, y1, x2, y2 = FACES[number]
    return np.asarray(cv2.cvtColor(photo()[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY), np.uint8)


def grade(picture: Grey, height: float = 130.0, facing: float = 0.9, score: float = 0.85, share: float = 1.0) -> float:
    columns = [np.array([value], np.float32) for value in (height, sharpness(picture), facing, score, share)]
    return float(quality(*columns)[0])


@pytest.mark.parametrize("number", range(6))
def test_good_faces_and_what_spoils_them(number: int) -> None:
    good = face(number)
    assert grade(good) > 0.6
    assert grade(cv2.GaussianBlur(good, (0, 0), good.shape[0] / 12)) < 0.35, "blurred"
    assert grade(good, height=22) < 0.35, "tiny"
    assert grade(good, facing=0.0) < 0.35, "profile"
    assert grade(good, score=0.32) < 0.35, "doubtful"
    assert grade(good, share=0.55) < 0.35, "cut by the edge"


def test_blur_only_ever_lowers_sharpness() -> None:
    good = face(4)
    values = [sharpness(cv2.GaussianBlur(good, (0, 0), sigma) if sigma else good) for sigma in (0, 1, 2, 4, 8, 16)]
    assert values == sorted(values, reverse=True) and 0 <= values[-1] < 0.2 < values[0] <= 1


@pytest.mark.parametrize("number", range(6))
def test_quality_falls_with_the_light_and_with_the_grain(number: int) -> None:
    """A clean face in a fifth of the light is still a face to go by; grain that drowns it makes it none."""
    rng = np.random.default_rng(number)

    def dark(gain: float, grain: float) -> float:
        picture = np.round(face(number) * gain) + rng.normal(0, grain, face(number).shape)
        return grade(np.clip(np.round(picture), 0, 255).astype(np.uint8))

    by_light, by_grain = [dark(gain, 0) for gain in (1, 0.3, 0.2, 0.1)], [dark(0.2, grain) for grain in (0, 4, 10, 25)]
    assert by_light == sorted(by_light, reverse=True) and by_light[2] > 0.35
    assert by_grain == sorted(by_grain, reverse=True) and by_grain[3] < 0.35


def test_sharpness_is_measured_at_the_source_not_at_the_detectors_size() -> None:
    whole = photo()
    still, blurred = Still(whole, 0), Still(cv2.GaussianBlur(whole, (0, 0), 8), 0)
    size = np.array([1280, 886, 1280, 886], np.float32)
    for box in np.array(FACES, np.float32) / size:
        assert face_sharpness(still, box) > 2 * face_sharpness(blurred, box)
    assert face_sharpness(still, np.array([-0.2, -0.2, 0.1, 0.1], np.float32)) >= 0, "a face half outside"


def test_frontal_falls_as_the_head_turns() -> None:
    front = frontal(FRONT[None], BOX)[0]
    turned = [frontal((FRONT + np.array([[0, 0], [0, 0], [shift, 0], [0, 0], [0, 0]], np.float32))[None], BOX)[0] for shift in (4, 8, 12, 20)]
    assert front > 0.9 and turned == sorted(turned, reverse=True) and turned[-1] < 0.1
    assert frontal(PROFILE[None], BOX)[0] < 0.1


def test_frontal_does_not_care_for_rolling_heads_and_missing_mouths() -> None:
    turn = cv2.getRotationMatrix2D((50, 60), 25, 1.0)[:, :2].astype(np.float32)
    assert frontal((FRONT @ turn.T)[None], BOX)[0] == pytest.approx(frontal(FRONT[None], BOX)[0], abs=0.05)
    mouthless = FRONT.copy()
    mouthless[3:] = np.nan
    assert frontal(mouthless[None], BOX)[0] == frontal(FRONT[None], BOX)[0]
    assert frontal(np.full((1, 5, 2), np.nan, np.float32), BOX)[0] == 0.5


def test_inside_is_the_share_of_the_box_in_the_picture() -> None:
    boxes = np.array([[0.2, 0.2, 0.4, 0.4], [-0.1, 0.2, 0.1, 0.4], [0.9, 0.9, 1.1, 1.1], [1.2, 0, 1.4, 0.2]], np.float32)
    assert inside(boxes) == pytest.approx([1, 0.5, 0.25, 0], abs=1e-5)
