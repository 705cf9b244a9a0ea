"""Two agents and two operators at once: every write that was acknowledged is in the audit, none is lost, none was applied twice."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client as Mcp

from engine.errors import RollcallError
from engine.wire import Client
from tests.agents import Analysed, connected, connected_http, free_port, rows
from tools.mcp import tokens

SECONDS = float(os.environ.get("ROLLCALL_TOGETHER_S", "15"))
PEOPLE = ("Ana", "Bea", "Cy")


@dataclass
class Log:
    """What one of them was told: reason -> batch of what was done, and how often what was refused."""

    done: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def plan(dice: random.Random, mine: list[str], all_of_them: list[str]) -> dict[str, Any]:
    """A change to one of one's own tracks, now and then to anybody's."""
    track = dice.choice(mine if dice.random() < 0.8 else all_of_them)
    return {"tracks": [track], "person": dice.choice(PEOPLE), "create": True}


async def agent(mcp: Mcp, name: str, log: Log, until: float, mine: list[str], all_of_them: list[str]) -> None:
    dice = random.Random(name)
    while time.monotonic() < until:
        reason = f"{name} {len(log.done) + log.refused.total()}"
        result = await mcp.call_tool("track_assign", {**plan(dice, mine, all_of_them), "reason": reason})
        text = result.content[0].text  # type: ignore[union-attr]
        if result.is_error:
            log.refused[text.split(":")[0]] += 1
        else:
            log.done[reason] = json.loads(text)["batch"]
        if log.done and dice.random() < 0.1:
            undone = await mcp.call_tool("decision_undo", {"batch": dice.choice(list(log.done.values())), "reason": f"undo {reason}"})
            if not undone.is_error:
                log.done[f"undo {reason}"] = json.loads(undone.content[0].text)["batch"]  # type: ignore[union-attr]


async def operator(client: Client, log: Log, until: float, mine: list[str], all_of_them: list[str]) -> None:
    dice = random.Random(client.actor)
    while time.monotonic() < until:
        reason = f"{client.actor} {len(log.done) + log.refused.total()}"
        change, answers = {**plan(dice, mine, all_of_them), "reason": reason}, []

        def send(change: dict[str, Any] = change, reason: str = reason, answers: list[Any] = answers) -> None:
            try:
                answers.append(client.call("track_assign", change, idem_key=reason)["batch"])
            except RollcallError as error:
                answers.append(error.code)

        # As an impatient client does: the same request twice at once, under one key.
        async with anyio.create_task_group() as group:
            for _ in range(2 if dice.random() < 0.3 else 1):
                group.start_soon(anyio.to_thread.run_sync, send)
        assert len(set(answers)) == 1, answers
        if isinstance(answers[0], str):
            log.refused[answers[0]] += 1
        else:
            log.done[reason] = answers[0]


@pytest.mark.slow
@pytest.mark.timeout(600 + 2 * SECONDS)
def test_two_agents_and_two_operators_at_once(tmp_path: Path, analysed: Analysed, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("ROLLCALL_AGENTS__PORT", str(port))
    monkeypatch.setenv("ROLLCALL_AGENTS__HOUR_BUDGET", "1000000")
    monkeypatch.setenv("ROLLCALL_AGENTS__SESSION_BUDGET", "1000000")
    client = analysed.copy(tmp_path)
    for name in PEOPLE:
        client.call("person_add", {"name": name, "show": "library"})
    tracks = [row["ref"] for row in rows(client, "track_list", episode="1")]
    logs = {name: Log() for name in ("agent:pipe", "agent:web", "person:pat", "person:qui")}
    token = tokens.token_of(client.home, "web")

    async def run() -> None:
        async with connected(client.home, agent="pipe") as pipe, connected_http(port, token) as web, anyio.create_task_group() as group:
            until = time.monotonic() + SECONDS
            group.start_soon(agent, pipe, "agent:pipe", logs["agent:pipe"], until, tracks[:2], tracks)
            group.start_soon(agent, web, "agent:web", logs["agent:web"], until, tracks[2:4], tracks)
            for name in ("person:pat", "person:qui"):
                group.start_soon(operator, Client(client.home, name), logs[name], until, tracks[4:], tracks)

    anyio.run(run)
    said = rows(client, "decision_list", limit=1000)
    by_reason: dict[str, set[int]] = {}
    for decision in said:
        by_reason.setdefault(decision["reason"], set()).add(decision["batch"])
    for name, log in logs.items():
        assert log.done, f"{name} got nothing done: {log.refused}"
        for reason, batch in log.done.items():
            assert by_reason.pop(reason, None) == {batch}, f"{reason}: acknowledged, and not in the audit exactly once"
        assert {row["actor"] for row in said if row["reason"] in log.done} == {name}
    assert by_reason == {}, "in the audit, and never acknowledged"
    labels = [(row["ref"], row["person"], row["label_source"]) for row in rows(client, "track_list", episode="1")]
    client.stop()
    again = [(row["ref"], row["person"], row["label_source"]) for row in rows(client, "track_list", episode="1")]
    assert again == labels
    assert client.call("health_show")["problems"] == []
    client.stop()
    print({name: (len(log.done), dict(log.refused)) for name, log in logs.items()})  # noqa: T201
