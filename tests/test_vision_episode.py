"""From frames to an episode: the analyzer, tracks and the stitching, on made scenes and on real television."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.analyzer import Analyzer
from engine.config import Settings, build
from engine.models.base import Calibration, Chip, FaceDetector, FaceEmbedder, Faces, Image
from engine.models.load import open_detector, open_embedder
from engine.models.store import Models
from engine.sources.file import read
from engine.sources.probe import probe
from engine.sources.windows import plan
from engine.tables import CHIPS, CUTS, DETECTIONS, FRAMES, PICKS, SHOT, TRACK, TRACKED, Episode, Observed, Tracked
from engine.vision.boxes import iou
from engine.vision.pick import track_segment
from engine.vision.stitch import picture_of, stitch
from tests.footage import scene, write

CALIBRATION = Calibration(20.0, -8.0, "made up")
DISCS = [(40, 40, 230), (40, 230, 40), (230, 60, 40), (40, 220, 230)]
"""Colours of the people of made scenes."""


class DiscFinder:
    """Finds discs of the four colours; a face in a made scene is a disc."""

    name, digest, min_size, sure_px = "discs", "0", 64, 32

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        boxes = []
        for colour in DISCS:
            distance = np.abs(image.astype(int) - np.array(colour)).max(axis=2)
            count, _, stats, _ = cv2.connectedComponentsWithStats((distance < 60).astype(np.uint8))
            boxes += [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:count] if area > 0.6 * w * h and min(w, h) >= 8]
        found = np.array(boxes, np.float32).reshape(-1, 4)
        size = found[:, None, 2:] - found[:, None, :2]
        points = found[:, None, :2] + size * np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        return Faces(found, np.full(len(found), 0.9, np.float32), points)


class ColourEmbedder:
    """A disc's colour as a unit vector."""

    name, digest, space, dims = "colours", "0", "colours", 3

    def __init__(self) -> None:
        self.calls: list[int] = []

    def embed(self, chips: list[Chip]) -> NDArray[np.float32]:
        self.calls.append(len(chips))
        rows = []
        for chip in chips:
            x, y = (int(value) for value in chip.landmarks[2])
            colour = chip.image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(axis=0) - 100
            rows.append(colour / np.linalg.norm(colour))
        return np.array(rows, np.float32).reshape(-1, 3)


@dataclass
class Result:
    segments: list[tuple[Observed, Tracked]]
    episode: Episode


def analyse(path: Path, settings: Settings, detector: FaceDetector, embedder: FaceEmbedder, calibration: Calibration = CALIBRATION) -> Result:
    media, segments = probe(path), []
    step_us = round(1e6 / settings.observe.fps)
    for window in plan(media, settings.observe):
        analyzer = Analyzer(window, (media.width, media.height), step_us, detector, settings.observe)
        for frame, hit in read(path, media, window, settings.observe):
            analyzer.push(frame, hit)
        observed = analyzer.finish()
        segments.append((observed, track_segment(observed, embedder, calibration, settings.track)))
    return Result(segments, stitch(segments, media.first_frame_us, media.duration_us, calibration, settings.track))


