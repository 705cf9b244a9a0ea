"""The cascade looks closely where that can change something, and only there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.config import ObserveSettings
from engine.models.base import Faces, Image
from engine.vision.detect import FULL, NOT_RUN, SMALL, UNMOVED, FaceFinder
from tests.footage import Still, scene

Box = tuple[float, float, float, float]


@dataclass
class Spotter:
    """Finds the faces it is told of, normalised, when they are at least `least_px` tall in the picture it is given."""

    faces: list[Box] = field(default_factory=list)
    least_px: float = 10.0
    most_px: float = 1000.0
    name: str = "spotter"
    digest: str = "0"
    min_size: int = 64
    sure_px: int = 32
    sizes: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=lambda: [0.8] * 9)

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        height, width = image.shape[:2]
        self.sizes.append(max(height, width))
        boxes = np.array(self.faces, np.float32).reshape(-1, 4) * np.array([width, height, width, height], np.float32)
        tall = boxes[:, 3] - boxes[:, 1]
        seen = (tall >= self.least_px) & (tall <= self.most_px)
        boxes, scores = boxes[seen], np.array(self.scores[: len(seen)], np.float32)[seen]
        centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        return Faces(boxes, scores, np.repeat(centres, 5, axis=1))


BIG, SMALL_FACE, HUGE = (0.1, 0.1, 0.3, 0.5), (0.7, 0.7, 0.73, 0.75), (0.2, 0.0, 0.8, 1.0)
SETTINGS = ObserveSettings(full_every_s=1.0)


def frames(count: int, step_us: int = 166_667, *, still: bool = False) -> list[Still]:
    """Pictures all of which changes from one to the next, or nothing of which does but grain."""
    random = np.random.default_rng(1)
    shades = [0 if still else 40 * (i % 5) for i in range(count)]
    return [Still(random.integers(shade, shade + 25, (720, 1280, 3), np.uint8), i * step_us) for i, shade in enumerate(shades)]


def test_a_steady_face_costs_small_looks_only() -> None:
    spotter = Spotter([BIG])
    finder = FaceFinder(spotter, SETTINGS)
    looks = [finder.look(frame, False) for frame in frames(13)]
    assert [look.kind for look in looks] == [FULL, *[SMALL] * 5] * 2 + [FULL]
    assert spotter.sizes == [320, 640, *[320] * 6, 640, *[320] * 6, 640]
    assert all(np.allclose(look.faces.boxes, [BIG], atol=1e-6) and len(look.faces.scores) == 1 for look in looks)
    assert np.allclose(looks[0].faces.landmarks[0], [[0.2, 0.3]] * 5, atol=1e-6)


def test_a_new_shot_and_a_changed_cast_are_looked_at_closely() -> None:
    spotter = Spotter([BIG])
    finder = FaceFinder(spotter, ObserveSettings(full_every_s=100))
    stills = frames(8)
    assert finder.look(stills[0], False).kind == FULL
    assert finder.look(stills[1], False).kind == SMALL
    assert finder.look(stills[2], True).kind == FULL
    spotter.faces = [BIG, (0.5, 0.1, 0.7, 0.5)]
    assert finder.look(stills[3], False).kind == FULL, "a face was born"
    assert finder.look(stills[4], False).kind == SMALL
    spotter.faces = [BIG]
    assert finder.look(stills[5], False).kind == FULL, "a face was lost"
    assert finder.look(stills[6], False).kind == SMALL


def test_faces_only_the_large_picture_shows_keep_it_large_without_the_small_one() -> None:
    spotter = Spotter([BIG, SMALL_FACE], least_px=12)
    finder = FaceFinder(spotter, SETTINGS)
    looks = [finder.look(frame, False) for frame in frames(6)]
    assert all(len(look.faces.scores) == 2 and look.kind == FULL for look in looks)
    assert spotter.sizes == [320, *[640] * 6]


def test_faces_only_the_small_picture_shows_are_found_from_the_first_frame_on() -> None:
    spotter = Spotter([HUGE], most_px=200)
    looks = [FaceFinder(spotter, SETTINGS).look(frame, False) for frame in frames(3)]
    assert all(len(look.faces.scores) == 1 for look in looks)


def test_the_detectors_smallest_size_is_respected() -> None:
    spotter = Spotter([BIG], min_size=500)
    finder = FaceFinder(spotter, SETTINGS)
    for frame in frames(3):
        finder.look(frame, False)
    assert set(spotter.sizes) == {500, 640}
    spotter = Spotter([BIG], min_size=1000)
    finder = FaceFinder(spotter, SETTINGS)
    assert [finder.look(frame, False).kind for frame in frames(2)] == [FULL, FULL]
    assert spotter.sizes == [1000, 1000], "one size is looked at once"


def test_while_there_is_nobody_the_large_picture_is_enough_at_intervals() -> None:
    spotter = Spotter([])
    finder = FaceFinder(spotter, SETTINGS)
    stills = frames(10)
    assert [finder.look(frame, False).kind for frame in stills[:7]] == [FULL, *[SMALL] * 5, FULL]
    assert spotter.sizes == [320, 640, *[320] * 5, 640]
    spotter.faces = [BIG]
    assert len(finder.look(stills[7], False).faces.scores) == 1
    assert spotter.sizes[8:] == [320, 640], "somebody came"


def test_every_look_is_full_when_asked() -> None:
    finder = FaceFinder(Spotter([BIG]), ObserveSettings(full_every_s=0))
    assert [finder.look(frame, False).kind for frame in frames(4)] == [FULL] * 4


def test_in_a_still_picture_faces_are_followed_at_the_size_they_need() -> None:
    spotter = Spotter([BIG], least_px=8)  # 0.4 of the height: 32 px in a picture 160 wide
    finder = FaceFinder(spotter, SETTINGS)
    looks = [finder.look(frame, False) for frame in frames(19, still=True)]
    assert [look.kind for look in looks] == [FULL, *[SMALL] * 17, FULL], "and full looks are three seconds apart"
    assert spotter.sizes == [320, 640, *[160] * 18, 640]
    spotter.faces = [BIG, SMALL_FACE]
    spotter.sizes.clear()
    picture = frames(1, still=True)[0].picture
    picture[504:540, 896:934] = 200
    assert len(finder.look(Still(picture, 19 * 166_667), False).faces.scores) == 2
    assert spotter.sizes[0] == 320, "something new came into the picture"


def test_in_a_still_picture_without_faces_the_detector_rests() -> None:
    spotter = Spotter([])
    finder = FaceFinder(spotter, SETTINGS)
    looks = [finder.look(frame, False) for frame in frames(18, still=True)]
    assert [look.kind for look in looks] == [FULL, *[NOT_RUN] * 17]
    moving = FaceFinder(Spotter([]), ObserveSettings(still_below=0))
    assert NOT_RUN not in {moving.look(frame, False).kind for frame in frames(18, still=True)}


def test_faces_that_look_as_they_did_are_where_they_were_for_a_while() -> None:
    still = Still(np.asarray(scene(3, 1280, 720), np.uint8), 0)
    spotter = Spotter([BIG, (0.5, 0.1, 0.7, 0.5)])
    finder = FaceFinder(spotter, ObserveSettings(full_every_s=100, unmoved_s=0.4))
    looks = [finder.look(Still(still.picture, i * 166_667), False) for i in range(8)]
    assert [look.kind for look in looks] == [FULL, UNMOVED, UNMOVED, SMALL, UNMOVED, UNMOVED, SMALL, UNMOVED]
    assert all(np.array_equal(look.faces.boxes, looks[0].faces.boxes) for look in looks)
    other = still.picture.copy()
    other[72:360, 700:800] = other[360:648, 300:400]
    assert finder.look(Still(other, 8 * 166_667), False).kind == SMALL, "one of them turned away, or was covered"
    doubtful = FaceFinder(Spotter([BIG], scores=[0.6]), ObserveSettings(full_every_s=100))
    assert UNMOVED not in {doubtful.look(Still(still.picture, i * 166_667), False).kind for i in range(8)}
    always = FaceFinder(Spotter([BIG]), ObserveSettings(unmoved_s=0))
    assert UNMOVED not in {always.look(Still(still.picture, i * 166_667), False).kind for i in range(8)}


def test_a_face_lost_in_the_least_picture_is_followed_in_larger_ones() -> None:
    spotter = Spotter([BIG], least_px=40)  # needs more than it says
    finder = FaceFinder(spotter, ObserveSettings(full_every_s=100))
    looks = [finder.look(frame, False) for frame in frames(5, still=True)]
    assert all(len(look.faces.scores) == 1 for look in looks)
    assert spotter.sizes == [320, 640, 160, 640, 192, 192, 192], "once bitten"


def test_an_unsure_face_that_comes_and_goes_is_no_news() -> None:
    spotter = Spotter([BIG, (0.5, 0.1, 0.7, 0.5)], scores=[0.8, 0.35])
    finder = FaceFinder(spotter, ObserveSettings(full_every_s=100))
    stills, kinds = frames(6), []
    for i, still in enumerate(stills):
        spotter.faces = spotter.faces[:1] if i % 2 else [BIG, (0.5, 0.1, 0.7, 0.5)]
        kinds.append(finder.look(still, False).kind)
    assert kinds == [FULL, *[SMALL] * 5]
