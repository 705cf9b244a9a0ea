"""Make the demo episode: a minute of video with the grammar of television, and the truth about who is in it.

The episode is filmed by a virtual camera from two pictures inside installed packages (`tools.demo.pictures`), shot after shot as listed in
`tools.demo.shots`.  Since the camera's every position is known, so is the truth, which goes into a JSON file next to the video.

A face is visible in a frame when at least 50 % of its box is inside the view and not covered, and its rendered height is at least 24 pixels.
A neighbour who peeks in at the border counts by the same rule.  Times are integer microseconds; a frame lasts 40 000 of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import numpy as np
from numpy.typing import NDArray

from tools.demo.camera import Grain, Staged, render, stage
from tools.demo.pictures import PICTURES, Image, load
from tools.demo.shots import EPISODE, FPS, HEIGHT, WIDTH, Shot
from tools.demo.truth import describe, faces_of

VIDEO_NAME = "demo_episode.mp4"
TRUTH_NAME = "demo_episode.json"
_SAMPLE_RATE = 48_000
_AUDIO_FRAME = 1024
_X264 = {"preset": "veryfast", "crf": "23", "threads": "2", "bf": "0"}  # a fixed number of threads, or the bytes depend on the machine's cores


def compose(folder: Path, *, seed: int = 7, progress: Callable[[float], None] | None = None) -> Path:
    """Write demo_episode.mp4 and demo_episode.json into a folder, and return the path of the video.

    Neither name exists before its file is complete; `progress` is called with the share done, 0..1, and may raise to stop the work.
    The same seed gives the same truth everywhere and, on one machine, the same bytes.

    Raises:
        NotFound: a package with one of the pictures is not installed.
        BadMedia: a picture is not the one the boxes were measured on.
    """
    return write_episode(folder, EPISODE, seed=seed, progress=progress)


def write_episode(folder: Path, shots: tuple[Shot, ...], *, seed: int, progress: Callable[[float], None] | None = None) -> Path:
    """`compose` for any list of shots."""
    folder.mkdir(parents=True, exist_ok=True)
    token = uuid4().hex[:8]
    video, truth = folder / VIDEO_NAME, folder / TRUTH_NAME
    video_part, truth_part = (path.with_name(f".{path.stem}.{token}.part{path.suffix}") for path in (video, truth))
    try:
        _encode(video_part, shots, seed, progress or (lambda _share: None))
        truth_part.write_text(json.dumps(episode_truth(shots, seed), separators=(",", ":")), encoding="utf-8")
        os.replace(truth_part, truth)
        os.replace(video_part, video)
    finally:
        video_part.unlink(missing_ok=True)
        truth_part.unlink(missing_ok=True)
    return video


def episode_truth(shots: tuple[Shot, ...], seed: int) -> dict[str, Any]:
    """What the truth file of these shots says (see `tools.demo.truth.describe`)."""
    faces = [face for frame, staged in enumerate(frames_of(shots, seed)) for face in faces_of(staged, frame)]
    return describe(shots, faces, seed=seed, video=VIDEO_NAME)


def frames_of(shots: tuple[Shot, ...], seed: int) -> Iterator[Staged]:
    """Every frame of the episode, staged but not drawn."""
    for index, shot in enumerate(shots):
        yield from stage(shot, np.random.default_rng([seed, 0, index]))


def images_of(shots: tuple[Shot, ...], seed: int) -> Iterator[Image]:
    """Every frame of the episode as an image, BGR, HEIGHT x WIDTH x 3; each shot has its own slight cast, as if lit anew."""
    pictures = {picture: load(picture) for picture in PICTURES}
    grain = Grain(np.random.default_rng([seed, 1]))
    for index, shot in enumerate(shots):
        grade = np.random.default_rng([seed, 2, index]).uniform(0.95, 1.05, 3)
        for staged in stage(shot, np.random.default_rng([seed, 0, index])):
            yield render(staged, pictures, grade, grain)


def _encode(path: Path, shots: tuple[Shot, ...], seed: int, progress: Callable[[float], None]) -> None:
    frames = sum(shot.frames for shot in shots)
    hum = _room_tone(frames * _SAMPLE_RATE // FPS, seed)
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options=_X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, FPS)
        audio = container.add_stream("aac", rate=_SAMPLE_RATE, layout="mono")
        audio.bit_rate = 64_000
        heard = 0
        for index, image in enumerate(images_of(shots, seed)):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = index
            container.mux(video.encode(frame))
            # Sound goes in as picture does, so that the two lie side by side in the file.
            while heard * FPS < (index + 1) * _SAMPLE_RATE and heard < len(hum):
                container.mux(audio.encode(_sound(hum[heard : heard + _AUDIO_FRAME], heard)))
                heard += _AUDIO_FRAME
            progress((index + 1) / frames)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _room_tone(samples: int, seed: int) -> NDArray[np.float32]:
    """Quiet noise without words, about -55 dB: (samples,) float32."""
    white = np.random.default_rng([seed, 3]).standard_normal(samples + 15).astype(np.float32)
    tone: NDArray[np.float32] = np.convolve(white, np.full(16, 1 / 16, np.float32), "valid") * np.float32(0.007)
    return tone


def _sound(samples: NDArray[np.float32], start: int) -> Any:
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = _SAMPLE_RATE, start, Fraction(1, _SAMPLE_RATE)
    return frame
