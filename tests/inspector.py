"""The MCP Inspector, an independent client: its own command lines, run in one Node process that keeps its connections."""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NPX = ("npx", "--yes", "-p", "node@24", "-p", "@modelcontextprotocol/inspector@2.12.0")
"""It needs a newer Node than systems have; one older than that would be given an Inspector of years ago."""

SCRIPT = Path(__file__).with_suffix(".mjs")


@functools.cache
def missing() -> str | None:
    """Why the Inspector cannot be run here; None when it can."""
    if shutil.which("npx") is None:
        return "no npx: install Node to run the MCP Inspector"
    try:
        tried = subprocess.run([*NPX, "mcp-inspector", "--version"], capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "npx did not get the MCP Inspector within two minutes"
    return None if tried.returncode == 0 else f"npx cannot get the MCP Inspector: {tried.stderr.strip()[-200:]}"


class Inspector:
    """Runs commands of the Inspector. Servers are reached as `reach` says: a command, or an address with its transport and headers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr) of `mcp-inspector` (its --cli) or `mcpdo`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the Inspector ended while it ran {command} {' '.join(arguments)}"
        answer = json.loads(line)
        return answer["status"], answer["out"], answer["err"]

    def once(self, reach: list[str], era: str, *arguments: str) -> tuple[int, str, str]:
        """A command of `mcp-inspector --cli`, over a connection of its own."""
        return self.run("mcp-inspector", *reach, *arguments, "--protocol-era", era)

    def connect(self, name: str, reach: list[str], era: str) -> dict[str, Any]:
        """Open a connection that stays; what the Inspector tells of it."""
        at = ["--", *reach] if not reach[0].startswith("http") else reach
        status, out, err = self.run("mcpdo", "connect", f"@{name}", "--era", era, "--format", "json", *at)
        assert status == 0, out + err
        shown: dict[str, Any] = json.loads(self.run("mcpdo", "connections/show", f"@{name}", "--format", "json")[1])
        return shown

    def call(self, name: str, tool: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(exit status, result as it came over the wire) of a tool called over a connection."""
        given = ("--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        status, out, err = self.run("mcpdo", f"@{name}", "tools/call", *given, "--format", "json")
        assert out.startswith("{"), (tool, status, out, err)
        return status, json.loads(out)


@contextmanager
def inspector() -> Iterator[Inspector]:
    """An Inspector with a home and a daemon of its own, which end with it."""
    # Not the folder of the test: the daemon's socket would get too long a path.
    with tempfile.TemporaryDirectory(prefix="inspector") as home:
        mine = {"INSPECTOR_HOME": home, "MCP_INSPECTOR_DAEMON_DIR": home, "MCP_INSPECTOR_DAEMON_TOKEN": secrets.token_urlsafe(32)}
        with subprocess.Popen(
            [*NPX, "node", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **mine}
        ) as process:
            made = Inspector(process)
            try:
                yield made
                made.run("mcpdo", "daemon", "stop")
            finally:
                assert process.stdin
                process.stdin.close()
