"""The worked examples of the rules of review, one by one: before, decision, labels after, the re-run, the undo."""

from __future__ import annotations

import json

import pytest

from engine.errors import BadInput, Conflict, Refused
from tests.desk import Bench, Seen

PAT, QUI, AGENT = "person:pat", "person:qui", "agent:bot"


def test_1_a_cluster_gets_a_name_its_rerun_keeps_it_and_undo_gives_it_back(bench: Bench) -> None:
    episode = bench.episode()
    unknown = bench.person(None)
    bench.run(episode, [Seen(0, 10, 0, unknown), Seen(20, 30, 0, unknown)])
    before = bench.content()
    done = bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ana", create=True)
    assert [(row[3], row[4]) for row in bench.labels(episode)] == [("Ana", "person"), ("Ana", "person")]
    assert (done["tracks"], done["seconds"]) == (2, 20.0)
    bench.run(episode, [Seen(0, 4, 0), Seen(4, 10, 1), Seen(20, 30, 2)])
    assert bench.who(episode) == ["Ana", "Ana", "Ana"]
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.who(episode) == [None, None, None]
    first = bench.engine.database.rows("SELECT min(run_id) AS run_id FROM run")[0]["run_id"]
    bench.call(PAT, "analysis_activate", episode=str(episode), run_id=first)
    assert bench.content() == before


def test_2_and_3_a_track_decision_beats_a_cluster_decision_until_overridden(bench: Bench) -> None:
    episode = bench.episode()
    machine = [Seen(0, 10, 0), Seen(20, 30, 0)]
    bench.run(episode, machine)
    cluster = bench.cluster(episode, 0)
    bench.call(PAT, "cluster_assign", cluster_id=cluster, person="Ana", create=True)
    second = bench.call(PAT, "track_assign", tracks=[str(bench.track(episode, 1))], person="Bea", create=True)
    assert bench.who(episode) == ["Ana", "Bea"]
    third = bench.call(PAT, "cluster_assign", cluster_id=cluster, person="Cy", create=True)
    assert bench.who(episode) == ["Cy", "Bea"]
    assert any("1 track keeps its own label: Bea" in sentence for sentence in third["kept"])
    fourth = bench.call(PAT, "cluster_assign", cluster_id=cluster, person="Cy", override=True)
    assert bench.who(episode) == ["Cy", "Cy"]
    bench.run(episode, machine)
    assert bench.who(episode) == ["Cy", "Cy"]
    bench.call(PAT, "decision_undo", batch=fourth["batch"])
    bench.call(PAT, "decision_undo", batch=third["batch"])
    assert bench.who(episode) == ["Ana", "Bea"]
    bench.call(PAT, "decision_undo", batch=second["batch"])
    assert bench.who(episode) == ["Ana", "Ana"]


def test_4_an_agent_is_refused_where_a_person_decided(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0)])
    track = str(bench.track(episode, 0))
    bench.call(PAT, "track_assign", tracks=[track], person="Bea", create=True)
    bench.person("Ana")
    with pytest.raises(Refused, match="decided by a person"):
        bench.call(AGENT, "track_assign", tracks=[track], person="Ana")
    assert bench.who(episode) == ["Bea"]


def test_5_a_track_that_joins_a_cluster_later_is_not_labelled_silently(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 0)])
    bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ana", create=True)
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 0), Seen(40, 50, 0)])
    assert [(row[3], row[4]) for row in bench.labels(episode)] == [("Ana", "person"), ("Ana", "person"), (None, "machine")]


def test_6_stretches_of_one_track_keep_their_labels_when_a_run_joins_them(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0)])
    before = bench.content()
    track = bench.track(episode, 0)
    one = bench.call(PAT, "track_assign", tracks=[f"{track}@0-4"], person="Ana", create=True)
    two = bench.call(PAT, "track_assign", tracks=[f"{track}@4-10"], person="Bea", create=True)
    cut = [(0, 0.0, 4.0, "Ana", "person"), (0, 4.0, 10.0, "Bea", "person")]
    assert bench.labels(episode) == cut
    bench.run(episode, [Seen(0, 10, 3, step_us=250_000)])
    assert bench.labels(episode) == cut
    items = bench.call(PAT, "queue_list", episode=str(episode))["rows"]
    assert any(item["kind"] == "mixed" and item["asked"][0]["shown"][0].startswith(str(bench.track(episode, 0))) for item in items)
    bench.run(episode, [Seen(0, 10, 0)])
    bench.call(PAT, "decision_undo", batch=two["batch"])
    bench.call(PAT, "decision_undo", batch=one["batch"])
    assert bench.labels(episode) == [(0, 0.0, 10.0, None, "machine")]
    assert bench.content()["person"] == before["person"]


