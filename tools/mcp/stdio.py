"""`rollcall mcp`: the server over a pipe, a client of the engine like every other surface."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.stdio import stdio_server

from engine import wire
from engine.errors import BadInput
from tools.mcp import definitions, tokens
from tools.mcp.selection import Selection
from tools.mcp.server import build


def agent_name(given: str) -> str:
    """The name an agent's changes are signed with.

    Raises:
        BadInput: it is not a name.
    """
    if not re.fullmatch(r"\w[\w.@ -]{0,63}", given):
        raise BadInput(f"{given!r} cannot be an agent's name.", "Use letters, digits, dots, hyphens; 64 characters at most.")
    return given


def run(client: wire.Client, given: argparse.Namespace) -> int:
    """Serve a client on stdin and stdout until it hangs up. Whoever starts it, it acts as an agent: it never has a person's rights."""
    name = agent_name(given.agent)
    if given.token:
        sys.stdout.write(tokens.token_of(client.home, name) + "\n")
        return 0
    acting = wire.Client(client.home, f"agent:{name}")
    selection = Selection.parse(given.toolsets, given.tools, given.read_only)
    if given.list:
        for op in selection.of(wire.operations()):
            sys.stdout.write(f"{op['name']}  {definitions.tool(op).description}\n")
        return 0

    async def call(context: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(acting.call, operation, parameters)

    async def serve() -> None:
        server = build(call, wire.operations(), selection)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(serve)
    return 0
