"""All keys that work where one is, and what they do: the key table, drawn."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.keys import FILE_NAME, Action, all_shown
from app.paint import Line, fit, wrap
from app.screens.ask import BOX
from app.screens.base import Place
from app.widgets.panel import Panel

TITLES = {"everywhere": "everywhere", "list": "in lists", "faces": "faces and clusters"}


class Help(ModalScreen[None]):
    """The keys of a place, then those of lists, then those that work everywhere. Paler ones cannot be done now; the reason is beside them."""

    DEFAULT_CSS = BOX.format(name="Help") + "Help > .box { height: 90%; max-width: 100; } "
    BINDINGS: ClassVar = [
        Binding("escape,question_mark,f1,q,enter", "leave", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,space", "move(12)", show=False),
        Binding("pageup", "move(-12)", show=False),
    ]

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        self._panel = Panel(self._draw, on="panel")
        yield Vertical(self._panel, classes="box")

    def _draw(self, width: int, height: int) -> list[Line]:
        keys = self._place.rollcall.keys
        lines: list[Line] = [
            [("Keys", "title"), ("   ↑↓ scrolls, esc leaves", "dim")],
            [(f"your own: {FILE_NAME} in the workspace; H shows where that is", "faint")],
        ]
        for place in [*self._place.places, "everywhere"]:
            actions = keys.of(place)
            if actions:
                lines += [[], [(TITLES.get(place, place), "accent")]]
            for action in actions:
                lines += self._action(action, width)
        return lines

    def _action(self, action: Action, width: int) -> list[Line]:
        reason = self._place.reason(action)
        text = wrap(action.doc + (f" ({reason})" if reason else ""), max(20, width - 14))
        first: Line = [(fit(all_shown(action), 13), "key" if reason is None else "faint"), (text[0], "text" if reason is None else "faint")]
        return [first, *([(" " * 13, "text"), (line, "text" if reason is None else "faint")] for line in text[1:])]

    def action_move(self, by: int) -> None:
        """Scroll."""
        self._panel.scroll_lines(by)

    def on_mouse_scroll_down(self) -> None:
        self._panel.scroll_lines(3)

    def on_mouse_scroll_up(self) -> None:
        self._panel.scroll_lines(-3)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
