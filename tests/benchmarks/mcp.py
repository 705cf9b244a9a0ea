"""How long tools take, by pipe and by HTTP, in both protocol eras, beside the engine's own socket: `python -m tests.benchmarks.mcp [--calls N]`.

Everything runs in one go on a made episode, so that the ratios hold whatever the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from engine.wire import Client
from tests.agents import Analysed, analyse, connected, connected_http, free_port
from tools.mcp import tokens

TOOLS: dict[str, dict[str, Any]] = {
    "track_list": {"episode": "1", "limit": 20},
    "totals_show": {"episode": "1"},
    "queue_next": {"episode": "1", "pictures": False},
    "queue_next with pictures": {"episode": "1"},
    "track_show with pictures": {"track_id": 100_000},
    "cluster_assign, dry": {"cluster_id": 100_000, "person": "Ana", "create": True, "dry_run": True},
}


async def timed(calls: int, call: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> dict[str, tuple[float, float]]:
    """Median and 95th percentile in milliseconds of every tool."""
    found = {}
    for label, arguments in TOOLS.items():
        tool = label.replace(",", " ").split()[0]
        await call(tool, arguments)
        took = []
        for _ in range(calls):
            started = time.perf_counter()
            await call(tool, arguments)
            took.append((time.perf_counter() - started) * 1000)
        found[label] = (statistics.median(took), sorted(took)[int(len(took) * 0.95)])
    return found


async def measure(client: Client, port: int, calls: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Way -> tool -> (median, p95)."""

    async def plain(tool: str, arguments: dict[str, Any]) -> Any:
        sent = {name: value for name, value in arguments.items() if name != "pictures"}
        return await anyio.to_thread.run_sync(client.call, tool, sent)

    found = {"engine's socket": await timed(calls, plain)}
    for way in ("stdio", "http"):
        for mode, era in (("legacy", "2025"), ("auto", "2026")):
            started = time.perf_counter()
            made = connected(client.home, mode=mode) if way == "stdio" else connected_http(port, tokens.token_of(client.home, "bench"), mode)
            async with made as mcp:
                await mcp.list_tools()
                ready = (time.perf_counter() - started) * 1000
                found[f"{way} {era}"] = {"connect and list": (ready, ready), **await timed(calls, mcp.call_tool)}
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=50)
    given = parser.parse_args()
    port = free_port()
    os.environ["ROLLCALL_AGENTS__PORT"] = str(port)
    with tempfile.TemporaryDirectory() as folder:
        analysed: Analysed = analyse(Path(folder))
        client = Client(analysed.home, "person:bench")
        client.ensure_running()
        try:
            found = anyio.run(measure, client, port, given.calls)
        finally:
            client.stop()
    print(f"median / p95 in ms, {given.calls} calls each, one client, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| tool | " + " | ".join(found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for label in ("connect and list", *TOOLS):
        cells = [f"{way[label][0]:.1f} / {way[label][1]:.1f}" if label in way else "" for way in found.values()]
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
