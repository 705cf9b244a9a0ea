"""A list that draws only what is on screen, so that a hundred thousand rows open as fast as ten."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from app.paint import Ink, Line, wrap

Row = Any
Draw = Callable[[Row, int], Line]
NEAR_END = 100
SLICE = 4000
PAUSE_S = 0.01
"""Texts made in one go (a few milliseconds), and the pause until the next."""


class Chosen(Sequence[Row]):
    """Some of the rows, by their places: a filter that keeps fifty thousand copies none of them."""

    def __init__(self, rows: Sequence[Row], places: Sequence[int]) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[self._places[index]]


class Rows(Widget, can_focus=True):
    """Rows with a cursor, marks and a filter.

    Args:
        draw: the line of a row at a width.
        key: what stays the same about a row when it is read again; cursor and marks follow it.
        words: the text the filter looks through.
        fixed: rows that are headings, which the cursor passes over.
        marks: whether rows can be marked, because something is done to all marked ones.
    """

    DEFAULT_CSS = "Rows { width: 1fr; height: 1fr; }"

    class Moved(Message):
        """The cursor came to another row (None: there is none)."""

        def __init__(self, rows: Rows, row: Row) -> None:
            super().__init__()
            self.rows, self.row = rows, row

        @property
        def control(self) -> Rows:
            return self.rows

    class Opened(Moved):
        """A row was opened."""

    class NearEnd(Message):
        """The cursor nears the end of what was read so far."""

        def __init__(self, rows: Rows, whole: bool) -> None:
            super().__init__()
            self.rows, self.whole = rows, whole

    def __init__(
        self,
        draw: Draw,
        *,
        key: Callable[[Row], Any],
        words: Callable[[Row], str] = str,
        fixed: Callable[[Row], bool] = lambda row: False,
        head: Callable[[int], Line] | None = None,
        marks: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.marks = marks
        self._draw, self._key, self._words, self._fixed, self._head = draw, key, words, fixed, head
        self._all: Sequence[Row] = []
        self._texts: list[str] = []
        self._kept: Sequence[int] = range(0)
        self.rows: Sequence[Row] = []
        self.empty: Line = [("nothing here yet", "dim")]
        self.advice = ""
        self.marked: set[Any] = set()
        self.filter = ""
        self.cursor = 0
        self.top = 0
        self.complete = True

    # what is shown

    @property
    def ink(self) -> Ink:
        """The theme's inks."""
        ink: Ink = self.app.ink  # type: ignore[attr-defined]
        return ink

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    @property
    def last(self) -> Row | None:
        """The last row of all that were read."""
        return self._all[-1] if self._all else None

    @property
    def _room(self) -> int:
        return max(1, self.size.height - (self._head is not None))

    def set_rows(self, rows: Sequence[Row], *, complete: bool = True) -> None:
        """Show these rows; cursor and marks stay with what they were on."""
        before = self.current
        kept = None if before is None else self._key(before)
        self._all, self._texts, self.complete = rows, [], complete
        self.marked &= {self._key(row) for row in rows} if self.marked else self.marked
        self._select()
        if kept is not None and not (self.cursor < len(self.rows) and self._key(self.rows[self.cursor]) == kept):
            self.cursor = next((n for n, row in enumerate(self.rows) if self._key(row) == kept), min(self.cursor, max(0, len(self.rows) - 1)))
        self._settle()
        self.refresh()
        self.post_message(self.Moved(self, self.current))

    def extend(self, rows: Sequence[Row], *, complete: bool) -> None:
        """More rows after those that are there."""
        self._all = [*self._all, *rows]
        self.complete = complete
        self._select()
        self._settle()
        self.refresh()

    def set_filter(self, text: str) -> None:
        """Show only rows that hold every word of the text."""
        if text == self.filter:
            return
        before, index = self.filter, self._index
        self.filter = text
        # Letters added to the text can only leave rows out: those that are shown are looked through, not all there are.
        self._select(self._kept if before.strip() and text.startswith(before) else None)
        at = bisect_left(self._kept, index)
        self.cursor = at if at < len(self._kept) and self._kept[at] == index else 0
        self._settle()
        self.refresh()
        self.post_message(self.Moved(self, self.current))

    def go_to(self, key: Any) -> bool:
        """Put the cursor on the row of that key."""
        for n, row in enumerate(self.rows):
            if self._key(row) == key:
                self._move(n)
                return True
        return False

    def chosen(self) -> list[Row]:
        """The marked rows, or the one under the cursor."""
        if self.marked:
            return [row for row in self._all if self._key(row) in self.marked]
        return [] if self.current is None else [self.current]

    def redraw(self, keys: set[Any] | None = None) -> None:
        """Draw rows on screen again: all of them, or those of these keys."""
        if keys is None:
            self.refresh()
            return
        for y in range(min(self._room, len(self.rows) - self.top)):
            if self._key(self.rows[self.top + y]) in keys:
                self._refresh_row(self.top + y)

    def _select(self, among: Sequence[int] | None = None) -> None:
        words = self.filter.lower().split()
        if not words:
            self.rows, self._kept = self._all, range(len(self._all))
            return
        self._make_texts(len(self._all))
        texts = self._texts
        kept: Sequence[int] = range(len(texts)) if among is None else among
        for word in words:
            kept = [n for n in kept if word in texts[n]]
        self.rows, self._kept = Chosen(self._all, kept), kept

    @property
    def _index(self) -> int:
        """Where the row under the cursor is among all rows."""
        return self._kept[self.cursor] if self.cursor < len(self._kept) else -1

    def prepare(self) -> None:
        """Make the texts the filter looks through, a slice at a time between keys: the first letter need not wait for all of them."""
        if len(self._texts) < len(self._all):
            self._make_texts(len(self._texts) + SLICE)
            self.set_timer(PAUSE_S, self.prepare)

    def _make_texts(self, count: int) -> None:
        """Texts of the first rows; none of a heading, so that it holds no word."""
        for row in self._all[len(self._texts) : count]:
            self._texts.append("" if self._fixed(row) else self._words(row).lower())

    # moving

    def do_up(self) -> None:
        self._step(-1)

    def do_down(self) -> None:
        self._step(1)

    def do_page_up(self) -> None:
        self._move(self.cursor - self._room + 1, -1)

    def do_page_down(self) -> None:
        self._move(self.cursor + self._room - 1)

    def do_first(self) -> None:
        self._move(0)

    def do_last(self) -> None:
        if not self.complete:
            self.post_message(self.NearEnd(self, True))
        self._move(len(self.rows) - 1, -1)

    def do_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self, self.current))

    def do_mark(self) -> None:
        if self.current is not None and not self._fixed(self.current):
            self.marked ^= {self._key(self.current)}
            self._refresh_row(self.cursor)
            self._step(1)

    def do_mark_all(self) -> None:
        every = {self._key(row) for row in self.rows if not self._fixed(row)}
        self.marked = set() if self.marked >= every else every
        self.refresh()

    def _step(self, by: int) -> None:
        self._move(self.cursor + by, by)

    def _move(self, to: int, direction: int = 1) -> None:
        if not self.rows:
            return
        to = max(0, min(to, len(self.rows) - 1))
        while 0 <= to + direction < len(self.rows) and self._fixed(self.rows[to]):
            to += direction
        if self._fixed(self.rows[to]):
            to = self.cursor
        before, top = self.cursor, self.top
        self.cursor = to
        self._settle()
        if self.top != top:
            self.refresh()
        elif to != before:
            self._refresh_row(before)
            self._refresh_row(to)
        if to != before:
            self.post_message(self.Moved(self, self.current))
        if not self.complete and to > len(self.rows) - NEAR_END:
            self.post_message(self.NearEnd(self, False))

    def _settle(self) -> None:
        """The cursor on a row, and that row on screen."""
        last = len(self.rows) - 1
        self.cursor = max(0, min(self.cursor, last))
        while self.cursor < last and self.rows and self._fixed(self.rows[self.cursor]):
            self.cursor += 1
        # Past an edge the list moves by some rows at once: moving it sends the whole of it to the terminal.
        jump = self._room // 6
        if self.cursor >= self.top + self._room:
            self.top = self.cursor - self._room + 1 + jump
        heading = bool(self.cursor) and bool(self.rows) and self._fixed(self.rows[self.cursor - 1])
        if self.cursor - heading < self.top:
            self.top = self.cursor - heading - jump
        self.top = max(0, min(self.top, last + 1 - self._room))

    # drawing

    def _refresh_row(self, index: int) -> None:
        y = index - self.top + (self._head is not None)
        self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        ink = self.ink
        if self._head is not None:
            if y == 0:
                return ink.strip(self._head(width - 1), width)
            y -= 1
        if not self.rows:
            text: Line = [(f" nothing holds “{self.filter}”; esc shows all", "dim")] if self.filter else [(" ", "dim"), *self.empty]
            more = [] if self.filter else wrap(self.advice, width - 3)
            return ink.strip(text if y == 1 else [(f" {more[y - 3]}", "faint")] if 0 <= y - 3 < len(more) else [], width)
        index = self.top + y
        if index >= len(self.rows):
            return ink.strip([], width)
        row = self.rows[index]
        held = self._key(row) in self.marked
        on = "cursor" if index == self.cursor and self.has_focus else "mark" if held or index == self.cursor else ""
        lead = "▌" if index == self.cursor else "•" if held else " "
        line = ink.segments([(lead, "accent"), *self._draw(row, width - 2)], width - 1, on)
        return Strip([*line, self._scrollbar(y)], width)

    def _scrollbar(self, y: int) -> Segment:
        room, total = self._room, len(self.rows)
        if total <= room:
            return Segment(" ", self.ink.style("text"))
        length = max(1, room * room // total)
        start = round(self.top / max(1, total - room) * (room - length))
        return Segment("┃" if start <= y < start + length else "│", self.ink.style("dim" if start <= y < start + length else "faint"))

    # the toolkit's events

    def on_resize(self) -> None:
        self._settle()

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._move(self.cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._move(self.cursor - 3, -1)

    def on_click(self, event: events.Click) -> None:
        index = self.top + event.y - (self._head is not None)
        if 0 <= index < len(self.rows):
            again = index == self.cursor
            self._move(index)
            if again or event.chain > 1:
                self.do_open()
