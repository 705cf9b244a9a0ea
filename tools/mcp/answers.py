"""What a tool answers: compact JSON, cut to what a context can hold with a hint how to get the rest, and errors as sentences."""

from __future__ import annotations

import json
from typing import Any

from mcp.types import CallToolResult, ContentBlock, TextContent

from engine.errors import RollcallError
from tools.mcp.wording import spoken

MOST_CHARACTERS = 40_000
"""About 10,000 tokens; common clients refuse a result of more than 25,000."""

DECIMALS = 4
FILES = ("chip", "picture")


def compact(value: Any) -> Any:
    """The value without what says nothing to a model: nulls and the places of picture files are left out, fractions rounded."""
    if isinstance(value, dict):
        return {key: compact(item) for key, item in value.items() if item is not None and key not in FILES}
    if isinstance(value, list):
        return [compact(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def text(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def capped(value: dict[str, Any], most: int = MOST_CHARACTERS) -> dict[str, Any]:
    """The value with its longest lists shortened until it fits; `cut` says what is missing and how to get it."""
    value, cut = dict(value), dict[str, tuple[int, int]]()
    while len(text(value)) > most:
        lists = {name: item for name, item in value.items() if isinstance(item, list) and len(item) > 1}
        if not lists:
            return {"cut": f"The answer has {len(text(value))} characters, too many to show. Ask for less.", "start": text(value)[: most // 2]}
        name = max(lists, key=lambda key: len(text(lists[key])))
        whole = cut[name][1] if name in cut else len(lists[name])
        value[name] = lists[name][: len(lists[name]) // 2]
        cut[name] = (len(value[name]), whole)
        value["cut"] = " ".join(_hint(key, *counts, "next_cursor" in value) for key, counts in cut.items())
    if cut and "next_cursor" in value:
        # The cursor points past rows that were not shown.
        del value["next_cursor"]
    return value


def _hint(name: str, shown: int, whole: int, paged: bool) -> str:
    return f"{shown} of {whole} {name} shown; " + (f"ask again with limit {shown} and go on by cursor." if paged else "ask for a smaller part.")


def success(value: dict[str, Any]) -> CallToolResult:
    """Data: the text and the structure say the same."""
    shown = capped(compact(value))
    return CallToolResult(content=[TextContent(text=text(shown))], structured_content=shown)


def with_pictures(value: dict[str, Any], pictures: list[ContentBlock]) -> CallToolResult:
    """Data and pictures; no structured content, since clients that get both show the model only that."""
    return CallToolResult(content=[TextContent(text=text(capped(compact(value)))), *pictures])


def failure(error: RollcallError, spec: dict[str, dict[str, Any]]) -> CallToolResult:
    """A refusal the model can act on: code, sentence, next step."""
    return CallToolResult(content=[TextContent(text=f"{error.code}: {spoken(error, spec)}")], is_error=True)
