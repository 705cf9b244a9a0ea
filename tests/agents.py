"""For tests of agents: an analysed episode whose truth is known, the server over a pipe and over HTTP, an agent that goes by the truth."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client as Mcp
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from engine.wire import Client

SHOTS = ("red, close", "dark, reverse", "red, again", "dark and red", "lamp", "left, again")
NEAR_US = 300_000
SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Analysed:
    """A workspace with one episode, and who is where in it: frame -> (name, normalised box)."""

    home: Path
    truth: dict[int, list[tuple[str, list[float]]]]
    fps: float

    def copy(self, folder: Path) -> Client:
        """A client of a copy of the workspace, as an operator."""
        shutil.copytree(self.home, folder / "home", ignore=shutil.ignore_patterns("run", "*.sock"))
        return Client(folder / "home", "person:pat")

    def who(self, faces: list[dict[str, Any]]) -> str | None:
        """Whom faces (t_us, x1 .. y2) show, by their boxes; None: nobody the truth knows."""
        votes: Counter[str] = Counter()
        for face in faces:
            box = [face[side] for side in ("x1", "y1", "x2", "y2")]
            overlaps = [(iou(box, other), name) for name, other in self.truth.get(round(face["t_us"] * self.fps / 1e6), [])]
            if overlaps and max(overlaps)[0] >= SAME_FACE_IOU:
                votes[max(overlaps)[1]] += 1
        return votes.most_common(1)[0][0] if votes else None

    def right(self, client: Client) -> float:
        """Share of the truth's face-frames that carry the right name: a track under that name has a face there, two sampling steps away at most."""
        labelled = []
        for row in rows(client, "track_list", episode="1"):
            if not row["excluded"]:
                boxes = client.call("track_show", {"track_id": row["track_id"]})["boxes"]
                labelled += [(box, row["person"]) for box in boxes if row["start_us"] <= box["t_us"] < row["end_us"]]
        correct = total = 0
        for frame, faces in self.truth.items():
            t_us = frame / self.fps * 1e6
            near = [(box, name) for box, name in labelled if abs(box["t_us"] - t_us) <= NEAR_US]
            for name, box in faces:
                total += 1
                correct += any(who == name and iou(box, [face[side] for side in ("x1", "y1", "x2", "y2")]) >= SAME_FACE_IOU for face, who in near)
        return correct / total


def iou(a: list[float], b: list[float]) -> float:
    """Overlap of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def rows(client: Client, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.call(name, {**parameters, "cursor": cursor})
        found += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def analyse(folder: Path) -> Analysed:
    """Make the episode and analyse it with the embedded models, joining whatever is not seen apart: a start with much to correct."""
    from tools.demo.compose import write_episode
    from tools.demo.shots import EPISODE

    video = write_episode(folder, tuple(shot for shot in EPISODE if shot.name in SHOTS), seed=5)
    home = folder / "home"
    settings = ["--set", "models.profile=embedded", "--set", "identity.join_log_odds=-30"]
    command = [sys.executable, "-m", "tools.cli", "--home", str(home)]
    subprocess.run([*command, "run", str(video), "--json", *settings], check=True, capture_output=True)
    client = Client(home, "person:pat")
    for event in client.events(after=0):
        # The first questions come a moment after the analysis.
        if client.call("queue_list", {})["rows"] or event["kind"] == "settled":
            break
    client.stop()
    made = json.loads(video.with_suffix(".json").read_text())
    names = [person["id"] for person in made["people"]]
    truth: dict[int, list[tuple[str, list[float]]]] = {}
    for frame, person, box, counts in zip(*(made["faces"][name] for name in ("frame", "person", "box", "counts")), strict=True):
        if not counts:
            continue  # too small a part of it is in the picture
        truth.setdefault(frame, []).append((person if isinstance(person, str) else names[person], box))
    return Analysed(home, truth, made["fps"])


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def over_stdio(home: Path, *flags: str, agent: str = "bot") -> StdioServerParameters:
    """`rollcall mcp`."""
    return StdioServerParameters(
        command=sys.executable, args=["-m", "tools.cli", "--home", str(home), "mcp", "--agent", agent, *flags], env=dict(os.environ)
    )


@asynccontextmanager
async def connected(home: Path, *flags: str, agent: str = "bot", mode: str = "auto") -> AsyncIterator[Mcp]:
    """A client of `rollcall mcp`."""
    async with Mcp(over_stdio(home, *flags, agent=agent), mode=mode) as client:  # type: ignore[arg-type]
        yield client


@asynccontextmanager
async def connected_http(port: int, token: str, mode: str = "auto") -> AsyncIterator[Mcp]:
    """A client of an engine that serves agents."""
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http,
        Mcp(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http), mode=mode) as client,  # type: ignore[arg-type]
    ):
        yield client


class Scripted:
    """Answers the queue over MCP alone, by the truth; no model."""

    def __init__(self, mcp: Mcp, analysed: Analysed) -> None:
        self._mcp = mcp
        self._analysed = analysed
        self.answers = 0

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must not refuse."""
        result = await self._mcp.call_tool(tool, arguments)
        text = result.content[0].text  # type: ignore[union-attr]
        assert not result.is_error, text
        value: dict[str, Any] = json.loads(text)
        return value

    async def who(self, ref: str) -> str | None:
        """Whom a track shows."""
        shown = await self.ask("track_show", track_id=int(ref.split("@")[0]), pictures=False)
        return self._analysed.who(shown["boxes"])

    async def work(self, patience_s: float = 30.0) -> None:
        """Answer until nothing is asked any more."""
        with anyio.fail_after(patience_s * 4):
            while True:
                found = await self.ask("queue_next", episode="1", pictures=False)
                if found.get("item"):
                    await self._answer(found["item"])
                elif not found["pending"]:
                    return
                else:
                    await anyio.sleep(0.3)

    async def _answer(self, item: dict[str, Any]) -> None:
        for asked in item["asked"]:
            refs = asked["shown"]
            if "cluster_id" in asked:
                refs = [row["ref"] for row in (await self.ask("track_list", episode="1", cluster_id=asked["cluster_id"], limit=200))["rows"]]
            people = {ref: await self.who(ref) for ref in refs}
            known = Counter(name for name in people.values() if name is not None)
            most = known.most_common(1)[0][0] if known else None
            if most is not None and "cluster_id" in asked:
                await self._change("cluster_assign", cluster_id=asked["cluster_id"], person=most, create=True)
            for name in {*people.values()}:
                tracks = [ref for ref, who in people.items() if who == name]
                if name is None:
                    await self._change("track_exclude", tracks=tracks)
                elif name != most or "cluster_id" not in asked:
                    await self._change("track_assign", tracks=tracks, person=name, create=True)

    async def _change(self, tool: str, **arguments: Any) -> None:
        self.answers += 1
        await self.ask(tool, reason="it is so", **arguments)
