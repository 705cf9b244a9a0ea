"""Scenarios of observe.* and track.*."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from engine import config
from engine.config import Settings
from engine.models.base import Image
from engine.models.load import choose, open_detector
from engine.sources.file import read
from engine.sources.probe import MediaInfo, probe
from engine.sources.windows import plan
from engine.tables import Episode
from engine.vision.detect import FULL, FaceFinder
from tests import clips
from tests.footage import Still, write
from tests.scenarios import measure
from tests.test_sources_spare import frames_of, write_film
from tests.test_vision_covered import Seen, scores
from tests.test_vision_episode import CALIBRATION, ColourEmbedder, DiscFinder, Result, analyse, made_shot
from tests.test_vision_shots import cuts_of, shot
from tests.test_vision_track import Path2D, follow

# observe


@cache
def _video() -> Path:
    """Eight seconds at 25 frames a second: two shots, two people in each."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="settings-"))
    pictures = [*made_shot(1, 100, {0: (80, 0.4), 1: (220, -0.3)}), *made_shot(2, 100, {2: (60, 1.0), 3: (230, 0)})]
    return write(folder / "made.mp4", pictures, range(len(pictures)), Fraction(1, 25), gop=20)


def _analysed(settings: Settings) -> Result:
    return analyse(_video(), settings, DiscFinder(), ColourEmbedder())


@measure("observe.fps", 3, 6)
def _frames(settings: Settings, folder: Path) -> float:
    return sum(observed.frames.num_rows for observed, _ in _analysed(settings).segments)


@measure("observe.every_frame", False, True)
def _frames_decoded(settings: Settings, folder: Path) -> float:
    return len(frames_of(write_film(folder / "film.mp4"), every_frame=settings.observe.every_frame))


@measure("observe.segment_s", 8, 2)
def _segments(settings: Settings, folder: Path) -> float:
    return len(plan(probe(_video()), settings.observe))


@measure("observe.overlap_s", 0.5, 1.5)
def _frames_read_of_the_first_segment(settings: Settings, folder: Path) -> float:
    media: MediaInfo = probe(_video())
    observe = settings.observe.model_copy(update={"segment_s": 4})
    first = plan(media, observe)[0]
    return max(frame.t_us for frame, _ in read(_video(), media, first, observe))


class Sizes(DiscFinder):
    """Remembers how large the pictures were that it was given."""

    def __init__(self) -> None:
        self.long_sides: list[int] = []

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Any:
        self.long_sides.append(max(image.shape[:2]))
        return super().detect(image, min_score=min_score, nms_iou=nms_iou)


def _looks(settings: Settings, *, still: bool = False) -> tuple[list[int], int]:
    """Sizes of the pictures looked at, and the number of full looks, in three seconds of one shot."""
    detector = Sizes()
    finder = FaceFinder(detector, settings.observe.model_copy(update={} if still else {"still_below": 0.0}))
    pictures = [Still(np.kron(made_shot(1, 1, {0: (80, 0)})[0], np.ones((4, 4, 1), np.uint8)), n * 166_667) for n in range(18)]
    kinds = [finder.look(picture, n == 0).kind for n, picture in enumerate(pictures)]
    return detector.long_sides, kinds.count(FULL)


@measure("observe.full_size", 640, 960)
def _largest_look(settings: Settings, folder: Path) -> float:
    return max(_looks(settings)[0])


@measure("observe.small_size", 192, 320)
def _smallest_look(settings: Settings, folder: Path) -> float:
    return min(_looks(settings)[0])


@measure("observe.unmoved_s", 0.4, 0.0)
def _looks_at_a_face_that_does_not_move(settings: Settings, folder: Path) -> float:
    return len(_looks(settings, still=True)[0])


@measure("observe.still_below", 8.0, 0.0)
def _pixels_looked_at(settings: Settings, folder: Path) -> float:
    return sum(_looks(settings, still=True)[0])


@measure("observe.full_every_s", 2.0, 0.5)
def _full_looks(settings: Settings, folder: Path) -> float:
    return _looks(settings)[1]


@cache
def _hog() -> Any:
    choice = choose("embedded", Path("/nonexistent"))
    return open_detector(choice.detector, "cpu", 1)[0]


@measure("observe.min_score", 0.995, 0.1)
def _faces_of_the_group(settings: Settings, folder: Path) -> float:
    found = FaceFinder(_hog(), settings.observe.model_copy(update={"full_size": 1280})).look(Still(clips.photo(), 0), True)
    return len(found.faces.scores)


