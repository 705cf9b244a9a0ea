"""Many faces at once: a label spread to look-alikes, or suggestions taken; all are shown before anything is done, and any can be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult

from app import facing, verbs
from app.paint import Line, clean, clock, percent, span
from app.screens.base import Place, bindings
from app.widgets.faces import Faces
from app.widgets.panel import Panel

if TYPE_CHECKING:
    from app.app import RollcallApp


class Choosing(Place):
    """All faces are marked at first; space leaves one out. Closes with what to do (`apply` or `dismiss`) and the marked tracks."""

    places = ("choosing", "list")
    BINDINGS: ClassVar = bindings("choosing")
    DEFAULT_CSS = "Choosing #about { height: 3; padding: 0 1; }"

    def __init__(self, title: str, rows: list[dict[str, Any]], *, dismiss: bool) -> None:
        super().__init__()
        self._heading, self._rows, self._can_dismiss = title, rows, dismiss

    def crumbs(self) -> list[str]:
        return [self._heading]

    def body(self) -> ComposeResult:
        self.about = Panel(self._about, id="about")
        self.faces = Faces(least=8, captions=2)
        yield self.about
        yield self.faces

    def on_mount(self) -> None:
        self.faces.set_items([_item(row) for row in self._rows])
        self.faces.marked = {item["key"] for item in self.faces.items}
        self.faces.focus()
        self.about.redraw()

    def on_screen_resume(self) -> None:
        """Nothing is read here: what was shown is what is done."""

    def pictures_came(self) -> None:
        self.faces.redraw()

    def _about(self, width: int, height: int) -> list[Line]:
        taken = [row for row in self._rows if row["ref"] in self.faces.marked]
        seconds = sum(row["end_us"] - row["start_us"] for row in taken) / 1e6
        head: Line = [(self._heading, "title"), (f"   {len(taken)} of {len(self._rows)} tracks marked, {span(seconds)}", "text")]
        return [head, [("space takes a face out of the marked ones, or back in; * all or none", "dim")]]

    def why_not(self, action: str) -> str | None:
        if action == "choosing.dismiss" and not self._can_dismiss:
            return "Leave out what does not fit (space); nothing is done to what is not marked."
        if action.startswith("choosing.") and not self.faces.marked:
            return "No face is marked."
        return None

    def action_do(self, name: str, number: int = 0) -> None:
        super().action_do(name, number)
        self.about.redraw()

    def _close(self, what: str) -> None:
        self.dismiss((what, [item["key"] for item in self.faces.items if item["key"] in self.faces.marked]))

    def do_apply(self) -> None:
        self._close("apply")

    def do_dismiss(self) -> None:
        self._close("dismiss")

    def closed(self) -> bool:
        self.dismiss(None)
        return True


async def spread(app: RollcallApp, episode: str, person: str) -> dict[str, Any] | None:
    """Show what looks like somebody named here, and label what the operator leaves marked."""
    preview = await verbs.asked(app, "propagate_preview", episode=episode, person=person)
    if preview is None:
        return None
    if not preview["rows"]:
        app.say(f"No undecided face looks like {preview['person']} well enough.")
        return None
    chosen = await app.push_screen_wait(Choosing(f"Also {preview['person']}?", preview["rows"], dismiss=False))
    if chosen is None:
        return None
    said = f"{len(chosen[1])} more tracks are {preview['person']}."
    return await facing.write(app, "propagate_apply", said, episode=episode, person=person, tracks=chosen[1])


async def suggestions(app: RollcallApp, episode: str) -> dict[str, Any] | None:
    """Show who undecided faces probably are; take or dismiss what the operator marks."""
    found = await verbs.asked(app, "suggestion_list", episode=episode, limit=200)
    if found is None:
        return None
    if not found["rows"]:
        app.say("Nothing is suggested for this episode: name some faces first, then look again.")
        return None
    chosen = await app.push_screen_wait(Choosing("Who these probably are", found["rows"], dismiss=True))
    if chosen is None:
        return None
    what, tracks = chosen
    if what == "dismiss":
        return await facing.write(app, "suggestion_dismiss", f"{len(tracks)} suggestions dismissed.", tracks=tracks)
    return await facing.write(app, "suggestion_accept", f"{len(tracks)} suggestions taken.", episode=episode, tracks=tracks)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {"key": row["ref"], "track": row["ref"], "caption": (clean(row["person"]), f"{percent(row['probability'])} {clock(row['start_us'])[:-3]}")}
