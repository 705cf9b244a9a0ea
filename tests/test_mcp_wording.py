"""What agents read: refusals that name tools and parameters, not command lines; pictures that say what they show."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp.types import TextContent

from engine import wire
from engine.errors import BadInput, NotFound
from tools.mcp import pictures
from tools.mcp.wording import spoken


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("`rollcall track list --episode EPISODE` lists them.", "`track_list(episode=EPISODE)` lists them."),
        ("`rollcall episode analyse 3` does it.", "`episode_analyse(episode=3)` does it."),
        ("`rollcall person list` lists everybody; --create makes somebody new.", "`person_list` lists everybody; `create` makes somebody new."),
        ("`rollcall show list` lists them; `rollcall show add` makes one.", "`show_list` lists them; `show_add` makes one."),
        ("Give --at-s SECONDS, or --detections of one of the people.", "Give `at_s`, or `detections` of one of the people."),
        ("Say whose decisions: --by kind:name.", "Say whose decisions: `by` kind:name."),
        ("A person can unlock it with `rollcall track unlock`, or say --force.", "A person can unlock it with `track_unlock`, or say `force`."),
        ("`rollcall export create --format corrections.json` writes one.", "`export_create(format=corrections.json)` writes one."),
        ("`rollcall no such` is left as it is.", "`rollcall no such` is left as it is."),
        ("Set agents.port to another one.", "Set agents.port to another one."),
    ],
)
def test_next_steps_name_tools_and_parameters(hint: str, said: str) -> None:
    assert spoken(NotFound("There is none.", hint), wire.operations()) == f"There is none. {said}"


def test_what_somebody_is_called_is_left_as_it_is() -> None:
    assert spoken(BadInput("Nobody is called 'Ann --force `rollcall track list`'."), wire.operations()) == (
        "Nobody is called 'Ann --force `rollcall track list`'."
    )


def test_pictures_of_an_item_say_which_part_they_are_of() -> None:
    """What a model must know to answer different people by different calls."""
    parts = [{"shown": ["7", "8@1-2"], "candidates": []}, {"shown": ["9", "8@2-3"], "candidates": []}]
    asked: list[dict[str, Any]] = []

    async def ask(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation == "queue_next":
            return {"item": {"asked": parts}, "left": 0, "pending": False}
        asked.append(parameters)
        row = {"of": "track", "t_us": 1_500_000, "person_id": 1, "person": 'Ann "x"', "probability": 0.5, "decided": False, "jpeg_base64": "/9j/"}
        person = {**row, "of": "person", "track_id": 3, "person_id": 2, "person": "Bea", "probability": 0.25}
        return {"pictures": [*({**row, "track_id": track} for track in (7, 8, 9)), person], "sheet_base64": None, "beside": []}

    result = anyio.run(pictures.answer, ask, "queue_next", {"episode": "1"})
    labels = [block.text for block in result.content if isinstance(block, TextContent)][2:]
    assert asked[0]["tracks"] == ["7", "8@1-2", "9", "8@2-3"]
    assert labels == [
        'Part 1: track 7 at 1.50 s, taken for "Ann \\"x\\"" (by the machine, probability 0.50):',
        'Track 8 at 1.50 s, taken for "Ann \\"x\\"" (by the machine, probability 0.50):',
        'Part 2: track 9 at 1.50 s, taken for "Ann \\"x\\"" (by the machine, probability 0.50):',
        'Compare: "Bea", person 2, from track 3 (named by the machine; the machine holds them for track 7 at 0.25):',
    ]
