"""What the terminal was sent adds up to what the screens hold: nothing that is gone stays on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import get_character_cell_size

from app.app import RollcallApp
from app.widgets.faces import Faces
from engine.wire import Client
from tests.screens import copied, driven

pytestmark = pytest.mark.anyio

PIECE = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[?\d;]*[A-Za-z]|(.)", re.DOTALL)
SMALL = (40, 10)


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
def home(library: Path, tmp_path: Path) -> Iterator[Path]:
    made = copied(library, tmp_path)
    yield made
    Client(made).stop()


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


async def test_an_expired_toast_leaves_the_terminal(home: Path, terminal: Terminal) -> None:
    async with driven(home) as driver:
        driver.app.go("review", episode=1)
        await driver.until(lambda: driver.place.item)  # type: ignore[attr-defined]
        await driver.settled()
        await driver.pilot.resize_terminal(*SMALL)
        await driver.settled()
        driver.app.notify("the first of two toasts that come over the question", timeout=1.5)
        driver.app.notify("the second of two toasts that come over the question", timeout=1.5)
        await driver.until(lambda: "second of" in terminal.text(*SMALL))
        driver.place.query_one(Faces).refresh()  # it has no room here, so the toolkit doubts its map of widgets
        await driver.pilot.pause(0.2)
        await driver.until(lambda: not list(driver.app._notifications) and "second of" not in driver.text(), "the end of the toasts")
        await driver.pilot.pause(0.3)
        assert terminal.text(*SMALL) == driver.text()
