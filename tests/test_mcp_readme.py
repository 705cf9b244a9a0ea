"""README's part about agents, held to what it says: the lines that add the server, the toolsets, the limits, the check of a signature."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import fastmcp

from engine import hooks, wire
from engine.config import Config
from engine.wire import Client
from tools.mcp import prompts
from tools.mcp.selection import REVIEW, TOOLSETS, Selection, offered, toolset

README = (Path(__file__).parent.parent / "README.md").read_text()
AGENTS = README[README.index("### Agents: relabelling") : README.index("### Models")]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", AGENTS, re.DOTALL)
    assert found
    return found[1]


def lines() -> dict[str, str]:
    """Client -> the line that adds the server to it."""
    table = AGENTS[: AGENTS.index("`--agent` is")]
    return dict(re.findall(r"^\| ([^|]+) \| `([^`]+)`", table, re.MULTILINE))


def commands() -> list[list[str]]:
    """The commands by which clients are told to start the server."""
    found = []
    for line in lines().values():
        if " -- " in line:
            found.append(shlex.split(line.split(" -- ")[1]))
        elif "--transport http" not in line:
            config = json.loads(line[line.index("{") : line.rindex("}") + 1])
            (server,) = next(iter(config.values())).values()
            found.append([server["command"], *server["args"]])
    return found


def test_every_line_starts_the_server_with_the_tools_it_promises(tmp_path: Path) -> None:
    started = commands()
    assert len(started) == len(lines()) - 1 == 5
    assert {tuple(command[:3]) for command in started} == {("rollcall", "mcp", "--agent")}
    environment = {**os.environ, "ROLLCALL_HOME": str(tmp_path / "home"), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    config = {"mcpServers": {"rollcall": {"command": started[0][0], "args": started[0][1:], "env": environment}}}

    async def run() -> list[str]:
        async with fastmcp.Client(config) as mcp:
            return [tool.name for tool in await mcp.list_tools()]

    assert anyio.run(run) == list(REVIEW)
    Client(tmp_path / "home").stop()


def test_line_for_http_is_the_address_the_engine_serves_at() -> None:
    line = lines()["any, over HTTP"]
    assert "http://127.0.0.1:8765/mcp" in line and 'Authorization: Bearer TOKEN"' in line and "(here 8765)" in AGENTS


def test_toolsets_hold_as_many_tools_as_it_says() -> None:
    spec = wire.operations()
    told = {
        name.strip("` "): int(count)
        for names, count in re.findall(r"^\| (`[a-z`, ]+`) \| (\d+) \|", AGENTS, re.MULTILINE)
        for name in names.split(",")
    }
    assert told == {name: sum(toolset(spec[one]) == name for one in offered(spec)) for name in TOOLSETS}
    for flags in re.findall(r"`--tool(?:sets|s) [a-z_,]+`", AGENTS):
        name, value = flags.strip("`").split()
        assert Selection.parse(value if name == "--toolsets" else None, value if name == "--tools" else None, False).of(spec)
    assert all(f"`{name}`" in AGENTS for name in prompts.TASKS)


def test_limits_it_shows_are_taken_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block("toml"))
    agents = Config(tmp_path).settings.agents
    assert agents.mode == "suggest"
    claude = agents.limits(agents.per["claude"])
    assert (claude.mode, claude.min_probability, claude.hour_budget) == ("apply", 0.3, 500)
    for pattern in claude.allowed.split(","):
        assert any(re.fullmatch(pattern.strip().replace("*", ".*"), name) for name in wire.operations()), pattern


def test_commands_it_names_are_there() -> None:
    known = {name.replace("_", " ", 1) for name in wire.operations()}
    named = re.findall(r"`(?:rollcall )?((?:proposal|decision|health|query|hook|delivery) [a-z]+)", AGENTS)
    assert len(named) > 8 and set(named) <= known


def test_check_of_a_signature_tells_ours_from_others() -> None:
    made: dict[str, Any] = {}
    exec(block("python"), made)
    secret, body, stamp = "whsec_c2VjcmV0IG9mIGEgaG9vaw==", b'{"event":"totals.changed"}', int(time.time())
    headers = {
        "webhook-id": "rollcall-1-2",
        "webhook-timestamp": str(stamp),
        "webhook-signature": hooks.signature(secret, "rollcall-1-2", stamp, body),
    }
    assert made["genuine"](secret, headers, body)
    assert not made["genuine"](secret, headers, body + b" ")
    assert not made["genuine"]("whsec_b3RoZXI=", headers, body)
    assert not made["genuine"](secret, {**headers, "webhook-id": "rollcall-1-3"}, body)
    old = stamp - 400
    late = {**headers, "webhook-timestamp": str(old), "webhook-signature": hooks.signature(secret, "rollcall-1-2", old, body)}
    assert not made["genuine"](secret, late, body)
