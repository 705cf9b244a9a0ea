"""The answer of an operation that has no screen of its own: facts, then tables."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from app.paint import Line, clean, clock, fit, wide, wrap
from app.screens.base import Place, bindings
from app.widgets.rows import Rows

SHORT = 34


class Result(Place):
    """Shows an answer as lines that can be filtered."""

    places = ("list",)
    BINDINGS: ClassVar = bindings("list")

    def __init__(self, name: str, answer: dict[str, Any]) -> None:
        super().__init__()
        self._operation, self._answer = name, answer

    def crumbs(self) -> list[str]:
        return [self._operation.replace("_", " ", 1)]

    def body(self) -> ComposeResult:
        self.rows = Rows(lambda row, width: row[1], key=lambda row: row[0], words=lambda row: "".join(piece[0] for piece in row[1]))
        self.rows.empty = [("nothing", "dim")]
        self.rows.add_class("body")
        yield self.rows

    def on_mount(self) -> None:
        self.rows.set_rows(list(enumerate(lines(self._answer, 150))))
        self.rows.focus()


def lines(answer: dict[str, Any], width: int) -> list[Line]:
    """Plain values first, a line each; then every list of rows as a table."""
    plain = {name: given for name, given in answer.items() if not _rows(given) and name not in ("data", "rows", "next_cursor")}
    room = max((len(name) for name in plain), default=0)
    made: list[Line] = []
    for name, given in plain.items():
        text = wrap(cell(name, given), width - room - 2) or ["-"]
        made.append([(fit(_called(name), room + 2), "dim"), (text[0], "text")])
        made += [[(" " * (room + 2), "dim"), (line, "text")] for line in text[1:]]
    for name, given in answer.items():
        if _rows(given):
            made += [*([[], [(_called(name), "accent")]] if name != "rows" else []), *_table(given)]
    if answer.get("next_cursor"):
        made.append([("there are more; ask with a larger limit", "dim")])
    return made


def _rows(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and isinstance(given[0], dict)


def _called(name: str) -> str:
    """A field as people call it; times are shown as times, not in microseconds."""
    return name.removesuffix("_us").replace("_", " ")


def _table(rows: list[dict[str, Any]]) -> list[Line]:
    names = list(rows[0])
    texts = [[cell(name, row.get(name))[:SHORT] for name in names] for row in rows]
    widths = [max(wide(_called(name)), *(wide(line[n]) for line in texts)) + 2 for n, name in enumerate(names)]
    head: Line = [(fit(_called(name), size), "faint") for name, size in zip(names, widths, strict=True)]
    return [head, *([(fit(text, size), "text") for text, size in zip(line, widths, strict=True)] for line in texts)]


def cell(name: str, given: Any) -> str:
    """A value as people read it."""
    if given is None:
        return "-"
    if isinstance(given, bool):
        return "yes" if given else "no"
    if name.endswith("_us") and isinstance(given, int):
        return clock(given)
    if isinstance(given, float):
        return f"{given:.2f}"
    if isinstance(given, dict):
        return ", ".join(f"{key} {cell(key, inner)}" for key, inner in given.items()) or "-"
    if isinstance(given, list):
        return ", ".join(cell(name, inner) for inner in given) or "-"
    return clean(given)
