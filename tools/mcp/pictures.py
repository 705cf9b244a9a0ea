"""Tools that answer with pictures: faces of what is to be decided beside the people it may be, each with its label before it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from tools.mcp import answers

MOST = 6
"""Pictures of what is to be decided; those of likely people come on top."""

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(operation, parameters) -> result, for the agent that asked."""

ARGUMENTS = {
    "pictures": {"type": "boolean", "default": True, "description": "With pictures of the faces and of the people they may be."},
    "frame": {"type": "boolean", "default": False, "description": "With the whole frame around the first face."},
}
"""What tools with pictures take besides their operation's parameters."""


def _of_track(result: dict[str, Any]) -> list[str]:
    return [str(result.get("ref") or result.get("track") or result["track_id"])]


def _of_cluster(result: dict[str, Any]) -> list[str]:
    return _spread([str(member.get("ref") or member["track_id"]) for member in result["members"]])


def _of_item(result: dict[str, Any]) -> list[str]:
    item = result.get("item") if isinstance(result.get("item"), dict) else result
    return _spread([str(track) for track in (item or {}).get("tracks", ())])


SHOWN: dict[str, Callable[[dict[str, Any]], list[str]]] = {"track_show": _of_track, "cluster_show": _of_cluster, "queue_next": _of_item}
"""Tools that show pictures, and which tracks of their result."""

LEFT_OUT = {"track_show": ("boxes", "picture"), "cluster_show": ("picture",)}
"""Parts of results that are for programs on this machine: boxes of every frame, paths."""


def _spread(tracks: list[str]) -> list[str]:
    """At most MOST of them, evenly."""
    if len(tracks) <= MOST:
        return tracks
    return [tracks[round(n * (len(tracks) - 1) / (MOST - 1))] for n in range(MOST)]


async def answer(ask: Ask, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    """Run the operation and show what it is about.

    Raises:
        RollcallError: what the operation raised.
    """
    sent = {name: value for name, value in arguments.items() if name not in ARGUMENTS}
    result = await ask(tool, sent)
    kept = {name: value for name, value in result.items() if name not in LEFT_OUT.get(tool, ())}
    tracks = SHOWN[tool](result)
    blocks: list[ContentBlock] = []
    if tracks and arguments.get("pictures", True):
        blocks += await _faces(ask, tracks, _people(result))
    if tracks and arguments.get("frame"):
        frame = await ask("frame_read", {"track": tracks[0]})
        blocks += [TextContent(text=f"The frame around track {tracks[0]}, its face framed:"), _image(frame["base64"])]
    return answers.with_pictures(kept, blocks) if blocks else answers.success(kept)


def _people(result: dict[str, Any]) -> list[int] | None:
    """The people a result names as candidates; None leaves the choice to the operation."""
    item = result.get("item") if isinstance(result.get("item"), dict) else result
    named = [row["person_id"] for row in (item or {}).get("candidates", ()) if row.get("person_id") is not None]
    return named[:3] or None


async def _faces(ask: Ask, tracks: list[str], people: list[int] | None) -> list[ContentBlock]:
    found = await ask("picture_list", {"tracks": tracks, "limit": MOST, "people": people})
    blocks: list[ContentBlock] = []
    for picture in found["pictures"]:
        blocks += [TextContent(text=_label(picture)), _image(picture["jpeg_base64"])]
    others = "; ".join(f"{_who(row)} (track {row['track_id']}, {row['seconds']:.1f} s)" for row in found["beside"])
    said = f"{len(found['pictures'])} pictures, each after its label. In the same picture meanwhile: {others or 'nobody else'}."
    return [TextContent(text=said), *blocks]


def _label(picture: dict[str, Any]) -> str:
    chance = f", probability {picture['probability']:.2f}" if picture["probability"] is not None else ""
    if picture["of"] == "track":
        by = "decided" if picture["decided"] else f"by the machine{chance}"
        return f"Track {picture['track_id']} at {picture['t_us'] / 1e6:.2f} s, taken for {_who(picture)} ({by}):"
    by = "decided" if picture["decided"] else "named by the machine"
    return f"Compare: {_who(picture)}, person {picture['person_id']}, from track {picture['track_id']} ({by}){chance}:"


def _who(row: dict[str, Any]) -> str:
    """A name as quoted data, whatever it says."""
    return json.dumps(row["person"], ensure_ascii=False) if row["person"] is not None else "nobody"


def _image(base64: str) -> ImageContent:
    return ImageContent(data=base64, mime_type="image/jpeg")
