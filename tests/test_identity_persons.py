"""Who clusters are: matches with known faces, rivals, the decision, and who they were in an earlier run."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from engine.config import IdentitySettings
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import Gallery, match
from engine.identity.persons import FLASH, NEW, UNIDENTIFIED, carry_over, decide
from engine.identity.rivals import settle
from engine.identity.similarity import Evidence, evidence
from engine.tables import CLUSTER, MEMBERSHIP, POSTERIOR
from tests.synthetic import CALIBRATION, DIMS, World, embed, unit, world

SETTINGS = IdentitySettings()


def clustered(made: World) -> tuple[Evidence, Clustering]:
    found = evidence(made.episode, CALIBRATION, SETTINGS)
    return found, cluster(made.episode, found, SETTINGS)


def gallery(made: World, people: list[int], each: int = 5, seed: int = 0) -> Gallery:
    """Good exemplars of people of the world, from elsewhere; candidate k is `people[k]`."""
    rng = np.random.default_rng(seed)
    vectors = [embed(rng, made.faces[who], 0.9, unit(rng.normal(size=DIMS))) for who in people for _ in range(each)]
    return Gallery(
        np.array(vectors, np.float32).reshape(-1, DIMS),
        np.repeat(np.arange(len(people)), each).astype(np.int32),
        np.full(len(vectors), 0.9, np.float32),
    )


def best(posterior: pa.Table) -> dict[int, tuple[int, float]]:
    """cluster -> most probable candidate and its probability."""
    found: dict[int, tuple[int, float]] = {}
    for row in posterior.to_pylist():
        found.setdefault(row["cluster"], (row["candidate"], row["probability"]))
    return found


def test_known_people_are_found_and_others_are_none_of_them() -> None:
    for seed in range(5):
        made = world(seed, poor=0.2)
        found, clusters = clustered(made)
        known = [0, 1, 2]
        posterior = match(made.episode, clusters, found, gallery(made, known), CALIBRATION, SETTINGS)
        assert posterior.schema == POSTERIOR
        for number, (candidate, probability) in best(posterior).items():
            owner = int(np.bincount(made.person[clusters.label == number]).argmax())
            good = (found.trust[clusters.label == number] > 0.5).any()
            if good:
                assert candidate == (owner if owner in known else -1) and probability > 0.8
            elif candidate >= 0:
                assert probability < SETTINGS.accept_probability
        sums = np.bincount(posterior["cluster"].to_numpy(), weights=posterior["probability"].to_numpy())
        assert (sums <= 1 + 1e-5).all() and (sums > 0.9).all()


def test_people_who_fit_equally_well_share_the_probability() -> None:
    made = world(3, poor=0)
    found, clusters = clustered(made)
    one = gallery(made, [int(made.person[0])])
    twice = Gallery(np.concatenate([one.vectors, one.vectors]), np.repeat([0, 1], 5).astype(np.int32), np.full(10, 0.9, np.float32))
    rows = [row for row in match(made.episode, clusters, found, twice, CALIBRATION, SETTINGS).to_pylist() if row["cluster"] == clusters.label[0]]
    chances = {row["candidate"]: row["probability"] for row in rows}
    assert chances[0] == pytest.approx(chances[1]) and 0.45 < chances[0] <= 0.5


def test_one_lucky_neighbour_is_no_match() -> None:
    made = world(4, poor=0)
    found, clusters = clustered(made)
    rng = np.random.default_rng(1)
    who = int(made.person[0])
    others = np.array([embed(rng, unit(rng.normal(size=DIMS)), 0.9, made.faces[0]) for _ in range(4)], np.float32)
    lucky = Gallery(np.concatenate([gallery(made, [who], 1).vectors, others]), np.zeros(5, np.int32), np.full(5, 0.9, np.float32))
    assert best(match(made.episode, clusters, found, lucky, CALIBRATION, SETTINGS))[int(clusters.label[0])][0] == -1
    agreeing = gallery(made, [who], 5)
    assert best(match(made.episode, clusters, found, agreeing, CALIBRATION, SETTINGS))[int(clusters.label[0])][0] == 0
    doubtful = best(match(made.episode, clusters, found, gallery(made, [who], 1), CALIBRATION, SETTINGS))[int(clusters.label[0])][1]
    assert doubtful < best(match(made.episode, clusters, found, agreeing, CALIBRATION, SETTINGS))[int(clusters.label[0])][1]


def test_an_empty_gallery_leaves_everybody_unknown() -> None:
    made = world(5, scenes=1)
    found, clusters = clustered(made)
    posterior = match(made.episode, clusters, found, gallery(made, []), CALIBRATION, SETTINGS)
    assert posterior["candidate"].to_pylist() == [-1] * clusters.clusters.num_rows
    assert posterior["probability"].to_pylist() == [1.0] * clusters.clusters.num_rows
    assert posterior["similarity"].null_count == posterior.num_rows


def test_fragments_of_one_person_match_the_same_person() -> None:
    made = world(6, poor=0)
    found, clusters = clustered(made)
    members = np.flatnonzero(clusters.label == 0)
    label = clusters.label.copy()
    label[members[len(members) // 2 :]] = clusters.clusters.num_rows
    table = pa.concat_tables([clusters.clusters, clusters.clusters.slice(0, 1)])
    split = Clustering(table, clusters.membership, label)
    found_best = best(match(made.episode, split, found, gallery(made, [int(made.person[members[0]])]), CALIBRATION, SETTINGS))
    assert found_best[0][0] == found_best[clusters.clusters.num_rows][0] == 0


@pytest.mark.parametrize("seed", range(5))
def test_rivals_agree_with_all_combinations_on_a_tree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4, 3)) * 2
    first, second, cost = np.array([0, 1, 1]), np.array([1, 2, 3]), rng.uniform(0, 8, 3)
    exact = np.zeros((4, 3))
    for who in product(range(3), repeat=4):
        log = sum(logits[item, person] for item, person in enumerate(who))
        log -= sum(c for a, b, c in zip(first, second, cost, strict=True) if who[a] == who[b] < 2)
        for item, person in enumerate(who):
            exact[item, person] += np.exp(log)
    exact /= exact.sum(axis=1, keepdims=True)
    assert settle(logits, first, second, cost) == pytest.approx(exact, abs=1e-4)


def test_two_clusters_seen_together_are_not_both_the_same_person() -> None:
    made = world(7, poor=0, cast=4, lookalikes=2)
    found, clusters = clustered(made)
    posterior = best(match(made.episode, clusters, found, gallery(made, [0, 1]), CALIBRATION, SETTINGS))
    together = {
        tuple(sorted((int(clusters.label[a]), int(clusters.label[b])))) for a, b in zip(found.together.first, found.together.second, strict=True)
    }
    for a, b in together:
        assert a == b or posterior[a][0] != posterior[b][0] or posterior[a][0] == -1


def test_decisions_below_the_bar_are_unknown() -> None:
    made = world(8, scenes=1, poor=0.5)
    _, clusters = clustered(made)
    count = clusters.clusters.num_rows
    rows = [(k, 0, 0.79 if k else 0.81, 0.5) for k in range(count)] + [(k, -1, 0.21 if k else 0.19, None) for k in range(count)]
    posterior = pa.table(
        [pa.array(list(column), field.type) for column, field in zip(zip(*rows, strict=True), POSTERIOR, strict=True)], schema=POSTERIOR
    )
    decided = decide(made.episode, clusters, posterior, SETTINGS.model_copy(update={"person_score": 1.0})).to_pylist()
    assert decided[0]["candidate"] == 0 and decided[0]["probability"] == pytest.approx(0.81)
    quality, faces = (made.episode.tracks[name].to_numpy() for name in ("quality", "faces"))
    for row in decided[1:]:
        inside = clusters.label == row["cluster"]
        person = quality[inside].max() >= SETTINGS.person_quality and faces[inside].sum() > FLASH
        assert row["candidate"] == (NEW if person else UNIDENTIFIED)
    assert {row["candidate"] for row in decided[1:]} == {NEW, UNIDENTIFIED}


@pytest.mark.parametrize(
    "values", [{"exemplars": 1}, {"unknown_prior": 0.95}, {"accept_probability": 0.9999}, {"person_quality": 0.9, "person_faces": 10_000}]
)
def test_every_setting_is_read(values: dict[str, float]) -> None:
    made = world(9, poor=0.4)
    found, clusters = clustered(made)
    bank, other = gallery(made, [0, 1, 2]), SETTINGS.model_copy(update=values)

    def answer(settings: IdentitySettings) -> tuple[pa.Table, pa.Table]:
        posterior = match(made.episode, clusters, found, bank, CALIBRATION, settings)
        return posterior, decide(made.episode, clusters, posterior, settings)

    before, after = answer(SETTINGS), answer(other)
    assert not (before[0].equals(after[0]) and before[1].equals(after[1]))


def test_a_poor_face_that_is_surely_one_and_nobody_elses_is_a_person() -> None:
    made = world(9, poor=0.4)
    found, clusters = clustered(made)
    poor = SETTINGS.model_copy(update={"person_quality": 1.0})

    def people(of: Clustering, **values: float) -> int:
        posterior = match(made.episode, of, found, gallery(made, []), CALIBRATION, poor)
        decided = decide(made.episode, of, posterior, poor.model_copy(update=values))
        return int((decided["candidate"].to_numpy() == NEW).sum())

    alone, doubtful = each_alone(len(made.person)), each_alone(len(made.person), 0.6)
    assert people(alone) > 0
    assert people(alone, person_faces=10_000) == people(alone, person_score=0.9) == 0
    assert people(doubtful) == 0 < people(doubtful, person_membership=0.5)
    again = np.bincount(clusters.label) > 1
    assert people(clusters, person_score=0.9) == again.sum() > 0, "found again elsewhere, the score says less"
    assert people(clusters, person_faces=10_000) == 0


def each_alone(tracks: int, chance: float = 1.0) -> Clustering:
    """Every track a cluster of its own, with this probability."""
    numbers = np.arange(tracks, dtype=np.int32)
    ones, unknown = np.ones(tracks, np.int32), np.zeros(tracks)
    clusters = pa.table([numbers, ones, unknown, unknown.astype(np.float32)], schema=CLUSTER)
    return Clustering(clusters, members([(track, track, chance) for track in range(tracks)]), numbers)


def members(rows: list[tuple[int, int, float]]) -> pa.Table:
    return pa.table(
        [pa.array(list(column), field.type) for column, field in zip(zip(*rows, strict=True), MEMBERSHIP, strict=True)], schema=MEMBERSHIP
    )


def earlier(made: World, person_of: np.ndarray, every: int = 1) -> pa.Table:
    """The faces of a run with these people, every so many samples (path ends kept)."""
    detections = made.episode.detections
    track = detections["track"].to_numpy()
    rank = np.arange(len(track)) - np.searchsorted(track, track)
    last = np.append(track[1:] != track[:-1], True)
    keep = pa.array(np.flatnonzero((rank % every == 0) | last))
    table = detections.take(keep)
    return pa.table(
        {
            "person_id": pa.array(person_of[table["track"].to_numpy()], pa.int64()),
            "track_id": table["track"].cast(pa.int64()),
            **{name: table[name] for name in ("t_us", "x1", "y1", "x2", "y2")},
        }
    )


def test_people_keep_their_ids_when_an_episode_is_analysed_again() -> None:
    made = world(10, poor=0)
    _, clusters = clustered(made)
    before = made.person + 50
    expected = {int(label): int(who) + 50 for label, who in zip(clusters.label, made.person, strict=True)}
    detections = made.episode.detections
    assert carry_over(earlier(made, before), detections, clusters.membership, SETTINGS) == expected
    sparse = earlier(made, before, every=3)
    assert carry_over(sparse, detections, clusters.membership, SETTINGS) == expected, "paths are interpolated"
    shifted = sparse.set_column(3, "x1", pa.array(sparse["x1"].to_numpy() + 0.5, pa.float32()))
    shifted = shifted.set_column(5, "x2", pa.array(sparse["x2"].to_numpy() + 0.5, pa.float32()))
    assert carry_over(shifted, detections, clusters.membership, SETTINGS) == {}, "other places are other faces"


def test_each_earlier_person_goes_to_one_cluster() -> None:
    made = world(11, poor=0, cast=4)
    detections, tracks = made.episode.detections, len(made.person)
    length = np.bincount(detections["track"].to_numpy(), minlength=tracks)
    half = np.where(np.arange(tracks) < tracks // 2, made.person, made.person + 10).astype(np.int32)
    membership = members([(track, int(half[track]), 1.0) for track in range(tracks)])
    found = carry_over(earlier(made, made.person), detections, membership, SETTINGS)
    assert len(set(found.values())) == len(found)
    for who in np.unique(made.person):
        share = {k: length[(half == k) & (made.person == who)].sum() for k in (who, who + 10)}
        larger = max(share, key=lambda k: share[k])
        assert found[int(larger)] == who and int(min(share, key=lambda k: share[k])) not in found


def test_too_little_in_common_is_nobody() -> None:
    made = world(12, poor=0, scenes=2)
    tracks = len(made.person)
    membership = members([(track, 0, 1.0) for track in range(tracks)])
    stray = np.where(np.arange(tracks) < tracks // 3, 7, 8)
    previous = earlier(made, stray)
    late = np.flatnonzero(previous["person_id"].to_numpy() == 7)
    few = previous.take(pa.array(late))
    moved = few.set_column(2, "t_us", pa.array(few["t_us"].to_numpy() + np.where(np.arange(len(late)) % 5 == 0, 0, 10**10), pa.int64()))
    assert carry_over(moved, made.episode.detections, membership, SETTINGS) == {}
    loose = SETTINGS.model_copy(update={"carry_share": 0.01})
    assert carry_over(moved, made.episode.detections, membership, loose) == {0: 7}
    empty = replace(made.episode, detections=made.episode.detections.slice(0, 0)).detections
    assert carry_over(previous, empty, membership, SETTINGS) == {}
    assert carry_over(previous.slice(0, 0), made.episode.detections, membership, SETTINGS) == {}