def test_7_a_rejected_name_never_comes_back(bench: Bench) -> None:
    episode, ana = bench.episode(), bench.person("Ana")
    bench.run(episode, [Seen(0, 10, 5, ana)])
    done = bench.call(PAT, "cluster_reject", cluster_id=bench.cluster(episode, 5), person="Ana")
    assert bench.who(episode) == [None]
    bench.run(episode, [Seen(0, 10, 2, ana)])
    assert bench.who(episode) == [None]
    with pytest.raises(Refused, match="not to be Ana"):
        bench.call(AGENT, "track_assign", tracks=[str(bench.track(episode, 0))], person="Ana")
    over = bench.call(PAT, "track_assign", tracks=[str(bench.track(episode, 0))], person="Ana")
    assert bench.who(episode) == ["Ana"]
    assert any("overrules the rejection" in note for note in over["notes"])
    bench.call(PAT, "decision_undo", batch=over["batch"])
    assert bench.who(episode) == [None]
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.who(episode) == ["Ana"]


def test_8_merged_clusters_are_one_person_and_come_apart_exactly(bench: Bench) -> None:
    episode, dee, unknown = bench.episode(), bench.person("Dee"), bench.person(None)
    bench.run(episode, [Seen(0, 10, 6, dee), Seen(20, 30, 7, unknown), Seen(40, 45, 7, unknown)])
    before = bench.content()
    done = bench.call(PAT, "cluster_merge", cluster_id=bench.cluster(episode, 7), into_cluster_id=bench.cluster(episode, 6))
    assert bench.who(episode) == ["Dee"] * 3
    assert len(bench.call(PAT, "cluster_list", episode=str(episode))["rows"]) == 1
    first = bench.engine.database.rows("SELECT active_run_id AS run_id FROM episode")[0]["run_id"]
    bench.run(episode, [Seen(0, 10, 0, unknown), Seen(20, 30, 1, dee), Seen(40, 45, 2)])
    assert bench.who(episode) == ["Dee"] * 3
    bench.call(PAT, "analysis_activate", episode=str(episode), run_id=first)
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.content() == before


def test_merged_clusters_are_not_asked_about_again_and_say_who_they_are(bench: Bench) -> None:
    episode, dee, unknown = bench.episode(), bench.person("Dee"), bench.person(None)
    bench.run(episode, [Seen(0, 10, 6, dee), Seen(20, 30, 7, unknown)])
    into, other = bench.cluster(episode, 6), bench.cluster(episode, 7)
    spans = [[bench.track(episode, number), number * 20_000_000, number * 20_000_000 + 10_000_000] for number in (0, 1)]
    unit = {
        "kind": "disagreement",
        "targets": spans,
        "shown": spans,
        "whole_cluster": False,
        "proposed": unknown,
        "probability": 0.9,
        "candidates": [],
    }
    unit["candidates"] = []
    with bench.engine.database.write() as transaction:
        run = {"run_id": into // 100_000, "episode_id": episode}
        transaction.insert("queue_item", **run, rank=0, at_risk_s=5.0, item=json.dumps({"id": "abc", "units": [unit]}))
        for cluster, person in ((into, dee), (other, unknown)):
            transaction.insert("posterior", **run, cluster_id=cluster, person_id=person, probability=0.9, accepted=True)
    assert [item["item"] for item in bench.call(PAT, "queue_list", episode=str(episode))["rows"]] == ["abc"]
    bench.call(PAT, "cluster_merge", cluster_id=other, into_cluster_id=into)
    assert bench.call(PAT, "queue_list", episode=str(episode))["rows"] == []
    shown = bench.call(PAT, "cluster_show", cluster_id=into)
    assert [(one["person"], one["probability"]) for one in shown["candidates"]] == [("Dee", 1.0)]


def test_merge_of_two_seen_in_one_frame_is_refused_unless_forced(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0, bench.person("Dee")), Seen(5, 12, 1, column=2)])
    clusters = {"cluster_id": bench.cluster(episode, 1), "into_cluster_id": bench.cluster(episode, 0)}
    with pytest.raises(Conflict, match="one frame at 5"):
        bench.call(PAT, "cluster_merge", **clusters)
    bench.call(PAT, "cluster_merge", **clusters, force=True)
    assert bench.who(episode) == ["Dee", "Dee"]


