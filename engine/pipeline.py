"""The stages of an analysis: what each reads, the key of its result, and how a worker performs it.

observe (per segment)   decode, shots, detection, candidate pictures        keyed by media, window, detector, settings.observe
track (per segment)     association, choice, embedding                      keyed by observe, embedder, settings.track
identify (episode)      stitch, cluster, match with the people known        keyed by the tracks, gallery, calibration, settings.identity
totals (episode)        seconds per person with intervals                   computed for every run
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.artefacts import Artefacts
from engine.config import Settings, build
from engine.errors import BadMedia, RollcallError
from engine.fingerprint import fingerprint
from engine.memory import give_back
from engine.tables import Episode, Observed, SegmentWindow
from store.commit_point import commit_point

if TYPE_CHECKING:
    from engine.models.base import FaceDetector
    from engine.models.load import Loaded
    from engine.models.runtime import ProviderReport
    from engine.sources.probe import MediaInfo

STAGE_VERSION = {"observe": 6, "track": 6, "identify": 4}
"""Raised when a stage's code gives other results for the same input."""

REPORT_EVERY_S = 0.25

Message = dict[str, Any]
T = TypeVar("T")
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
    """Do one task in a worker: `segment`, `identify`, `totals`, `faces`, or a look at a media file."""
    if "artefacts" not in task:
        from engine.looks import LOOKS

        return LOOKS[task["kind"]](task, send)
    performers = {"segment": _segment, "identify": _identify, "totals": _totals, "faces": _faces}
    done = performers[task["kind"]](task, Artefacts(Path(task["artefacts"])), build(task["settings"]), send)
    if task["kind"] in ("segment", "identify"):
        give_back()
    return done


@lru_cache(maxsize=1)
def _models(profile: str, folder: str, provider: str, threads: int) -> Loaded:
    """The models of a profile, loaded once in a worker's life."""
    from engine.models.load import choose, load

    return load(choose(profile, Path(folder)), provider, threads)


def _models_of(task: Message, settings: Settings) -> Loaded:
    """The models a task was planned for."""
    asked = (task["profile"], task["models"], settings.models.provider, task["threads"])
    models = _models(*asked)
    if [models.detector.digest, models.embedder.digest] != task["model_digests"]:
        _models.cache_clear()  # others were installed since this worker loaded its own
        models = _models(*asked)
    if [models.detector.digest, models.embedder.digest] != task["model_digests"]:
        raise RollcallError("Other models were installed while the job ran.", "Start it again.")
    return models


def _faces(task: Message, artefacts: Artefacts, settings: Settings, send: Send) -> Message:
    """Find and embed the one face of a picture; its cut-out is written to a file. A picture that cannot be used is an answer, not an error."""
    from engine.sources import photo
    from engine.vision.portrait import portrait

    models = _models_of(task, settings)
    try:
        found = portrait(photo.read(Path(task["path"])), task["name"], models.detector, models.embedder, settings)
    except BadMedia as error:
        return {"why": error.message}
    Path(task["chip"]).write_bytes(found.chip)
    return {"why": None, "vector": found.vector.tolist(), "quality": found.quality}


def _segment(task: Message, artefacts: Artefacts, settings: Settings, send: Send) -> Message:
    """Observe one segment unless that was done, then track it."""
    from engine.sources.probe import MediaInfo
    from engine.vision.pick import track_segment

    models = _models_of(task, settings)
    window, log = SegmentWindow(**task["window"]), []
    if "observe" in task["missing"]:
        started = time.monotonic()
        observed = observe(Path(task["path"]), MediaInfo.from_dict(task["media"]), window, settings, models.detector, send)
        artefacts.write_observed(task["observe_key"], observed)
        counts = f"{observed.frames.num_rows} frames, {observed.cuts.num_rows} cuts, {observed.detections.num_rows} faces"
        log.append(_line("observe", window.segment, started, f"{counts}; {_where(models.reports[0])}"))
    if "track" in task["missing"]:
        started = time.monotonic()
        send({"stage": "track", "at_us": window.end_us - window.start_us})
        observed = artefacts.observed(task["observe_key"])
        tracked = track_segment(observed, models.embedder, models.calibration, settings.track)
        artefacts.write_tracked(task["track_key"], tracked)
        log.append(_line("track", window.segment, started, f"{len(tracked.vectors)} faces embedded; {_where(models.reports[1])}"))
    return {"log": log}


def _where(report: ProviderReport) -> str:
    """Where a model really ran, and why not elsewhere."""
    return f"on {report.used}" + (f" ({report.reason})" if report.reason else "")


def observe(path: Path, media: MediaInfo, window: SegmentWindow, settings: Settings, detector: FaceDetector, send: Send) -> Observed:
    """Feed the frames of a window to an analyzer; progress goes to `send` a few times a second."""
    from engine.analyzer import Analyzer
    from engine.sources.file import read

    step_us = round(1e6 / min(settings.observe.fps, float(media.fps)))
    analyzer = Analyzer(window, (media.width, media.height), step_us, detector, settings.observe)
    told = time.monotonic()
    for frame, analyse in read(path, media, window, settings.observe, wait_s=settings.engine.media_wait_s):
        analyzer.push(frame, analyse)
        if time.monotonic() - told >= REPORT_EVERY_S:
            told = time.monotonic()
            send({"stage": "observe", "at_us": max(0, min(frame.t_us, window.end_us) - window.start_us)})
    return analyzer.finish()


