"""The real pipeline on one clip, in this process, with nobody known beforehand: person k is cluster k."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.config import Settings
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import Gallery, match
from engine.identity.persons import UNIDENTIFIED, decide
from engine.identity.similarity import evidence
from engine.models.load import Loaded
from engine.pipeline import observe
from engine.sources.probe import probe
from engine.sources.windows import plan
from engine.tables import Episode
from engine.totals.labels import DECIDED, Labels, identity
from engine.totals.screen_time import Totals, screen_time
from engine.vision.pick import track_segment
from engine.vision.stitch import stitch


@dataclass(frozen=True)
class Result:
    """What rollcall makes of a clip. looked_us: times at which faces were looked for. labels.people are clusters."""

    looked_us: np.ndarray
    cuts_us: np.ndarray
    episode: Episode
    clustering: Clustering
    labels: Labels
    totals: Totals


def analyse(path: Path, models: Loaded, settings: Settings) -> Result:
    """All stages of `engine.pipeline`, from file to seconds."""
    media = probe(path)
    observed = [observe(path, media, window, settings, models.detector, lambda _message: None) for window in plan(media, settings.observe)]
    segments = [(seen, track_segment(seen, models.embedder, models.calibration, settings.track)) for seen in observed]
    episode = stitch(segments, media.first_frame_us, media.duration_us, models.calibration, settings.track)
    found = evidence(episode, models.calibration, settings.identity)
    clustering = cluster(episode, found, settings.identity)
    nobody = Gallery(np.empty((0, models.embedder.dims), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    posterior = match(episode, clustering, found, nobody, models.calibration, settings.identity)
    decisions = decide(episode, clustering, posterior, settings.identity)
    person_of = {row["cluster"]: None if row["candidate"] == UNIDENTIFIED else row["cluster"] for row in decisions.to_pylist()}
    labels = Labels(clustering.membership, identity(decisions, posterior, person_of, np.empty(0, np.int64)), DECIDED.empty_table())
    frames = pa.concat_tables([seen.frames for seen in observed])
    looked = np.unique(frames["t_us"].to_numpy()[frames["look"].to_numpy() > 0])
    cuts = np.unique(np.concatenate([seen.cuts["t_us"].to_numpy() for seen in observed]))
    return Result(looked, cuts, episode, clustering, labels, screen_time(episode, labels, settings.totals))