def test_9_a_lock_holds_against_machine_agent_and_careless_people(bench: Bench) -> None:
    episode, eve, flo = bench.episode(), bench.person("Eve"), bench.person("Flo")
    bench.run(episode, [Seen(0, 10, 0, eve)])
    track = str(bench.track(episode, 0))
    bench.call(PAT, "track_lock", tracks=[track])
    bench.run(episode, [Seen(0, 10, 0, flo)])
    assert bench.who(episode) == ["Eve"]
    track = str(bench.track(episode, 0))
    for actor in (AGENT, PAT):
        with pytest.raises(Refused, match="locked"):
            bench.call(actor, "track_assign", tracks=[track], person="Flo")
    bench.call(PAT, "track_assign", tracks=[track], person="Flo", force=True)
    assert bench.who(episode) == ["Flo"]


def test_an_agent_leaves_people_as_they_are_whom_something_locked_shows(bench: Bench) -> None:
    episode, eve, flo, gus = bench.episode(), bench.person("Eve"), bench.person("Flo"), bench.person("Gus")
    bench.run(episode, [Seen(0, 10, 0, eve), Seen(20, 30, 1, flo)])
    merge = {"person_id": eve, "into_person_id": flo}
    done = bench.call(AGENT, "person_merge", person_id=gus, into_person_id=eve)
    bench.call(PAT, "track_lock", tracks=[str(bench.track(episode, 0))])
    for name, given in (("person_merge", merge), ("decision_undo", {"batch": done["batch"]})):
        with pytest.raises(Refused, match="locked, and depends on who is one person"):
            bench.call(AGENT, name, **given)
    done = bench.call(AGENT, "person_merge", person_id=flo, into_person_id=eve)
    assert bench.who(episode) == ["Eve", "Eve"], "others may come to them"
    bench.call(PAT, "decision_undo", batch=done["batch"])
    bench.call(PAT, "person_merge", **merge)
    assert bench.who(episode) == ["Flo", "Flo"], "a person may"


def test_10_a_decision_without_a_face_stands_and_finds_it_again(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(50, 55, 1)])
    bench.call(PAT, "track_assign", tracks=[str(bench.track(episode, 0))], person="Gil", create=True)
    bench.run(episode, [Seen(50, 55, 1)])
    lost = bench.call(PAT, "decision_lost", episode=str(episode))["rows"]
    assert [row["what"] for row in lost] == ["labelled Gil"]
    assert bench.who(episode) == [None]
    bench.run(episode, [Seen(0, 10, 0), Seen(50, 55, 1)])
    assert bench.who(episode) == ["Gil", None]
    assert bench.call(PAT, "decision_lost", episode=str(episode))["rows"] == []


def test_11_a_stale_rev_is_refused_with_who_and_what(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0)])
    track = str(bench.track(episode, 0))
    seen = bench.call(PAT, "track_show", track_id=int(track))["rev"]
    bench.call(QUI, "track_assign", tracks=[track], person="Hal", create=True, rev=seen)
    with pytest.raises(Conflict, match=r"person:qui labelled this Hal \d+ s ago"):
        bench.call(PAT, "track_assign", tracks=[track], person="Ida", create=True, rev=seen)
    assert bench.who(episode) == ["Hal"]


def test_12_undo_names_what_builds_on_it_and_redo_brings_all_back(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 1)])
    people = bench.content()["person"]
    first = bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ida", create=True)
    second = bench.call(PAT, "track_assign", tracks=[str(bench.track(episode, 1))], person="Ida")
    named = bench.content()
    with pytest.raises(Conflict) as caught:
        bench.call(PAT, "decision_undo", batch=first["batch"])
    assert caught.value.data["dependents"] == second["decisions"]
    undone = bench.call(PAT, "decision_undo", batch=first["batch"], with_dependents=True)
    assert bench.who(episode) == [None, None]
    assert bench.content()["person"] == people
    bench.call(PAT, "decision_redo", batch=undone["batch"])
    assert bench.content() == named


