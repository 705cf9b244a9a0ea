"""What the terminal was sent adds up to what the screens hold: nothing that is gone stays on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import get_character_cell_size
from textual.widgets._toast import ToastRack

from app.app import RollcallApp
from app.widgets.player import Player
from tests.screens import driven

pytestmark = pytest.mark.anyio

PIECE = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[?\d;]*[A-Za-z]|(.)", re.DOTALL)
SIZE = (80, 24)


class Terminal:
    """The cells of a terminal, as what it was sent made them."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], str] = {}

    def take(self, sent: str) -> None:
        """Move and write."""
        x = y = 0
        for piece in PIECE.finditer(sent):
            row, column, char = piece.groups()
            if row:
                y, x = int(row) - 1, int(column) - 1
            elif char == "\n":
                y, x = y + 1, 0
            elif char:
                self.cells[y, x] = char
                x += get_character_cell_size(char)

    def text(self, width: int, height: int) -> str:
        """What is read on it."""
        return "\n".join("".join(self.cells.get((y, x), " ") for x in range(width)).rstrip() for y in range(height))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that gets what the app paints."""
    made, display = Terminal(), RollcallApp._display

    def taken(app: RollcallApp, screen: Any, update: Any) -> None:
        if hasattr(update, "render_segments"):
            made.take(update.render_segments(app.console))
        display(app, screen, update)

    monkeypatch.setattr(RollcallApp, "_display", taken)
    return made


async def test_what_a_layout_uncovers_is_painted(home: Path, terminal: Terminal) -> None:
    """Something goes, and between that and the layout the map of widgets is asked for: so it was where an expired toast stayed on the terminal."""
    async with driven(home, size=SIZE) as driver:
        driver.app.go("review", episode=1)
        await driver.until(lambda: driver.place.item)  # type: ignore[attr-defined]
        await driver.settled()
        driver.app.notify("a toast that comes over the question", timeout=60)
        await driver.until(lambda: "a toast" in terminal.text(*SIZE))
        await driver.pilot.pause(0.3)
        assert terminal.text(*SIZE) == driver.text()
        place = driver.place
        place._compositor.update_widgets({place.query_one(Player)})  # a refresh of what is not shown: the toolkit doubts its map of widgets
        place.query_one(ToastRack).display = False
        assert place in place._compositor  # asked at every update of a widget: the map is made anew
        place._refresh_layout()
        await driver.pilot.pause(0.3)
        assert "a toast" not in driver.text()
        assert terminal.text(*SIZE) == driver.text()
