"""Files as recordings really are: odd clocks, turned and stretched pictures, late starts, damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest

from engine.config import ObserveSettings
from engine.errors import BadMedia, NotFound
from engine.models.base import Image
from engine.sources.file import read
from engine.sources.frame import Frame
from engine.sources.probe import SLOWEST, MediaInfo, packets, probe
from engine.sources.windows import plan
from tests.footage import HEIGHT, WIDTH, pattern, scene, write


def frames_of(path: Path, settings: ObserveSettings | None = None) -> list[tuple[Frame, bool]]:
    """All frames, each from the segment that answers for it."""
    settings, media = settings or ObserveSettings(), probe(path)
    found = []
    for window in plan(media, settings):
        found += [(frame, hit) for frame, hit in read(path, media, window, settings) if frame.t_us < window.end_us]
    return found


def near(a: Image, b: Image, limit: float = 12.0) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) < limit


def test_ntsc_times_are_exact_whatever_the_length(tmp_path: Path) -> None:
    base, count = Fraction(1001, 30000), 3000
    path = write(tmp_path / "ntsc.mp4", (scene(i // 100, 64, 36) for i in range(count)), range(count), base, gop=250)
    times = [frame.t_us for frame, _ in frames_of(path)]
    assert times == [round(i * base * 1_000_000) for i in range(count)]
    media = probe(path)
    assert media.fps == Fraction(30000, 1001) and not media.variable_rate and media.frames == count
    assert media.duration_us == pytest.approx(count * base * 1_000_000, abs=100), "containers round the length of the last frame"


def test_variable_rate_keeps_its_time_stamps(tmp_path: Path) -> None:
    pts = [0, 40, 80, 133, 400, 433, 900, 917, 934, 2000, 2033, 2500]
    path = write(tmp_path / "vfr.mkv", (scene(i) for i in range(len(pts))), pts, Fraction(1, 1000))
    media = probe(path)
    assert [frame.t_us for frame, _ in frames_of(path)] == [1000 * at for at in pts]
    assert media.variable_rate
    # The first frame at or after each sixth of a second, once for points nothing was shown between.
    assert [frame.t_us // 1000 for frame, hit in frames_of(path) if hit] == [0, 400, 900, 2000, 2500]


def test_pictures_hours_apart_are_decoded_at_their_times(tmp_path: Path) -> None:
    """As a slide show has them, or a file whose times are damaged."""
    path = write(tmp_path / "slides.mkv", [scene(1), scene(2)], [0, 7_200_000], Fraction(1, 1000))
    assert probe(path).fps == SLOWEST
    assert [frame.t_us for frame, _ in frames_of(path)] == [0, 7_200_000_000]


def test_stream_that_begins_in_the_middle_is_passed_over() -> None:
    """PyAV trips over its first packet, and reads on when asked again; found by the fuzz in a damaged transport stream."""

    class Container:
        left: ClassVar = ["first", IndexError("list index out of range"), "second", IndexError("list index out of range"), "third"]

        def demux(self, stream: object) -> Iterator[str]:
            while self.left:
                packet = self.left.pop(0)
                if isinstance(packet, IndexError):
                    raise packet
                yield packet

    assert list(packets(Container(), None)) == ["first", "second", "third"]


def test_pictures_that_start_after_the_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "late.mkv", (scene(1) for _ in range(20)), range(21, 41), sound_s=1.5)
    media = probe(path)
    assert (media.first_frame_us, media.has_audio, media.audio_start_us) == (840_000, True, 0)
    assert frames_of(path)[0][0].t_us == 840_000
    assert frames_of(path)[0][1], "the first frame of all is always analysed"


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"), [("libx264", "yuv420p", ".mp4"), ("libx264", "yuv444p", ".mp4"), ("prores_ks", "yuv422p10le", ".mov")]
)
def test_turned_pictures_are_shown_upright(tmp_path: Path, rotation: int, codec: str, pix_fmt: str, suffix: str) -> None:
    path = write(tmp_path / f"turned{suffix}", [pattern()] * 3, range(3), codec=codec, pix_fmt=pix_fmt, rotation=rotation)
    shown = np.ascontiguousarray(np.rot90(pattern(), rotation // 90))
    frame = frames_of(path)[0][0]
    assert (frame.height, frame.width) == shown.shape[:2]
    assert near(frame.scaled(1000), shown)
    assert near(frame.scaled(64), cv2.resize(shown, frame.scaled(64).shape[1::-1], interpolation=cv2.INTER_AREA))
    part = frame.crop(0.25, 0.125, 0.75, 0.5, 1000)
    assert near(part, shown[round(0.125 * frame.height) : round(0.5 * frame.height), round(0.25 * frame.width) : round(0.75 * frame.width)])


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (2 * WIDTH, HEIGHT)), (Fraction(1, 2), (WIDTH, 2 * HEIGHT))])
def test_pixels_that_are_not_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = write(tmp_path / "wide.mp4", [pattern()] * 3, range(3), aspect=aspect)
    frame = frames_of(path)[0][0]
    assert (frame.width, frame.height) == size
    shown = cv2.resize(pattern(), size, interpolation=cv2.INTER_LINEAR)
    assert near(frame.scaled(1000), shown)
    assert near(frame.crop(0.25, 0.25, 0.75, 0.75, 1000), shown[size[1] // 4 : size[1] * 3 // 4, size[0] // 4 : size[0] * 3 // 4])


def test_crops_reach_outside_and_are_never_enlarged(tmp_path: Path) -> None:
    frame = frames_of(write(tmp_path / "plain.mp4", [pattern()] * 3, range(3)))[0][0]
    outside = frame.crop(-0.25, -0.25, 0.25, 0.25, 1000)
    assert outside.shape == (round(HEIGHT * 0.25) * 2, round(WIDTH * 0.25) * 2, 3)
    assert near(outside, np.full_like(outside, (30, 30, 220)))
    assert frame.crop(0, 0, 1, 1, 48).shape == (27, 48, 3)
    assert frame.crop(1.2, 1.2, 1.4, 1.4, 48).shape[2] == 3, "wholly outside is edge pixels, not an error"
    assert frame.scaled(4000).shape[1] == WIDTH


@pytest.mark.parametrize(("segment_s", "fps"), [(2.0, 6.0), (3.0, 7.5), (2.5, 25.0), (4.0, 12.5)])
def test_segments_cover_every_frame_once_and_analyse_the_same_ones(tmp_path: Path, segment_s: float, fps: float) -> None:
    path = write(tmp_path / "long.mp4", (scene(i // 30) for i in range(400)), range(400), gop=13)
    whole = frames_of(path, ObserveSettings(segment_s=1000, fps=fps))
    parts = frames_of(path, ObserveSettings(segment_s=segment_s, fps=fps))
    assert len(plan(probe(path), ObserveSettings(segment_s=segment_s, fps=fps))) > 3
    assert [(f.t_us, hit) for f, hit in parts] == [(f.t_us, hit) for f, hit in whole]
    assert [f.t_us for f, _ in whole] == [40_000 * i for i in range(400)]
    assert all(near(a.scaled(64), b.scaled(64), 0.01) for (a, _), (b, _) in zip(whole, parts, strict=True))


def test_overlap_shows_the_same_frames_to_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "long.mp4", (scene(i // 30) for i in range(300)), range(300), gop=13)
    settings, media = ObserveSettings(segment_s=4), probe(path)
    first, second = plan(media, settings)[:2]
    assert (first.end_us, first.seen_until_us) == (second.start_us, second.start_us + 1_000_000)
    left = [(f.t_us, hit) for f, hit in read(path, media, first, settings) if f.t_us >= second.start_us]
    right = [(f.t_us, hit) for f, hit in read(path, media, second, settings) if f.t_us < first.seen_until_us]
    assert left == right and any(hit for _, hit in left)


def test_one_key_frame_makes_one_segment(tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", (scene(1) for _ in range(200)), range(200), gop=1000)
    windows = plan(probe(path), ObserveSettings(segment_s=2))
    assert [(w.start_us, w.end_us, w.seen_until_us) for w in windows] == [(0, 8_000_000, 8_000_000)]


def test_media_survive_a_round_trip(tmp_path: Path) -> None:
    media = probe(write(tmp_path / "a.mp4", [pattern()] * 30, range(30)))
    assert MediaInfo.from_dict(media.as_dict()) == media


def test_damage_inside_costs_only_what_it_hits(tmp_path: Path) -> None:
    path = write(tmp_path / "damaged.ts", (scene(i // 10, 320, 180) for i in range(200)), range(200), gop=10)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 20] = np.random.default_rng(1).integers(0, 256, 188 * 20, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    times = [frame.t_us for frame, _ in frames_of(path)]
    assert len(times) > 150 and times == sorted(set(times))
    assert times[0] == 0 and times[-1] == 199 * 40_000


def test_a_file_cut_short_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "whole.mov",
        (np.random.default_rng(i).integers(0, 256, (72, 128, 3), dtype=np.uint8) for i in range(100)),
        range(100),
        codec="mjpeg",
        pix_fmt="yuvj420p",
    )
    moved = tmp_path / "front.mov"
    with av.open(str(whole)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    moved.write_bytes(moved.read_bytes()[: int(moved.stat().st_size * 0.6)])
    media = probe(moved)
    assert 40 < media.frames < 80
    assert len(frames_of(moved)) >= media.frames - 1
    assert any("cut off" in warning or "damaged" in warning for warning in media.warnings)


def test_what_is_no_video_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        probe(tmp_path / "none.mp4")
    text, empty, picture, sound, garbage = (tmp_path / name for name in ("a.txt", "b.mp4", "c.png", "d.wav", "e.mp4"))
    text.write_text("not a video\n" * 50)
    empty.write_bytes(b"")
    cv2.imwrite(str(picture), pattern())
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
    garbage.write_bytes(np.random.default_rng(2).integers(0, 256, 100_000, dtype=np.uint8).tobytes())
    for path in (text, empty, picture, sound, garbage, tmp_path):
        with pytest.raises(BadMedia) as refusal:
            probe(path)
        assert path.name in refusal.value.message and refusal.value.hint


def test_no_frame_that_decodes(tmp_path: Path) -> None:
    path = write(tmp_path / "blank.mp4", [pattern()] * 5, range(5))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=r"blank\.mp4"):
        probe(path)
