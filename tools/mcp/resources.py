"""Resources: pictures, frames and exported files by address, for clients that would rather fetch than be sent."""

from __future__ import annotations

import base64
import re
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from engine.errors import BadInput, RollcallError
from tools.mcp.pictures import Ask

LISTED = 50

TEMPLATES = [
    ResourceTemplate(uri_template="rollcall://picture/{track}", name="picture", description="The best picture of a track.", mime_type="image/jpeg"),
    ResourceTemplate(
        uri_template="rollcall://frame/{track}", name="frame of a track", description="The frame around a track's face.", mime_type="image/jpeg"
    ),
    ResourceTemplate(
        uri_template="rollcall://frame/{episode}/{at_s}", name="frame", description="The frame of an episode at a time.", mime_type="image/jpeg"
    ),
    ResourceTemplate(uri_template="rollcall://report/{export_id}", name="report", description="An exported file."),
]

_TEXT = ("text/", "application/json")
_ADDRESS = re.compile(r"rollcall://(picture|frame|report)/([^/?#]+)(?:/([^/?#]+))?")


FRAME_WIDTH = 640


async def templates() -> ListResourceTemplatesResult:
    """What can be read by address."""
    return ListResourceTemplatesResult(resource_templates=TEMPLATES)


async def listed(ask: Ask) -> ListResourcesResult:
    """The newest exported files."""
    exports = (await ask("export_list", {"limit": LISTED}))["rows"]
    found = []
    for row in exports:
        name, uri = row["path"].rsplit("/", 1)[-1], f"rollcall://report/{row['export_id']}"
        found.append(Resource(uri=uri, name=name, description=f"{row['rows']} rows", size=row["bytes"]))
    return ListResourcesResult(resources=found)


async def read(ask: Ask, uri: str) -> ReadResourceResult:
    """One resource.

    Raises:
        MCPError: there is none, with the sentence that says why.
    """
    try:
        operation, parameters = _asked(uri)
        if operation == "picture_read":
            parameters = {"chip": await _picture(ask, parameters["chip"])}
        file = _file(await ask(operation, parameters))
    except RollcallError as error:
        raise MCPError(INVALID_PARAMS, str(error), {"uri": uri, "code": error.code}) from error
    if file["mime_type"].startswith(_TEXT):
        text = base64.b64decode(file["base64"]).decode(errors="replace")
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=file["mime_type"], text=text)])
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=file["mime_type"], blob=file["base64"])])


def _file(answer: dict[str, Any]) -> dict[str, Any]:
    """A file, or a picture as one."""
    return {"mime_type": "image/jpeg", "base64": answer["data"]} if "data" in answer else answer


async def _picture(ask: Ask, track: str) -> str:
    """The name of a track's best picture; a name stays itself."""
    if not track.split("@")[0].isdigit():
        return track
    shown = await ask("track_show", {"track_id": track.split("@")[0]})
    if not shown["picture"]:
        raise BadInput(f"No picture of track {track} was kept.", f"Read rollcall://frame/{track} instead.")
    return str(shown["picture"]).rsplit("/", 1)[-1]


def _asked(uri: str) -> tuple[str, dict[str, Any]]:
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        raise BadInput(f"{uri!r} is not the address of anything.", "List the resource templates.")
    kind, first, second = match.groups()
    if kind == "picture" and second is None:
        return "picture_read", {"chip": first}
    if kind == "frame" and second is None:
        return "track_frame", {"track": first}
    if kind == "frame":
        return "frame_read", {"episode": first, "at_s": second, "width": FRAME_WIDTH}
    if kind == "report" and second is None:
        return "export_read", {"export_id": first}
    raise BadInput(f"{uri!r} is not the address of anything.", "List the resource templates.")
