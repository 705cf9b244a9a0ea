"""The server as other people's clients meet it: the SDK's, fastmcp's, the MCP Inspector; by pipe and HTTP; sessions of 2025 and requests of 2026."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import fastmcp
import fastmcp.client.transports as fastmcp_transports
import pytest
from mcp.types import CallToolResult

from engine import wire
from engine.wire import Client
from tests.agents import Analysed, connected, connected_http, free_port
from tests.inspector import Inspector, inspector, missing
from tools.mcp import tokens
from tools.mcp.selection import REVIEW, Selection

ERAS = ("auto", "legacy")
TRACK, CLUSTER = 100_000, 100_000
ARGUMENTS: dict[str, Any] = {
    "episode": "1", "show": "library", "person_id": 1, "into_person_id": 1, "cluster_id": CLUSTER, "into_cluster_id": CLUSTER, "track_id": TRACK,
    "track": str(TRACK), "tracks": [str(TRACK)], "person": "1", "title": "Another", "name": "Somebody", "path": "/nowhere.mp4", "job_id": 1,
    "item": "none", "export_id": 1, "run_id": 1, "other_run_id": 1, "sql": "SELECT name FROM people", "alias": "Else", "operation": "track_reject",
    "parameters": {"tracks": [str(TRACK)], "person": "1"}, "at_s": [1.0], "hook_id": 1, "url": "http://127.0.0.1:9/", "folder": "/nowhere",
    "entry": 1, "entry_id": 1, "batch": 1, "model": "none", "query": "none",
}  # fmt: skip
"""What any operation's required parameters are given: things there are where there are some, else things to be refused with a sentence."""

ONE_OF = {"track_split": {"at_s": [1.0]}, "suggestion_accept": {"tier": "sure"}, "decision_undo": {"batch": 1}, "episode_analyse": {"episode": "9"}}
"""For tools that need one of several parameters; and no new analysis, which would take the tracks of the others away from under them."""

NOTHING_THERE = {"queue_skip", "queue_accept", "decision_undo", "suggestion_accept"}
"""Default tools whose target is not there in an episode nobody has worked on, so that they refuse."""

EXPECTED = {"not_found", "bad_input", "bad_media", "conflict", "refused"}
PICTURES = {"track_show", "cluster_show", "queue_next"}


def arguments(tool: dict[str, Any]) -> dict[str, Any]:
    """Arguments a tool can be called with, dry where it can be."""
    properties, required = tool["inputSchema"]["properties"], tool["inputSchema"].get("required", [])
    wanted = [*required, *(["episode"] if "episode" in properties else [])]
    given = {name: ARGUMENTS.get(name, _some(properties[name])) for name in wanted}
    if "sql" in given:
        given.pop("episode")
    given.update(ONE_OF.get(tool["name"], {}))
    if "dry_run" in properties:
        given["dry_run"] = True
    if "timeout_s" in properties:
        given["timeout_s"] = 1
    return given


def _some(schema: dict[str, Any]) -> Any:
    """A value of a kind, for a parameter ARGUMENTS does not know."""
    if "enum" in schema:
        return schema["enum"][0]
    values: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": False, "object": {}, "string": "none"}
    return [_some(schema["items"])] if schema.get("type") == "array" else values.get(schema.get("type", "string"), "none")


def check(tool: str, content: list[Any], structured: Any, error: bool) -> None:
    """An answer is data, pictures, or a refusal in words."""
    text = content[0].text
    if error:
        assert text.split(":")[0] in EXPECTED, f"{tool}: {text}"
        assert text.rstrip().endswith((".", ")")), text
        return
    images = [block for block in content if block.type == "image"]
    assert json.loads(text) is not None
    assert bool(images) == (structured is None), f"{tool}: pictures and structured content exclude one another"
    assert bool(images) == (tool in PICTURES), tool
    assert all(block.mime_type == "image/jpeg" for block in images)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, analysed: Analysed) -> Iterator[tuple[Client, int, str]]:
    """A workspace whose engine serves agents over HTTP too: client, port, token."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLLCALL_AGENTS__PORT", str(port))
        patch.setenv("ROLLCALL_AGENTS__TOOLSETS", "all")
        client = analysed.copy(tmp_path_factory.mktemp("served"))
        client.call("export_create", {"episode": "1"})
        yield client, port, tokens.token_of(client.home, "web")
        client.stop()


@pytest.fixture(scope="module")
def inspecting() -> Iterator[Inspector]:
    """An Inspector, for all tests of it."""
    if reason := missing():
        pytest.skip(reason)
    with inspector() as made:
        yield made


@asynccontextmanager
async def reached(served: tuple[Client, int, str], way: str, mode: str) -> AsyncIterator[Any]:
    """The SDK's client, by pipe or HTTP."""
    client, port, token = served
    made = connected(client.home, "--toolsets", "all", mode=mode) if way == "stdio" else connected_http(port, token, mode)
    async with made as mcp:
        yield mcp


