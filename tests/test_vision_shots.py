"""Cuts to the frame, flashes that are none, and the same answer wherever a recording is divided."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.sources.file import read
from engine.sources.probe import probe
from engine.sources.windows import plan
from engine.vision.shots import CutDetector, _Detector
from tests.footage import Still, scene


def cuts_of(pictures: list[Image], times: list[int] | None = None, settings: ObserveSettings | None = None, every: int = 4) -> list[int]:
    """Cuts as frame numbers; every so manieth frame is analysed."""
    times = times or [40_000 * i for i in range(len(pictures))]
    detector = CutDetector(settings or ObserveSettings())
    known, settled = list[int](), 0
    for n, (t_us, picture) in enumerate(zip(times, pictures, strict=True)):
        detector.push(Still(picture, t_us), n % every == 0)
        assert settled <= detector.settled_us <= t_us + 1
        assert [cut for cut in detector.cuts if cut < settled] == known, "what was certain stays so"
        settled = detector.settled_us
        known = [cut for cut in detector.cuts if cut < settled]
    detector.finish()
    return [times.index(cut) for cut in detector.cuts]


def shot(seed: int, length: int, shift: int = 1, noise: float = 3.0) -> list[Image]:
    """A scene under a slow pan with grain."""
    random = np.random.default_rng(seed)
    wide = scene(seed, 128 + shift * length + 1, 72)
    frames = (wide[:, i * shift : i * shift + 128] + random.normal(0, noise, (72, 128, 3)) for i in range(length))
    return [np.clip(frame, 0, 255).astype(np.uint8) for frame in frames]


@pytest.mark.parametrize("every", [1, 2, 4, 5, 1000])
def test_cuts_are_exact_to_the_frame(every: int) -> None:
    lengths = [25, 40, 11, 60, 30]
    pictures = [picture for seed, length in enumerate(lengths) for picture in shot(seed, length)]
    assert cuts_of(pictures, every=every) == np.cumsum(lengths)[:-1].tolist()


class Watched(Still):
    """Counts the pictures taken of it."""

    taken = 0

    def scaled(self, long_side: int) -> Image:
        self.taken += 1
        return super().scaled(long_side)


def test_only_frames_around_changes_are_looked_at() -> None:
    frames = [Watched(picture, 40_000 * n) for n, picture in enumerate([*shot(1, 50, shift=0), *shot(2, 50, shift=0)])]
    detector = CutDetector(ObserveSettings())
    for n, frame in enumerate(frames):
        detector.push(frame, n % 5 == 0)
    detector.finish()
    assert detector.cuts == [50 * 40_000]
    # Those that are analysed, the suspect ones from 46 to 50 with their neighbours, and the last.
    assert {n for n, frame in enumerate(frames) if frame.taken} == {*range(0, 100, 5), *range(43, 53), 99}


def test_cut_times_come_from_the_clock_not_from_counting() -> None:
    times = np.cumsum(np.random.default_rng(3).integers(10_000, 90_000, 80)).tolist()
    pictures = [*shot(1, 33), *shot(2, 47)]
    detector = CutDetector(ObserveSettings())
    for t_us, picture in zip(times, pictures, strict=True):
        detector.push(Still(picture, t_us), False)
    detector.finish()
    assert detector.table()["t_us"].to_pylist() == [times[33]]


@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_flashes_are_no_cuts(length: int) -> None:
    pictures = shot(5, 80)
    for i in range(30, 30 + length):
        pictures[i] = np.clip(pictures[i].astype(int) + 170, 0, 255).astype(np.uint8)
    assert cuts_of(pictures) == []


def test_a_flash_does_not_hide_the_cut_after_it() -> None:
    pictures = [*shot(5, 50), *shot(6, 50)]
    pictures[30] = np.full_like(pictures[30], 255)
    assert cuts_of(pictures) == [50]


def test_a_fast_pan_is_no_cut() -> None:
    assert cuts_of(shot(7, 60, shift=14)) == []


def test_no_shot_is_shorter_than_the_setting() -> None:
    pictures = [*shot(1, 30), *shot(2, 6), *shot(3, 30)]
    assert cuts_of(pictures, settings=ObserveSettings(min_shot_s=0.4)) == [30]
    assert cuts_of(pictures, settings=ObserveSettings(min_shot_s=0.2)) == [30, 36]


def test_the_same_cuts_wherever_one_starts_to_look() -> None:
    lengths = [30, 17, 44, 12, 12, 50, 25]
    pictures = [picture for seed, length in enumerate(lengths) for picture in shot(seed, length)]
    whole = cuts_of(pictures)
    for start in range(0, 120, 7):
        later = [start + cut for cut in cuts_of(pictures[start:])]
        assert [cut for cut in later if cut >= start + 12] == [cut for cut in whole if cut >= start + 12]


def test_frame_scores_are_those_of_pyscenedetect() -> None:
    ours, theirs = _Detector(window_width=2), AdaptiveDetector(window_width=2)
    pictures = [*shot(1, 8), *shot(2, 8)]
    for n, picture in enumerate(pictures):
        code = FrameTimecode(n, 25.0)
        assert ours.process_frame(code, picture) == theirs.process_frame(code, picture)
        assert ours._frame_score == pytest.approx(theirs._frame_score, abs=1e-9)


def _real_cuts(path: Path) -> list[float]:
    settings, media = ObserveSettings(), probe(path)
    (window,) = plan(media, settings)
    detector = CutDetector(settings)
    for frame, analysed in read(path, media, window, settings):
        detector.push(frame, analysed)
    detector.finish()
    return [cut / 1e6 for cut in detector.cuts]


def test_real_cuts(media: Path) -> None:
    truth = json.loads((media / "composed" / "grid_panel.json").read_text())
    assert _real_cuts(media / "composed" / "grid_panel.mp4") == truth["cuts"]
    assert _real_cuts(media / "shots" / "goldeneye-vfr-drop3.mp4") == pytest.approx([3.754, 8.759], abs=0.001)
    hamilton = [cut - 0.844 for cut in _real_cuts(media / "tv" / "short_hamilton_clip.mp4")]
    assert hamilton == pytest.approx([0.667, 2.736, 7.040], abs=0.002)
    found = _real_cuts(media / "shots" / "testvideo.mp4")
    assert {1.001, 6.006, 13.146} <= {round(cut, 3) for cut in found}
