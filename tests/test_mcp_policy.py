"""What agents may do: verbs, budgets, how probable a name must be, proposals instead of changes; and how people agree with them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from engine.errors import BadInput, Conflict, NotFound, Refused
from engine.operations import policy, registry
from tests.desk import Bench, Seen

PAT, BOT, OTHER = "person:pat", "agent:bot", "agent:other"


@pytest.fixture
def episode(bench: Bench) -> int:
    """Two tracks of a cluster the machine takes for nobody known, one of another."""
    episode_id = bench.episode()
    bench.run(episode_id, [Seen(0, 10, 0), Seen(20, 30, 0, column=1), Seen(40, 50, 1)])
    return episode_id


def settings(bench: Bench, text: str) -> None:
    (bench.home / "config.toml").write_text(text)


def call(bench: Bench, actor: str, name: str, **parameters: Any) -> dict[str, Any]:
    """As every surface does."""

    async def run() -> dict[str, Any]:
        return await registry.invoke(bench.engine, name, parameters, actor=actor)

    return anyio.run(run)


def assign(bench: Bench, actor: str, episode: int, track: int, person: str) -> dict[str, Any]:
    return call(bench, actor, "track_assign", tracks=[str(bench.track(episode, track))], person=person, create=True, reason="looks like it")


def test_agents_only_read_where_told_so(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "read"\n')
    with pytest.raises(Refused, match=r"only read here \(agents\.mode\)"):
        assign(bench, BOT, episode, 0, "Ana")
    assert len(call(bench, BOT, "track_list", episode=str(episode))["rows"]) == 3
    assert assign(bench, PAT, episode, 0, "Ana")["tracks"] == 1


def test_only_allowed_operations_change_anything(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nallowed = "cluster_*, queue_skip"\n')
    with pytest.raises(Refused, match="may not use track_assign"):
        assign(bench, BOT, episode, 0, "Ana")
    call(bench, BOT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ana", create=True)
    assert bench.who(episode) == ["Ana", "Ana", None]


def test_each_agent_has_its_own_limits(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "read"\n[agents.per.bot]\nmode = "apply"\nhour_budget = 1\n')
    assign(bench, BOT, episode, 0, "Ana")
    with pytest.raises(Refused, match="1 changes within the hour"):
        assign(bench, BOT, episode, 1, "Ana")
    with pytest.raises(Refused, match="only read"):
        assign(bench, OTHER, episode, 1, "Ana")


def test_limits_that_are_none_are_named(bench: Bench, episode: int) -> None:
    settings(bench, "[agents.per.bot]\nmood = 3\n")
    with pytest.raises(BadInput, match="mood"):
        assign(bench, BOT, episode, 0, "Ana")


def test_budget_runs_dry_and_says_when_it_fills_again(bench: Bench, episode: int) -> None:
    settings(bench, "[agents]\nhour_budget = 2\n")
    assign(bench, BOT, episode, 0, "Ana")
    assign(bench, BOT, episode, 1, "Bea")
    with pytest.raises(Refused) as caught:
        assign(bench, BOT, episode, 2, "Cy")
    assert "agents.hour_budget" in caught.value.message and "60 minutes" in caught.value.hint
    assert bench.who(episode) == ["Ana", "Bea", None]
    assert call(bench, BOT, "track_assign", tracks=[str(bench.track(episode, 2))], person="Ana", dry_run=True)["tracks"] == 1
    assert assign(bench, OTHER, episode, 2, "Cy")["tracks"] == 1, "another agent has a budget of its own"
    with bench.engine.database.write() as transaction:
        transaction.execute("UPDATE command SET logged_at = logged_at - INTERVAL 61 MINUTE")
    assert assign(bench, BOT, episode, 2, "Dee")["tracks"] == 1


def test_session_is_a_row_of_changes_without_a_pause_however_often_one_reconnects(bench: Bench, episode: int) -> None:
    settings(bench, "[agents]\nsession_budget = 2\nsession_pause_s = 600\n")
    assign(bench, BOT, episode, 0, "Ana")
    assign(bench, BOT, episode, 1, "Bea")
    with bench.engine.database.write() as transaction:
        transaction.execute("UPDATE command SET logged_at = logged_at - INTERVAL 9 MINUTE")
    with pytest.raises(Refused, match="in this session"):
        assign(bench, BOT, episode, 2, "Cy")
    with bench.engine.database.write() as transaction:
        transaction.execute("UPDATE command SET logged_at = logged_at - INTERVAL 2 MINUTE")
    assert assign(bench, BOT, episode, 2, "Cy")["tracks"] == 1


def test_name_must_be_as_probable_as_the_settings_say(bench: Bench, episode: int) -> None:
    ana = bench.person("Ana")
    cluster, run_id = bench.cluster(episode, 0), bench.cluster(episode, 0) // 100_000
    with bench.engine.database.write() as transaction:
        for track, probability in ((0, 1.0), (1, 0.5)):
            transaction.insert(
                "membership", run_id=run_id, episode_id=episode, track_id=bench.track(episode, track), cluster_id=cluster, probability=probability
            )
        transaction.insert("posterior", run_id=run_id, episode_id=episode, cluster_id=cluster, person_id=ana, probability=0.8, accepted=False)
    settings(bench, "[agents]\nmin_probability = 0.6\n")
    for person in ("Ana", str(ana)):
        with pytest.raises(Refused, match=r"at 0\.40; agent:bot needs 0\.6"):
            assign(bench, BOT, episode, 1, person)
    with pytest.raises(Refused, match=r"at 0\.00"):
        assign(bench, BOT, episode, 0, "Somebody new")
    assert assign(bench, BOT, episode, 0, "Ana")["tracks"] == 1
    assert call(bench, BOT, "cluster_assign", cluster_id=cluster, person="Ana")["tracks"] == 1
    assert call(bench, BOT, "track_reject", tracks=[str(bench.track(episode, 2))], person="Ana")["dry_run"] is False
    assert assign(bench, PAT, episode, 2, "Ana")["tracks"] == 1


def question(bench: Bench, episode: int, proposed: int | None) -> str:
    """The queue asks about the first cluster, as the settler would have written it: the first track shown, the second follows it."""
    spans = [[bench.track(episode, number), *(round(t * 1e6) for t in bench.labels(episode)[number][1:3])] for number in (0, 1)]
    unit = {"kind": "suggestion", "targets": spans, "shown": spans[:1], "whole_cluster": False, "proposed": proposed, "probability": 0.7}
    unit["candidates"] = [{"person_id": proposed, "probability": 0.7}] if proposed else []
    with bench.engine.database.write() as transaction:
        run_id = bench.cluster(episode, 0) // 100_000
        item = json.dumps({"id": "abc", "units": [unit]})
        transaction.insert("queue_item", run_id=run_id, episode_id=episode, rank=0, at_risk_s=5.0, item=item)
    return "abc"


def test_answer_to_the_queue_is_held_to_the_same_probability(bench: Bench, episode: int) -> None:
    item = question(bench, episode, bench.person("Ana"))
    settings(bench, "[agents]\nmin_probability = 0.6\n")
    with pytest.raises(Refused, match=r"holds 'Ana' for track \d+ at 0\.00; agent:bot needs 0\.6"):
        call(bench, BOT, "queue_accept", item=item)
    assert bench.who(episode) == [None, None, None]
    assert call(bench, BOT, "queue_accept", item=item, dry_run=True)["tracks"] == 2
    assert call(bench, PAT, "queue_accept", item=item)["tracks"] == 2


def test_answer_to_the_queue_waits_for_a_person_whatever_the_queue_asks_by_then(bench: Bench, episode: int) -> None:
    item = question(bench, episode, bench.person("Ana"))
    settings(bench, '[agents]\nmode = "suggest"\n')
    proposal = call(bench, BOT, "queue_accept", item=item, reason="the same coat")
    first, second = (bench.track(episode, number) for number in (0, 1))
    assert (proposal["operation"], proposal["shown"], proposal["preview"]["tracks"]) == ("queue_accept", [str(first), str(second)], 2)
    assert call(bench, BOT, "queue_next", episode=str(episode))["item"] is None, "it goes on to the next thing"
    assert call(bench, PAT, "queue_next", episode=str(episode))["item"]["item"] == item, "people are still asked"
    with bench.engine.database.write() as transaction:
        transaction.execute("DELETE FROM queue_item")
    done = call(bench, PAT, "proposal_accept", proposals=[proposal["proposal_id"]])
    assert done["refused"] == []
    assert bench.who(episode) == ["Ana", "Ana", None]
    (decision, _) = [row for row in call(bench, PAT, "decision_list")["rows"] if row["verb"] == "assign"]
    assert decision["reason"] == "Proposed by agent:bot: the same coat"
    call(bench, PAT, "decision_undo", batch=done["accepted"][0]["batch"])
    assert bench.who(episode) == [None, None, None]


def test_answer_to_the_queue_that_waited_too_long_is_not_applied(bench: Bench, episode: int) -> None:
    item = question(bench, episode, bench.person("Ana"))
    settings(bench, '[agents]\nmode = "suggest"\n')
    proposal = call(bench, BOT, "queue_accept", item=item)["proposal_id"]
    call(bench, PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Bea", create=True)
    done = call(bench, PAT, "proposal_accept", proposals=[proposal])
    assert done["accepted"] == [] and done["refused"][0]["code"] == "conflict"
    assert bench.who(episode) == ["Bea", "Bea", None]


def test_what_cannot_wait_is_refused_with_what_to_do_instead(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "suggest"\n')
    with pytest.raises(Refused) as caught:
        call(bench, BOT, "analysis_activate", episode=str(episode), run_id=1)
    assert caught.value.message == "agent:bot only proposes (agents.mode), and analysis_activate cannot wait for a person."
    assert "Ask a person" in caught.value.hint


def test_only_these_changes_of_labels_cannot_wait() -> None:
    reviewing = [op for op in registry.OPERATIONS.values() if op.toolset == "review" and op.effect == "write" and not op.people_only]
    assert {op.name for op in reviewing if "dry_run" not in op.params.model_fields} == {
        "analysis_activate",
        "proposal_add",
        "queue_skip",
    }


def test_locked_and_decided_faces_refuse_agents_whatever_they_force(bench: Bench, episode: int) -> None:
    track = str(bench.track(episode, 0))
    call(bench, PAT, "track_lock", tracks=[track])
    for parameters in ({}, {"force": True}):
        with pytest.raises(Refused, match="locked"):
            call(bench, BOT, "track_assign", tracks=[track], person="Ana", create=True, **parameters)
    with pytest.raises(Refused):
        call(bench, BOT, "track_unlock", tracks=[track])
    assign(bench, PAT, episode, 1, "Bea")
    with pytest.raises(Refused, match="decided by a person"):
        assign(bench, BOT, episode, 1, "Ana")
    assert bench.who(episode) == [None, "Bea", None]


def test_agents_take_back_their_own_and_nobody_elses(bench: Bench, episode: int) -> None:
    mine, theirs = assign(bench, BOT, episode, 0, "Ana"), assign(bench, PAT, episode, 1, "Bea")
    with pytest.raises(Refused):
        call(bench, BOT, "decision_undo", batch=theirs["batch"])
    call(bench, BOT, "decision_undo", batch=mine["batch"], with_dependents=True)
    assert bench.who(episode) == [None, "Bea", None]


def test_answers_of_an_agent_that_only_proposes_wait_for_a_person(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "suggest"\n')
    before = bench.content()
    proposal = assign(bench, BOT, episode, 0, "Ana")
    assert (proposal["state"], proposal["operation"], proposal["preview"]["tracks"]) == ("waiting", "track_assign", 1)
    assert bench.content() == before
    with pytest.raises(Refused, match="person's to decide"):
        call(bench, BOT, "proposal_accept", proposals=[proposal["proposal_id"]])
    done = call(bench, PAT, "proposal_accept", proposals=[proposal["proposal_id"]])
    assert done["refused"] == []
    assert bench.labels(episode)[0][3:] == ("Ana", "person")
    (decision,) = [row for row in call(bench, PAT, "decision_list")["rows"] if row["verb"] == "assign"]
    assert (decision["actor"], decision["reason"]) == (PAT, "Proposed by agent:bot: looks like it")
    with pytest.raises(Conflict, match="accepted by person:pat"):
        call(bench, PAT, "proposal_accept", proposals=[proposal["proposal_id"]])
    call(bench, PAT, "decision_undo", batch=done["accepted"][0]["batch"])
    assert bench.who(episode) == [None, None, None]


def test_proposal_about_faces_somebody_has_decided_meanwhile_is_not_applied(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "suggest"\n')
    proposal = assign(bench, BOT, episode, 0, "Ana")["proposal_id"]
    assign(bench, "person:qui", episode, 0, "Bea")
    done = call(bench, PAT, "proposal_accept", proposals=[proposal])
    assert done["accepted"] == [] and done["refused"][0]["code"] == "conflict"
    assert "Bea" in done["refused"][0]["message"]
    assert bench.who(episode)[0] == "Bea"
    call(bench, PAT, "proposal_dismiss", proposals=[proposal], reason="no")
    assert call(bench, BOT, "proposal_list", state="dismissed")["rows"][0]["reason"] == "no"


def test_what_would_be_refused_is_refused_when_it_is_proposed(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "suggest"\n')
    call(bench, PAT, "track_lock", tracks=[str(bench.track(episode, 0))])
    with pytest.raises(Refused, match="locked"):
        assign(bench, BOT, episode, 0, "Ana")
    with pytest.raises(BadInput, match="cannot be proposed"):
        call(bench, BOT, "proposal_add", operation="episode_remove", parameters={"episode": str(episode)})
    with pytest.raises(BadInput, match="cannot be proposed"):
        call(bench, BOT, "proposal_add", operation="proposal_accept", parameters={"proposals": [1]})


def test_journal_brings_back_what_was_allowed_when_it_was_done(bench: Bench, episode: int) -> None:
    assign(bench, BOT, episode, 0, "Ana")
    line = next(line for line in bench.engine.database.journal.lines() if line.get("operation") == "track_assign")
    call(bench, PAT, "decision_undo", by=BOT, with_dependents=True)
    settings(bench, '[agents]\nmode = "read"\nhour_budget = 0\n')
    bench.engine.database.journal.replaying.add("again")

    async def replay() -> dict[str, Any]:
        return await registry.invoke(bench.engine, "track_assign", line["parameters"], actor=BOT, idem_key="again")

    assert anyio.run(replay)["tracks"] == 1


def test_health_tells_how_people_agree_with_each_agent(bench: Bench, episode: int) -> None:
    assign(bench, BOT, episode, 0, "Ana")
    assign(bench, BOT, episode, 1, "Ana")
    wrong = assign(bench, OTHER, episode, 2, "Cy")
    assign(bench, PAT, episode, 0, "Ana")
    assign(bench, PAT, episode, 1, "Bea")
    call(bench, PAT, "decision_undo", batch=wrong["batch"], with_dependents=True)
    bot, other = call(bench, PAT, "health_show")["agents"]
    assert (bot["agent"], bot["judged_s"], bot["agreed_s"], bot["undone"]) == (BOT, 20.0, 10.0, 0)
    assert (other["agent"], other["judged_s"], other["undone"] > 0) == (OTHER, 0.0, True)


def test_script_and_person_are_held_to_no_agents_limits(bench: Bench, episode: int) -> None:
    settings(bench, '[agents]\nmode = "read"\nhour_budget = 0\n')
    assert assign(bench, "script:nightly", episode, 0, "Ana")["tracks"] == 1
    assert policy.Actor.parse("script:nightly").kind == "script"


def test_moment_is_understood_in_whatever_zone_it_is_given(bench: Bench, episode: int) -> None:
    assign(bench, BOT, episode, 0, "Ana")
    just_now, in_a_minute = (datetime.now(timezone(timedelta(hours=5))) + timedelta(minutes=shift) for shift in (-1, 1))
    assert call(bench, BOT, "decision_list", since=just_now.isoformat())["rows"]
    assert not call(bench, BOT, "decision_list", since=in_a_minute.isoformat())["rows"]
    with pytest.raises(NotFound):
        call(bench, PAT, "decision_undo", by=BOT, since=in_a_minute.isoformat())
    call(bench, PAT, "decision_undo", by=BOT, since=just_now.isoformat())
    assert bench.who(episode)[0] is None
