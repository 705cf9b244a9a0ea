"""Where rollcall's processor time goes on a clip: its stages' functions wrapped with a stopwatch, and the floor below them.

Each thread's own processor time is counted, so other work of the machine does not show, and what is decoded, looked at and embedded beside the
rest does.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from engine import analyzer
from engine.models.arcface import ArcFace
from engine.models.scrfd import Scrfd
from engine.sources import file
from engine.sources.picture import DecodedFrame
from engine.vision import pick
from engine.vision.chips import ChipKeeper
from engine.vision.detect import FaceFinder
from engine.vision.novelty import Scenery
from tests.benchmarks.speed_sides import Clip, Ours


class Stopwatch(threading.local):
    """Processor seconds of each thread by stage; time in a stage called from another counts for the inner one alone."""

    def __init__(self, seconds: dict[str, float], calls: dict[str, int]) -> None:
        self.seconds, self.calls = seconds, calls
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        self._charge()
        self._open.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = time.thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is timed; a name ending in `:` belongs to the stage it is called from."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            outer = self._open[-1].split(":")[0] if self._open else "rest"
            with self.stage(f"{outer}: {name[:-1]}" if name.endswith(":") else name):
                return function(*args, **kwargs)

        return timed

    def stepped(self, name: str, function: Callable[..., Generator[Any, None, None]]) -> Callable[..., Generator[Any, None, None]]:
        """A generator function whose steps are timed."""

        def timed(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            inner = function(*args, **kwargs)
            try:
                while True:
                    with self.stage(name):
                        item = next(inner, None)
                    if item is None:
                        return
                    yield item
            finally:
                inner.close()

        return timed


STAGES: list[tuple[Any, str, str]] = [
    (analyzer.Analyzer, "push", "shots"),
    (analyzer.Analyzer, "finish", "crops and quality"),
    (analyzer.Analyzer, "_keep", "crops and quality"),
    (ChipKeeper, "cut", "crops and quality"),
    (FaceFinder, "look", "detection"),
    (Scrfd, "detect", "detection: network"),
    (Scenery, "changed", "detection: anything new"),
    (DecodedFrame, "scaled", "picture scaled:"),
    (DecodedFrame, "crop", "picture cut:"),
    (pick, "_embed", "embedding"),
    (ArcFace, "_run", "embedding: network"),
    (pick, "associate", "association"),
]
"""What is wrapped: owner, function, stage."""


def stages(ours: Ours, clip: Clip) -> Stopwatch:
    """Run a clip once with every stage timed; what no stage claims is `rest`."""
    watch = Stopwatch(defaultdict(float), defaultdict(int))
    patches = [patch.object(owner, name, watch.wrapped(stage, getattr(owner, name))) for owner, name, stage in STAGES]
    patches.append(patch.object(file, "_decoded", watch.stepped("decode", file._decoded)))
    for each in patches:
        each.start()
    try:
        with watch.stage("rest"):
            ours.run(clip)
    finally:
        for each in patches:
            each.stop()
    return watch


def decode_alone(ours: Ours, clip: Clip, *, every_frame: bool) -> int:
    """Decode a clip as rollcall does and look at nothing; gives the number of frames."""
    settings = ours.settings.observe.model_copy(update={"every_frame": every_frame})
    return sum(1 for _ in file.read(clip.path, clip.media, clip.window, settings))


def decode_and_look(ours: Ours, clip: Clip, long_side: int) -> int:
    """Decode a clip and run the detector once for each analysed frame; gives the number of looks."""
    looks = 0
    for frame, analyse in file.read(clip.path, clip.media, clip.window, ours.settings.observe):
        if analyse:
            ours.detector.detect(frame.scaled(long_side), min_score=ours.settings.observe.min_score, nms_iou=ours.settings.observe.nms_iou)
            looks += 1
    return looks
