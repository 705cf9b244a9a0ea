"""Any action and any operation by name: type a few letters, enter runs it or opens its form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app import spec, verbs
from app.keys import Action, first
from app.paint import Line, fit
from app.screens.ask import BOX, WhoInput
from app.screens.base import MANY, Place
from app.widgets.rows import Rows

LINK = re.compile(r"(?:rollcall://)?episode/([\w-]+)@(\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Entry:
    """A line of the palette: an action of the key table, or an operation."""

    name: str
    doc: str
    keys: str
    action: Action | None = None
    operation: str | None = None


def entries(place: Place) -> list[Entry]:
    """What can be run from a place: its own actions, those that work everywhere, then every operation of the engine."""
    keys = place.rollcall.keys
    actions = [action for where in (*place.places, "everywhere") if where != "list" for action in keys.of(where)]
    mine = [Entry(f"{a.place} {a.verb}".replace("_", " "), a.doc, first(a), action=a) for a in actions if a.verb != MANY]
    return [*mine, *(Entry(name.replace("_", " ", 1), op["doc"], "", operation=name) for name, op in place.rollcall.operations.items())]


def matching(found: list[Entry], text: str) -> list[Entry]:
    """Entries that hold every word, those whose name starts with the text first."""
    words = text.lower().replace("_", " ").split()
    held = [entry for entry in found if all(word in f"{entry.name} {entry.doc}".lower() for word in words)]
    whole = " ".join(words)
    return sorted(held, key=lambda entry: (not entry.name.startswith(whole), not all(word in entry.name for word in words)))


class Palette(ModalScreen[None]):
    """The palette over a place."""

    DEFAULT_CSS = BOX.format(name="Palette") + "Palette > .box { max-width: 110; } Palette Rows { height: 16; max-height: 60vh; }"
    BINDINGS: ClassVar = [Binding("escape", "leave", show=False)]

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._entries = entries(place)

    def compose(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda entry: entry.name + entry.keys)
        self.rows.can_focus = False
        self.rows.empty = [("no command of that name", "dim")]
        yield Vertical(WhoInput(self.rows), self.rows, classes="box")

    def on_mount(self) -> None:
        box = self.query_one(Input)
        box.placeholder = "a command: type part of its name"
        box.focus()
        self.rows.set_rows(self._entries)

    def _line(self, entry: Entry, width: int) -> Line:
        return [(fit(entry.name, 24), "strong" if entry.action else "text"), (fit(entry.keys, 5), "key"), (entry.doc, "dim")]

    def on_input_changed(self, event: Input.Changed) -> None:
        self.rows.set_rows(matching(self._entries, event.value))
        self.rows.cursor = 0
        self.rows.refresh()

    def on_input_submitted(self) -> None:
        if (link := LINK.fullmatch(self.query_one(Input).value.strip())) is not None:
            from app.screens.moment import Moment

            at_us = round(float(link[2]) * 1e6)
            self.dismiss(None)
            self._place.call_after_refresh(self._place.rollcall.push_screen, Moment(link[1], at_us, at_us))
            return
        entry = self.rows.current
        if entry is None:
            return
        self.dismiss(None)
        place = self._place
        if entry.action is not None:
            run = place.rollcall.action_do if entry.action.place == "everywhere" else place.action_do
            place.call_after_refresh(run, entry.action.id)
        else:
            place.call_after_refresh(open_operation, place, entry.operation)

    def on_rows_opened(self) -> None:
        self.on_input_submitted()

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


def open_operation(place: Place, name: str) -> None:
    """The form of an operation, or its answer at once when there is nothing to fill in."""
    app = place.rollcall
    op = app.operations[name]
    asked = [field for field in spec.fields(op) if field.name != "limit"]

    def show(answer: dict[str, Any]) -> None:
        from app.screens.result import Result

        if op["effect"] == "read":
            app.push_screen(Result(name, answer))
        else:
            verbs.tell(app, answer, f"Done: {name.replace('_', ' ', 1)}.")

    if asked or op["effect"] != "read":
        verbs.form(app, name, place.context(), then=show)
        return

    async def run() -> None:
        answer = await verbs.asked(app, name)
        if answer is not None:
            show(answer)

    place.run_worker(run(), exit_on_error=False)
