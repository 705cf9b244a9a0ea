"""Evidence of pairs: faces, hubs, clothes, places, and being seen together, against brute force and made-up worlds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from engine.config import IdentitySettings
from engine.identity.cluster import join
from engine.identity.constraints import NO_CONSTRAINTS, Constraints
from engine.identity.membership import scores
from engine.identity.similarity import Evidence, evidence, negatives_shift, trust
from engine.identity.together import Together, seen_together
from engine.models.base import Calibration
from engine.tables import Episode
from tests.synthetic import CALIBRATION, unit, world

SETTINGS = IdentitySettings()


def column(episode: Episode, name: str) -> np.ndarray:
    return np.asarray(episode.tracks[name].to_numpy())


def changed(episode: Episode, **columns: np.ndarray) -> Episode:
    """The episode with columns of its tracks replaced."""
    tracks = episode.tracks
    for name, values in columns.items():
        position = tracks.column_names.index(name)
        tracks = tracks.set_column(position, tracks.schema.field(name), pa.array(values, tracks.schema.field(name).type))
    return replace(episode, tracks=tracks)


def brute_together(episode: Episode) -> dict[tuple[int, int], int]:
    frames: dict[int, list[tuple[int, float, float, float, float]]] = {}
    for row in episode.detections.to_pylist():
        frames.setdefault(row["t_us"], []).append((row["track"], row["x1"], row["y1"], row["x2"], row["y2"]))
    count: dict[tuple[int, int], int] = {}
    for faces in frames.values():
        for a in faces:
            for b in faces:
                if a[0] < b[0] and (a[3] <= b[1] or b[3] <= a[1] or a[4] <= b[2] or b[4] <= a[2]):
                    count[a[0], b[0]] = count.get((a[0], b[0]), 0) + 1
    return {pair: frames for pair, frames in count.items() if frames >= 2}


def test_together_counts_frames_with_disjoint_boxes() -> None:
    episode = world(1, scenes=2).episode
    found = seen_together(episode.detections, episode.tracks.num_rows, 8.0, np.empty((0, 2), np.int32))
    pairs = {(int(a), int(b)): int(frames) for a, b, frames in zip(found.first, found.second, found.frames, strict=True)}
    assert pairs == brute_together(episode)
    assert len(pairs) > 5
    assert found.cost[found.frames == 2] == pytest.approx(4.0)
    assert (found.cost < 8.0 + 1e-6).all() and (np.diff(found.cost[np.argsort(found.frames)]) >= 0).all()


def test_a_waived_pair_costs_nothing() -> None:
    episode = world(1, scenes=2).episode
    before = evidence(episode, CALIBRATION, SETTINGS)
    a, b = int(before.together.first[0]), int(before.together.second[0])
    after = evidence(episode, CALIBRATION, SETTINGS, Constraints(waived=np.array([[b, a]], np.int32)))
    assert before.together.cost[0] > 0
    assert (a, b) not in zip(after.together.first, after.together.second, strict=True)
    assert len(after.together.first) == len(before.together.first) - 1


def test_trust_is_half_at_poor_quality_and_rises() -> None:
    values = trust(np.array([0, 0.35, 0.6, 1, 1], np.float32), np.array([False, False, False, False, True]), SETTINGS)
    assert values[0] == 0 and values[1] == pytest.approx(0.5) and (np.diff(values[:4]) > 0).all()
    assert values[4] < 0.4, "a mixed track is no core"


def test_evidence_is_symmetric_and_needs_a_face() -> None:
    episode = world(2, scenes=2).episode
    blind = episode.pooled.copy()
    blind[3] = 0
    found = evidence(replace(episode, pooled=blind), CALIBRATION, SETTINGS)
    total = found.alike()
    assert np.allclose(total, total.T, atol=1e-5) and (np.diag(total) == 0).all()
    assert found.trust[3] == 0 and (found.face[3] == 0).all()


def test_good_faces_follow_the_calibration_within_the_limit() -> None:
    made = world(3, poor=0, scenes=2)
    episode = changed(made.episode, quality=np.ones(len(made.person)))
    found = evidence(episode, CALIBRATION, replace_settings(together_cost=0.0))
    weight = np.outer(found.trust, found.trust)
    expected = np.clip(CALIBRATION.slope * (episode.pooled @ episode.pooled.T) + CALIBRATION.intercept - found.shift, -8, 8) * weight
    np.fill_diagonal(expected, 0)
    assert np.abs(found.face - expected).max() < 0.2, "hubs hardly move faces that can be trusted"


def replace_settings(**values: float) -> IdentitySettings:
    return SETTINGS.model_copy(update=values)


def test_a_poor_face_near_everybody_says_nothing() -> None:
    made = world(4, cast=4, poor=0, scenes=4)
    episode, people = made.episode, made.person
    everybody = unit(np.stack([episode.pooled[people == who].mean(axis=0) for who in np.unique(people)]).astype(np.float64)).sum(axis=0)
    pooled, quality = episode.pooled.copy(), column(episode, "quality").copy()
    pooled[0], quality[0] = unit(everybody).astype(np.float32), 0.3
    raw = CALIBRATION.slope * (pooled @ pooled[0]) + CALIBRATION.intercept
    found = evidence(changed(replace(episode, pooled=pooled), quality=quality), CALIBRATION, SETTINGS)
    assert (raw[1:] > 0).mean() > 0.3, "without correction it would be like many"
    assert found.face[0].max() < 0.15 and found.face[0].min() > -3


def test_strangers_who_are_too_alike_shift_the_calibration() -> None:
    rng = np.random.default_rng(0)
    pairs = 200
    together = Together(
        np.arange(pairs, dtype=np.int32), np.arange(pairs, 2 * pairs, dtype=np.int32), np.full(pairs, 9, np.int32), np.zeros(pairs, np.float32)
    )
    trusted = np.ones(2 * pairs, np.float32)
    usual = rng.normal(0.03, 0.1, pairs).astype(np.float32)
    assert negatives_shift(usual, trusted, together, CALIBRATION) == 0
    alike = usual + np.float32(0.35)
    shift = negatives_shift(alike, trusted, together, CALIBRATION)
    kept = np.sort(alike)[: int(pairs * 0.95)]
    ratio = np.exp(CALIBRATION.slope * kept.astype(np.float64) + CALIBRATION.intercept - shift).mean()
    assert shift > 0 and ratio < 1.6, "their average likelihood ratio comes down to about 1"
    mirror = usual.copy()
    mirror[:5] = 0.97
    assert negatives_shift(mirror, trusted, together, CALIBRATION) == 0, "a mirror is not a stranger"


def context_of(found: Evidence, part: str) -> np.ndarray:
    return np.asarray(getattr(found, part).toarray())


def test_clothes_count_within_a_scene_and_not_in_uniform() -> None:
    made = world(5, poor=0, scenes=4)
    found = context_of(evidence(made.episode, CALIBRATION, SETTINGS), "body")
    middle = (column(made.episode, "start_us") + column(made.episode, "end_us")) / 2e6
    far = np.abs(middle[:, None] - middle) > SETTINGS.scene_s
    assert far.any() and (found[far] == 0).all()
    same = made.person[:, None] == made.person
    near = np.abs(middle[:, None] - middle) < 20
    assert found[same & near].mean() > 1 > 0 > found[~same & near].mean()
    uniform = context_of(evidence(world(5, poor=0, scenes=4, uniforms=1.0).episode, CALIBRATION, SETTINGS), "body")
    assert np.abs(uniform[~same & near]).mean() < 0.5 * np.abs(found[~same & near]).mean()


def test_a_place_counts_less_where_it_holds_many_people() -> None:
    made = world(6, poor=0)
    found = context_of(evidence(made.episode, CALIBRATION, SETTINGS), "thread")
    shots = made.episode.shots["thread"].to_numpy()[column(made.episode, "shot")]
    assert found.max() == pytest.approx(3.0) and found.min() == 0
    assert (found[shots[:, None] != shots] == 0).all()
    chair = world(6, poor=0, swaps=0.5)
    assert context_of(evidence(chair.episode, CALIBRATION, SETTINGS), "thread").max() < 2.5


@pytest.mark.parametrize(
    "values",
    [{"face_limit": 4.0}, {"poor_quality": 0.6}, {"hub_neighbours": 1}, {"together_cost": 2.0}, {"body_weight": 0.0}, {"thread_weight": 0.0}],
)
def test_every_setting_is_read(values: dict[str, float]) -> None:
    episode = world(7, scenes=2, poor=0.5).episode
    usual, other = (evidence(episode, CALIBRATION, settings) for settings in (SETTINGS, replace_settings(**values)))
    assert not (np.array_equal(usual.alike(), other.alike()) and np.array_equal(usual.together.cost, other.together.cost))


def test_another_calibration_gives_other_evidence() -> None:
    episode = world(8, scenes=1).episode
    strict = evidence(episode, Calibration(20.0, -12.0, "strict"), SETTINGS)
    assert strict.face.sum() < evidence(episode, CALIBRATION, SETTINGS).face.sum()


def test_a_face_that_stands_still_beside_one_like_it_is_a_picture() -> None:
    """Beside itself nobody can be: two trusted faces as good as alike are a person and a poster, unless both move."""
    made = world(1, scenes=2).episode
    pair = evidence(made, CALIBRATION, SETTINGS).together
    a, b = int(pair.first[0]), int(pair.second[0])
    cosine = (0.8 * SETTINGS.face_limit - CALIBRATION.intercept) / CALIBRATION.slope
    pooled = made.pooled.copy()
    across = pooled[b] - (pooled[b] @ pooled[a]) * pooled[a]
    pooled[b] = cosine * pooled[a] + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)
    good = np.where(np.isin(np.arange(made.tracks.num_rows), [a, b]), 1.0, column(made, "quality"))
    episode = replace(changed(made, quality=good), pooled=pooled)
    track = episode.detections["track"].to_numpy()
    faces = {one: np.flatnonzero(track == one) for one in (a, b)}

    def apart(moves: bool) -> bool:
        detections = episode.detections
        for name in ("x1", "x2"):
            values = detections[name].to_numpy().copy()
            for rows in faces.values():
                values[rows] = values[rows[0]] + (np.linspace(0, 0.04, len(rows)) if moves else 0)
            detections = detections.set_column(detections.column_names.index(name), name, pa.array(values, pa.float32()))
        found = evidence(replace(episode, detections=detections), CALIBRATION, SETTINGS).together
        return (a, b) in zip(found.first.tolist(), found.second.tolist(), strict=True)

    assert min(len(rows) for rows in faces.values()) >= 6
    assert not apart(moves=False)
    assert apart(moves=True)


def test_of_poor_faces_clothes_say_no_more_than_the_faces() -> None:
    """(0, 1) are a little alike, (0, 2) not at all, (1, 2) not one person; all wear the same."""
    face = np.array([[0, 1, 0], [1, 0, -0.5], [0, -0.5, 0]], np.float32)
    same = csr_array(np.full((3, 3), 4, np.float32) * (1 - np.eye(3, dtype=np.float32)))
    none = np.empty(0, np.int32)
    together = Together(none, none, none, np.empty(0, np.float32))
    found = Evidence(face, same, csr_array((3, 3), dtype=np.float32), together, np.full(3, 0.3, np.float32), 0.0)
    assert found.faces_among(np.arange(3)).tolist() == [[0, 2, 0], [2, 0, -0.5], [0, -0.5, 0]]
    assert join(found, np.arange(3), found.faces_among, np.arange(3, dtype=np.int32), NO_CONSTRAINTS, SETTINGS).tolist() == [0, 0, 1]


def test_whoever_is_seen_beside_a_track_is_not_around_to_be_it() -> None:
    """Of two people around, one is in the picture with the track: it is the other, or a stranger."""
    nothing = csr_array((3, 3), dtype=np.float32)
    label, middle = np.array([0, 1, -1], np.int32), np.zeros(3)
    pairs = np.array([0], np.int32), np.array([2], np.int32), np.array([9], np.int32), np.array([8], np.float32)
    none = np.empty(0, np.int32)
    alone = Evidence(np.zeros((3, 3), np.float32), nothing, nothing, Together(none, none, none, np.empty(0, np.float32)), np.ones(3, np.float32), 0.0)
    beside = replace(alone, together=Together(*pairs))
    free, held = (np.exp(scores(found, label, 2, middle, NO_CONSTRAINTS, SETTINGS)[1][2]) for found in (alone, beside))
    assert free == pytest.approx([0.5, 0.5])
    assert held[0] < 0.001 and held[1] > 0.99
