"""The stages of an analysis: what each reads, the key of its result, and how a worker performs it.

observe (per segment)   decode, shots, detection, candidate pictures        keyed by media, window, detector, settings.observe
track (per segment)     association, choice, embedding                      keyed by observe, embedder, settings.track
identify (episode)      stitch, cluster, match with the people known        keyed by the tracks, gallery, calibration, settings.identity
totals (episode)        seconds per person with intervals                   computed for every run
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.artefacts import Artefacts
from engine.config import Settings, build
from engine.fingerprint import fingerprint
from engine.tables import SegmentWindow

STAGE_VERSION = {"observe": 1, "track": 1, "identify": 1}
"""Raised when a stage's code gives other results for the same input."""

REPORT_EVERY_S = 0.25

Message = dict[str, Any]
Send = Callable[[Message], None]


@dataclass(frozen=True)
class SegmentPlan:
    """A segment and the keys of its two results."""

    window: SegmentWindow
    observe_key: str
    track_key: str


def plan_segments(windows: list[SegmentWindow], media_digest: str, settings: Settings, detector: str, embedder: str) -> list[SegmentPlan]:
    """Keys of every segment's results; `detector` and `embedder` are model digests."""
    observe = settings.observe.model_dump()
    plans = []
    for window in windows:
        seen = fingerprint(
            stage="observe", version=STAGE_VERSION["observe"], media=media_digest, window=vars(window), settings=observe, model=detector
        )
        tracked = fingerprint(stage="track", version=STAGE_VERSION["track"], observe=seen, settings=settings.track.model_dump(), model=embedder)
        plans.append(SegmentPlan(window, seen, tracked))
    return plans


def identify_key(segments: list[SegmentPlan], settings: Settings, calibration: dict[str, Any], gallery: str) -> str:
    """Key of the episode's identity result."""
    return fingerprint(
        stage="identify",
        version=STAGE_VERSION["identify"],
        segments=[segment.track_key for segment in segments],
        track=settings.track.model_dump(),
        settings=settings.identity.model_dump(),
        calibration=calibration,
        gallery=gallery,
    )


def run_key(identify: str, settings: Settings) -> str:
    """Key of a whole run."""
    return fingerprint(identify=identify, totals=settings.totals.model_dump())


def perform(task: Message, send: Send) -> Message:
    """Do one task in a worker: `segment`, `identify` or `totals`."""
    performers = {"segment": _segment, "identify": _identify, "totals": _totals}
    return performers[task["kind"]](task, Artefacts(Path(task["artefacts"])), build(task["settings"]), send)


@lru_cache(maxsize=1)
def _models(profile: str, folder: str, provider: str, threads: int) -> Any:
    """The models of a profile, loaded once in a worker's life."""
    from engine.models.load import choose, load

    return load(choose(profile, Path(folder)), provider, threads)


def _segment(task: Message, artefacts: Artefacts, settings: Settings, send: Send) -> Message:
    """Observe one segment unless that was done, then track it."""
    from engine.analyzer import track_segment
    from engine.sources.probe import MediaInfo

    models = _models(task["profile"], task["models"], settings.models.provider, task["threads"])
    window, log = SegmentWindow(**task["window"]), []
    if "observe" in task["missing"]:
        started = time.monotonic()
        observed = observe(Path(task["path"]), MediaInfo.from_dict(task["media"]), window, settings, models.detector, send)
        artefacts.write_observed(task["observe_key"], observed)
        counts = f"{observed.frames.num_rows} frames, {observed.cuts.num_rows} cuts, {observed.detections.num_rows} faces"
        log.append(_line("observe", window.segment, started, counts))
    if "track" in task["missing"]:
        started = time.monotonic()
        observed = artefacts.observed(task["observe_key"])
        tracked = track_segment(observed, models.embedder, settings.track)
        artefacts.write_tracked(task["track_key"], tracked)
        log.append(_line("track", window.segment, started, f"{len(tracked.vectors)} faces embedded"))
    return {"log": log}


def observe(path: Path, media: Any, window: SegmentWindow, settings: Settings, detector: Any, send: Send) -> Any:
    """Feed the frames of a window to an analyzer; progress goes to `send` a few times a second."""
    from engine.analyzer import Analyzer
    from engine.sources.file import read

    step_us = round(1e6 / settings.observe.fps)
    analyzer = Analyzer(window, (media.width, media.height), step_us, detector, settings.observe)
    told = time.monotonic()
    for frame, analyse in read(path, media, window, settings.observe):
        analyzer.push(frame, analyse)
        if time.monotonic() - told >= REPORT_EVERY_S:
            told = time.monotonic()
            send({"stage": "observe", "at_us": max(0, min(frame.t_us, window.end_us) - window.start_us)})
    return analyzer.finish()


def _line(stage: str, segment: int | None, started: float, detail: str) -> Message:
    """A line of the stage log."""
    return {"stage": stage, "segment": segment, "status": "computed", "seconds": round(time.monotonic() - started, 3), "detail": detail}
