"""Every key of the table does its action, in every place the action belongs to; what cannot be done says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import keys
from app.app import RollcallApp
from app.screens.base import MANY, Place
from tests.screens import Driver, driven

pytestmark = pytest.mark.anyio

TAB_PLACES = {"results": ["results"], "tracks": ["faces"], "identities": ["faces"], "detections": ["detections"]}
PLAIN_PLACES = {"library": ["library"], "jobs": ["jobs"], "health": ["health"], "people": ["people"], "review": ["review"], "audit": ["audit"]}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What actions keys reached, in order; they are noted instead of done, so that each key meets the same screen."""
    noted: list[tuple[str, int]] = []

    def note(self: Any, name: str, number: int = 0) -> None:
        noted.append((name, number))

    monkeypatch.setattr(Place, "action_do", note)
    monkeypatch.setattr(RollcallApp, "action_do", note)
    return noted


def expected(action: keys.Action) -> list[tuple[str, tuple[str, int]]]:
    pressed = action.keys.split(",")
    return [(key, (action.id, number if action.verb == MANY else 0)) for number, key in enumerate(pressed, 1)]


async def press_all(driver: Driver, places: list[str], calls: list[tuple[str, int]]) -> None:
    table = driver.app.keys
    own = [action for place in places for action in table.of(place)]
    taken = {key for action in own for key in action.keys.split(",")}
    # A place's own key goes before one that works everywhere or in lists.
    others = [action for action in table.of("list", "everywhere")]
    for action in [*own, *others]:
        for key, call in expected(action):
            if action not in own and key in taken:
                continue
            if action.place == "list" and "list" not in driver.place.places:
                continue
            calls.clear()
            await driver.press(key)
            assert calls == [call], f"{key} in {places}"


@pytest.mark.parametrize("name", PLAIN_PLACES)
async def test_keys_of_places(name: str, home: Path, calls: list[tuple[str, int]]) -> None:
    async with driven(home) as driver:
        driver.app.go(name)
        await driver.until(lambda: type(driver.place).__name__.lower() == name)
        await driver.settled()
        await press_all(driver, PLAIN_PLACES[name], calls)


async def test_keys_of_episode_tabs(home: Path, calls: list[tuple[str, int]]) -> None:
    async with driven(home) as driver:
        for tab, places in TAB_PLACES.items():
            await driver.open_episode(tab)
            await press_all(driver, [*places, "episode"], calls)


async def test_keys_of_moments_proposals_and_choosing(home: Path, calls: list[tuple[str, int]]) -> None:
    from app.screens.choosing import Choosing
    from app.screens.moment import Moment
    from app.screens.proposals import Proposals

    async with driven(home) as driver:
        driver.app.push_screen(Moment("1", 0, 1_000_000))
        await driver.until(lambda: isinstance(driver.place, Moment))
        await driver.settled()
        await press_all(driver, ["moment"], calls)
        row = {"ref": "100000", "person": "Ana", "probability": 0.9, "start_us": 0, "end_us": 1_000_000}
        driver.app.push_screen(Proposals())
        await driver.until(lambda: isinstance(driver.place, Proposals))
        await driver.settled()
        await press_all(driver, ["proposals"], calls)
        driver.app.push_screen(Choosing("Also Ana?", [row], dismiss=True))
        await driver.until(lambda: isinstance(driver.place, Choosing))
        await driver.settled()
        await press_all(driver, ["choosing"], calls)


def test_every_place_of_the_table_is_pressed_somewhere() -> None:
    pressed = {place for places in (*TAB_PLACES.values(), *PLAIN_PLACES.values()) for place in places}
    assert {action.place for action in keys.ACTIONS} == pressed | {"everywhere", "list", "episode", "moment", "choosing", "proposals"}


def test_no_key_stands_for_two_things_and_every_action_is_explained() -> None:
    assert keys.clashes(keys.fixed()) == []
    assert len(keys.fixed()) == len(keys.ACTIONS)
    for action in keys.ACTIONS:
        assert action.doc.endswith(".") and action.doc[0].isupper(), action.id


def test_operators_file_changes_keys_and_its_faults_are_told(tmp_path: Path) -> None:
    (tmp_path / keys.FILE_NAME).write_text('"review.skip" = "z"\n"library.add" = "s"\n"nowhere.at_all" = "x"\n')
    found = keys.Keys.read(tmp_path)
    assert found.table["review.skip"].keys == "z"
    assert any("nowhere.at_all" in fault for fault in found.faults)
    assert any("library.add" in fault and "library.analyse" in fault for fault in found.faults)
    (tmp_path / keys.FILE_NAME).write_text("not toml")
    broken = keys.Keys.read(tmp_path)
    assert broken.table == keys.fixed() and broken.faults


async def test_changed_key_works_and_is_what_footer_and_help_show(home: Path) -> None:
    (home / keys.FILE_NAME).write_text('"library.show" = "z"\n"everywhere.help" = "f9"\n')
    async with driven(home) as driver:
        assert "z new show" in driver.text()
        await driver.press("z")
        await driver.until(lambda: "show add" in driver.text())
        await driver.press("escape")
        await driver.press("f9")
        await driver.until(lambda: "Keys" in driver.text())
        assert " z " in driver.text()


async def test_what_cannot_be_done_says_why(home: Path) -> None:
    async with driven(home) as driver:
        await driver.press("home", "s")
        await driver.said("Put the cursor on an episode first")
        await driver.press("ctrl+l")
        await driver.said("It comes with live capture")
        await driver.press("J")
        await driver.until(lambda: type(driver.place).__name__ == "Jobs")
        await driver.settled()
        await driver.press("c")
        await driver.said("has ended (done)")
        await driver.press("u")
        await driver.said("There is no decision of yours to undo")
