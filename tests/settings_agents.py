"""Scenarios of agents.*: what an agent gets done, what it is offered over HTTP, and what a query in SQL may take."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from engine.config import Settings
from engine.daemon import Daemon
from engine.errors import Refused
from engine.service import Engine
from tests.agents import connected_http, free_port
from tests.desk import Bench, Seen
from tests.scenarios import home_with, measure
from tests.test_mcp_policy import BOT, OTHER, assign, call
from tools import serve
from tools.mcp import tokens


@contextmanager
def _desk(folder: Path, settings: Settings, name: str, /, **others: Any) -> Iterator[tuple[Bench, int]]:
    """A workspace with this setting and an episode of three tracks, each a cluster of its own."""
    bench = Bench(home_with(folder, settings, name, **others))
    episode = bench.episode()
    bench.run(episode, [Seen(20 * number, 20 * number + 10, number) for number in range(3)])
    yield bench, episode
    bench.close()


def _done(*actions: Callable[[], Any]) -> int:
    """How many of these are not refused."""
    done = 0
    for action in actions:
        try:
            action()
        except Refused:
            continue
        done += 1
    return done


def _names(bench: Bench, episode: int, actor: str = BOT) -> int:
    """How many of the three tracks an agent gets to name."""
    return _done(*(lambda track=track: assign(bench, actor, episode, track, f"Person {track}") for track in range(3)))  # type: ignore[misc]


@measure("agents.mode", "read", "suggest", "apply")
def _how_far_an_answer_gets(settings: Settings, folder: Path) -> float:
    """Nowhere, to a person, or into force."""
    with _desk(folder, settings, "agents.mode") as (bench, episode):
        named = _done(lambda: assign(bench, BOT, episode, 0, "Ana"))
        waiting = len(call(bench, BOT, "proposal_list")["rows"])
        assert named - waiting == (bench.who(episode)[0] == "Ana")
        return 2 * named - waiting


@measure("agents.allowed", "queue_skip", "cluster_*, queue_skip", "*")
def _operations_that_change_something(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.allowed") as (bench, episode):
        return _done(
            lambda: call(bench, BOT, "cluster_assign", cluster_id=bench.cluster(episode, 1), person="Ana", create=True),
            lambda: assign(bench, BOT, episode, 0, "Bea"),
        )


@measure("agents.min_probability", 0.7, 0.5)
def _names_the_machine_half_believes(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.min_probability") as (bench, episode):
        ana, cluster = bench.person("Ana"), bench.cluster(episode, 0)
        with bench.engine.database.write() as transaction:
            row = {"run_id": cluster // 100_000, "episode_id": episode, "cluster_id": cluster, "person_id": ana}
            transaction.insert("posterior", **row, probability=0.6, accepted=False)
        return _done(lambda: call(bench, BOT, "cluster_assign", cluster_id=cluster, person="Ana"))


@measure("agents.hour_budget", 0, 2)
def _changes_in_an_hour(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.hour_budget") as (bench, episode):
        return _names(bench, episode)


@measure("agents.session_budget", 0, 2)
def _changes_in_a_session(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.session_budget") as (bench, episode):
        return _names(bench, episode)


@measure("agents.session_pause_s", 1200, 300)
def _changes_with_a_pause_of_ten_minutes(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.session_pause_s", session_budget=1) as (bench, episode):
        first = _names(bench, episode)
        with bench.engine.database.write() as transaction:
            transaction.execute("UPDATE command SET logged_at = logged_at - INTERVAL 10 MINUTE")
        return first + _names(bench, episode)


@measure("agents.per", {"bot": {"mode": "read"}}, {"bot": {"hour_budget": 1}}, {"other": {"mode": "read"}})
def _changes_of_the_agent_that_is_named(settings: Settings, folder: Path) -> float:
    with _desk(folder, settings, "agents.per") as (bench, episode):
        done = _names(bench, episode)
        assert (_names(bench, episode, OTHER) == 0) == ("other" in settings.agents.per)
        return done


def _offered(home: Path, port: int) -> int:
    """How many tools an agent is offered over HTTP by what runs beside an engine; 0: nothing listens."""
    engine = Engine(home)

    async def tools() -> int:
        async with anyio.create_task_group() as group:
            if beside := serve._agents(Daemon(engine)):
                group.start_soon(beside)
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)):
                    return 0
            async with connected_http(port, tokens.token_of(home, "web")) as mcp:
                found = len((await mcp.list_tools()).tools)
            group.cancel_scope.cancel()
        return found

    try:
        return anyio.run(tools)
    finally:
        engine.close()


@measure("agents.port", 0, 1)
def _tools_at_the_port(settings: Settings, folder: Path) -> float:
    """1 stands for a port that is free."""
    port = free_port()
    given = settings.model_copy(update={"agents": settings.agents.model_copy(update={"port": port if settings.agents.port else 0})})
    return _offered(home_with(folder, given, "agents.port"), port)


@measure("agents.toolsets", "review", "review, curation")
def _tools_of_the_toolsets(settings: Settings, folder: Path) -> float:
    port = free_port()
    return _offered(home_with(folder, settings, "agents.toolsets", port=port), port)


@measure("agents.read_only", True, False)
def _tools_that_may_change_something_too(settings: Settings, folder: Path) -> float:
    port = free_port()
    return _offered(home_with(folder, settings, "agents.read_only", port=port), port)


def _answered(folder: Path, settings: Settings, name: str, sql: str) -> float:
    """Whether a query is answered in a library of four people."""
    bench = Bench(home_with(folder, settings, name))
    for person in ("Ana", "Bea", "Cy", "Dee"):
        bench.person(person)
    try:
        return _done(lambda: call(bench, BOT, "query_run", sql=sql))
    finally:
        bench.close()


@measure("agents.query_s", 0.1, 60)
def _long_query(settings: Settings, folder: Path) -> float:
    """It takes about a second."""
    return _answered(folder, settings, "agents.query_s", "SELECT sum(hash(i)) FROM range(200000000) t(i)")


@measure("agents.query_memory_mb", 32, 512)
def _wide_query(settings: Settings, folder: Path) -> float:
    """It holds about a hundred megabytes."""
    return _answered(folder, settings, "agents.query_memory_mb", "SELECT len(list(i)) FROM range(8000000) t(i)")


@measure("agents.query_copied_rows", 3, 4)
def _query_over_four_rows(settings: Settings, folder: Path) -> float:
    return _answered(folder, settings, "agents.query_copied_rows", "SELECT count(*) FROM people")