def test_splits_hold_in_every_later_run(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0)])
    bench.call(PAT, "track_split", track=str(bench.track(episode, 0)), at_s=[4.1])
    assert [row[:3] for row in bench.labels(episode)] == [(0, 0.0, 4.1), (0, 4.1, 10.0)]
    bench.run(episode, [Seen(0, 10, 0, step_us=300_000)])
    assert [row[:3] for row in bench.labels(episode)] == [(0, 0.0, 4.1), (0, 4.1, 10.0)]


def test_tracks_taken_out_of_a_cluster_are_somebody_else(bench: Bench) -> None:
    episode, ana = bench.episode(), bench.person("Ana")
    bench.run(episode, [Seen(0, 10, 0, ana), Seen(20, 30, 0, ana), Seen(40, 50, 0, ana)])
    done = bench.call(PAT, "cluster_split", cluster_id=bench.cluster(episode, 0), tracks=[str(bench.track(episode, 1))])
    assert bench.who(episode) == ["Ana", None, "Ana"]
    clusters = bench.call(PAT, "cluster_list", episode=str(episode))["rows"]
    assert sorted(row["seconds"] for row in clusters) == [10.0, 20.0]
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.who(episode) == ["Ana"] * 3


def test_a_cluster_of_many_people_is_taken_apart(bench: Bench) -> None:
    episode, ana = bench.episode(), bench.person("Ana")
    bench.run(episode, [Seen(0, 10, 0, ana), Seen(20, 25, 0, ana), Seen(40, 46, 0, ana), Seen(50, 53, 1)])
    before, cluster = bench.content(), bench.cluster(episode, 0)
    for wrong in ({}, {"apart": True, "tracks": [str(bench.track(episode, 1))]}):
        with pytest.raises(BadInput):
            bench.call(PAT, "cluster_split", cluster_id=cluster, **wrong)
    told = bench.call(PAT, "cluster_split", cluster_id=cluster, apart=True, dry_run=True)
    assert told["decisions"] == [] and bench.content() == before
    done = bench.call(PAT, "cluster_split", cluster_id=cluster, apart=True, rev=0)
    clusters = bench.call(PAT, "cluster_list", episode=str(episode))["rows"]
    assert sorted(row["seconds"] for row in clusters) == [3.0, 5.0, 6.0, 10.0]
    assert bench.who(episode) == ["Ana", "Ana", "Ana", None], "who they are was not said"
    bench.reopen()
    assert len(bench.call(PAT, "cluster_list", episode=str(episode))["rows"]) == 4
    with pytest.raises(BadInput):
        bench.call(PAT, "cluster_split", cluster_id=cluster, apart=True)
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.content() == before


def test_people_merged_in_every_episode_and_taken_apart(bench: Bench) -> None:
    one, two, ana, other = bench.episode(), bench.episode(), bench.person("Ana"), bench.person(None)
    bench.run(one, [Seen(0, 10, 0, ana)])
    bench.run(two, [Seen(0, 10, 0, other), Seen(20, 25, 1, ana)])
    before = bench.content()
    done = bench.call(PAT, "person_merge", person_id=other, into_person_id=ana)
    assert (bench.who(one), bench.who(two)) == (["Ana"], ["Ana", "Ana"])
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.content() == before


def test_a_dry_run_tells_all_and_changes_nothing(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 0)])
    before = bench.content()
    told = bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ana", create=True, dry_run=True)
    assert (told["tracks"], told["seconds"], told["decisions"]) == (2, 20.0, [])
    assert bench.content() == before
    assert bench.engine.database.rows("SELECT 1 FROM decision") == []


def test_a_repeated_change_is_made_once(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0)])
    parameters = {"tracks": [str(bench.track(episode, 0))], "person": "Ana", "create": True}
    first = bench.call(PAT, "track_assign", key="k", **parameters)
    assert bench.call(PAT, "track_assign", key="k", **parameters) == first
    assert len(bench.engine.database.rows("SELECT 1 FROM person")) == 1


def test_labels_survive_a_restart(bench: Bench) -> None:
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 0)])
    bench.call(PAT, "track_assign", tracks=[f"{bench.track(episode, 0)}@2-5"], person="Ana", create=True)
    labels, content = bench.labels(episode), bench.content()
    bench.reopen()
    assert (bench.labels(episode), bench.content()) == (labels, content)
    state = bench.engine.review.state(episode)
    assert [(p.start_us, p.end_us, p.person_id) for p in state.all_pieces()] == [
        (round(a * 1e6), round(b * 1e6), None if name is None else 1) for _, a, b, name, _ in labels
    ]
