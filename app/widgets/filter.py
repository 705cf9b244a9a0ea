"""The filter line: the list shrinks while one types."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding
from textual.widgets import Input

from app.widgets.rows import Rows


class Filter(Input):
    """Filters a list as it is typed; enter keeps it and goes back to the list, escape shows all rows again."""

    DEFAULT_CSS = """
    Filter { height: 1; border: none; padding: 0 1; background: $panel; }
    Filter:focus { border: none; background-tint: transparent 0%; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "leave(False)", show=False),
        Binding("down,up", "leave(True)", show=False),
    ]

    def __init__(self, rows: Rows) -> None:
        super().__init__(value=rows.filter, placeholder="filter: words the rows hold; enter keeps it, esc shows all", id="filter-line")
        self._rows = rows

    def on_mount(self) -> None:
        self.focus()
        self.call_after_refresh(self._rows.prepare)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._rows.set_filter(event.value)
        if event.value and not self._rows.complete:
            self._rows.post_message(Rows.NearEnd(self._rows, True))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave(True)

    def action_leave(self, keep: bool) -> None:
        """Back to the list."""
        if not keep:
            self._rows.set_filter("")
        self._rows.focus()
        self.remove()
