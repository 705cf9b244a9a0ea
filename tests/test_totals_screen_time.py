"""Seconds of made-up episodes against the truth: ticks of a millisecond, and what was drawn when the episode was made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from engine.config import TotalsSettings
from engine.tables import MEMBERSHIP, Episode
from engine.totals.explain import explain
from engine.totals.labels import DECIDED, IDENTITY, Labels, identity
from engine.totals.screen_time import CO_PRESENCE, SCREEN_TIME, Totals, screen_time
from tests.synthetic import World, world

USUAL = TotalsSettings()


def settings_of(**values: float) -> TotalsSettings:
    """The made-up faces are found in every look and doubted one by one, as much as is said: no slips of detection, no doubt that is one for all."""
    quiet = {"slip_rate": 0.0, "slip_s": 0.0, "missed_rate": 0.0, "shared_doubt": 0.0, "firm": 1.0, "odd_looks": 0.0}
    return USUAL.model_copy(update={**quiet, **values})


SETTINGS = settings_of()
EXACT = settings_of(draws=50)
SAMPLING = settings_of(end_steps=1)
"""Sampling is all that hides the ends."""

BY_CHANCE = settings_of(sure_probability=0.98)
"""Doubtful tracks count by how probable they are."""


def table(schema: pa.Schema, rows: list[tuple[object, ...]]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in schema]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


def labelled(person: np.ndarray, member: float = 1.0, cluster: float = 1.0, decided: dict[int, int | None] | None = None) -> Labels:
    """Every person a cluster; each track with probability `member` in it, each cluster with `cluster` its person."""
    return Labels(
        table(MEMBERSHIP, [(track, int(who), member) for track, who in enumerate(person)]),
        table(IDENTITY, [(int(who), int(who), cluster, True) for who in np.unique(person)]),
        table(DECIDED, list((decided or {}).items())),
    )


def truth(made: World) -> dict[int, np.ndarray]:
    """Person -> milliseconds in which they are really visible."""
    ticks = {}
    for who in np.unique(made.person):
        seen = np.zeros(made.episode.duration_us // 1000 + 1, bool)
        for owner, start, end in made.visible:
            if owner == who:
                seen[round(start / 1000) : round(end / 1000)] = True
        ticks[int(who)] = seen
    return ticks


def tracked(episode: Episode, person: np.ndarray, gap_us: int) -> dict[int, np.ndarray]:
    """Person -> milliseconds of their tracks, gaps closed tick by tick inside shots."""
    found = {}
    shots = list(zip(episode.shots["start_us"].to_pylist(), episode.shots["end_us"].to_pylist(), strict=True))
    for who in np.unique(person):
        seen = np.zeros(episode.duration_us // 1000 + 1, bool)
        for row in episode.tracks.to_pylist():
            if person[row["track"]] == who:
                seen[round(row["start_us"] / 1000) : round(row["end_us"] / 1000)] = True
        for start, end in shots:
            inside = seen[round(start / 1000) : round(end / 1000)]
            at = np.flatnonzero(inside)
            for before, after in pairwise(at):
                if 1 < after - before <= gap_us // 1000 + 1:
                    inside[before:after] = True
        found[int(who)] = seen
    return found


def by_person(totals: Totals) -> dict[int, dict[str, float]]:
    return {row["person"]: row for row in totals.screen_time.to_pylist()}


def whole_shots(seed: int) -> World:
    """Faces visible from cut to cut: nothing to doubt about the ends."""
    return world(seed, turns=0.0, extras=0.2)


def test_certain_tracks_from_cut_to_cut_are_exact() -> None:
    made = whole_shots(1)
    totals = screen_time(made.episode, labelled(made.person), SETTINGS)
    assert totals.screen_time.schema == SCREEN_TIME and totals.co_presence.schema == CO_PRESENCE
    ticks = truth(made)
    crowd = np.sum([*ticks.values()], axis=0)
    rows = by_person(totals)
    assert rows.keys() == ticks.keys()
    for who, seen in ticks.items():
        row = rows[who]
        assert row["visual_s"] == pytest.approx(seen.sum() / 1000, abs=0.1)
        assert row["visual_low_s"] == pytest.approx(row["visual_high_s"]) == pytest.approx(row["visual_s"])
        assert row["solo_s"] == pytest.approx((seen & (crowd == 1)).sum() / 1000, abs=0.1)
        assert row["confidence"] == 1
        mine = [track for track in made.episode.tracks.to_pylist() if made.person[track["track"]] == who]
        assert (row["tracks"], row["faces"]) == (len(mine), sum(track["faces"] for track in mine))
        assert (row["first_us"], row["last_us"]) == (min(t["start_us"] for t in mine), max(t["end_us"] for t in mine))
    pairs = {(row["person_a"], row["person_b"]): row["seconds"] for row in totals.co_presence.to_pylist()}
    expected = {(a, b): (ticks[a] & ticks[b]).sum() / 1000 for a in ticks for b in ticks if a < b and (ticks[a] & ticks[b]).any()}
    assert pairs.keys() == expected.keys()
    assert all(pairs[pair] == pytest.approx(expected[pair], abs=0.1) for pair in expected)
    assert totals.unidentified_s == 0


def test_intervals_cover_the_truth() -> None:
    inside, bias, solo = [], [], []
    for seed in range(40):
        made = world(500 + seed, turns=0.5, scenes=3)
        ticks = truth(made)
        crowd = np.sum([*ticks.values()], axis=0)
        for who, row in by_person(screen_time(made.episode, labelled(made.person), SAMPLING)).items():
            real, alone = ticks[who].sum() / 1000, (ticks[who] & (crowd == 1)).sum() / 1000
            inside.append(row["visual_low_s"] <= real <= row["visual_high_s"])
            solo.append(row["solo_low_s"] <= alone <= row["solo_high_s"])
            bias.append((row["visual_s"] - real) / real)
            assert row["visual_low_s"] <= row["visual_s"] <= row["visual_high_s"]
    assert 0.92 <= np.mean(inside) <= 0.985 and 0.91 <= np.mean(solo) <= 0.985
    assert abs(np.mean(bias)) < 0.003


def test_intervals_cover_ends_that_are_found_early_or_late() -> None:
    inside = []
    for seed in range(40):
        made = world(500 + seed, turns=0.5, scenes=3)
        ticks, rng = truth(made), np.random.default_rng(seed)
        tracks, shots = made.episode.tracks, made.episode.shots
        start, end = tracks["start_us"].to_numpy().copy(), tracks["end_us"].to_numpy().copy()
        first, last = (shots[name].to_numpy()[tracks["shot"].to_numpy()] for name in ("start_us", "end_us"))
        for ends, cut in ((start, first), (end, last)):
            slip = rng.uniform(-0.5, 0.5, len(ends)) * made.episode.step_us / 2
            ends[:] = np.clip(np.where(ends == cut, ends, ends + slip), first, last)
        moved = tracks.set_column(2, "start_us", pa.array(start)).set_column(3, "end_us", pa.array(end))
        episode = Episode(**{**vars(made.episode), "tracks": moved})
        for who, row in by_person(screen_time(episode, labelled(made.person), SETTINGS)).items():
            inside.append(row["visual_low_s"] <= ticks[who].sum() / 1000 <= row["visual_high_s"])
    assert np.mean(inside) >= 0.94


def test_intervals_cover_wrong_clusters_and_wrong_members() -> None:
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        made = world(700 + seed, turns=0.0, cast=5)
        clusters = np.where(rng.random(len(made.person)) < 0.5, made.person, made.person + 10)
        member = rng.choice([0.6, 0.8, 0.95, 1.0], len(clusters))
        whose = {int(k): float(rng.choice([0.7, 0.9, 1.0])) for k in np.unique(clusters)}
        labels = Labels(
            table(MEMBERSHIP, [(track, int(k), float(p)) for track, (k, p) in enumerate(zip(clusters, member, strict=True))]),
            table(IDENTITY, [(k, k % 10, p, True) for k, p in whose.items()]),
            table(DECIDED, []),
        )
        right = {k: rng.random() < p for k, p in whose.items()}
        real = np.array([right[int(k)] and rng.random() < p for k, p in zip(clusters, member, strict=True)])
        spans = np.array(made.episode.tracks["end_us"].to_numpy() - made.episode.tracks["start_us"].to_numpy()) / 1e6
        for who, row in by_person(screen_time(made.episode, labels, SETTINGS)).items():
            seconds = spans[real & (made.person == who)].sum()
            inside.append(row["visual_low_s"] - 1e-6 <= seconds <= row["visual_high_s"] + 1e-6)
    assert 0.93 <= np.mean(inside) <= 0.99


def test_a_cluster_is_wrong_as_a_whole() -> None:
    made = whole_shots(2)
    full = by_person(screen_time(made.episode, labelled(made.person), EXACT))
    doubt = by_person(screen_time(made.episode, labelled(made.person, cluster=0.6), SETTINGS))
    for who, row in doubt.items():
        assert row["visual_low_s"] == 0 and row["visual_high_s"] == pytest.approx(full[who]["visual_s"])
        assert row["visual_s"] == pytest.approx(0.6 * full[who]["visual_s"], rel=0.15)
        assert row["confidence"] == pytest.approx(0.6)


def test_members_are_wrong_one_by_one() -> None:
    made = whole_shots(3)
    full = by_person(screen_time(made.episode, labelled(made.person), EXACT))
    for who, row in by_person(screen_time(made.episode, labelled(made.person, member=0.8), BY_CHANCE)).items():
        if full[who]["tracks"] > 15:
            assert 0 < row["visual_low_s"] < row["visual_s"] < row["visual_high_s"] < full[who]["visual_s"]
            assert row["visual_s"] == pytest.approx(0.8 * full[who]["visual_s"], rel=0.05)


def test_hardly_doubtful_members_do_not_shorten_the_expectation() -> None:
    made = whole_shots(4)
    full = by_person(screen_time(made.episode, labelled(made.person), EXACT))
    for who, row in by_person(screen_time(made.episode, labelled(made.person, member=0.99), SETTINGS)).items():
        assert row["visual_s"] == pytest.approx(full[who]["visual_s"])
        assert row["visual_low_s"] <= row["visual_s"] <= row["visual_high_s"] + 1e-9
        if full[who]["tracks"] > 30:
            assert row["visual_low_s"] < row["visual_s"], "the doubt stays in the interval"


def test_tracks_more_likely_theirs_than_not_count_in_full() -> None:
    made = whole_shots(4)
    full = by_person(screen_time(made.episode, labelled(made.person), EXACT))
    rows = by_person(screen_time(made.episode, labelled(made.person, member=0.6), SETTINGS))
    for who, row in rows.items():
        assert row["visual_s"] == pytest.approx(min(full[who]["visual_s"], row["visual_high_s"]))
        assert row["visual_low_s"] < full[who]["visual_s"], "the doubt stays in the interval"


def test_what_people_decided_is_certain() -> None:
    made = whole_shots(5)
    full = by_person(screen_time(made.episode, labelled(made.person), EXACT))
    everything = {track: int(who) for track, who in enumerate(made.person)}
    rows = by_person(screen_time(made.episode, labelled(made.person, 0.6, 0.5, everything), SETTINGS))
    assert rows == full
    nobody: dict[int, int | None] = {track: None for track in range(len(made.person))}
    silent = screen_time(made.episode, labelled(made.person, decided=nobody), SETTINGS)
    assert silent.screen_time.num_rows == 0 and silent.co_presence.num_rows == 0
    every = np.any([*truth(made).values()], axis=0).sum() / 1000
    assert silent.unidentified_s == pytest.approx(every, abs=0.1)


def test_what_people_decided_is_as_certain_as_detection_is() -> None:
    made = whole_shots(5)
    everything = {track: int(who) for track, who in enumerate(made.person)}
    labels = labelled(made.person, 0.6, 0.5, everything)
    full, rows = by_person(screen_time(made.episode, labels, SETTINGS)), by_person(screen_time(made.episode, labels, USUAL))
    for who, row in rows.items():
        assert row["visual_s"] == pytest.approx(full[who]["visual_s"], abs=0.02) and row["visual_low_s"] <= row["visual_s"] <= row["visual_high_s"]
    widths = {who: row["visual_high_s"] - row["visual_low_s"] for who, row in rows.items() if row["tracks"] > 5}
    assert widths and all(width < 0.15 * full[who]["visual_s"] for who, width in widths.items()) and max(widths.values()) > 0.05


def test_somebody_likely_there_has_a_total_without_a_label() -> None:
    made = whole_shots(5)
    one, found = int(made.person[0]), by_person(screen_time(made.episode, labelled(made.person), EXACT))
    mine = [track for track in made.episode.tracks.to_pylist() if made.person[track["track"]] == one]

    def total(chance: float) -> dict[str, float] | None:
        rows = [(int(who), int(who), 1.0, True) for who in np.unique(made.person) if who != one]
        rows += [(one, None, 1 - chance, True), (one, 99, chance, False)]
        whole = labelled(made.person)
        return by_person(screen_time(made.episode, Labels(whole.membership, table(IDENTITY, rows), whole.decided), SETTINGS)).get(99)

    likely = total(0.5)
    assert likely is not None and total(0.05) is None
    assert likely["visual_low_s"] == 0 and likely["visual_high_s"] == pytest.approx(found[one]["visual_s"])
    assert likely["visual_s"] == pytest.approx(0.5 * found[one]["visual_s"], rel=0.15)
    assert (likely["tracks"], likely["faces"], likely["confidence"]) == (0, 0, 0)
    assert (likely["first_us"], likely["last_us"]) == (min(t["start_us"] for t in mine), max(t["end_us"] for t in mine))


def test_doubts_that_are_one_for_all_do_not_cancel_out() -> None:
    made = whole_shots(3)
    half = np.where(np.arange(len(made.person)) % 2, made.person, made.person + 10)
    labels = Labels(
        table(MEMBERSHIP, [(track, int(k), 1.0) for track, k in enumerate(half)]),
        table(IDENTITY, [(int(k), int(k) % 10, 0.7, True) for k in np.unique(half)]),
        table(DECIDED, []),
    )

    def of(shared: float) -> tuple[float, float]:
        settings = settings_of(shared_doubt=shared, likely_probability=1.0, draws=2000)
        rows = by_person(screen_time(made.episode, labels, settings)).values()
        return sum(row["visual_s"] for row in rows), float(np.mean([row["visual_low_s"] > 0 for row in rows]))

    alone, together = of(0.0), of(0.9)
    assert together[0] == pytest.approx(alone[0], rel=0.05), "the expectation is what it was"
    assert together[1] <= alone[1]


def test_intervals_cover_somebody_who_looks_unlike_themselves() -> None:
    """Clusters are somebody's with 0.3, more where that person looks odd, and then all of theirs alike; everything lasts as long."""
    inside: dict[float, list[bool]] = {0.0: [], 2.0: []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        made = whole_shots(900 + seed)
        _, first = np.unique(made.episode.tracks["shot"].to_numpy(), return_index=True)
        alone = Episode(**{**vars(made.episode), "tracks": made.episode.tracks.take(pa.array(first))})
        length = (alone.tracks["end_us"].to_numpy() - alone.tracks["start_us"].to_numpy()) / 1e6
        odd = 0.3 * np.exp(2.0 * rng.standard_normal(2))
        who = np.arange(len(first)) % 2
        theirs = rng.random(len(first)) < (odd / (odd + 0.7))[who]
        rows = [row for k, one in enumerate(who) for row in ((k, None, 0.7, True), (k, int(one), 0.3, False))]
        labels = Labels(table(MEMBERSHIP, [(k, k, 1.0) for k in range(len(first))]), table(IDENTITY, rows), table(DECIDED, []))
        for looks, covered in inside.items():
            for person, row in by_person(screen_time(alone, labels, settings_of(odd_looks=looks))).items():
                covered.append(row["visual_low_s"] - 0.01 <= length[theirs & (who == person)].sum() <= row["visual_high_s"] + 0.01)
    assert len(inside[2.0]) > 100 and np.mean(inside[2.0]) >= 0.93
    assert np.mean(inside[0.0]) < 0.8, "doubts one by one cancel out"


def test_what_is_nearly_sure_is_surer_than_it_seems() -> None:
    made = whole_shots(3)
    labels = labelled(made.person, member=0.85)
    plain, firm = (by_person(screen_time(made.episode, labels, settings_of(firm=power))) for power in (1.0, 2.0))
    assert all(firm[who]["visual_low_s"] > row["visual_low_s"] for who, row in plain.items() if row["tracks"] > 15)
    assert all(firm[who]["visual_s"] >= row["visual_s"] for who, row in plain.items()), "or as near to what it was as the interval lets it be"


def test_stretches_are_at_times_missed_and_at_times_not_theirs() -> None:
    made = whole_shots(5)
    rows = by_person(screen_time(made.episode, labelled(made.person), settings_of(missed_rate=0.01, draws=2000))).values()
    often = [row for row in rows if row["tracks"] > 15]
    assert often and all(row["visual_high_s"] > row["visual_s"] + 0.5 and row["visual_low_s"] < row["visual_s"] for row in often)


def test_unidentified_faces_are_company() -> None:
    made = whole_shots(6)
    one = int(made.person[0])
    others: dict[int, int | None] = {track: None for track, who in enumerate(made.person) if who != one}
    before = by_person(screen_time(made.episode, labelled(made.person), EXACT))[one]
    after = by_person(screen_time(made.episode, labelled(made.person, decided=others), EXACT))[one]
    assert before["solo_s"] < before["visual_s"] and after["solo_s"] == pytest.approx(before["solo_s"])


def test_gaps_close_inside_shots_only_and_up_to_the_setting() -> None:
    made = world(7, turns=0.8)
    for gap_s in (0.0, 0.5, 1.6):
        settings = settings_of(gap_s=gap_s)
        labels = labelled(made.person)
        for who, seen in tracked(made.episode, made.person, round(gap_s * 1e6)).items():
            found = explain(made.episode, labels, who, settings)
            assert found.most_probable_us / 1e6 == pytest.approx(seen.sum() / 1000, abs=0.1)
            row = by_person(screen_time(made.episode, labels, settings))[who]
            assert row["visual_s"] == pytest.approx(found.most_probable_us / 1e6, abs=0.4)


def test_equal_seeds_give_equal_totals_and_others_nearly() -> None:
    made = world(8)
    labels = labelled(made.person, 0.9)
    first, again = screen_time(made.episode, labels, SETTINGS), screen_time(made.episode, labels, SETTINGS)
    assert first.screen_time.equals(again.screen_time) and first.co_presence.equals(again.co_presence)
    other = by_person(screen_time(made.episode, labels, settings_of(seed=7)))
    for who, row in by_person(first).items():
        assert row["visual_s"] == pytest.approx(other[who]["visual_s"], rel=0.03, abs=0.3)
        assert row["visual_s"] != other[who]["visual_s"]


@pytest.mark.parametrize("values", [{"gap_s": 1.6}, {"sure_probability": 0.95}, {"firm_score": 1.0}, {"end_steps": 2.0}, {"draws": 60}, {"seed": 2}])
def test_every_setting_is_read(values: dict[str, float]) -> None:
    made = world(9, turns=0.8)
    labels = labelled(made.person, 0.9)
    usual, other = (screen_time(made.episode, labels, settings) for settings in (SETTINGS, SETTINGS.model_copy(update=values)))
    assert not usual.screen_time.equals(other.screen_time)


def test_faces_hard_to_see_leave_looser_ends() -> None:
    made = world(10, turns=0.8)
    position = made.episode.detections.column_names.index("score")
    faint = made.episode.detections.set_column(position, "score", pa.array(np.full(made.episode.detections.num_rows, 0.35), pa.float32()))
    episode = Episode(**{**vars(made.episode), "detections": faint})
    labels = labelled(made.person)

    def width(one: Episode, settings: TotalsSettings) -> float:
        rows = by_person(screen_time(one, labels, settings)).values()
        return sum(row["visual_high_s"] - row["visual_low_s"] for row in rows)

    assert width(episode, SETTINGS) > 1.8 * width(made.episode, SETTINGS)
    assert width(episode, settings_of(loose_end=0)) == pytest.approx(width(made.episode, SETTINGS))


def test_an_explanation_adds_up() -> None:
    made = world(11, turns=0.8)
    rng = np.random.default_rng(0)
    labels = labelled(made.person)
    rows = [(track, int(who), float(rng.choice([0.7, 0.9, 1.0]))) for track, who in enumerate(made.person)]
    rows += [(track, int(who + 1) % 6, 0.08) for track, who in enumerate(made.person) if rows[track][2] == 0.9 and (who + 1) % 6 in made.person]
    labels = Labels(table(MEMBERSHIP, rows), labels.identity, table(DECIDED, [(0, int(made.person[0]))]))
    totals = by_person(screen_time(made.episode, labels, settings_of(draws=4000)))
    for who, row in totals.items():
        found = explain(made.episode, labels, who, SETTINGS)
        stretches, tracks = found.stretches.to_pylist(), found.tracks.to_pylist()
        assert sum(s["end_us"] - s["start_us"] for s in stretches) == found.most_probable_us
        assert sum(s["seconds"] for s in stretches) == pytest.approx(found.most_probable_us / 1e6)
        for stretch in stretches:
            assert stretch["shot_start_us"] <= stretch["start_us"] < stretch["end_us"] <= stretch["shot_end_us"]
            inside = np.zeros((stretch["end_us"] - stretch["start_us"]) // 1000 + 1, bool)
            for track in stretch["tracks"]:
                span = made.episode.tracks.slice(track, 1).to_pylist()[0]
                inside[(span["start_us"] - stretch["start_us"]) // 1000 : (span["end_us"] - stretch["start_us"]) // 1000] = True
            assert stretch["gap_s"] == pytest.approx(stretch["seconds"] - inside.sum() / 1000, abs=0.01)
        assert sorted(t for s in stretches for t in s["tracks"]) == sorted(t["track"] for t in tracks)
        assert [t["track"] for t in tracks if t["decided"]] == ([0] if who == made.person[0] else [])
        doubted = found.most_probable_us / 1e6 + sum(found.doubts["seconds"].to_pylist())
        assert row["visual_s"] == pytest.approx(doubted, rel=0.02, abs=0.4), "the doubts account for the expectation"
    assert explain(made.episode, labels, 999, SETTINGS).most_probable_us == 0


def test_identity_of_clusters_from_a_match() -> None:
    decisions = pa.table({"cluster": pa.array([0, 1, 2, 3], pa.int32()), "candidate": pa.array([0, -1, -2, 1], pa.int32())})
    posterior = pa.table(
        {
            "cluster": pa.array([0, 0, 1, 1, 2, 3, 3], pa.int32()),
            "candidate": pa.array([0, -1, 1, -1, -1, 1, -1], pa.int32()),
            "probability": pa.array([0.9, 0.1, 0.6, 0.4, 1.0, 0.95, 0.05], pa.float32()),
        }
    )
    rows = identity(decisions, posterior, {0: 70, 1: -2, 2: None, 3: 55}, np.array([70, 80])).to_pylist()
    found = {(row["cluster"], row["person"]): (round(row["probability"], 3), row["label"]) for row in rows}
    assert found == {
        (0, 70): (0.9, True),
        (0, None): (0.1, False),
        (1, 80): (0.6, False),
        (1, -2): (0.4, True),
        (2, None): (1.0, True),
        (3, 55): (1.0, True),
    }


def test_an_episode_without_tracks() -> None:
    made = world(12, scenes=1)
    empty = Episode(**{**vars(made.episode), "tracks": made.episode.tracks.slice(0, 0), "detections": made.episode.detections.slice(0, 0)})
    totals = screen_time(empty, Labels(table(MEMBERSHIP, []), table(IDENTITY, []), table(DECIDED, [])), SETTINGS)
    assert totals.screen_time.num_rows == 0 and totals.co_presence.num_rows == 0 and totals.unidentified_s == 0
