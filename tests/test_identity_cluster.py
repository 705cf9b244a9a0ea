"""Clusters and memberships of made-up episodes against who everybody is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.config import IdentitySettings
from engine.errors import Conflict
from engine.identity.cluster import Clustering, cluster
from engine.identity.constraints import NO_CONSTRAINTS, Constraints
from engine.identity.similarity import evidence
from engine.tables import CLUSTER, MEMBERSHIP, Episode
from tests.synthetic import CALIBRATION, World, world

SETTINGS = IdentitySettings()
HARD = {"poor": 0.4, "extras": 0.3, "swaps": 0.1, "uniforms": 0.2, "lookalikes": 2}


def run(episode: Episode, constraints: Constraints = NO_CONSTRAINTS, settings: IdentitySettings = SETTINGS) -> Clustering:
    return cluster(episode, evidence(episode, CALIBRATION, settings, constraints), settings, constraints)


def owners(made: World, found: Clustering) -> np.ndarray:
    """(clusters,) the person most tracks of each cluster are of."""
    return np.array([Counter(made.person[found.label == k].tolist()).most_common(1)[0][0] for k in range(found.clusters.num_rows)])


def seconds(episode: Episode) -> np.ndarray:
    return np.asarray(episode.tracks["end_us"].to_numpy() - episode.tracks["start_us"].to_numpy()) / 1e6


def test_good_faces_give_exactly_the_people() -> None:
    for seed in range(6):
        made = world(seed, poor=0, lookalikes=2)
        found = run(made.episode)
        assert found.clusters.num_rows == len(np.unique(made.person))
        assert (owners(made, found)[found.label] == made.person).all()


def test_poor_faces_are_attached_where_evidence_carries_them() -> None:
    right, wrong, poor = 0.0, 0.0, 0.0
    for seed in range(12):
        made = world(100 + seed, **HARD)
        found, length = run(made.episode), seconds(made.episode)
        held = owners(made, found)[found.label] == made.person
        largest = {who: np.bincount(found.label[made.person == who]).argmax() for who in np.unique(made.person)}
        home = np.array([largest[who] for who in made.person]) == found.label
        weak = (made.episode.tracks["quality"].to_numpy() < 0.35) & (made.person < 6)
        poor += length[weak].sum()
        right += length[weak & held & home].sum()
        wrong += length[weak & ~held].sum()
    assert right / poor > 0.65
    assert wrong / poor < 0.03


def test_memberships_are_probabilities_that_hold() -> None:
    chance, true = [], []
    for seed in range(25):
        made = world(200 + seed, **HARD)
        found = run(made.episode)
        owner, size = owners(made, found), found.clusters["tracks"].to_numpy()
        for row in found.membership.to_pylist():
            if size[row["cluster"]] > 1:
                chance.append(row["probability"])
                true.append(owner[row["cluster"]] == made.person[row["track"]])
    probability, right = np.array(chance), np.array(true)
    bins = np.digitize(probability, [0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99])
    error = sum(abs(probability[bins == k].mean() - right[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins))
    assert error < 0.07
    for k in np.unique(bins[probability > 0.5]):
        assert right[bins == k].mean() > probability[bins == k].mean() - 0.05, "never much too sure"
    assert 0.1 < (probability < 0.9).mean() < 0.9


def test_tables_are_whole_and_the_same_every_time() -> None:
    made = world(3, **HARD)
    found, again = run(made.episode), run(made.episode)
    assert found.clusters.equals(again.clusters) and found.membership.equals(again.membership)
    assert found.clusters.schema == CLUSTER and found.membership.schema == MEMBERSHIP
    rows = found.membership.to_pylist()
    best: dict[int, tuple[float, int]] = {}
    total = np.zeros(len(made.person))
    for row in rows:
        total[row["track"]] += row["probability"]
        best[row["track"]] = max(best.get(row["track"], (0.0, 0)), (row["probability"], -row["cluster"]))
    assert total.max() < 1 + 1e-5 and total.min() > 0
    assert [-best[track][1] for track in range(len(made.person))] == found.label.tolist()
    assert np.bincount(found.label).tolist() == found.clusters["tracks"].to_pylist()
    held = np.bincount(found.label, weights=seconds(made.episode))
    assert found.clusters["seconds"].to_numpy() == pytest.approx(held) and (np.diff(held) <= 1e-9).all()


def test_cohesion_is_the_mean_cosine_of_pairs() -> None:
    made = world(4, poor=0)
    found = run(made.episode)
    quality = made.episode.tracks["quality"].to_numpy().astype(float)
    for number, value in enumerate(found.clusters["cohesion"].to_pylist()):
        members = np.flatnonzero(found.label == number)
        pairs = [(i, j) for i in members for j in members if i < j]
        weight = [quality[i] * quality[j] for i, j in pairs]
        cosine = [float(made.episode.pooled[i] @ made.episode.pooled[j]) for i, j in pairs]
        assert value == pytest.approx(np.average(cosine, weights=weight), abs=1e-4)


def test_two_poor_tracks_seen_together_are_not_both_one_person() -> None:
    for seed in range(10):
        made = world(300 + seed, poor=0.7)
        found = evidence(made.episode, CALIBRATION, SETTINGS)
        label = cluster(made.episode, found, SETTINGS).label
        strong = found.together.frames >= 6
        assert (label[found.together.first[strong]] != label[found.together.second[strong]]).all()


def pair_of(made: World, same: bool, label: np.ndarray) -> tuple[int, int]:
    count = len(made.person)
    return next((a, b) for a in range(count) for b in range(a + 1, count) if (label[a] == label[b]) == same)


def test_decisions_are_absolute() -> None:
    made = world(5)
    label = run(made.episode).label
    a, b = pair_of(made, False, label)
    joined = run(made.episode, Constraints(must=np.array([[a, b]], np.int32)))
    assert joined.label[a] == joined.label[b]
    a, b = pair_of(made, True, label)
    apart = run(made.episode, Constraints(cannot=np.array([[b, a]], np.int32)))
    assert apart.label[a] != apart.label[b]
    rows = [row for row in apart.membership.to_pylist() if row["track"] == a and row["cluster"] == apart.label[b]]
    assert not rows, "not even a little probable"


def test_whatever_is_decided_holds() -> None:
    made = world(20, **HARD)
    count = len(made.person)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        side = rng.integers(0, 6, count)
        pairs = rng.integers(0, count, (60, 2))
        same = side[pairs[:, 0]] == side[pairs[:, 1]]
        constraints = Constraints(must=pairs[same].astype(np.int32), cannot=pairs[~same].astype(np.int32))
        label = run(made.episode, constraints).label
        assert (label[pairs[same, 0]] == label[pairs[same, 1]]).all()
        assert (label[pairs[~same, 0]] != label[pairs[~same, 1]]).all()


def test_joined_tracks_are_certain_of_one_another_and_hold_poor_ones() -> None:
    made = world(6, poor=0.5)
    poor = np.flatnonzero(made.episode.tracks["quality"].to_numpy() < 0.3)[:3]
    found = run(made.episode, Constraints(must=np.array([[poor[0], poor[1]], [poor[1], poor[2]]], np.int32)))
    assert len(set(found.label[poor].tolist())) == 1
    group = {row["track"]: row["probability"] for row in found.membership.to_pylist() if row["track"] in poor}
    alone = (found.label == found.label[poor[0]]).sum() == 3
    assert not alone or all(value == pytest.approx(1) for value in group.values())


def test_contradicting_decisions_are_refused() -> None:
    pairs = Constraints(must=np.array([[0, 1], [1, 2]], np.int32), cannot=np.array([[2, 0]], np.int32))
    with pytest.raises(Conflict):
        run(world(1, scenes=1).episode, pairs)


def test_a_waived_pair_may_join() -> None:
    made = world(7, poor=0, scenes=1, cast=2, turns=0)
    found = evidence(made.episode, CALIBRATION, SETTINGS)
    a, b = int(found.together.first[0]), int(found.together.second[0])
    pooled = made.episode.pooled.copy()
    rows = made.person == made.person[b]
    pooled[rows] = pooled[a]
    mirror = replace(made.episode, pooled=pooled)
    waived = np.stack([found.together.first, found.together.second], axis=1)
    assert run(mirror).label[a] != run(mirror).label[b]
    joined = run(mirror, Constraints(waived=waived)).label
    assert joined[a] == joined[b]


def test_an_episode_without_tracks_or_without_good_faces() -> None:
    made = world(8, scenes=1)
    nothing = replace(
        made.episode,
        tracks=made.episode.tracks.slice(0, 0),
        detections=made.episode.detections.slice(0, 0),
        picks=made.episode.picks.slice(0, 0),
        pooled=made.episode.pooled[:0],
        vectors=made.episode.vectors[:0],
    )
    assert run(nothing).clusters.num_rows == 0
    poor = world(8, scenes=1, poor=1.0)
    found = run(poor.episode)
    assert found.clusters.num_rows == len(poor.person)
    assert (found.membership["probability"].to_numpy() == 1).all()


@pytest.mark.parametrize("values", [{"join_log_odds": 5.0}, {"scene_s": 20.0}, {"stranger_prior": 0.9}, {"keep_probability": 0.2}])
def test_every_setting_is_read(values: dict[str, float]) -> None:
    episode = world(9, poor=0.5).episode
    usual, other = run(episode), run(episode, settings=SETTINGS.model_copy(update=values))
    assert not usual.membership.equals(other.membership)