def made_shot(
    seed: int, length: int, people: dict[int, tuple[float, float]], gone: range = range(0), radius: int = 18, clear: bool = False
) -> list[Image]:
    """A still set with discs moving from left to right; `people` gives each one's start and speed (pixels a frame). Clear: no grain, and eyes."""
    background = (scene(seed, 320, 180) // 3 + 60).astype(np.uint8)
    grain = np.random.default_rng(seed).integers(-30, 30, (180, 320, 1)) * (not clear)
    pictures = []
    for i in range(length):
        picture = background.copy()
        for who, (x, speed) in people.items():
            if i not in gone:
                cv2.circle(picture, (round(x + speed * i), 60 + 10 * who), radius, DISCS[who], -1, cv2.LINE_AA)
                for side in (-1, 1) if clear else ():
                    eye = (round(x + speed * i + 0.4 * side * radius), round(60 + 10 * who - 0.2 * radius))
                    cv2.circle(picture, eye, radius // 6, (10, 10, 10), -1, cv2.LINE_AA)
        pictures.append(np.clip(picture + grain, 0, 255).astype(np.uint8))
    return pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s: six shots, people in four of them; the camera returns to the first set-up."""
    pictures = [
        *made_shot(1, 70, {0: (80, 0.4), 1: (220, -0.3)}),
        *made_shot(2, 110, {2: (60, 1.5)}),
        *made_shot(1, 90, {0: (90, 0.3), 1: (210, 0)}, gone=range(40, 52)),
        *made_shot(3, 60, {}),
        *made_shot(4, 100, {3: (50, 0.9), 2: (200, 0.7), 0: (120, 0.8)}),
        *made_shot(1, 70, {1: (230, -0.2)}),
    ]
    return write(tmp_path_factory.mktemp("made") / "made.mp4", pictures, range(len(pictures)), Fraction(1, 25), gop=20)


def outline(episode: Episode) -> tuple[list[dict[str, int]], list[dict[str, int]], list[tuple[int, int]]]:
    """What must not depend on how the recording was divided."""
    tracks = episode.tracks.select(["track", "shot", "start_us", "end_us", "faces"]).to_pylist()
    members = list(zip(episode.detections["t_us"].to_pylist(), episode.detections["track"].to_pylist(), strict=True))
    return episode.shots.to_pylist(), tracks, members


def test_a_made_episode_comes_out_as_it_was_made(made: Path) -> None:
    embedder = ColourEmbedder()
    result = analyse(made, Settings(), DiscFinder(), embedder)
    episode, (observed, tracked) = result.episode, result.segments[0]
    for table, schema in (
        (observed.frames, FRAMES),
        (observed.cuts, CUTS),
        (observed.detections, DETECTIONS),
        (observed.chips, CHIPS),
        (tracked.tracked, TRACKED),
        (tracked.picks, PICKS),
        (episode.shots, SHOT),
        (episode.tracks, TRACK),
    ):
        assert table.schema.equals(schema), table.schema
    starts = [0, 2_800_000, 7_200_000, 10_800_000, 13_200_000, 17_200_000]
    assert episode.shots["start_us"].to_pylist() == starts and episode.shots["end_us"].to_pylist() == [*starts[1:], 20_000_000]
    threads = episode.shots["thread"].to_pylist()
    assert threads[0] == threads[2] == threads[5] and len(set(threads)) == 4
    rows = episode.tracks.to_pylist()
    assert [row["shot"] for row in rows] == [0, 0, 1, 2, 2, 4, 4, 4, 5]
    for row in rows:
        assert (row["start_us"], row["end_us"]) == (starts[row["shot"]], [*starts[1:], 20_000_000][row["shot"]])
    colours = [
        np.argmax([np.dot(vector, (np.array(disc) - 100) / np.linalg.norm(np.array(disc) - 100)) for disc in DISCS]) for vector in episode.pooled
    ]
    assert colours == [0, 1, 2, 0, 1, 3, 0, 2, 1] and not any(row["mixed"] for row in rows)
    assert len(embedder.calls) <= 3, "one batch a segment, and one each of the tracks that two and that three faces do not tell"
    windows, chips = [observed.window for observed, _ in result.segments], [observed.chips for observed, _ in result.segments]
    assert picture_of(windows, episode, chips)["track"].to_pylist() == list(range(9))


def test_faces_are_embedded_until_they_tell_that_a_track_is_one_person(made: Path) -> None:
    """The discs of a track are all alike: how much that says is the calibration's to know."""
    log_odds = {9.0: 2, 5.0: 3, 3.0: 6}
    counts = {}
    for most in log_odds:
        calibration = Calibration(10.0, most - 10.0, "made")
        found = analyse(made, Settings(), DiscFinder(), ColourEmbedder(), calibration)
        per_track = np.bincount(found.episode.picks["track"].to_numpy())
        good = np.flatnonzero(found.episode.tracks["quality"].to_numpy() > 0.5)
        counts[most] = int(per_track[good].max())
    assert counts == log_odds


def test_a_detector_that_fails_ends_the_analysis(made: Path) -> None:
    class Broken(DiscFinder):
        def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
            raise ArithmeticError("no more")

    with pytest.raises(ArithmeticError, match="no more"):
        analyse(made, Settings(), Broken(), ColourEmbedder())


@pytest.mark.parametrize("segment_s", [2.0, 3.0, 5.0, 8.0])
def test_an_episode_does_not_depend_on_its_segments(made: Path, segment_s: float) -> None:
    whole = analyse(made, build({"observe.segment_s": 1000}), DiscFinder(), ColourEmbedder())
    parts = analyse(made, build({"observe.segment_s": segment_s}), DiscFinder(), ColourEmbedder())
    assert len(parts.segments) > 2
    assert outline(parts.episode) == outline(whole.episode)
    assert np.einsum("nd,nd->n", parts.episode.pooled, whole.episode.pooled).min() > 0.98


def test_the_same_input_gives_the_same_tables(made: Path) -> None:
    first, second = (analyse(made, Settings(), DiscFinder(), ColourEmbedder()) for _ in range(2))
    assert first.segments[0][0].chips.equals(second.segments[0][0].chips)
    assert outline(first.episode) == outline(second.episode)


def test_a_track_is_split_where_the_person_changes(tmp_path: Path) -> None:
    pictures = [*made_shot(1, 50, {0: (100, 0)}, radius=45, clear=True), *made_shot(1, 50, {1: (100, 0)}, radius=45, clear=True)]
    path = write(tmp_path / "morph.mp4", pictures, range(100))
    episode = analyse(path, build({"observe.cut_threshold": 1000}), DiscFinder(), ColourEmbedder()).episode
    assert episode.shots.num_rows == 1
    first, second = episode.tracks.to_pylist()
    assert first["faces"] + second["faces"] == 24
    assert first["end_us"] == second["start_us"] == pytest.approx(2_000_000, abs=400_000), "halfway between two of the faces chosen"


def test_a_recording_of_nobody(tmp_path: Path) -> None:
    path = write(tmp_path / "nobody.mp4", made_shot(1, 60, {}), range(60))
    episode = analyse(path, Settings(), DiscFinder(), ColourEmbedder()).episode
    assert episode.tracks.num_rows == episode.detections.num_rows == 0 and episode.pooled.shape == (0, 3)
    assert episode.shots.num_rows == 1


def test_one_frame_is_an_episode(tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", made_shot(1, 1, {0: (100, 0)}), range(1))
    episode = analyse(path, Settings(), DiscFinder(), ColourEmbedder()).episode
    assert episode.shots.num_rows == 1 and episode.tracks.num_rows == 1


def _real(weights: Path) -> tuple[FaceDetector, FaceEmbedder, Calibration]:
    installed = Models(weights).installed()
    embedder = installed["mobilefacenet_foamliu"]
    assert embedder.calibration is not None
    return open_detector(installed["det_500m"], "cpu", 2)[0], open_embedder(embedder, "cpu", 2)[0], embedder.calibration


@pytest.mark.slow
def test_real_people_are_all_found_and_followed(media: Path, weights: Path) -> None:
    truth = json.loads((media / "composed" / "grid_panel.json").read_text())
    people = {name: [*truth["persons"]].index(name) for name in truth["persons"]}
    path = media / "composed" / "grid_panel.mp4"
    models = _real(weights)
    result = analyse(path, Settings(), *models)
    episode, analysed = result.episode, np.zeros(825, bool)
    analysed[result.segments[0][0].frames["t_us"].to_numpy() // 40_000] = True
    assert [start / 1e6 for start in episode.shots["start_us"].to_pylist()] == [0, *truth["cuts"]]
    boxes = np.stack([episode.detections[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1) * np.tile([1280, 720], 2)
    times, track_of = episode.detections["t_us"].to_numpy(), episode.detections["track"].to_numpy()
    who: dict[int, set[int]] = {}
    expected = 0
    for face in truth["faces"]:
        rows = np.flatnonzero(times == face["frame"] * 40_000)
        if analysed[face["frame"]]:
            overlap = iou(np.array([face["box"]], np.float32), boxes[rows].astype(np.float32))[0]
            assert overlap.max() > 0.5
            who.setdefault(int(track_of[rows[overlap.argmax()]]), set()).add(people[face["person"]])
            expected += 1
    assert expected == len(times) == 342, "every face found, and nothing else"
    assert all(len(names) == 1 for names in who.values()) and len(who) == episode.tracks.num_rows == 17
    assert (episode.tracks["quality"].to_numpy() > 0.6).all() and not any(episode.tracks["mixed"].to_pylist())
    short = analyse(path, build({"observe.segment_s": 10}), *models).episode
    assert outline(short) == outline(episode)


def test_nobody_and_then_somebody(media: Path, weights: Path) -> None:
    episode = analyse(media / "smile" / "noface_face.mov", Settings(), *_real(weights)).episode
    (row,) = episode.tracks.to_pylist()
    assert row["start_us"] == episode.shots["start_us"][1].as_py() == pytest.approx(3_945_000, abs=1000)
    assert row["end_us"] > 6_200_000 and row["quality"] > 0.6
