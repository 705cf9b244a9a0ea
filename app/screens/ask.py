"""Small questions over a screen: yes or no, a line of text, a person."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app.paint import Line, clean, fit, percent, wrap
from app.widgets.panel import Panel
from app.widgets.rows import Rows

BOX = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > .box {{ width: 90%; max-width: 76; height: auto; max-height: 90%; background: $panel; border: round $primary; padding: 0 1; }}
{name} Input {{ border: none; height: 1; padding: 0; background: $surface; }}
{name} Input:focus {{ border: none; background-tint: transparent 0%; }}
"""


class Ask(ModalScreen[bool]):
    """A question with its reason; y answers yes, everything else no."""

    DEFAULT_CSS = BOX.format(name="Ask")
    BINDINGS: ClassVar = [Binding("y", "answer(True)", show=False), Binding("n,escape,enter,q", "answer(False)", show=False)]

    def __init__(self, reason: str, question: str) -> None:
        super().__init__()
        self._reason, self._question = reason, question

    def compose(self) -> ComposeResult:
        panel = Panel(self._draw, on="panel")
        panel.styles.height = len(wrap(clean(self._reason), 70)) + 4
        yield Vertical(panel, classes="box")

    def _draw(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[(line, "text")] for line in wrap(clean(self._reason), width)]
        keys: Line = [("y", "key", "screen.answer(True)"), (" yes    ", "dim"), ("n", "key", "screen.answer(False)"), (" no", "dim")]
        return [*lines, [], [(self._question, "strong")], keys]

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class OneLine(ModalScreen[str | None]):
    """Asks for one line of text."""

    DEFAULT_CSS = BOX.format(name="OneLine")
    BINDINGS: ClassVar = [Binding("escape", "leave", show=False)]

    def __init__(self, question: str, value: str = "", hint: str = "enter takes it, esc leaves it") -> None:
        super().__init__()
        self._question, self._value, self._hint = question, value, hint

    def compose(self) -> ComposeResult:
        title = Panel(lambda width, height: [[(clean(self._question), "strong")]], on="panel")
        title.styles.height = 1
        hint = Panel(lambda width, height: [[], [(self._hint, "dim")]], on="panel")
        hint.styles.height = 2
        yield Vertical(title, Input(self._value), hint, classes="box")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        self.dismiss(text or None)

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class WhoInput(Input):
    """A line whose up and down move in the list below it."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(placeholder="type a name")
        self._rows = rows

    def on_key(self, event: events.Key) -> None:
        moves = {"down": self._rows.do_down, "up": self._rows.do_up, "pagedown": self._rows.do_page_down, "pageup": self._rows.do_page_up}
        if event.key in moves:
            event.stop()
            event.prevent_default()
            moves[event.key]()


class Who(ModalScreen[dict[str, Any] | None]):
    """Picks a person: the likely ones first, everybody of the show below, or a new name. Answers {person, create}."""

    DEFAULT_CSS = BOX.format(name="Who") + "Who Rows { height: 12; max-height: 50vh; }"
    BINDINGS: ClassVar = [Binding("escape", "leave", show=False)]

    def __init__(self, question: str, people: list[dict[str, Any]], likely: list[dict[str, Any]] = [], *, new: bool = True) -> None:  # noqa: B006 (never changed)
        super().__init__()
        self._question, self._new = question, new
        chances = {row["person_id"]: row["probability"] for row in likely if row["person_id"] is not None}
        self._people = sorted(
            ({**person, "probability": chances.get(person["person_id"])} for person in people),
            key=lambda p: (-(p["probability"] or 0.0), p.get("kind") == "unknown", clean(p["name"]).lower()),
        )

    def compose(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda row: row["person_id"])
        self.rows.can_focus = False
        title = Panel(lambda width, height: [[(clean(self._question), "strong")]], on="panel")
        title.styles.height = 1
        words = "enter takes it, esc leaves it" + ("; a new name makes a new person" if self._new else "")
        hint = Panel(lambda width, height: [[(words, "dim")]], on="panel")
        hint.styles.height = 1
        yield Vertical(title, WhoInput(self.rows), self.rows, hint, classes="box")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value.strip())

    def _fill(self, text: str) -> None:
        words = text.lower().split()
        found = [person for person in self._people if all(word in " ".join([person["name"], *person.get("aliases", ())]).lower() for word in words)]
        exact = any(person["name"].lower() == text.lower() for person in found)
        if text and self._new and not exact:
            found = [*found, {"person_id": None, "name": text, "probability": None}]
        self.rows.empty = [("nobody of that name", "dim")]
        self.rows.set_rows(found)
        self.rows.cursor = 0
        self.rows.refresh()

    def _line(self, row: dict[str, Any], width: int) -> Line:
        if row["person_id"] is None:
            return [("new person: ", "accent"), (clean(row["name"]), "strong")]
        chance = "" if row["probability"] is None else percent(row["probability"])
        return [(fit(clean(row["name"]), max(8, width - 24)), "text"), (f"{chance:>6}", "accent"), (f"{row.get('visual_s', 0.0):10.1f} s", "dim")]

    def on_input_submitted(self) -> None:
        row = self.rows.current
        if row is not None:
            self.dismiss(
                {
                    "person": row["name"] if row["person_id"] is None else str(row["person_id"]),
                    "name": row["name"],
                    "create": row["person_id"] is None,
                }
            )

    def on_rows_opened(self, event: Rows.Opened) -> None:
        self.on_input_submitted()

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
