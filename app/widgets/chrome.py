"""The lines around every screen: where we are and how the engine is; what can be done now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.keys import Action, first
from app.paint import Line, clean, fit, wide
from app.widgets.panel import Panel

if TYPE_CHECKING:
    from app.app import RollcallApp
    from app.screens.base import Place


LEAST = 8
"""Cells in which it can still be told who changed something."""

Text = tuple[str, str] | tuple[str, str, str]


class Header(Panel):
    """Where we are on the left; engine, jobs, the queue and who we are on the right."""

    DEFAULT_CSS = "Header { height: 1; }"

    def __init__(self) -> None:
        super().__init__(on="bar")

    def draw(self, width: int, height: int) -> list[Line]:
        app: RollcallApp = self.app  # type: ignore[assignment]
        place: Place = self.screen  # type: ignore[assignment]
        crumbs: list[Text] = [("rollcall", "accent", "app.do('everywhere.library')")]
        for crumb in place.crumbs():
            crumbs += [(" › ", "faint"), (clean(crumb), "text")]
        right: list[tuple[str, str]] = []
        if app.running:
            right += [(app.running, "accent"), ("   ", "dim")]
        right += [("● ", "good"), ("live", "dim")] if app.state == "live" else [("○ ", "bad"), (app.trouble_word(), "bad")]
        right += [("   ", "dim"), (clean(app.link.actor.partition(":")[2]), "dim"), (" ", "dim")]
        left: list[Text] = [(" ", "text"), *crumbs]
        used = sum(wide(text) for text, _ in right)
        room = width - used - sum(wide(piece[0]) for piece in left) - 4
        if app.rumour and room >= LEAST and time.monotonic() < app.rumour_ends:
            rumour = fit(app.rumour, min(room, wide(app.rumour)))
            right = [(rumour, "accent"), ("   ", "dim"), *right]
            used += wide(rumour) + 3
        room = width - used - 1
        taken = 0
        cut: list[Text] = []
        for piece in left:
            if taken >= room:
                break
            text = piece[0] if taken + wide(piece[0]) <= room else piece[0][: max(0, room - taken - 1)] + "…"
            cut.append((text, *piece[1:]))
            taken += wide(text)
        return [[*cut, (" " * max(0, width - used - taken), "text"), *right]]


class Footer(Panel):
    """The keys that do something now; those that cannot are paler, and say why when pressed."""

    DEFAULT_CSS = "Footer { height: 1; }"

    def __init__(self) -> None:
        super().__init__(on="bar")

    def draw(self, width: int, height: int) -> list[Line]:
        place: Place = self.screen  # type: ignore[assignment]
        line: list[Text] = [(" ", "text")]
        used = 1
        actions = place.offered()
        always = [action for action in actions if action.id in ("everywhere.help", "everywhere.palette")]
        kept = sum(self._wide(action) for action in always)
        for action in [action for action in actions if action not in always]:
            if used + self._wide(action) > width - kept:
                continue
            used += self._wide(action)
            line += self._pieces(action, place.reason(action) is None)
        line.append((" " * max(0, width - used - kept), "text"))
        for action in always:
            line += self._pieces(action, True)
        return [line]

    def _wide(self, action: Action) -> int:
        return wide(first(action)) + 1 + wide(action.hint) + 2

    def _pieces(self, action: Action, possible: bool) -> list[tuple[str, str, str]]:
        run = f"{'app' if action.place == 'everywhere' else 'screen'}.do('{action.id}')"
        return [(first(action), "key" if possible else "faint", run), (f" {action.hint}  ", "dim" if possible else "faint", run)]
