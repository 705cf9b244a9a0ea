"""Clips: the stretch asked for, frame by frame and to the sample, whole or not at all, and never outside the exports folder."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.config import Settings
from engine.errors import BadInput, NotFound, RollcallError
from tests.desk import Bench, Seen
from tests.scenarios import home_with, measure

RATE = 16_000
CLICKS_S = (0.5, 1.5, 2.5, 3.5)


def film(path: Path, rate: Fraction = Fraction(25), frames: int = 100) -> Path:
    """Frames that tell their number by a bar growing by four pixels each, a key frame every 24, and sound that is silent but for clicks."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=rate, options={"crf": "16", "g": "24", "bf": "2"})
        picture.width, picture.height, picture.pix_fmt = 640, 480, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(frames):
            pixels = np.full((picture.height, picture.width, 3), 90, np.uint8)
            pixels[-40:, : 4 * number] = 255
            pixels[-40:, 4 * number :] = 0
            container.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(picture.encode(None))
        wave = np.zeros((1, round(frames / rate * RATE)), np.float32)
        for at_s in CLICKS_S:
            wave[0, round(at_s * RATE) : round(at_s * RATE) + 160] = 0.9
        heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        heard.sample_rate, heard.time_base, heard.pts = RATE, Fraction(1, RATE), 0
        container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
    return path


def numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [round(float((picture[-20:].mean(axis=(0, 2)) > 128).sum()) / 4) for picture in pictures]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def length_s(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def clicks(path: Path) -> list[float]:
    """Where the sound rises, seconds of the file's clock."""
    with av.open(str(path)) as container:
        found: list[float] = []
        loud = False
        for frame in container.decode(audio=0):
            wave: NDArray[np.float32] = np.abs(frame.to_ndarray()[0])
            for start in range(0, len(wave) - 32, 32):
                now = float(wave[start : start + 32].max()) > 0.4
                if now and not loud and (not found or frame.time + start / RATE - found[-1] > 0.1):
                    found.append(float(frame.time + start / RATE))
                loud = now
        return found


def shown(bench: Bench, path: Path) -> str:
    """The file as an analysed episode with one track, from 1.0 to 2.0 s."""
    person = bench.person("Ana")
    added = bench.call("person:tester", "episode_add", path=str(path), show="show")
    bench.run(added["episode_id"], [Seen(1.0, 2.0, 0, person)])
    return str(added["episode_id"])


def test_clip_holds_the_frames_and_the_sound_of_the_stretch(bench: Bench, tmp_path: Path) -> None:
    episode = shown(bench, film(tmp_path / "film.mp4"))
    row = bench.call("person:tester", "clip_create", episode=episode, from_s=1.24, to_s=2.76)
    path = Path(row["path"])
    assert path.parent == bench.engine.exports and row["rows"] == 38 and row["bytes"] == path.stat().st_size
    assert numbers(path) == list(range(31, 69))
    assert times(path) == pytest.approx([n / 25 for n in range(38)], abs=0.001)
    assert length_s(path) == pytest.approx(1.52, abs=0.002)
    assert clicks(path) == pytest.approx([0.26, 1.26], abs=0.01)
    assert [row["path"] for row in bench.call("person:tester", "export_list")["rows"]] == [str(path)]


def test_clip_that_starts_inside_a_frame_shows_that_frame_first(bench: Bench, tmp_path: Path) -> None:
    episode = shown(bench, film(tmp_path / "film.mp4", Fraction(24000, 1001), 90))
    path = Path(bench.call("person:tester", "clip_create", episode=episode, from_s=1.0, to_s=2.0)["path"])
    step = 1001 / 24000
    first = int(1.0 / step)
    assert numbers(path) == list(range(first, int(2.0 / step) + 1))
    assert times(path) == pytest.approx([0.0, *((n * step - 1.0) for n in range(first + 1, int(2.0 / step) + 1))], abs=0.001)
    assert length_s(path) == pytest.approx(1.0, abs=0.002)


def test_clip_of_a_track_with_a_little_around_it(bench: Bench, tmp_path: Path) -> None:
    shown(bench, film(tmp_path / "film.mp4"))
    track = bench.call("person:tester", "track_list", episode="1")["rows"][0]
    row = bench.call("person:tester", "clip_create", track=track["ref"], around_s=0.5)
    assert (row["start_us"], row["end_us"]) == (track["start_us"] - 500_000, track["end_us"] + 500_000)
    assert numbers(Path(row["path"]))[0] == row["start_us"] // 40_000


def test_clip_ends_with_the_recording(bench: Bench, tmp_path: Path) -> None:
    episode = shown(bench, film(tmp_path / "film.mp4"))
    path = Path(bench.call("person:tester", "clip_create", episode=episode, from_s=3.6, to_s=99)["path"])
    assert numbers(path) == list(range(90, 100)) and length_s(path) == pytest.approx(0.4, abs=0.002)


@pytest.mark.parametrize("name", ["../out.mp4", "/tmp/out.mp4", "a/b.mp4", ".hidden.mp4", "out.txt"])
def test_clip_stays_in_the_exports_folder(bench: Bench, tmp_path: Path, name: str) -> None:
    episode = shown(bench, film(tmp_path / "film.mp4", frames=30))
    with pytest.raises(BadInput):
        bench.call("person:tester", "clip_create", episode=episode, from_s=0, to_s=1, name=name)
    assert not list(tmp_path.rglob("*out*")) and not list(tmp_path.rglob("*hidden*"))


def test_clip_that_cannot_be_finished_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    episode = shown(bench, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RollcallError):
        bench.call("person:tester", "clip_create", episode=episode, from_s=0, to_s=1)
    path.unlink()
    with pytest.raises(NotFound, match="is not there"):
        bench.call("person:tester", "clip_create", episode=episode, from_s=0, to_s=1)
    assert list(bench.engine.exports.glob("*")) == list(bench.engine.exports.glob(".*")) == []
    assert bench.call("person:tester", "export_list")["rows"] == []


def test_what_is_no_stretch_is_refused(bench: Bench, tmp_path: Path) -> None:
    episode = shown(bench, film(tmp_path / "film.mp4", frames=30))
    for given in ({}, {"episode": episode}, {"episode": episode, "from_s": 1.0, "to_s": 0.5}, {"episode": episode, "from_s": 50.0, "to_s": 60.0}):
        with pytest.raises(BadInput):
            bench.call("person:tester", "clip_create", **given)


@measure("screens.player", "", "mpv", "mpv --fs")
def _(settings: Settings, folder: Path) -> float:
    """The words of the command that plays a clip."""
    made = Bench(home_with(folder, settings, "screens.player"))
    try:
        episode = shown(made, film(folder / "film.mp4", frames=30))
        return len(made.call("person:tester", "clip_create", episode=episode, from_s=0, to_s=0.2)["play"])
    finally:
        made.close()
