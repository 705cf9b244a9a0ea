"""Spreading a label: the faces it fits, shown before anything is done; the operator leaves out what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding

from app import facing, verbs
from app.paint import Line, clean, percent, span
from app.screens.base import Place, bindings
from app.widgets.faces import Faces
from app.widgets.panel import Panel

if TYPE_CHECKING:
    from app.app import RollcallApp


class Spreading(Place):
    """All faces are taken at first; space leaves one out, y applies."""

    places = ("list",)
    BINDINGS: ClassVar = [*bindings("list"), Binding("y", "apply", show=False)]
    DEFAULT_CSS = "Spreading #about { height: 3; padding: 0 1; }"

    def __init__(self, preview: dict[str, Any]) -> None:
        super().__init__()
        self._preview = preview
        self._rows = preview.get("targets") or preview.get("tracks") or preview.get("rows") or []

    def crumbs(self) -> list[str]:
        return ["Spread a label"]

    def body(self) -> ComposeResult:
        self.about = Panel(self._about, id="about")
        self.faces = Faces(least=8)
        yield self.about
        yield self.faces

    def on_mount(self) -> None:
        self.faces.set_items([_item(row) for row in self._rows])
        self.faces.marked = {item["key"] for item in self.faces.items}
        self.faces.focus()

    def pictures_came(self) -> None:
        self.faces.redraw()

    def _about(self, width: int, height: int) -> list[Line]:
        name = clean(self._preview.get("person") or "the label")
        taken = [row for row in self._rows if _ref(row) in self.faces.marked]
        seconds = sum(row.get("seconds", 0.0) for row in taken)
        head: Line = [(name, "title"), (f" would also be put on {len(taken)} of {len(self._rows)} tracks, {span(seconds)}", "text")]
        keys: Line = [
            ("space", "key"),
            (" leaves a face out   ", "dim"),
            ("y", "key", "screen.apply()"),
            (" does it   ", "dim"),
            ("esc", "key"),
            (" leaves it", "dim"),
        ]
        return [head, keys]

    def action_do(self, name: str, number: int = 0) -> None:
        super().action_do(name, number)
        self.about.redraw()

    def action_apply(self) -> None:
        """Close with the tracks that are still taken."""
        self.dismiss([item["key"] for item in self.faces.items if item["key"] in self.faces.marked])

    def closed(self) -> bool:
        self.dismiss(None)
        return True


async def spread_from(app: RollcallApp, source: dict[str, Any]) -> dict[str, Any] | None:
    """Show what a label would be spread to, and do it when told."""
    preview = await verbs.asked(app, "propagate_preview", **verbs.accepted(app, "propagate_preview", source))
    if preview is None:
        return None
    screen = Spreading(preview)
    if not screen._rows:
        app.say("There is no other face this label fits well enough.")
        return None
    tracks = await app.push_screen_wait(screen)
    if not tracks:
        return None
    return await facing.write(app, "propagate_apply", f"Spread to {len(tracks)} tracks.", **source, tracks=tracks)


def _ref(row: dict[str, Any]) -> str:
    return str(row.get("ref") or row.get("track") or row.get("track_id"))


def _item(row: dict[str, Any]) -> dict[str, Any]:
    source = {"chip": row["chip"]} if row.get("chip") else {"track": _ref(row)}
    return {"key": _ref(row), **source, "caption": (percent(row.get("probability")),)}
