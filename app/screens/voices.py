"""The place of the voices: says plainly that they are not analysed yet, and what to do until they are."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widget import Widget

from app.paint import Line, wrap
from app.screens.tab import Tab
from app.widgets.panel import Panel

PLAINLY = "Who speaks is not analysed in this version."
TEXT = (
    ("dim", "Speaker turns over the face tracks, and the transcript that follows them, will be shown here."),
    ("text", "Until then all seconds are of who is seen, not of who is heard; nothing about voices is in Results or in an export."),
    ("text", "To hear who speaks: go to a track (Tracks), press v to see its moment, and o to open it with its sound in your own player."),
    ("dim", "When voices come, analysing the episode again adds them. What you decided about faces stays."),
)


class Voices(Tab):
    """Words, until there are voices."""

    title = "A/V"

    def compose(self) -> ComposeResult:
        self.panel = Panel(self._draw, id="voices")
        self.panel.can_focus = True
        yield self.panel

    def first(self) -> Widget:
        return self.panel

    def _draw(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = [[], [("  ", "text"), (PLAINLY, "title")], []]
        for ink, text in TEXT:
            lines += [*([("  ", "text"), (line, ink)] for line in wrap(text, min(width, 92) - 4)), []]
        return lines
