"""Looks at a media file, in a process of their own (engine/looker.py): a file that makes FFmpeg crash or hang must not take the engine with it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engine.config import ObserveSettings
from engine.models.base import Image
from engine.sources.file import read
from engine.sources.frame import Frame
from engine.sources.probe import MediaInfo, probe
from engine.sources.seek import frames_at
from engine.tables import SegmentWindow

JPEG_QUALITY = 85

Message = dict[str, Any]
Send = Callable[[Message], None]


def _probe(task: Message, send: Send) -> Message:
    return {"media": probe(Path(task["path"])).as_dict()}


def _stills(task: Message, send: Send) -> Message:
    """The frames on screen at some times, each sent as it is found."""
    for frame in frames_at(Path(task["path"]), MediaInfo.from_dict(task["media"]), task["times_us"]):
        send({"still": {"t_us": frame.t_us, **coded(_seen(frame, task["width"], task["box"]), task["form"])}})
    return {}


def _frame(task: Message, send: Send) -> Message:
    """The first frame from a time on, as RGB; none when there is none."""
    window = SegmentWindow(0, task["t_us"], task["t_us"] + 1, 1 << 62)
    frames = read(Path(task["path"]), MediaInfo.from_dict(task["media"]), window, ObserveSettings())
    shown = next((frame for frame, _ in frames), None)
    return {"still": coded(shown.scaled(task["long_side"]), "rgb") if shown else None}


LOOKS = {"probe": _probe, "stills": _stills, "frame": _frame}
"""What each kind of look does: a task and where progress goes -> the answer."""


def _seen(frame: Frame, width: int, box: list[float] | None) -> Image:
    """A frame, or the part asked for (x1, y1, x2, y2, normalised), at the width asked for."""
    if box is None:
        return frame.scaled(width if frame.width >= frame.height else round(width * frame.height / frame.width))
    x1, y1, x2, y2 = box
    wide, tall = (x2 - x1) * frame.width, (y2 - y1) * frame.height
    return frame.crop(x1, y1, x2, y2, max(1, round(width * max(1.0, tall / wide))))


def coded(image: Image, form: str) -> Message:
    """A picture (height, width, 3; BGR) as width, height, form and base64 data: a JPEG, or RGB bytes."""
    if form == "rgb":
        pixels = np.ascontiguousarray(image[:, :, ::-1]).tobytes()
    else:
        pixels = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return {"width": image.shape[1], "height": image.shape[0], "form": form, "data": base64.b64encode(pixels).decode()}