@pytest.mark.slow
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("way", ["stdio", "http"])
def test_sdk_lists_and_calls_every_tool(served: tuple[Client, int, str], way: str, mode: str) -> None:
    async def run() -> None:
        async with reached(served, way, mode) as mcp:
            tools = [tool.model_dump(mode="json", by_alias=True) for tool in (await mcp.list_tools()).tools]
            assert [tool["name"] for tool in tools] == [op["name"] for op in Selection(("all",)).of(wire.operations())]
            for tool in tools:
                result = await mcp.call_tool(tool["name"], arguments(tool))
                check(tool["name"], result.content, result.structured_content, result.is_error)
                assert not result.is_error or tool["name"] not in REVIEW or tool["name"] in NOTHING_THERE, result.content[0].text

    anyio.run(run)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("way", ["stdio", "http"])
def test_fastmcp_lists_and_calls_every_tool(served: tuple[Client, int, str], way: str, mode: str) -> None:
    client, port, token = served
    flags = ["-m", "tools.cli", "--home", str(client.home), "mcp", "--toolsets", "all"]
    transport: Any = (
        fastmcp_transports.StdioTransport(sys.executable, flags, env=dict(os.environ))
        if way == "stdio"
        else fastmcp_transports.StreamableHttpTransport(f"http://127.0.0.1:{port}/mcp", headers={"Authorization": f"Bearer {token}"})
    )

    async def run() -> None:
        async with fastmcp.Client(transport, mode=mode) as mcp:  # type: ignore[arg-type]
            tools = [tool.model_dump(mode="json", by_alias=True) for tool in await mcp.list_tools()]
            assert len(tools) > 30
            for tool in tools:
                result = await mcp.call_tool(tool["name"], arguments(tool), raise_on_error=False)
                check(tool["name"], result.content, result.structured_content, result.is_error)
            assert [prompt.name for prompt in await mcp.list_prompts()] == ["relabel_episode", "check_person", "export_season"]

    anyio.run(run)


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("way", ["stdio", "http"])
def test_pictures_resources_and_prompts_arrive(served: tuple[Client, int, str], way: str, mode: str) -> None:
    async def run() -> None:
        async with reached(served, way, mode) as mcp:
            shown = await mcp.call_tool("track_show", {"track_id": TRACK, "frame": True})
            kinds = [block.type for block in shown.content]
            assert shown.structured_content is None
            assert 4 <= kinds.count("image") <= 8
            labels = [block.text for block in shown.content if block.type == "text"][2:]
            assert len(labels) == kinds.count("image"), "every picture has its label before it"
            assert any(label.startswith("Compare:") for label in labels) and labels[-1].startswith("The frame around track")
            assert all(len(block.data) < 60_000 for block in shown.content if block.type == "image")
            report = next(one for one in (await mcp.list_resources()).resources if one.name.endswith("totals.csv"))
            assert (await mcp.read_resource(report.uri)).contents[0].text.startswith("episode_id,")
            for uri in (f"rollcall://picture/{TRACK}", f"rollcall://frame/{TRACK}", "rollcall://frame/1/2.5"):
                content = (await mcp.read_resource(uri)).contents[0]
                assert content.mime_type == "image/jpeg" and content.blob.startswith("/9j/"), uri
            assert len((await mcp.list_resource_templates()).resource_templates) == 4
            prompt = await mcp.get_prompt("relabel_episode", {"episode": "1"})
            assert 'Relabel episode "1".' in prompt.messages[0].content.text

    anyio.run(run)


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("way", ["stdio", "http"])
def test_inspector_finds_nothing_wrong_and_calls_every_tool(served: tuple[Client, int, str], inspecting: Inspector, way: str, era: str) -> None:
    client, port, token = served
    over_pipe = [sys.executable, "-m", "tools.cli", "--home", str(client.home), "mcp", "--toolsets", "all"]
    reach = over_pipe if way == "stdio" else [f"http://127.0.0.1:{port}/mcp", "--transport", "http", "--header", f"Authorization: Bearer {token}"]
    status, out, err = inspecting.once(reach, era, "--method", "tools/list", "--strict")
    assert status == 0, err
    tools = json.loads(out)["tools"]
    assert [tool["name"] for tool in tools] == [op["name"] for op in Selection(("all",)).of(wire.operations())]
    name = f"{way}-{era}"
    assert inspecting.connect(name, reach, era)["protocolEra"] == era
    for tool in tools:
        status, answer = inspecting.call(name, tool["name"], arguments(tool))
        result = CallToolResult.model_validate(answer)
        assert status == (5 if result.is_error else 0), tool["name"]
        check(tool["name"], result.content, result.structured_content, bool(result.is_error))
    status, read, err = inspecting.run("mcpdo", f"@{name}", "resources/read", f"rollcall://frame/{TRACK}", "--format", "json")
    assert status == 0 and json.loads(read)["contents"][0]["mimeType"] == "image/jpeg", err


def test_home_is_private_and_so_are_the_tokens(served: tuple[Client, int, str]) -> None:
    path = Path(served[0].home / tokens.FILE)
    assert path.stat().st_mode & 0o777 == 0o600
