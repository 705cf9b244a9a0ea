"""Single frames by their times: the one a plain decode of the whole file shows then, whatever the recording is like."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from engine.models.base import Image
from engine.sources.probe import probe
from engine.sources.seek import frames_at
from tests.footage import HEIGHT, WIDTH, scene, write

COUNT = 40
ODD_MS = [0, 40, 80, 133, 400, 433, 900, 917, 934, 2000, 2033, 2500]


def numbered(number: int) -> Image:
    """A still picture, but for a small bar that grows with every frame: little changes, and yet each frame tells its number."""
    picture = scene(3)
    picture[-12:] = 0
    picture[-12:, : 4 * number + 4] = 255
    return picture


def number_of(picture: Image) -> int:
    """What the bar says."""
    return round(float((picture[-8:-2].mean(axis=(0, 2)) > 128).sum()) / 4) - 1


def numbers() -> list[Image]:
    return [numbered(number) for number in range(COUNT)]


RECORDINGS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "plain": ("a.mp4", lambda path: write(path, numbers(), range(COUNT))),
    "spare frames": ("a.mp4", lambda path: write(path, numbers(), range(COUNT), spare=3)),
    "turned": ("a.mp4", lambda path: write(path, numbers(), range(COUNT), rotation=90, spare=2)),
    "late": ("a.mkv", lambda path: write(path, numbers(), range(21, 21 + COUNT), sound_s=3.0)),
    "wide pixels": ("a.mp4", lambda path: write(path, numbers(), range(COUNT), aspect=Fraction(2))),
    "odd clock": ("a.mkv", lambda path: write(path, numbers(), ODD_MS, Fraction(1, 1000))),
}


def plainly(path: Path) -> tuple[list[int], list[Image]]:
    """Times from the start of the recording and pictures as stored, of every frame."""
    with av.open(str(path)) as container:
        origin = container.start_time or 0
        frames = [(frame.pts, frame.time_base, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    return [round(pts * base * 1_000_000) - origin for pts, base, _ in frames], [picture for _, _, picture in frames]


@pytest.mark.parametrize("kind", RECORDINGS)
def test_frame_on_screen_at_a_time_is_found(tmp_path: Path, kind: str) -> None:
    name, make = RECORDINGS[kind]
    path = make(tmp_path / name)
    times, pictures = plainly(path)
    media = probe(path)
    wanted = sorted({*times, *(at + 15_000 for at in times), 0, times[-1] + 10_000_000})
    one_by_one = [next(iter(frames_at(path, media, [at]))) for at in wanted]
    together = list(frames_at(path, media, wanted))
    for at, alone, one in zip(wanted, one_by_one, together, strict=True):
        expected = max(0, bisect_right(times, at) - 1)
        assert alone.t_us == one.t_us == times[expected], f"{kind} at {at}"
        assert (one.width, one.height) == {"turned": (HEIGHT, WIDTH), "wide pixels": (2 * WIDTH, HEIGHT)}.get(kind, (WIDTH, HEIGHT))
        stored = np.rot90(one.scaled(1000), -1) if kind == "turned" else one.scaled(1000)
        stored = cv2.resize(np.ascontiguousarray(stored), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        assert np.abs(stored.astype(int) - pictures[expected]).mean() < 4, f"{kind} at {at}"
        assert number_of(stored) == number_of(pictures[expected]) == expected, f"{kind} at {at}"
