"""The two sides of the speed benchmark: rollcall's faces work on a clip, and the obvious loop over the same frames."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.config import Settings
from engine.models.base import Calibration, FaceDetector, FaceEmbedder
from engine.models.load import open_detector, open_embedder
from engine.models.store import Models
from engine.pipeline import observe
from engine.sources.grid import Grid
from engine.sources.probe import MediaInfo, origin_us, probe, to_us
from engine.tables import SegmentWindow, Tracked
from engine.vision.boxes import iou
from engine.vision.pick import track_segment

DETECTOR, EMBEDDER = "det_500m", "mobilefacenet_foamliu"
SIZE, THREADS = 640, 2
BESIDE = THREADS - 1
"""Threads rollcall gives the network that finds faces: one of the worker's decodes. Faces are embedded two at a time (engine/models/load.py)."""

SURE, SAME_IOU = 0.5, 0.5

T = TypeVar("T")

Found = dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Time in microseconds -> boxes (n, 4) in pixels of the frame, scores (n,)."""


@dataclass(frozen=True)
class Clip:
    """A clip, and the window that is all of it."""

    path: Path
    media: MediaInfo
    window: SegmentWindow

    @classmethod
    def open(cls, path: Path) -> Clip:
        """Probe a file."""
        media = probe(path)
        return cls(path, media, SegmentWindow(0, media.first_frame_us, media.duration_us, media.duration_us))

    @property
    def seconds(self) -> float:
        """Length of its pictures."""
        return (self.media.duration_us - self.media.first_frame_us) / 1e6


@dataclass(frozen=True)
class Cost:
    """Wall and process-CPU seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ours:
    """rollcall's models, opened once."""

    detector: FaceDetector
    embedder: FaceEmbedder
    calibration: Calibration
    settings: Settings

    @classmethod
    def open(cls, folder: Path) -> Ours:
        """The pair of the benchmark, from a folder that holds it."""
        installed = Models(folder).installed()
        detector, _ = open_detector(installed[DETECTOR], "cpu", BESIDE)
        embedder, _ = open_embedder(installed[EMBEDDER], "cpu", THREADS)
        calibration = installed[EMBEDDER].calibration
        assert calibration is not None
        return cls(detector, embedder, calibration, Settings())

    def run(self, clip: Clip) -> tuple[Found, Tracked]:
        """Observe and track a whole clip in this process; every kept face, and the tracks."""
        observed = observe(clip.path, clip.media, clip.window, self.settings, self.detector, lambda _: None)
        tracked = track_segment(observed, self.embedder, self.calibration, self.settings.track)
        size = np.tile(np.array([clip.media.width, clip.media.height], np.float32), 2)
        corners = [observed.detections[name].to_numpy() for name in ("x1", "y1", "x2", "y2")]
        boxes, score = np.stack(corners, axis=1) * size, observed.detections["score"].to_numpy()
        of_frame = observed.detections["frame"].to_numpy()
        found = {at: (boxes[of_frame == row], score[of_frame == row]) for row, at in enumerate(observed.frames["t_us"].to_pylist())}
        return found, tracked


@dataclass(frozen=True)
class LoopOptions:
    """How the obvious loop is set up; None leaves a thing as the library has it.

    threads: in a network, in the decoder and in OpenCV; spinning: whether onnxruntime's threads wait by spinning.
    """

    name: str
    threads: int | None
    spinning: bool


LOOPS = (
    LoopOptions("same options", BESIDE, spinning=False),
    LoopOptions(f"{THREADS} threads", THREADS, spinning=False),
    LoopOptions("stock", None, spinning=True),
)
"""The loop with what rollcall's own sessions, decoder and OpenCV are given; with both cores for everything; and as its libraries come."""