def _line(stage: str, segment: int | None, started: float, detail: str) -> Message:
    """A line of the stage log."""
    return {"stage": stage, "segment": segment, "status": "computed", "seconds": round(time.monotonic() - started, 3), "detail": detail}


def _identify(task: Message, artefacts: Artefacts, settings: Settings, send: Send) -> Message:
    """Stitch the segments, cluster the tracks, match the clusters with the people known, decide."""
    from engine.identity.cluster import cluster
    from engine.identity.gallery import Gallery, match
    from engine.identity.persons import decide
    from engine.identity.similarity import evidence
    from engine.models.base import Calibration
    from engine.people import KnownFaces
    from engine.sources.probe import MediaInfo
    from engine.vision.stitch import picture_of, stitch

    started = time.monotonic()
    media, calibration = MediaInfo.from_dict(task["media"]), Calibration(**task["calibration"])
    # Never all segments at once: what the episode needs of each is kept, and the pictures are read again at the end.
    segments = _one_at_a_time(lambda s: (artefacts.observed(s["observe_key"], pictures=False), artefacts.tracked(s["track_key"])), task["segments"])
    windows = [SegmentWindow(**artefacts.meta("observe", s["observe_key"])["window"]) for s in task["segments"]]
    pictures = _one_at_a_time(lambda s: artefacts.table("observe", s["observe_key"], "chips", ["jpeg"]), task["segments"])
    episode = stitch(segments, media.first_frame_us, media.duration_us, calibration, settings.track)
    found = evidence(episode, calibration, settings.identity)
    clustering = cluster(episode, found, settings.identity)
    known = KnownFaces.read(Path(task["gallery"]))
    gallery = Gallery(known.vectors, np.searchsorted(known.people(), known.person_id).astype(np.int32), known.quality)
    posterior = match(episode, clustering, found, gallery, calibration, settings.identity)
    tables = {
        "shots": episode.shots,
        "tracks": episode.tracks,
        "detections": episode.detections,
        "picks": episode.picks,
        "clusters": clustering.clusters,
        "membership": clustering.membership,
        "posterior": posterior,
        "decisions": decide(episode, clustering, posterior, settings.identity),
        "pictures": picture_of(windows, episode, pictures),
    }
    meta = {"step_us": episode.step_us, "duration_us": episode.duration_us, "frame_size": list(episode.frame_size)}
    artefacts.write("identify", task["key"], tables=tables, arrays={"vectors": episode.vectors, "pooled": episode.pooled}, meta=meta)
    commit_point("identify.written")
    detail = f"{episode.shots.num_rows} shots, {episode.tracks.num_rows} tracks, {clustering.clusters.num_rows} clusters"
    return {"log": [_line("identify", None, started, detail)]}


def _one_at_a_time(read: Callable[[Message], T], segments: list[Message]) -> Iterator[T]:
    """What is read of each segment; what is no longer needed of the one before is given back to the system."""
    for segment in segments:
        yield read(segment)
        give_back()


def _totals(task: Message, artefacts: Artefacts, settings: Settings, send: Send) -> Message:
    """Seconds per person with intervals, from the identity result, who the clusters are, and the labels decisions left where there are any."""
    from engine.totals.labels import DECIDED, Labels
    from engine.totals.pieces import in_pieces, labels_of
    from engine.totals.screen_time import screen_time

    started, key, out = time.monotonic(), task["identify"], Path(task["out"])
    membership, identity = artefacts.table("identify", key, "membership"), pq.read_table(task["identity"])
    episode, labels = read_episode(artefacts, key), Labels(membership, identity, DECIDED.empty_table())
    if "pieces" in task:
        pieces = pq.read_table(task["pieces"])
        episode, labels = in_pieces(episode, pieces), labels_of(membership, identity, pieces)
    totals = screen_time(episode, labels, settings.totals)
    asked = _ask(task, pq.read_table(task["pieces"]), membership, identity, settings) if "ask" in task else {}
    pq.write_table(totals.screen_time, out / "screen_time.parquet")
    pq.write_table(totals.co_presence, out / "co_presence.parquet")
    return {
        "screen_time": str(out / "screen_time.parquet"),
        "co_presence": str(out / "co_presence.parquet"),
        "unidentified_s": totals.unidentified_s,
        **asked,
        "log": [_line("totals", None, started, f"{totals.screen_time.num_rows} people")],
    }


def _ask(task: Message, pieces: pa.Table, membership: pa.Table, identity: pa.Table, settings: Settings) -> Message:
    """Suggestions and questions, written where the totals are."""
    from engine.review.ask import ask

    asking = {**task["ask"], **{name: task[name] for name in ("artefacts", "identify", "settings")}}
    suggestions, items = ask(asking, pieces, membership, identity, settings)
    pq.write_table(suggestions, Path(task["out"]) / "suggestions.parquet")
    (Path(task["out"]) / "items.json").write_text(json.dumps(items))
    return {"suggestions": str(Path(task["out"]) / "suggestions.parquet"), "items": str(Path(task["out"]) / "items.json")}


def read_episode(artefacts: Artefacts, key: str) -> Episode:
    """The stitched episode of an identity artefact."""
    meta = artefacts.meta("identify", key)
    return Episode(
        step_us=meta["step_us"],
        duration_us=meta["duration_us"],
        frame_size=(meta["frame_size"][0], meta["frame_size"][1]),
        **{name: artefacts.table("identify", key, name) for name in ("shots", "tracks", "detections", "picks")},
        **{name: artefacts.array("identify", key, name) for name in ("vectors", "pooled")},
    )
