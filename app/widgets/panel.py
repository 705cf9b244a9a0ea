"""A canvas of lines: redrawn when told, and only the lines that changed go to the terminal."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from app.paint import Ink, Line


class Panel(Widget):
    """Shows what `draw(width, height)` gives. `on` is the background; `scroll` moves it when there are more lines than room."""

    DEFAULT_CSS = "Panel { width: 1fr; height: 1fr; }"

    def __init__(
        self, draw: Callable[[int, int], list[Line]] | None = None, *, on: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._given = draw
        self._on = on
        self._lines: list[Strip] | None = None
        self._drawn_at = (0, 0)
        self.offset_y = 0

    @property
    def ink(self) -> Ink:
        """The theme's inks."""
        ink: Ink = self.app.ink  # type: ignore[attr-defined]
        return ink

    def draw(self, width: int, height: int) -> list[Line]:
        """The lines to show."""
        return self._given(width, height) if self._given else []

    def redraw(self) -> None:
        """Draw anew; nothing is sent for lines that stayed as they were."""
        if self._lines is None or not self.is_attached or self._drawn_at != tuple(self.size):
            self._lines = None
            self.refresh()
            return
        before, self._lines = self._lines, self._draw_all()
        changed = [y for y in range(self.size.height) if self._at(before, y) != self._at(self._lines, y)]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def scroll_lines(self, by: int) -> None:
        """Move by lines, as far as there are any."""
        count = len(self._lines or [])
        self.offset_y = max(0, min(self.offset_y + by, count - self.size.height))
        self.refresh()

    def _at(self, lines: list[Strip], y: int) -> Strip | None:
        return lines[y + self.offset_y] if y + self.offset_y < len(lines) else None

    def _draw_all(self) -> list[Strip]:
        width, height = self.size
        self._drawn_at = (width, height)
        return [self.ink.strip(line, width, self._on) for line in self.draw(width, height)] if width and height else []

    def render_line(self, y: int) -> Strip:
        if self._lines is None or self._drawn_at != tuple(self.size):
            self._lines = self._draw_all()
            self.offset_y = max(0, min(self.offset_y, len(self._lines) - self.size.height))
        return self._at(self._lines, y) or self.ink.strip([], self.size.width, self._on)

    def on_resize(self) -> None:
        self._lines = None
