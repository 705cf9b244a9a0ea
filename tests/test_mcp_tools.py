"""The tools as an agent reads them: definitions held by a golden file and a budget, answers that fit a context, refusals as sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import wire
from engine.errors import BadInput
from tools.mcp import answers, definitions
from tools.mcp.selection import TOOLSETS, Selection, offered, toolset

GOLDEN = Path(__file__).parent / "mcp_tools.json"
BUDGET_TOKENS = 6000
CHARACTERS_A_TOKEN = 4


def wire_form(selection: Selection) -> list[dict[str, Any]]:
    return [definitions.tool(op).model_dump(mode="json", by_alias=True, exclude_none=True) for op in selection.of(wire.operations())]


def test_default_tools_are_those_of_the_golden_file() -> None:
    """A changed definition is a change for every agent: it is reviewed as a diff of `mcp_tools.json` (rewrite it with `just spec`)."""
    assert json.loads(GOLDEN.read_text()) == wire_form(Selection())


def test_default_tools_fit_their_budget() -> None:
    assert len(json.dumps(wire_form(Selection()), ensure_ascii=False)) / CHARACTERS_A_TOKEN <= BUDGET_TOKENS


def test_every_tool_spells_out_all_four_annotations_as_its_effect_has_them() -> None:
    effects = {name: op["effect"] for name, op in wire.operations().items()}
    for tool in wire_form(Selection(("all",))):
        hints = tool["annotations"]
        assert set(hints) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints["readOnlyHint"] == (effects[tool["name"]] == "read")
        assert tool["name"].replace("_", "").isalpha() and tool["description"].endswith(".")


def test_each_operation_is_in_one_toolset_and_destroying_ones_in_none() -> None:
    spec = wire.operations()
    assert {toolset(op) for op in spec.values()} <= set(TOOLSETS)
    assert [name for name in offered(spec) if spec[name]["effect"] == "destroy"] == []


def test_read_only_beats_everything() -> None:
    writes = [op["name"] for op in Selection.parse("all", "person_rename", True).of(wire.operations()) if op["effect"] != "read"]
    assert writes == []


def test_tools_named_alone_are_offered_alone() -> None:
    assert [op["name"] for op in Selection.parse(None, "show_list, track_list", False).of(wire.operations())] == ["track_list", "show_list"]
    with pytest.raises(BadInput, match="no_such"):
        Selection.parse(None, "no_such", False).of(wire.operations())
    with pytest.raises(BadInput, match="weather"):
        Selection.parse("weather", None, False).of(wire.operations())


def test_schemas_hold_no_reference_and_no_null() -> None:
    text = json.dumps([tool["inputSchema"] for tool in wire_form(Selection(("all",)))])
    assert "$ref" not in text and "$defs" not in text and '"null"' not in text and '"title":' not in text.replace('"title": {', "")


def test_answers_too_long_are_cut_at_a_row_and_say_how_to_go_on() -> None:
    rows = [{"track_id": n, "person": "Ana " * 20} for n in range(1000)]
    shown = answers.capped({"rows": rows, "next_cursor": "1000"})
    assert len(answers.text(shown)) <= answers.MOST_CHARACTERS
    assert shown["rows"] == rows[: len(shown["rows"])]
    assert f"{len(shown['rows'])} of 1000 rows shown; ask again with limit {len(shown['rows'])}" in shown["cut"]
    assert "next_cursor" not in shown


def test_one_value_too_long_is_cut_too() -> None:
    assert len(answers.text(answers.capped({"text": "x" * 100_000}))) <= answers.MOST_CHARACTERS


def test_short_answers_are_left_whole_without_nulls_and_long_fractions() -> None:
    assert answers.compact({"a": None, "b": [1 / 3, {"c": None}], "d": 0}) == {"b": [0.3333, {}], "d": 0}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(wire_form(Selection()), indent=1, ensure_ascii=False) + "\n")
