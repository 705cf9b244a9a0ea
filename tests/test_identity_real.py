"""Real clips from pixels to seconds: who is who, and for how long, against what was composed and what the eye sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.analyzer import Analyzer
from engine.config import Settings
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import Gallery, match
from engine.identity.persons import UNIDENTIFIED, decide
from engine.identity.similarity import Evidence, evidence
from engine.models.base import Calibration
from engine.models.load import open_detector, open_embedder
from engine.models.store import Models
from engine.sources.file import read
from engine.sources.probe import probe
from engine.sources.windows import plan
from engine.tables import Episode
from engine.totals.labels import DECIDED, Labels, identity
from engine.totals.screen_time import Totals, screen_time
from engine.vision.pick import track_segment
from engine.vision.stitch import stitch

SETTINGS = Settings()


@dataclass(frozen=True)
class Seen:
    episode: Episode
    evidence: Evidence
    clustering: Clustering
    decisions: pa.Table
    totals: Totals


def analyse(path: Path, weights: Path) -> Seen:
    """All stages with nobody known beforehand; person k is cluster k."""
    installed = Models(weights).installed()
    detector, embedder = open_detector(installed["det_500m"], "cpu", 2)[0], open_embedder(installed["mobilefacenet_foamliu"], "cpu", 2)[0]
    calibration = installed["mobilefacenet_foamliu"].calibration
    assert isinstance(calibration, Calibration)
    media, segments = probe(path), []
    for window in plan(media, SETTINGS.observe):
        analyzer = Analyzer(window, (media.width, media.height), round(1e6 / SETTINGS.observe.fps), detector, SETTINGS.observe)
        for frame, analysed in read(path, media, window, SETTINGS.observe):
            analyzer.push(frame, analysed)
        observed = analyzer.finish()
        segments.append((observed, track_segment(observed, embedder, calibration, SETTINGS.track)))
    episode = stitch(segments, media.first_frame_us, media.duration_us, calibration, SETTINGS.track)
    found = evidence(episode, calibration, SETTINGS.identity)
    clustering = cluster(episode, found, SETTINGS.identity)
    nobody = Gallery(np.empty((0, embedder.dims), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    posterior = match(episode, clustering, found, nobody, calibration, SETTINGS.identity)
    decisions = decide(episode, clustering, posterior, SETTINGS.identity)
    person_of = {row["cluster"]: None if row["candidate"] == UNIDENTIFIED else row["cluster"] for row in decisions.to_pylist()}
    labels = Labels(clustering.membership, identity(decisions, posterior, person_of, np.empty(0, np.int64)), DECIDED.empty_table())
    return Seen(episode, found, clustering, decisions, screen_time(episode, labels, SETTINGS.totals))


@pytest.mark.slow
def test_five_people_with_their_seconds(media: Path, weights: Path) -> None:
    truth = json.loads((media / "composed" / "grid_panel.json").read_text())
    seen = analyse(media / "composed" / "grid_panel.mp4", weights)
    rows = seen.totals.screen_time.to_pylist()
    expected = sorted((facts["visible_s"] for facts in truth["summary"].values()), reverse=True)
    assert [row["visual_s"] for row in rows] == pytest.approx(expected, rel=0.05)
    assert all(row["visual_low_s"] <= row["visual_s"] <= row["visual_high_s"] for row in rows)
    frames: dict[int, set[str]] = {}
    for face in truth["faces"]:
        frames.setdefault(face["frame"], set()).add(face["person"])
    alone = sorted((sum(people == {who} for people in frames.values()) / 25 for who in truth["summary"]), reverse=True)
    assert sorted((row["solo_s"] for row in rows), reverse=True) == pytest.approx(alone, abs=0.2)
    both = sum(len(people) * (len(people) - 1) / 2 for people in frames.values()) / 25
    assert sum(seen.totals.co_presence["seconds"].to_pylist()) == pytest.approx(both, rel=0.05)
    assert seen.totals.unidentified_s < 0.2


@pytest.mark.slow
def test_a_dark_stage_keeps_strangers_apart(media: Path, weights: Path) -> None:
    """Tracks of the audience have cosines of .8 to .9 with one another; the singer is seen in two shots."""
    seen = analyse(media / "tv" / "short_hamilton_clip.mp4", weights)
    cosine = seen.episode.pooled @ seen.episode.pooled.T
    together = seen.evidence.together
    assert (cosine[together.first, together.second] > 0.7).any(), "the trap is there"
    label = seen.clustering.label
    assert (label[together.first] != label[together.second]).all()
    largest = seen.clustering.clusters.to_pylist()[0]
    shots = seen.episode.tracks["shot"].to_numpy()[label == largest["cluster"]]
    assert largest["tracks"] == 2 and largest["seconds"] == pytest.approx(4.97, abs=0.4) and len(set(shots.tolist())) == 2
    row = next(row for row in seen.totals.screen_time.to_pylist() if row["person"] == largest["cluster"])
    assert row["visual_low_s"] <= largest["seconds"] + 0.01 and row["visual_s"] == pytest.approx(largest["seconds"], rel=0.2)
    people = np.isin(label, seen.totals.screen_time["person"].to_numpy())
    assert seen.totals.screen_time.num_rows <= 6, "the singer, the pianist and the four of the audience who can be seen"
    assert not (people & (seen.episode.tracks["shot"].to_numpy() == 1)).any(), "faces in the dark are not people one could name"
