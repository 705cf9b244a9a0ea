"""From a composition to a file and its truth, both kept in the cache folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.scene import FPS, HEIGHT, WIDTH, Composition, Face, Packing, render

_TICKS = 90_000
_RATE = 48_000
_X264 = {"preset": "veryfast", "crf": "22", "threads": "1"}


@dataclass(frozen=True)
class Truth:
    """What a clip shows, times in microseconds of the recording's clock.

    people: names. t_us (f,) start of each frame, shot (f,) the shot it belongs to, end_us the end of the last. One row a face and frame:
    frame, person (position in people), box xyxy normalised, height (pixels), visible 0..1, counts. cuts_us: hard cuts. Faces that do not
    count are of no account in any measure: finding them is neither right nor wrong.
    """

    people: tuple[str, ...]
    t_us: NDArray[np.int64]
    end_us: int
    shot: NDArray[np.int64]
    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    box: NDArray[np.float64]
    height: NDArray[np.float64]
    visible: NDArray[np.float64]
    counts: NDArray[np.bool_]
    cuts_us: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write to an .npz file."""
        columns: dict[str, Any] = {**vars(self), "people": np.array(self.people), "end_us": np.array(self.end_us)}
        np.savez_compressed(path, **columns)

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        with np.load(path) as found:
            columns = {name: found[name] for name in found.files}
        columns["people"], columns["end_us"] = tuple(columns["people"].tolist()), int(columns["end_us"])
        return cls(**columns)

    def intervals_us(self, person: int) -> list[tuple[int, int]]:
        """When a person counts as visible."""
        seen = np.zeros(len(self.t_us), bool)
        seen[self.frame[self.counts & (self.person == person)]] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8))).reshape(-1, 2)
        bounds = np.append(self.t_us, self.end_us)
        return [(int(bounds[a]), int(bounds[b])) for a, b in edges]

    def seconds(self, person: int) -> float:
        """How long a person counts as visible."""
        return sum(end - start for start, end in self.intervals_us(person)) / 1e6


def film(composition: Composition, seed: int, folder: Path, name: str) -> tuple[Path, Truth]:
    """The clip and its truth, made unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    video, facts = folder / f"{name}.mp4", folder / f"{name}.npz"
    if not facts.exists():
        part = folder / f".{name}.part.mp4"
        truth = _write(part, composition, seed)
        os.replace(part, video)
        truth.save(facts)
    return video, Truth.read(facts)


def _write(path: Path, composition: Composition, seed: int) -> Truth:
    packing, count = composition.packing, sum(shot.frames - shot.dissolve for shot in composition.shots)
    ticks = _schedule(packing, count, seed)
    seen: list[list[Face]] = []
    shots: list[int] = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_X264)
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _TICKS)
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.gop_size = 50
        stream.height, stream.width = _stored(np.zeros((HEIGHT, WIDTH, 3), np.uint8), packing).shape[:2]
        if packing.aspect:
            stream.codec_context.sample_aspect_ratio = packing.aspect
        if packing.rotation:
            stream.set_display_rotation(packing.rotation)
        sound = container.add_stream("aac", rate=_RATE, layout="mono") if packing.late_s else None
        if sound is not None:
            _hush(container, sound, float(ticks[-1]) / _TICKS)
        for index, (image, faces, shot) in enumerate(render(composition, seed)):
            frame = av.VideoFrame.from_ndarray(_stored(image, packing), format="bgr24")
            frame.pts, frame.time_base = int(ticks[index]), Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
            seen.append(faces)
            shots.append(shot)
        container.mux(stream.encode(None))
    assert len(seen) == count
    return _truth(composition, np.round(ticks * 1e6 / _TICKS).astype(np.int64), np.array(shots), seen)


def _schedule(packing: Packing, count: int, seed: int) -> NDArray[np.int64]:
    """(count + 1,) when each frame starts, and when the last one ends, in ticks."""
    steps = np.full(count, _TICKS // FPS)
    if packing.variable:
        rng = np.random.default_rng([seed, 77])
        blocks = np.repeat(rng.choice([16, 24, 33, 40, 60, 80], count // 20 + 1), 20)[:count]
        steps = blocks * (_TICKS // 1000)
    return round(packing.late_s * _TICKS) + np.concatenate([[0], np.cumsum(steps)])


def _stored(image: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    """The pixels as they lie in the file: turned by what the metadata turns back, squeezed by what the pixel aspect spreads."""
    if packing.rotation:
        image = np.ascontiguousarray(np.rot90(image, -packing.rotation // 90))
    if packing.aspect:
        image = np.asarray(
            cv2.resize(image, (round(image.shape[1] / packing.aspect / 2) * 2, image.shape[0]), interpolation=cv2.INTER_AREA), np.uint8
        )
    return image


def _hush(container: Any, stream: Any, length_s: float) -> None:
    """Silence from time zero on: what makes the pictures late."""
    for start in range(0, round(length_s * _RATE), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _truth(composition: Composition, t_us: NDArray[np.int64], shots: NDArray[np.int64], seen: list[list[Face]]) -> Truth:
    rows = [(frame, face) for frame, faces in enumerate(seen) for face in faces]
    people = tuple(sorted({face.person for _, face in rows}))
    starts = np.flatnonzero(np.diff(shots)) + 1
    hard = [int(t_us[start]) for start in starts if not composition.shots[int(shots[start])].dissolve]
    return Truth(
        people=people,
        t_us=t_us[:-1],
        end_us=int(t_us[-1]),
        shot=shots,
        frame=np.array([frame for frame, _ in rows], np.int64),
        person=np.array([people.index(face.person) for _, face in rows], np.int64),
        box=np.array([face.box for _, face in rows], np.float64).reshape(-1, 4) / [WIDTH, HEIGHT, WIDTH, HEIGHT],
        height=np.array([face.height for _, face in rows], np.float64),
        visible=np.array([face.visible for _, face in rows], np.float64),
        counts=np.array([face.counts for _, face in rows], bool),
        cuts_us=np.array(hard, np.int64),
    )
