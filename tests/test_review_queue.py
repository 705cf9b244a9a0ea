"""What is believed after decisions, and what is asked next: on made-up worlds with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine.config import IdentitySettings
from engine.identity.similarity import evidence
from engine.review.queue import FACES, Sheet, Unit, pays, sheets, units
from engine.review.refit import ITSELF, MACHINE, NOBODY, WITH_CLUSTER, Ground, Standing, grouped, refit
from engine.tables import MEMBERSHIP
from tests.benchmarks.episodes import make
from tests.benchmarks.recipe import Recipe
from tests.benchmarks.reviewer import Desk
from tests.synthetic import CALIBRATION, World, world

SETTINGS = IdentitySettings()
NAMED = 0
"""The one person named so far."""


def good_tracks(made: World, person: int) -> np.ndarray:
    quality = made.episode.tracks["quality"].to_numpy()
    return np.flatnonzero((made.person == person) & (quality > 0.5))


def divided(made: World) -> tuple[Ground, Standing]:
    """Cluster 0: half of the first person's good tracks, named and looked at. 1: the other half. 2: the second person's. 3: all others."""
    episode = made.episode
    count = episode.tracks.num_rows
    cluster = np.full(count, 3)
    first = good_tracks(made, 0)
    cluster[first[::2]], cluster[first[1::2]] = 0, 1
    cluster[good_tracks(made, 1)] = 2
    how = np.where(cluster == 0, ITSELF, MACHINE).astype(np.int8)
    person = np.where(cluster == 0, NAMED, NOBODY)
    found = evidence(episode, CALIBRATION, SETTINGS)
    membership = pa.table([np.arange(count, dtype=np.int32), cluster.astype(np.int32), np.full(count, 0.95, np.float32)], schema=MEMBERSHIP)
    seconds = (episode.tracks["end_us"].to_numpy() - episode.tracks["start_us"].to_numpy()) / 1e6
    ground = Ground.of(episode, found, membership, np.ones((4, 1)), SETTINGS)
    return ground, Standing(np.arange(count), seconds, cluster, person, how, np.zeros((count, 1), bool), 1)


def asked(ground: Ground, standing: Standing) -> list[Unit]:
    return units(standing, refit(ground, standing, SETTINGS), np.zeros(len(standing.person), bool))


@pytest.fixture(scope="module")
def made() -> World:
    return world(3, cast=4, scenes=3, poor=0.2)


def test_named_tracks_are_exemplars_for_the_rest_of_their_person(made: World) -> None:
    ground, standing = divided(made)
    belief = refit(ground, standing, SETTINGS)
    assert belief.cluster[1, NAMED] > 0.9, "the other half of the same person"
    assert belief.cluster[2, NAMED] < 0.2, "somebody else"
    assert np.allclose(belief.target.sum(axis=1), 1) and np.allclose(belief.cluster.sum(axis=1), 1)
    looked = standing.how == ITSELF
    assert (belief.target[looked, NAMED] == 1).all()


def test_what_was_rejected_is_never_proposed_again(made: World) -> None:
    ground, standing = divided(made)
    rejected = standing.rejected.copy()
    rejected[standing.cluster == 1, NAMED] = True
    refused = replace(standing, rejected=rejected)
    assert refit(ground, refused, SETTINGS).cluster[1, NAMED] == 0
    assert all(unit.proposed != NAMED for unit in asked(ground, refused) if unit.cluster == 1)
    assert any(unit.proposed == NAMED for unit in asked(ground, standing) if unit.cluster == 1)


def test_everything_open_is_asked_once_and_nothing_that_was_looked_at(made: World) -> None:
    ground, standing = divided(made)
    pages = list(sheets(asked(ground, standing), pays(standing)))
    rows = np.concatenate([unit.rows for page in pages for unit in page.units])
    assert sorted(rows.tolist()) == np.flatnonzero(standing.how == MACHINE).tolist()
    for page in pages:
        assert sum(len(unit.shown) for unit in page.units) <= FACES
        assert len(page.units) == 1 or not any(unit.alone for unit in page.units), "what has no proposal stands alone"


def test_tracks_taken_out_of_a_cluster_are_asked_for_themselves(made: World) -> None:
    ground, standing = divided(made)
    out = np.flatnonzero(standing.cluster == 1)[1:]
    cluster = standing.cluster.copy()
    cluster[out] = ground.machine + np.arange(len(out))
    apart = replace(standing, cluster=cluster)
    after = ground.following(apart)
    assert ground.machine == 4 and len(after.match) == 4 + len(out) and (after.match[4:, -1] == 1).all()
    assert (after.cluster[out] == cluster[out]).all() and (after.chance[out] < ground.chance[out]).all()
    kept = np.setdiff1d(np.arange(len(cluster)), out)
    assert (after.cluster[kept] == ground.cluster[kept]).all() and (after.chance[kept] == ground.chance[kept]).all()
    _, together = grouped(after, apart)
    assert (together.cluster[out] == cluster[out]).all(), "what people took apart is not put together again"
    mine = [unit for unit in asked(after, apart) if unit.cluster in cluster[out]]
    assert len(mine) == len(out) and all(unit.open and len(unit.rows) == 1 for unit in mine)
    merged = replace(standing, cluster=np.where(standing.cluster == 1, 2, standing.cluster))
    assert (ground.following(merged).cluster[out] == 2).all() and (ground.following(merged).chance == ground.chance).all()


def test_a_decision_about_a_cluster_leaves_its_members_to_be_looked_at(made: World) -> None:
    ground, standing = divided(made)
    how = np.where(standing.cluster == 1, WITH_CLUSTER, standing.how).astype(np.int8)
    person = np.where(standing.cluster == 1, NAMED, standing.person)
    found = asked(ground, replace(standing, how=how, person=person))
    mine = [unit for unit in found if unit.cluster == 1]
    assert len(mine) == int((standing.cluster == 1).sum()) and all(not unit.open and len(unit.rows) == 1 for unit in mine)
    assert max(unit.gain_s for unit in mine) < min(unit.gain_s for unit in found if unit.cluster == 2)


def test_a_stray_seen_in_a_cluster_makes_the_rest_of_it_less_sure(made: World) -> None:
    ground, standing = divided(made)
    rejected = np.zeros((len(standing.person), 2), bool)
    mine = np.flatnonzero(standing.cluster == 1)
    how, person = standing.how.copy(), standing.person.copy()
    how[mine], person[mine] = WITH_CLUSTER, NAMED
    how[mine[:4]] = ITSELF
    pure = replace(standing, how=how, person=person, rejected=rejected, people=2)
    person = person.copy()
    person[mine[:3]] = 1
    mixed = replace(pure, person=person)
    sure, doubted = (refit(ground, one, SETTINGS).target[mine[4:], 1].mean() for one in (pure, mixed))
    assert doubted > 3 * sure


def test_where_nobody_is_unwanted_what_is_left_is_somebody_known(made: World) -> None:
    ground, standing = divided(made)
    everybody = replace(standing, how=np.where(standing.cluster == 2, WITH_CLUSTER, standing.how).astype(np.int8))
    rejected = np.zeros((len(standing.person), 2), bool)
    everybody = replace(everybody, person=np.where(standing.cluster == 2, 1, standing.person), rejected=rejected, people=2)
    nobody = replace(everybody, person=np.where(standing.cluster == 2, NOBODY, standing.person))
    open_cluster = 3
    wanted, unwanted = (refit(ground, one, SETTINGS) for one in (everybody, nobody))
    assert wanted.cluster[open_cluster, -1] < unwanted.cluster[open_cluster, -1]
    assert wanted.wanted[open_cluster] > unwanted.wanted[open_cluster]


def unit(gain: float, extra: float, faces: int = 1, proposed: int = 0) -> Unit:
    rows = np.arange(faces)
    return Unit(0, rows, rows, proposed, 1 - extra, gain, extra, gain, 0.5, "suggestion", True)


def test_sheets_take_what_is_worth_most_for_an_action() -> None:
    best, dear, small = unit(30, 0.1), unit(31, 3.0), unit(0.5, 0.9)
    first = next(sheets([small, dear, best], 10))
    assert first.units == (best, dear), "seconds that pay for an answer of their own are taken along"
    assert next(sheets([small, dear, best], 20)).units == (best,)
    strictly = next(sheets([small, dear, best], 10, key=lambda one: one.seconds))
    assert strictly.units == (dear, best, small), "an order of its own is kept as it is"
    assert next(sheets([unit(1, 0, faces=20), unit(5, 0, faces=20)], 1)).units[0].gain_s == 5
    assert Sheet((best,), 30, 1.5).worth == 20


def test_people_and_nobodies_share_a_sheet_and_open_questions_stand_alone() -> None:
    somebody, nobody = unit(9, 0.1), unit(8, 0.1, proposed=NOBODY)
    who, two = replace(unit(100, 0.0), kind="name"), replace(unit(2, 1.0), kind="mixed")
    assert [page.units for page in sheets([two, nobody, who, somebody], 1)] == [(who,), (somebody, nobody), (two,)]


def test_leftovers_at_one_place_are_asked_together_but_not_people_seen_together() -> None:
    made = world(5, cast=3, scenes=2, poor=1.0, turns=0.0)
    count = made.episode.tracks.num_rows
    found = evidence(made.episode, CALIBRATION, SETTINGS)
    membership = pa.table([np.arange(count, dtype=np.int32), np.arange(count, dtype=np.int32), np.full(count, 0.6, np.float32)], schema=MEMBERSHIP)
    alone = np.arange(count)
    nothing = np.full(count, NOBODY)
    standing = Standing(alone, np.ones(count), alone, nothing, np.zeros(count, np.int8), np.zeros((count, 0), bool), 0)
    _, together = grouped(Ground.of(made.episode, found, membership, np.ones((count, 1)), SETTINGS), standing)
    groups = [np.flatnonzero(together.cluster == one) for one in np.unique(together.cluster)]
    assert max(len(rows) for rows in groups) > 2 and len(groups) < count / 2
    purity = sum(np.bincount(made.person[rows]).max() for rows in groups) / count
    assert purity > 0.85
    first, second = found.together.first, found.together.second
    assert (together.cluster[first] != together.cluster[second]).mean() > 0.95


def test_who_is_wanted_is_learned_from_the_answers(made: World) -> None:
    ground, standing = divided(made)
    before = refit(ground, standing, SETTINGS).wanted
    assert before[3] > 0.5, "many seconds of nobody known are somebody to name"
    how = np.where(standing.cluster == 2, WITH_CLUSTER, standing.how).astype(np.int8)
    after = refit(ground, replace(standing, how=how), SETTINGS).wanted
    assert after[3] < before[3], "a large cluster turned out to be nobody who is asked for"


def test_a_review_in_our_order_needs_fewer_actions_than_by_chance() -> None:
    def actions(seed: int, key: object) -> int:
        desk = Desk.open(make(seed, Recipe(length_s=600, regulars=5, guests=5, extras=14, scenes=12, known=0.5)), SETTINGS)
        target = 0.985 * desk.ceiling()[0]
        for _ in range(200):
            if desk.correct()[0] >= target:
                return desk.actions
            desk.answer(next(sheets(desk.units(), pays(desk.standing()), key)))  # type: ignore[arg-type]
        raise AssertionError("the review does not end")

    rng = np.random.default_rng(1)
    ours, by_chance = ([actions(seed, key) for seed in (7, 8)] for key in (None, lambda _unit: float(rng.random())))
    assert sum(ours) < 0.8 * sum(by_chance), (ours, by_chance)
