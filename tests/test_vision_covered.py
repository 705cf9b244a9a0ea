"""A face that scores far below itself for a while is covered; faces that turn, shrink, flicker or are just faint are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.vision.covered import covered

STEP = 166_667


@dataclass
class Seen:
    """A face in 30 looks, by default in one place, 130 pixels high, frontal and sure."""

    scores: NDArray[np.float32]
    height: float = 130.0
    frontal: float = 0.9
    speed: float = 0.0

    def hidden(self, cuts: tuple[int, ...] = (), settings: TrackSettings | None = None) -> list[int]:
        """Looks in which the face is taken for covered."""
        looks = np.flatnonzero(self.scores > 0)
        left = 100 + self.speed * looks
        boxes = np.stack([left, np.full(len(looks), 50.0), left + 0.8 * self.height, np.full(len(looks), 50 + self.height)], axis=1)
        height, frontal = np.full(len(looks), self.height, np.float32), np.full(len(looks), self.frontal, np.float32)
        times, border = looks.astype(np.int64) * STEP, np.array([cut * STEP for cut in cuts], np.int64)
        found = covered(times, boxes.astype(np.float32), self.scores[looks], height, frontal, border, settings or TrackSettings())
        return list(map(int, looks[found]))


def scores(**stretches: float) -> NDArray[np.float32]:
    """0.88 in 30 looks, but for stretches given as `a10_18=0.6`; 0 is no detection."""
    values = np.full(30, 0.88, np.float32)
    for name, value in stretches.items():
        start, stop = name[1:].split("_")
        values[int(start) : int(stop)] = value
    return values


def test_a_hand_over_the_face_is_noticed() -> None:
    assert Seen(scores(a10_18=0.6)).hidden() == list(range(10, 18))
    assert Seen(scores(a0_10=0.6)).hidden() == list(range(10)), "from the start of the shot"


def test_one_weak_detection_bridges_no_long_stretch() -> None:
    assert Seen(scores(a10_18=0.0, a13_14=0.32)).hidden() == [13]


@pytest.mark.parametrize(
    "seen",
    [
        Seen(scores()),
        Seen(scores(a10_12=0.5)),  # a blink
        Seen(scores(a10_18=0.75)),  # not much less
        Seen(scores(a10_18=0.6), frontal=0.2),  # turned away
        Seen(scores(a10_18=0.6), height=36),  # small
        Seen(scores(a10_18=0.6), speed=90),  # never twice in one place
        Seen(np.full(30, 0.55, np.float32)),  # faint all the time
    ],
)
def test_what_is_visible_stays(seen: Seen) -> None:
    assert seen.hidden() == []


def test_other_shots_say_nothing() -> None:
    assert Seen(scores(a0_15=0.6)).hidden(cuts=(15,)) == []


def test_the_setting_is_read() -> None:
    assert Seen(scores(a10_18=0.6)).hidden(settings=TrackSettings(covered_score=0)) == []
