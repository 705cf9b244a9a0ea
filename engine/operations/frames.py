"""Pixels for surfaces: a face's picture, a frame of a recording, a strip of frames. Read only, and only what the library knows of."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from engine.errors import BadInput, BadMedia, NotFound
from engine.looks import coded
from engine.models.base import Image
from engine.operations.common import EpisodeRef, episode_of, person_of
from engine.operations.registry import Context, Params, Result, operation
from engine.sources.probe import MICROSECONDS, MediaInfo
from store import catalog, moments

CHIP = re.compile(r"[0-9a-f]{64}\.jpg")
TRACK = re.compile(r"(\d{1,18})(@.*)?")
Form = Literal["jpeg", "rgb"]


class Picture(Result):
    width: int
    height: int
    form: Form
    data: str = Field(description="Base64 of a JPEG, or of width * height * 3 bytes RGB.")


class PictureRead(Params):
    chip: str | None = Field(None, description="Name of the picture, as lists of tracks give it.", json_schema_extra={"positional": True})
    track: str | None = Field(None, description="A track instead: its best picture is given.")
    person: int | None = Field(None, description="A person instead, by id: their best picture in the library is given.")
    size: int = Field(192, ge=8, le=512, description="Longest side, pixels; never enlarged.")
    middle: float = Field(1.0, gt=0.2, le=1.0, description="Share of the picture's sides around its middle that is given; the face takes about half.")
    form: Form = Field("jpeg", description="`rgb` for those who cannot decode.")


class PictureOut(Picture):
    chip: str


@operation("read", "review", params=PictureRead, result=PictureOut)
def picture_read(context: Context, p: PictureRead) -> PictureOut:
    """Give the pixels of a face's picture, by its name or by the track or person it stands for."""
    chip = p.chip or (_chip_of_person(context, p.person) if p.person is not None else _chip_of(context, p.track))
    if not CHIP.fullmatch(chip):
        raise BadInput(f"{chip!r} is not the name of a picture.", "Pass `chip` as a list of tracks gives it.")
    try:
        stored = context.engine.media.path(chip).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no picture {chip}.", "Analyse the episode again to make it anew.") from error
    if p.form == "jpeg" and p.middle == 1.0 and p.size >= 192:
        image = _decoded(stored, chip)
        return PictureOut(chip=chip, width=image.shape[1], height=image.shape[0], form="jpeg", data=base64.b64encode(stored).decode())
    image = _decoded(stored, chip)
    tall, wide = (max(1, round(side * p.middle)) for side in image.shape[:2])
    top, left = (image.shape[0] - tall) // 2, (image.shape[1] - wide) // 2
    part = image[top : top + tall, left : left + wide]
    factor = min(1.0, p.size / max(tall, wide))
    target = (max(1, round(wide * factor)), max(1, round(tall * factor)))
    return PictureOut(chip=chip, **coded(np.asarray(cv2.resize(part, target, interpolation=cv2.INTER_AREA), np.uint8), p.form))


def _chip_of(context: Context, track: str | None) -> str:
    match = TRACK.fullmatch(track or "")
    if match is None:
        raise BadInput("Neither a picture, a track nor a person was named.", "Give `chip`, `track` or `person`.")
    chip = moments.chip_of(context.engine.database, int(match[1]))
    if chip is None:
        raise NotFound(f"There is no picture of track {match[1]}.", "`rollcall track list --episode EPISODE` shows which tracks have one.")
    return chip


def _chip_of_person(context: Context, person_id: int) -> str:
    chip = moments.chip_of_person(context.engine.database, person_of(context.engine, person_id)["person_id"])
    if chip is None:
        raise NotFound(f"There is no picture of person {person_id}.", "They have not been seen in any analysed episode.")
    return chip


def _decoded(stored: bytes, chip: str) -> Image:
    image = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise BadMedia(f"The picture {chip} is damaged.", "Analyse the episode again to make it anew.")
    return np.asarray(image, np.uint8)


class FrameView(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    width: int = Field(320, ge=16, le=1920, description="Width of the picture, pixels; never enlarged.")
    box: list[float] | None = Field(None, min_length=4, max_length=4, description="Part of the displayed frame: x1, y1, x2, y2 between 0 and 1.")
    form: Form = Field("jpeg", description="`rgb` for those who cannot decode.")


class FrameRead(FrameView):
    at_s: float = Field(ge=0, le=1e7, description="Time in the recording, seconds.", json_schema_extra={"positional": True})


class FrameOut(Picture):
    t_us: int


@operation("read", "review", params=FrameRead, result=FrameOut, slow=True)
def frame_read(context: Context, p: FrameRead) -> FrameOut:
    """Give the frame of an episode that is on screen at a time, decoded from its file."""
    return _frames(context, p, [p.at_s])[0]


class FrameStrip(FrameView):
    from_s: float = Field(ge=0, le=1e7, description="Time of the first frame, seconds.", json_schema_extra={"positional": True})
    to_s: float = Field(ge=0, le=1e7, description="Time of the last frame, seconds.", json_schema_extra={"positional": True})
    count: int = Field(8, ge=1, le=96, description="Frames, evenly spread from the first to the last.")


class StripOut(Result):
    frames: list[FrameOut]


@operation("read", "review", params=FrameStrip, result=StripOut, slow=True)
def frame_strip(context: Context, p: FrameStrip) -> StripOut:
    """Give frames spread over a stretch of an episode in one pass of the decoder: to look through it, or to play it."""
    if p.to_s < p.from_s:
        raise BadInput(f"The stretch ends ({p.to_s:g} s) before it starts ({p.from_s:g} s).", "Give the earlier time first.")
    step = (p.to_s - p.from_s) / max(1, p.count - 1)
    return StripOut(frames=_frames(context, p, [p.from_s + n * step for n in range(p.count)]))


def _frames(context: Context, p: FrameView, times_s: list[float]) -> list[FrameOut]:
    episode = episode_of(context.engine, p.episode)
    path, media = Path(episode["path"]), MediaInfo.from_dict(catalog.media_of(context.engine.database, episode["episode_id"]))
    if not path.is_file():
        raise NotFound(f"The file of episode {episode['episode_id']}, {path}, is not there.", "Bring it back, or add it again from where it is now.")
    if p.box is not None and not (p.box[0] < p.box[2] and p.box[1] < p.box[3]):
        raise BadInput("The box " + ", ".join(f"{side:g}" for side in p.box) + " is empty.", "Give x1 < x2 and y1 < y2, between 0 and 1.")
    times_us = [round(t * MICROSECONDS) for t in times_s]
    return [FrameOut(**still) for still in context.engine.looker.stills(path, media, times_us, p.width, p.box, p.form)]
