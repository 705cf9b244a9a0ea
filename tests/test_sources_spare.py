"""Frames nobody needs are passed over, and nothing else is: analysed frames, pictures and cuts are those of decoding everything."""

from __future__ import annotations

import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.sources.ahead import CHUNK, DEPTH, ahead
from engine.sources.file import read
from engine.sources.frame import Frame
from engine.sources.probe import probe
from engine.sources.spare import Sparing
from engine.tables import SegmentWindow
from engine.vision.shots import CutDetector
from tests.footage import scene

LENGTHS = (45, 30, 21, 60, 38)
"""Frames of each shot: cuts fall on references and between them."""


def moving(seed: int, length: int) -> list[Image]:
    """A slow pan with grain."""
    random, wide = np.random.default_rng(seed), scene(seed, 320 + length, 180)
    return [np.clip(wide[:, i : i + 320] + random.normal(0, 2, (180, 320, 3)), 0, 255).astype(np.uint8) for i in range(length)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "b.mp4")


def write_film(path: Path) -> Path:
    """Shots with three B-frames between references and no key frame at a cut, as encoders of live pictures write them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.gop_size = 50
        stream.options = {"preset": "veryfast", "bf": "3", "b-pyramid": "none", "b_strategy": "0", "sc_threshold": "0", "crf": "20"}
        for number, picture in enumerate(picture for seed, length in enumerate(LENGTHS) for picture in moving(seed, length)):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path, *, every_frame: bool, fps: float = 6.0) -> list[tuple[Frame, bool]]:
    media = probe(path)
    window = SegmentWindow(0, media.first_frame_us, media.duration_us, media.duration_us)
    return list(read(path, media, window, ObserveSettings(fps=fps, every_frame=every_frame)))


def cuts_of(frames: list[tuple[Frame, bool]]) -> list[int]:
    detector = CutDetector(ObserveSettings())
    for frame, analysed in frames:
        detector.push(frame, analysed)
    detector.finish()
    return detector.cuts


@pytest.mark.parametrize("fps", [2.0, 6.0, 12.5])
def test_analysed_frames_are_those_of_decoding_everything(film: Path, fps: float) -> None:
    whole, spared = frames_of(film, every_frame=True, fps=fps), frames_of(film, every_frame=False, fps=fps)
    assert len(whole) == sum(LENGTHS)
    pictures = {frame.t_us: frame.scaled(320) for frame, hit in whole if hit}
    assert [frame.t_us for frame, hit in spared if hit] == list(pictures)
    assert all(np.array_equal(pictures[frame.t_us], frame.scaled(320)) for frame, hit in spared if hit), "nothing they are made from is missing"


def test_cuts_between_references_stay_exact_to_the_frame(film: Path) -> None:
    whole, spared = frames_of(film, every_frame=True), frames_of(film, every_frame=False)
    assert len(spared) < 0.8 * len(whole)
    assert cuts_of(spared) == cuts_of(whole) == [40_000 * int(at) for at in np.cumsum(LENGTHS)[:-1]]


def test_real_clips_keep_their_cuts_and_analysed_frames(media: Path) -> None:
    for name in ("composed/grid_panel.mp4", "shots/testvideo.mp4", "shots/goldeneye-vfr-drop3.mp4"):
        whole, spared = frames_of(media / name, every_frame=True), frames_of(media / name, every_frame=False)
        assert len(spared) < 0.7 * len(whole)
        assert [frame.t_us for frame, hit in spared if hit] == [frame.t_us for frame, hit in whole if hit]
        assert cuts_of(spared) == cuts_of(whole)


def test_a_large_reference_has_the_pictures_before_it_decoded() -> None:
    sparing = Sparing(1.0)
    assert sparing.needed(0, 10_000, True)
    # In the order of the file: a reference, then the three shown before it.
    groups = [
        [(160_000 * g + 160_000, size, False), *[(160_000 * g + 40_000 * b, 50, False) for b in (1, 2, 3)]]
        for g, size in enumerate([900] * 6 + [2500, 900])
    ]
    needed = [[sparing.needed(*packet) for packet in group][1:] for group in groups]
    assert [all(group) for group in needed] == [True] + [False] * 5 + [True, False]
    assert not any(any(group) for group in needed[2:6])


def test_work_ahead_is_bounded_ends_when_closed_and_hands_on_errors() -> None:
    made: list[int] = []

    def numbers(last: int) -> Generator[int, None, None]:
        try:
            for number in range(last):
                made.append(number)
                yield number
            raise ValueError("the end")
        finally:
            made.append(-1)

    endless = ahead(numbers(10**9))
    assert [next(endless) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.1)
    assert len(made) <= CHUNK * (DEPTH + 2), "besides those in the queue, a chunk at either end"
    endless.close()
    assert made[-1] == -1, "what it ran was closed"
    failing = ahead(numbers(2))
    assert [next(failing), next(failing)] == [0, 1]
    with pytest.raises(ValueError, match="the end"):
        next(failing)
