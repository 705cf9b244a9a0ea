"""Tools that answer with pictures: faces of what is to be decided beside the people it may be, each with its label before it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from tools.mcp import answers

MOST = 6
"""Pictures of what is to be decided, sent one by one; more come as one sheet."""

PEOPLE = 4
"""Likely people shown beside them."""

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
    """All faces of an item, since each may have to be left out of the answer."""
    return [str(track) for asked in (result["item"] or {"asked": ()})["asked"] for track in asked["shown"]]


def _parts(result: dict[str, Any]) -> dict[int, int]:
    """Which part of an item a track belongs to, from 1; nothing where there is only one part, nor for tracks cut between several."""
    asked = (result.get("item") or {}).get("asked", ())
    found = [(int(ref.split("@")[0]), number) for number, part in enumerate(asked, 1) for ref in part["shown"]]
    parts = {track: {number for one, number in found if one == track} for track, _ in found}
    return {track: min(numbers) for track, numbers in parts.items() if len(numbers) == 1} if len(asked) > 1 else {}


SHOWN: dict[str, Callable[[dict[str, Any]], list[str]]] = {"track_show": _of_track, "cluster_show": _of_cluster, "queue_next": _of_item}
"""Tools that show pictures, and which tracks of their result."""


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
    kept = {**result, "boxes": _thinned(result["boxes"])} if "boxes" in result else result
    tracks = SHOWN[tool](result)
    blocks: list[ContentBlock] = []
    if tracks and arguments.get("pictures", True):
        blocks += await _faces(ask, tracks, _people(result), _parts(result))
    if tracks and arguments.get("frame"):
        frame = await ask("track_frame", {"track": tracks[0]})
        blocks += [TextContent(text=f"The frame around track {tracks[0]}, its face framed:"), _image(frame["base64"])]
    return answers.with_pictures(kept, blocks) if blocks else answers.success(kept)


def _thinned(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few of a track's faces, first and last among them: where to look in a frame."""
    chosen = boxes if len(boxes) <= MOST else [boxes[round(n * (len(boxes) - 1) / (MOST - 1))] for n in range(MOST)]
    return [{name: box[name] for name in ("t_us", "x1", "y1", "x2", "y2", "quality")} for box in chosen]


def _people(result: dict[str, Any]) -> list[int] | None:
    """The people a result names as candidates; None leaves the choice to the operation."""
    asked = (result.get("item") or {}).get("asked") or [result]
    named = [row["person_id"] for one in asked for row in one.get("candidates", ()) if row.get("person_id") is not None]
    return list(dict.fromkeys(named))[:PEOPLE] or None


async def _faces(ask: Ask, tracks: list[str], people: list[int] | None, parts: dict[int, int]) -> list[ContentBlock]:
    on_sheet = len(tracks) > MOST
    found = await ask("picture_list", {"tracks": tracks, "limit": max(MOST, len(tracks)), "people": people, "sheet": on_sheet})
    others = "; ".join(f"{_who(row)} (track {row['track_id']}, {row['seconds']:.1f} s)" for row in found["beside"])
    placed = "the first ones numbered on a sheet" if on_sheet else "each after its label"
    said = f"{len(found['pictures'])} pictures, {placed}; the face meant is in the middle."
    blocks: list[ContentBlock] = [TextContent(text=f"{said} In the same picture as track {tracks[0]} meanwhile: {others or 'nobody else'}.")]
    if found["sheet_base64"]:
        numbered = [picture for picture in found["pictures"] if picture["jpeg_base64"] is None]
        lines = [f"{n} {_label(picture, tracks[0], parts)}" for n, picture in enumerate(numbered, 1)]
        blocks += [TextContent(text="\n".join(lines)), _image(found["sheet_base64"])]
    for picture in found["pictures"]:
        if picture["jpeg_base64"] is not None:
            blocks += [TextContent(text=_label(picture, tracks[0], parts)), _image(picture["jpeg_base64"])]
    return blocks


def _label(picture: dict[str, Any], first: str, parts: dict[int, int]) -> str:
    """What a picture shows; `first`: the track that people are compared with, `parts`: of an item, by track."""
    chance = picture["probability"]
    if picture["of"] == "track":
        by = "decided" if picture["decided"] else "by the machine" + (f", probability {chance:.2f}" if chance is not None else "")
        part = f"Part {parts[picture['track_id']]}: track" if picture["track_id"] in parts else "Track"
        return f"{part} {picture['track_id']} at {picture['t_us'] / 1e6:.2f} s, taken for {_who(picture)} ({by}):"
    by = "decided" if picture["decided"] else "named by the machine"
    odds = f"; the machine holds them for track {first} at {chance:.2f}" if chance is not None else ""
    return f"Compare: {_who(picture)}, person {picture['person_id']}, from track {picture['track_id']} ({by}{odds}):"


def _who(row: dict[str, Any]) -> str:
    """A name as quoted data, whatever it says."""
    return json.dumps(row["person"], ensure_ascii=False) if row["person"] is not None else "nobody"


def _image(base64: str) -> ImageContent:
    return ImageContent(data=base64, mime_type="image/jpeg")
