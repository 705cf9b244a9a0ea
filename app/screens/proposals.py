"""What agents propose where their answers wait for a person: accepted or dismissed, many at once."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import verbs
from app.paint import Line, clean, fit
from app.screens.base import Place, bindings
from app.screens.result import cell
from app.widgets.faces import Faces
from app.widgets.panel import Panel
from app.widgets.rows import Rows


class Proposals(Place):
    """The proposals that wait; below, what the one under the cursor would change, and the faces it is about."""

    places = ("proposals", "list")
    BINDINGS: ClassVar = bindings("proposals")
    DEFAULT_CSS = """
    Proposals .body { layout: vertical; }
    Proposals #about { height: 4; border-top: solid $surface; padding: 0 1; }
    Proposals Faces { height: 9; }
    """

    def crumbs(self) -> list[str]:
        return ["Review", "Proposals of agents"]

    def body(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda row: row["proposal_id"], words=_sentence, head=self._head, marks=True)
        self.rows.empty = [("reading the proposals", "dim")]
        self.about = Panel(self._draw, id="about")
        self.faces = Faces(least=4)
        self.faces.empty = ""
        self.faces.can_focus = False
        yield Horizontal(self.rows, self.about, self.faces, classes="body")

    def on_mount(self) -> None:
        self.rows.focus()

    async def fetch(self) -> None:
        self.rows.empty = [("no agent waits for an answer", "dim")]
        self.rows.set_rows(await verbs.every(self.rollcall, "proposal_list"))

    def context(self) -> dict[str, Any]:
        return {"proposals": [row["proposal_id"] for row in self.rows.chosen()]}

    def pictures_came(self) -> None:
        self.faces.redraw()

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        tracks = event.row["shown"] if event.row else []
        self.faces.set_items([{"key": track, "track": track, "caption": (track,)} for track in tracks])
        self.about.redraw()
        self.chrome()

    def _head(self, width: int) -> Line:
        return [("  " + fit("made (UTC)", 21) + fit("agent", 18) + "what", "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        at = row["made_at"][:19].replace("T", " ")
        return [(fit(at, 21), "dim"), (fit(clean(row["actor"].partition(":")[2]), 17) + " ", "accent"), (_sentence(row), "text")]

    def _draw(self, width: int, height: int) -> list[Line]:
        row = self.rows.current
        if row is None:
            return []
        moved = [f"{one['name']}: {one['before_s']:.1f} → {one['after_s']:.1f} s" for one in row["preview"].get("people", ())]
        reason = row["parameters"].get("reason")
        would = ", ".join(moved) or f"{row['preview'].get('tracks', 0)} tracks"
        return [[("would change  ", "dim"), (clean(would), "text")], *([[("because  ", "dim"), (clean(reason), "text")]] if reason else [])]

    def why_not(self, action: str) -> str | None:
        return "No agent waits for an answer." if action.startswith("proposals.") and self.rows.current is None else None

    def do_accept(self) -> None:
        self.run_worker(self._accept([row["proposal_id"] for row in self.rows.chosen()]), exit_on_error=False)

    async def _accept(self, chosen: list[int]) -> None:
        answer = await verbs.asked(self.rollcall, "proposal_accept", proposals=chosen)
        if answer is None:
            return
        for refused in answer["refused"]:
            self.rollcall.say(refused["message"], title=f"proposal {refused['proposal_id']} waits on", severity="warning")
        if answer["accepted"]:
            self.rollcall.say(f"{len(answer['accepted'])} accepted. u undoes the last.")
        self.rows.marked = set()
        self.reload()

    def do_dismiss(self) -> None:
        self.run_worker(self._dismiss([row["proposal_id"] for row in self.rows.chosen()]), exit_on_error=False)

    async def _dismiss(self, chosen: list[int]) -> None:
        if await verbs.asked(self.rollcall, "proposal_dismiss", proposals=chosen) is not None:
            self.rollcall.say(f"{len(chosen)} dismissed.")
            self.rows.marked = set()
            self.reload()


def _sentence(row: dict[str, Any]) -> str:
    """What would be done, in the operation's own words."""
    left_out = ("reason", "rev", "create", "override")
    given = {name: inner for name, inner in row["parameters"].items() if name not in left_out}
    given = {name: given[name] for name in sorted(given, key=lambda name: name != "person")}
    return clean(f"{row['operation'].replace('_', ' ', 1)}: {cell('', given)}")