class Doubles(DiscFinder):
    """Finds every disc twice, in boxes that overlap by half of their union, and leaves it to the program to merge them."""

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Any:
        found = super().detect(image, min_score=min_score, nms_iou=nms_iou)
        if max(image.shape[:2]) <= 320:
            return found
        shift = (found.boxes[:, 2:] - found.boxes[:, :2]).repeat(2, axis=1) * np.array([1, 0, 1, 0], np.float32) / 3
        return replace(found, boxes=(found.boxes + shift).astype(np.float32))


@measure("observe.nms_iou", 0.3, 0.7)
def _faces_after_merging(settings: Settings, folder: Path) -> float:
    picture = np.kron(made_shot(1, 1, {0: (80, 0)})[0], np.ones((4, 4, 1), np.uint8))
    return len(FaceFinder(Doubles(), settings.observe).look(Still(picture, 0), True).faces.scores)


@measure("observe.cut_threshold", 1000, 3)
def _cuts(settings: Settings, folder: Path) -> float:
    return len(cuts_of([*shot(1, 50), *shot(2, 50)], settings=settings.observe))


@measure("observe.min_shot_s", 0.4, 0.2)
def _cuts_around_a_short_shot(settings: Settings, folder: Path) -> float:
    return len(cuts_of([*shot(1, 30), *shot(2, 6), *shot(3, 30)], settings=settings.observe))


@measure("observe.chip_every_s", 2.0, 0.5)
def _pictures_kept(settings: Settings, folder: Path) -> float:
    return sum(observed.chips.num_rows for observed, _ in _analysed(settings).segments)


# track


STILL: Path2D = [(400, 300)] * 10


@measure("track.high_score", 0.7, 0.4)
def _tracks_of_a_middling_face(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track, scores={(0, frame): 0.6 for frame in range(10)}))


@measure("track.low_score", 0.45, 0.2)
def _faces_of_a_track_that_dips(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track, scores={(0, frame): 0.4 for frame in (4, 5, 9)})[0])


@measure("track.match_cost", 2.0, 0.2)
def _tracks_of_a_jump(settings: Settings, folder: Path) -> float:
    return len(follow([[(400, 300)] * 5 + [(500, 300)] * 5], settings=settings.track))


@measure("track.max_gap_s", 1.5, 0.3)
def _tracks_of_a_face_lost_for_a_while(settings: Settings, folder: Path) -> float:
    return len(follow([[(400, 300) if i < 5 or i > 8 else None for i in range(20)]], settings=settings.track))


@measure("track.min_faces", 20, 1)
def _tracks_that_are_kept(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track))


@measure("track.covered_score", 0.5, 0.8)
def _looks_in_which_a_face_is_covered(settings: Settings, folder: Path) -> float:
    """A hand before it lowers its score from 0.88 to 0.6."""
    return len(Seen(scores(a10_18=0.6)).hidden(settings=settings.track))


@measure("track.agree_log_odds", 4.0, 1000.0)
def _faces_embedded_of_tracks_that_agree(settings: Settings, folder: Path) -> float:
    return sum(len(tracked.vectors) for _, tracked in _analysed(settings).segments)


@measure("track.picks", 2, 6)
def _faces_embedded(settings: Settings, folder: Path) -> float:
    return sum(len(tracked.vectors) for _, tracked in _analysed(settings).segments)


@cache
def _changing(split: float, mixed: float) -> Episode:
    """One face that becomes another without a cut."""
    import tempfile

    pictures = [*made_shot(1, 50, {0: (100, 0)}, radius=45, clear=True), *made_shot(1, 50, {1: (100, 0)}, radius=45, clear=True)]
    path = write(Path(tempfile.mkdtemp(prefix="settings-")) / "morph.mp4", pictures, range(100))
    settings = config.build({"observe.cut_threshold": 1000, "track.split_log_odds": split, "track.mixed_log_odds": mixed})
    return analyse(path, settings, DiscFinder(), ColourEmbedder(), CALIBRATION).episode


@measure("track.split_log_odds", -1000, -3)
def _tracks_of_a_face_that_changes(settings: Settings, folder: Path) -> float:
    return _changing(settings.track.split_log_odds, -1.0).tracks.num_rows


@measure("track.mixed_log_odds", -1000, 15)
def _tracks_called_mixed(settings: Settings, folder: Path) -> float:
    return sum(_changing(-1000, settings.track.mixed_log_odds).tracks["mixed"].to_pylist())
