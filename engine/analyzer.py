"""The analyzer: takes frames as they come, returns typed tables at the end. Knows no database, no file and no global state.

A file loops over it window by window; a live session pushes frames as they arrive and finishes every half minute.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import ObserveSettings
from engine.models.base import FaceDetector, Faces
from engine.sources.frame import Frame
from engine.tables import CHIPS, DETECTIONS, FRAMES, Observed, SegmentWindow
from engine.vision import quality
from engine.vision.chips import ChipKeeper, Crop
from engine.vision.detect import FaceFinder, Look
from engine.vision.shots import PICTURE_LONG_SIDE, CutDetector, signature

LOOKS_AHEAD = 4
"""Frames that wait for a look, or for what it found to be taken in."""


class Analyzer:
    """Shots, faces and candidate pictures of one segment.

    An analysed frame waits until it is certain which shot it belongs to (two frames; half a second near a possible cut). Faces are looked for in a
    thread of their own, one frame after another, while the next frames are looked through for cuts and the faces found before are judged and cut out.
    """

    def __init__(self, window: SegmentWindow, frame_size: tuple[int, int], step_us: int, detector: FaceDetector, settings: ObserveSettings) -> None:
        self._window = window
        self._frame_size = frame_size
        self._step_us = step_us
        self._cuts = CutDetector(settings)
        self._finder = FaceFinder(detector, settings)
        self._chips = ChipKeeper(round(settings.chip_every_s * 1e6), round(2.5 * step_us))
        self._waiting: deque[tuple[Frame, bytes]] = deque()
        self._beside = ThreadPoolExecutor(1, "look")
        self._looks: deque[tuple[Frame, bytes, bool, Future[Look]]] = deque()
        self._shot = 0
        self._frames: dict[str, list[Any]] = {name: [] for name in FRAMES.names}
        self._faces: list[dict[str, NDArray[Any]]] = []
        self._count = 0

    def push(self, frame: Frame, analyse: bool) -> None:
        """Take the next decoded frame; `analyse` says whether faces are looked for in it."""
        self._cuts.push(frame, analyse)
        if analyse:
            self._waiting.append((frame, signature(frame.scaled(PICTURE_LONG_SIDE))))
        while self._waiting and self._waiting[0][0].t_us < self._cuts.settled_us:
            self._look(*self._waiting.popleft())

    def _look(self, frame: Frame, mark: bytes) -> None:
        """Have a frame looked at, and take in what was found in those before it as far as that is known."""
        shot = bisect_right(self._cuts.cuts, frame.t_us)
        new_shot, self._shot = shot != self._shot, shot
        self._looks.append((frame, mark, new_shot, self._beside.submit(self._finder.look, frame, new_shot)))
        while len(self._looks) > LOOKS_AHEAD or (self._looks and self._looks[0][3].done()):
            self._take(*self._looks.popleft())

    def _take(self, frame: Frame, mark: bytes, new_shot: bool, found: Future[Look]) -> None:
        look = found.result()
        if new_shot:
            self._chips.cut()
        for name, value in zip(FRAMES.names, (len(self._frames["frame"]), frame.t_us, look.kind, mark), strict=True):
            self._frames[name].append(value)
        if len(look.faces.scores):
            self._keep(frame, look.faces)

    def _keep(self, frame: Frame, faces: Faces) -> None:
        count, size = len(faces.scores), np.array([frame.width, frame.height], np.float32)
        boxes, landmarks = faces.boxes.astype(np.float32), faces.landmarks.astype(np.float32)
        height_px = (boxes[:, 3] - boxes[:, 1]) * frame.height
        facing = quality.frontal(landmarks * size, boxes * np.tile(size, 2))
        sharp = np.array([quality.face_sharpness(frame, box) for box in boxes], np.float32)
        worth = quality.quality(height_px, sharp, facing, faces.scores, quality.inside(boxes))
        self._chips.push(frame, self._count, boxes, landmarks, worth)
        self._faces.append(
            {
                "det": np.arange(self._count, self._count + count),
                "frame": np.full(count, len(self._frames["frame"]) - 1),
                "t_us": np.full(count, frame.t_us),
                **{name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
                "score": faces.scores,
                "landmarks": landmarks.reshape(count, 10),
                "height_px": height_px,
                "sharpness": sharp,
                "frontal": facing,
                "quality": worth,
            }
        )
        self._count += count

    def finish(self) -> Observed:
        """End the segment and return what was seen."""
        self._cuts.finish()
        while self._waiting:
            self._look(*self._waiting.popleft())
        while self._looks:
            self._take(*self._looks.popleft())
        self._beside.shutdown()
        self._chips.cut()
        crops = sorted(self._chips.kept, key=lambda crop: crop.det)
        chip_of = np.full(self._count, -1, np.int32)
        chip_of[[crop.det for crop in crops]] = np.arange(len(crops))
        return Observed(
            window=self._window,
            step_us=self._step_us,
            frame_size=self._frame_size,
            frames=pa.table(self._frames, schema=FRAMES),
            cuts=self._cuts.table(),
            detections=_detections(self._faces, chip_of),
            chips=_chips(crops),
        )


def _detections(faces: list[dict[str, NDArray[Any]]], chip_of: NDArray[np.int32]) -> pa.Table:
    if not faces:
        return DETECTIONS.empty_table()
    columns = {name: np.concatenate([part[name] for part in faces]) for name in faces[0]}
    columns["chip"] = chip_of
    return pa.table([_array(columns[field.name], field.type) for field in DETECTIONS], schema=DETECTIONS)


def _chips(crops: list[Crop]) -> pa.Table:
    if not crops:
        return CHIPS.empty_table()
    columns = {
        "chip": np.arange(len(crops)),
        "det": np.array([crop.det for crop in crops]),
        "jpeg": [crop.jpeg for crop in crops],
        "landmarks": np.stack([crop.landmarks.reshape(10) for crop in crops]),
        "box": np.stack([crop.box for crop in crops]),
        "body": np.stack([crop.body for crop in crops]),
    }
    return pa.table([_array(columns[field.name], field.type) for field in CHIPS], schema=CHIPS)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """A column; two-dimensional arrays become fixed-size lists."""
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values, np.float32).ravel(), pa.float32()), kind.list_size)
    return pa.array(values, kind)
