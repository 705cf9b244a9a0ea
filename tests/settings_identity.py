"""Scenarios of identity.* and bank.*."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.config import Settings
from engine.errors import BadMedia
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import match
from engine.identity.persons import NEW, carry_over, decide
from engine.identity.similarity import STRANGER_LOG_ODDS, evidence, hub_excess
from engine.models.base import Calibration, Faces, Image
from engine.review.bank import Bank, Face
from engine.sources.photo import Photo
from engine.vision.portrait import portrait
from tests import synthetic
from tests.scenarios import measure
from tests.test_identity_persons import each_alone, earlier, gallery, members
from tests.test_vision_episode import ColourEmbedder

# identity


@cache
def _world() -> synthetic.World:
    return synthetic.world(9, poor=0.4, lookalikes=2, extras=0.3)


def _evidence(settings: Settings) -> Any:
    return evidence(_world().episode, synthetic.CALIBRATION, settings.identity)


def _clustered(settings: Settings) -> Any:
    return cluster(_world().episode, _evidence(settings), settings.identity)


@measure("identity.join_log_odds", -20, 7)
def _clusters(settings: Settings, folder: Path) -> float:
    return _clustered(settings).clusters.num_rows


@measure("identity.face_limit", 2, 8)
def _strongest_evidence_of_faces(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).face).max())


@measure("identity.poor_quality", 0.6, 0.2)
def _trust_in_all_faces(settings: Settings, folder: Path) -> float:
    return float(_evidence(settings).trust.sum())


@measure("identity.hub_neighbours", 50, 1)
def _nearness_to_strangers(settings: Settings, folder: Path) -> float:
    """The mean of few nearest strangers is nearer than that of many."""
    found, pooled = _evidence(settings), _world().episode.pooled
    assert STRANGER_LOG_ODDS < 0
    return float(hub_excess(pooled @ pooled.T, found.trust, found.together, synthetic.CALIBRATION, settings.identity).sum())


@measure("identity.together_cost", 1, 8)
def _cost_of_being_seen_together(settings: Settings, folder: Path) -> float:
    return float(_evidence(settings).together.cost.max())


@measure("identity.body_weight", 0, 1)
def _evidence_of_clothes(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).body.toarray()).sum())


@measure("identity.thread_weight", 0, 1)
def _evidence_of_places(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).thread.toarray()).sum())


@measure("identity.scene_s", 10, 200)
def _pairs_whose_clothes_are_compared(settings: Settings, folder: Path) -> float:
    return float((_evidence(settings).body.toarray() != 0).sum())


@measure("identity.stranger_prior", 0.9, 0.05)
def _belonging_of_poor_tracks(settings: Settings, folder: Path) -> float:
    poor = np.flatnonzero(_world().episode.tracks["quality"].to_numpy() < 0.3)
    rows = _clustered(settings).membership
    return float(rows["probability"].to_numpy()[np.isin(rows["track"].to_numpy(), poor)].sum())


@measure("identity.keep_probability", 0.3, 0.001)
def _memberships_kept(settings: Settings, folder: Path) -> float:
    return _clustered(settings).membership.num_rows


def _matched(settings: Settings, each: int = 5) -> tuple[pa.Table, Clustering]:
    found = _evidence(settings)
    clusters = cluster(_world().episode, found, settings.identity)
    bank = gallery(_world(), [0, 1, 2], each)
    return match(_world().episode, clusters, found, bank, synthetic.CALIBRATION, settings.identity), clusters


@measure("identity.exemplars", 10, 1)
def _belief_in_one_face(settings: Settings, folder: Path) -> float:
    """With one picture of each known person: the more faces have to agree, the less it proves."""
    posterior = _matched(settings, each=1)[0]
    return float(posterior["probability"].to_numpy()[posterior["candidate"].to_numpy() >= 0].max())


@measure("identity.unknown_prior", 0.99, 0.05)
def _belief_in_known_people(settings: Settings, folder: Path) -> float:
    posterior = _matched(settings)[0]
    return float(posterior["probability"].to_numpy()[posterior["candidate"].to_numpy() >= 0].sum())


@measure("identity.accept_probability", 0.999_999_9, 0.5)
def _names_given(settings: Settings, folder: Path) -> float:
    posterior, clusters = _matched(settings)
    return sum(candidate >= 0 for candidate in decide(_world().episode, clusters, posterior, settings.identity)["candidate"].to_pylist())


@measure("identity.person_quality", 0.94, 0.05)
def _clusters_that_are_somebody(settings: Settings, folder: Path) -> float:
    posterior, clusters = _matched(settings)
    return sum(candidate >= -1 for candidate in decide(_world().episode, clusters, posterior, settings.identity)["candidate"].to_pylist())


def _poor_people(settings: Settings, member: float = 1.0) -> float:
    """Tracks that are somebody, each for itself, where no face is good enough by its quality; all have scores of 0.8 and this probability."""
    alone = each_alone(len(_world().person), member)
    poor = settings.identity.model_copy(update={"person_quality": 1.0})
    posterior = match(_world().episode, alone, _evidence(settings), gallery(_world(), []), synthetic.CALIBRATION, poor)
    return sum(candidate >= NEW for candidate in decide(_world().episode, alone, posterior, poor)["candidate"].to_pylist())


@measure("identity.person_faces", 30, 8)
def _poor_people_by_their_faces(settings: Settings, folder: Path) -> float:
    return _poor_people(settings)


@measure("identity.person_score", 0.9, 0.62)
def _poor_people_by_their_scores(settings: Settings, folder: Path) -> float:
    return _poor_people(settings)


@measure("identity.person_membership", 0.75, 0.5)
def _poor_people_by_how_surely_they_belong(settings: Settings, folder: Path) -> float:
    return _poor_people(settings, member=0.6)


@measure("identity.carry_share", 0.9, 0.05)
def _people_who_keep_their_ids(settings: Settings, folder: Path) -> float:
    """Every third of the tracks belonged to one person before; all of them are one cluster now."""
    made = _world()
    tracks = len(made.person)
    before = earlier(made, np.where(np.arange(tracks) < tracks // 3, 7, 8))
    mine = before.filter(pa.compute.equal(before["person_id"], 7))
    late = np.where(np.arange(mine.num_rows) % 2 == 0, 0, 10**10)
    mine = mine.set_column(2, "t_us", pa.array(mine["t_us"].to_numpy() + late, pa.int64()))
    membership = members([(track, 0, 1.0) for track in range(tracks)])
    return len(carry_over(mine, made.episode.detections, membership, settings.identity))


# bank


def _offered(settings: Settings, face: Face) -> float:
    """Whether a face goes into the bank of somebody who has one face in it."""
    first = Face("first", np.array([1.0, 0.0], np.float32), 0.9)
    bank = Bank(Empty(), 1, "space", Calibration(10, -4, "made up"), settings)  # type: ignore[arg-type]
    bank.take(first, 1)
    return float(bank.poor(face) is None and not bank.duplicate(face, 1))


class Empty:
    """A library whose bank is empty."""

    def arrow(self, sql: str, parameters: Any = ()) -> pa.Table:
        return pa.table({"person_id": pa.array([], pa.int64()), "vector": pa.array([], pa.list_(pa.float32()))})


@measure("bank.min_quality", 0.6, 0.2)
def _poor_face_taken(settings: Settings, folder: Path) -> float:
    return _offered(settings, Face("poor", np.array([0.6, 0.8], np.float32), 0.4))


@measure("bank.duplicate_similarity", 0.9, 0.99)
def _alike_face_taken(settings: Settings, folder: Path) -> float:
    return _offered(settings, Face("alike", np.array([0.95, 0.3122], np.float32), 0.9))


@measure("bank.clearly_larger", 3, 1.5)
def _larger_face_taken(settings: Settings, folder: Path) -> float:
    """Two faces in a picture, one twice as high as the other."""
    try:
        portrait(Photo(np.full((400, 400, 3), 128, np.uint8)), "two.png", TwoFaces(), ColourEmbedder(), settings)
    except BadMedia:
        return 0
    return 1


class TwoFaces:
    name, digest, min_size, sure_px = "two", "two", 64, 32

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        boxes = np.array([[0.1, 0.1, 0.4, 0.5], [0.6, 0.5, 0.75, 0.7]], np.float32) * image.shape[0]
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        landmarks = boxes[:, None, :2] + points[None] * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Faces(boxes, np.array([0.9, 0.9], np.float32), landmarks.astype(np.float32))
