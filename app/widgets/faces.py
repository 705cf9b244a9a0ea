"""A grid of faces, large enough to tell people apart, with a cursor and marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from app.paint import Ink, Line, clean
from app.pictures import Pictures

SIZES = ((24, 12), (20, 10), (16, 8), (12, 6))
"""Cells a face may take, largest first: 12 x 6 tells hair and pose, 16 x 8 people, 24 x 12 expressions."""

Item = dict[str, Any]


def source_of(item: Item) -> dict[str, Any]:
    """How to get an item's picture: by chip, track or person, whichever it names."""
    return {name: item[name] for name in ("chip", "track", "person") if item.get(name) is not None}


class Faces(Widget, can_focus=True):
    """Items with `key`, one of `chip`, `track` or `person` (where the picture comes from), and up to two `caption` lines.

    Args:
        least: how many faces should be visible at once if the room allows any size for it; the largest such size is taken.
    """

    DEFAULT_CSS = "Faces { width: 1fr; height: 1fr; }"

    class Moved(Message):
        """The cursor came to another face."""

        def __init__(self, faces: Faces, item: Item | None) -> None:
            super().__init__()
            self.faces, self.item = faces, item

        @property
        def control(self) -> Faces:
            return self.faces

    class Opened(Moved):
        """A face was opened."""

    def __init__(self, *, least: int = 6, captions: int = 1, caption: Callable[[Item], Sequence[Line]] | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._least, self._captions = least, captions
        self._caption = caption or (lambda item: [[(clean(text), "dim")] for text in item.get("caption", ())])
        self.items: Sequence[Item] = []
        self.cursor = 0
        self.top = 0
        self.marked: set[Any] = set()
        self.empty = "no faces"

    @property
    def ink(self) -> Ink:
        """The theme's inks."""
        ink: Ink = self.app.ink  # type: ignore[attr-defined]
        return ink

    @property
    def current(self) -> Item | None:
        """The face under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def set_items(self, items: Sequence[Item]) -> None:
        """Show these faces; the cursor stays with the face it was on."""
        kept = self.current["key"] if self.current else None
        self.items = items
        keys = [item["key"] for item in items]
        self.cursor = keys.index(kept) if kept in keys else min(self.cursor, max(0, len(items) - 1))
        self.marked &= set(keys)
        self._settle()
        self.refresh()

    def chosen(self) -> list[Item]:
        """The marked faces, or the one under the cursor."""
        if self.marked:
            return [item for item in self.items if item["key"] in self.marked]
        return [self.current] if self.current else []

    def redraw(self) -> None:
        """Draw again."""
        self.refresh()

    # room

    def _cell(self) -> tuple[int, int]:
        """Cells a face takes here."""
        wanted = max(1, min(self._least, len(self.items)))
        for columns, rows in SIZES:
            if (self.size.width - 1) // (columns + 1) * max(0, self.size.height // (rows + self._captions)) >= wanted:
                return columns, rows
        return SIZES[-1]

    def _across(self) -> int:
        return max(1, (self.size.width - 1) // (self._cell()[0] + 1))

    def _tall(self) -> int:
        return self._cell()[1] + self._captions

    def _settle(self) -> None:
        row, room = self.cursor // self._across(), max(1, self.size.height // self._tall())
        self.top = max(0, row - room + 1, min(self.top, row))

    # moving

    def do_left(self) -> None:
        self._move(self.cursor - 1)

    def do_right(self) -> None:
        self._move(self.cursor + 1)

    def do_up(self) -> None:
        self._move(self.cursor - self._across())

    def do_down(self) -> None:
        self._move(self.cursor + self._across())

    def do_page_up(self) -> None:
        self._move(max(0, self.cursor - self._across() * max(1, self.size.height // self._tall())))

    def do_page_down(self) -> None:
        self._move(min(len(self.items) - 1, self.cursor + self._across() * max(1, self.size.height // self._tall())))

    def do_first(self) -> None:
        self._move(0)

    def do_last(self) -> None:
        self._move(len(self.items) - 1)

    def do_open(self) -> None:
        if self.current:
            self.post_message(self.Opened(self, self.current))

    def do_mark(self) -> None:
        if self.current:
            self.marked ^= {self.current["key"]}
            self._move(self.cursor + 1)
            self.refresh()

    def do_mark_all(self) -> None:
        every = {item["key"] for item in self.items}
        self.marked = set() if self.marked >= every else every
        self.refresh()

    def _move(self, to: int) -> None:
        if 0 <= to < len(self.items) and to != self.cursor:
            self.cursor = to
            self._settle()
            self.refresh()
            self.post_message(self.Moved(self, self.current))

    # drawing

    def render_line(self, y: int) -> Strip:
        width, ink = self.size.width, self.ink
        if not self.items:
            return ink.strip([(f" {self.empty}", "dim")] if y == 1 else [], width)
        columns, rows = self._cell()
        row, inner = divmod(y, self._tall())
        first = (self.top + row) * self._across()
        line: list[Any] = [(" ", "text")]
        for index in range(first, min(first + self._across(), len(self.items))):
            item = self.items[index]
            line += self._picture(item, inner, columns, rows) if inner < rows else self._words(index, item, inner - rows, columns)
            line.append((" ", "text"))
        return ink.strip(line, width)

    def _picture(self, item: Item, y: int, columns: int, rows: int) -> list[Any]:
        pictures: Pictures = self.app.pictures  # type: ignore[attr-defined]
        drawn = pictures.drawn(source_of(item), columns, rows, self.ink.plain)
        if drawn is None:
            middle = y == rows // 2
            return [(("·" if middle else " ").center(columns), "faint")]
        return drawn[y]

    def _words(self, index: int, item: Item, line: int, columns: int) -> list[Any]:
        at, held = index == self.cursor and self.has_focus, item["key"] in self.marked
        on = "cursor" if at else "mark" if held or index == self.cursor else ""
        lead = ("▌" if index == self.cursor else "•" if held else " ") if line == 0 else " "
        captions = self._caption(item)
        pieces = list(captions[line]) if line < len(captions) else []
        return list(self.ink.strip([(lead, "accent"), *pieces], columns, on))

    # the toolkit's events

    def on_resize(self) -> None:
        self._settle()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.do_down()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.do_up()

    def on_click(self, event: events.Click) -> None:
        across = (event.x - 1) // (self._cell()[0] + 1)
        index = (self.top + event.y // self._tall()) * self._across() + across
        if across < self._across() and index < len(self.items):
            again = index == self.cursor
            self._move(index)
            if again:
                self.do_open()
