"""An agent at work, over MCP alone: it takes an episode to 99 % right, again when it only proposes, and its work comes back off in one call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.wire import Client
from tests import contents
from tests.agents import Analysed, Scripted, connected, rows
from tests.test_mcp_hooks import Receiver, until


def labels(client: Client) -> list[tuple[Any, ...]]:
    """Labels in force and people, by content."""
    tracks = [(row["ref"], row["cluster_id"], row["person_id"], row["label_source"]) for row in rows(client, "track_list", episode="1")]
    return [*tracks, *((row["person_id"], row["name"]) for row in rows(client, "person_list"))]


def standing(client: Client) -> dict[str, Any]:
    """Totals, queue and suggestions, once they know every decision; without `rev`, which counts decisions and so only grows."""

    def known() -> bool:
        return not client.call("queue_list", {"episode": "1"})["pending"]

    until(known, seconds=60)
    asked = {
        name: [{key: value for key, value in row.items() if key != "rev"} for row in rows(client, name, episode="1")]
        for name in ("queue_list", "suggestion_list")
    }
    return {**asked, "totals_show": client.call("totals_show", {"episode": "1"})}


def work(client: Client, analysed: Analysed) -> Scripted:
    async def run() -> Scripted:
        async with connected(client.home) as mcp:
            agent = Scripted(mcp, analysed)
            await agent.work()
            return agent

    return anyio.run(run)


@pytest.mark.slow
def test_agent_takes_an_episode_to_99_per_cent_and_its_work_is_taken_back_in_one_call(tmp_path: Path, analysed: Analysed) -> None:
    client = analysed.copy(tmp_path)
    receiver = Receiver()
    client.call("hook_add", {"url": receiver.url, "events": ["totals.changed", "review.finished"]})
    before, stood = labels(client), standing(client)
    assert stood["queue_list"] and stood["totals_show"]["people"]
    assert analysed.right(client) < 0.5
    agent = work(client, analysed)
    assert analysed.right(client) >= 0.99
    assert agent.answers < 20
    until(lambda: any(json.loads(body)["event"] == "review.finished" for _, body in receiver.got), seconds=60)
    told = [json.loads(body) for _, body in receiver.got]
    assert {message["event"] for message in told} == {"totals.changed", "review.finished"}
    assert {row["name"] for row in told[-1]["totals"]} == {"red_shirt", "dark_shirt", "left_cards"}
    receiver.close()
    worked = standing(client)
    assert worked["totals_show"] != stood["totals_show"] and worked["queue_list"] == []
    decisions = rows(client, "decision_list")
    assert {row["actor"] for row in decisions} == {"agent:bot"}
    assert {row["reason"] for row in decisions} == {"it is so"}
    client.call("decision_undo", {"by": "agent:bot"})
    assert labels(client) == before
    assert standing(client) == stood
    client.stop()
    began, ended = (contents.library(home, besides=frozenset({"rev"})) for home in (analysed.home, client.home))
    assert {table for table in began if began[table] != ended[table]} == set()


def test_what_was_taken_back_is_asked_again_as_before(tmp_path: Path, analysed: Analysed) -> None:
    """Answers teach the queue how often a cluster is somebody new; those taken back teach it nothing."""
    client = analysed.copy(tmp_path)
    client.call("track_assign", {"tracks": [rows(client, "track_list", episode="1")[0]["ref"]], "person": "Ana", "create": True})
    stood = standing(client)
    for cluster in rows(client, "cluster_list", episode="1"):
        client.call("cluster_assign", {"cluster_id": cluster["cluster_id"], "person": f"Somebody {cluster['cluster_id']}", "create": True})
        standing(client)
        client.call("decision_undo", {})
    assert standing(client) == stood
    client.stop()


@pytest.mark.slow
def test_agent_that_only_proposes_gets_there_when_a_person_accepts(tmp_path: Path, analysed: Analysed) -> None:
    client = analysed.copy(tmp_path)
    (client.home / "config.toml").write_text('[agents]\nmode = "suggest"\n')
    before = labels(client)
    work(client, analysed)
    assert labels(client) == before
    waiting = rows(client, "proposal_list")
    assert {row["actor"] for row in waiting} == {"agent:bot"}
    done = client.call("proposal_accept", {"proposals": [row["proposal_id"] for row in waiting]})
    assert done["refused"] == []
    assert analysed.right(client) >= 0.99
    assert {row["actor"] for row in rows(client, "decision_list")} == {"person:pat"}
    assert client.call("health_show")["agents"][0]["accepted"] == len(waiting)
    client.stop()