class ObviousLoop:
    """Decode every frame, convert the analysed ones whole, `FaceAnalysis.get` on each: detection at SIZE and one embedding a face."""

    def __init__(self, root: Path, folder: Path, options: LoopOptions) -> None:
        """`root` is an empty folder that gets the layout insightface expects; `folder` holds the weights."""
        from insightface.app import FaceAnalysis

        warnings.filterwarnings("ignore", category=FutureWarning, module="insightface")
        pack = root / "models" / "pack"
        pack.mkdir(parents=True)
        for name in (DETECTOR, EMBEDDER):
            (pack / f"{name}.onnx").symlink_to((folder / f"{name}.onnx").resolve())
        self.options = options
        session = onnxruntime.SessionOptions()
        session.log_severity_level = 3
        if options.threads is not None:
            session.intra_op_num_threads = options.threads
        if not options.spinning:
            session.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._app: Any = FaceAnalysis(name="pack", root=str(root), providers=["CPUExecutionProvider"], sess_options=session)
        self._app.prepare(ctx_id=0, det_thresh=SURE, det_size=(SIZE, SIZE))
        self._app.get(np.zeros((SIZE, SIZE, 3), np.uint8))

    def run(self, clip: Clip, fps: float) -> Found:
        """Faces of the analysed frames of a clip."""
        found: Found = {}
        before = cv2.getNumThreads()
        cv2.setNumThreads(-1 if self.options.threads is None else self.options.threads)
        grid = Grid(fps, -1)
        with av.open(str(clip.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self.options.threads or 0
            assert stream.time_base is not None
            for frame in container.decode(stream):
                t_us = to_us(frame.pts or 0, stream.time_base, origin_us(container))
                if grid.hit(t_us):
                    faces = self._app.get(frame.to_ndarray(format="bgr24"))
                    boxes = np.array([face.bbox for face in faces], np.float32).reshape(-1, 4)
                    found[t_us] = boxes, np.array([face.det_score for face in faces], np.float32)
        cv2.setNumThreads(before)
        return found


def measured(work: Callable[[], T]) -> tuple[T, Cost]:
    """What some work gives, and what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def matched(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(len(a),) whether each box of `a` has its own box of `b` at SAME_IOU, best overlaps first."""
    taken, hit = np.zeros(len(b), bool), np.zeros(len(a), bool)
    overlap = iou(a, b)
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        i, j = divmod(int(flat), max(1, len(b)))
        if overlap[i, j] < SAME_IOU:
            break
        if not hit[i] and not taken[j]:
            hit[i] = taken[j] = True
    return hit


@dataclass(frozen=True)
class Agreement:
    """theirs: sure faces of the obvious loop; found: those we kept; found_sure: those we are as sure of. ours: our sure faces; by_theirs: those
    the loop has too; by_enlarged: of the rest, those a look at twice the size has; times_differ: analysed times of only one side."""

    theirs: int
    found: int
    found_sure: int
    ours: int
    by_theirs: int
    by_enlarged: int
    times_differ: int


def agreement(ours: Found, theirs: Found, clip: Clip, detector: FaceDetector) -> Agreement:
    """Compare the faces of the two sides at the same analysed times."""
    counts = np.zeros(5, int)
    doubtful: Found = {}
    for at in ours.keys() & theirs.keys():
        (mine, score), (other, other_score) = ours[at], theirs[at]
        sure, other_sure = mine[score >= SURE], other[other_score >= SURE]
        seconded = matched(sure, other_sure)
        counts += [len(other_sure), matched(other_sure, mine).sum(), matched(other_sure, sure).sum(), len(sure), seconded.sum()]
        if not seconded.all():
            doubtful[at] = sure[~seconded], score[score >= SURE][~seconded]
    theirs_n, found, found_sure, ours_n, by_theirs = (int(count) for count in counts)
    return Agreement(theirs_n, found, found_sure, ours_n, by_theirs, _enlarged(clip, doubtful, detector), len(ours.keys() ^ theirs.keys()))


def _enlarged(clip: Clip, doubtful: Found, detector: FaceDetector) -> int:
    """How many of some faces a look at the whole frame with its long side at twice SIZE finds again, as sure."""
    count = 0
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        for frame in container.decode(stream):
            t_us = to_us(frame.pts or 0, stream.time_base, origin_us(container))
            if t_us in doubtful:
                factor = 2 * SIZE / max(frame.width, frame.height)
                picture = np.asarray(cv2.resize(frame.to_ndarray(format="bgr24"), None, fx=factor, fy=factor), np.uint8)
                seen = detector.detect(picture, min_score=SURE, nms_iou=0.4)
                count += int(matched(doubtful[t_us][0], (seen.boxes / factor).astype(np.float32)).sum())
    return count
