"""Who decided what, newest first; every line can be taken back."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import verbs
from app.latest import latest
from app.paint import Line, clean, fit, wrap
from app.screens.base import Place, bindings
from app.widgets.panel import Panel
from app.widgets.rows import Rows

PAGE = 200
KINDS = {"person": "text", "agent": "accent", "script": "dim"}


class Audit(Place):
    """Decisions with their actors; those undone are paler."""

    places = ("audit", "list")
    BINDINGS: ClassVar = bindings("audit")
    DEFAULT_CSS = """
    Audit .body { layout: vertical; }
    Audit #more { height: 5; border-top: solid $surface; padding: 0 1; }
    """

    def __init__(self, episode: int | None = None) -> None:
        super().__init__()
        self.episode_id = episode
        self._mine = False
        self._cursor: str | None = None

    def crumbs(self) -> list[str]:
        return ["Audit", *(["mine"] if self._mine else [])]

    def place(self) -> dict[str, Any]:
        return {"name": "audit"}

    def body(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda row: row["decision_id"], words=_words, head=self._head)
        self.rows.empty = [("reading the decisions", "dim")]
        self.more = Panel(self._draw, id="more")
        yield Horizontal(self.rows, self.more, classes="body")

    def on_mount(self) -> None:
        self.rows.focus()

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        return {"decision": row["decision_id"], "batch": row["batch"]} if row else {}

    def _given(self) -> dict[str, Any]:
        given: dict[str, Any] = {"limit": PAGE}
        if self.episode_id is not None:
            given["episode"] = str(self.episode_id)
        if self._mine:
            given["actor"] = self.rollcall.link.actor
        return given

    async def fetch(self) -> None:
        page = await self.rollcall.link.ask("decision_list", **self._given())
        self._cursor = page["next_cursor"]
        self.rows.empty = [("nobody decided anything yet: R goes to the review queue", "dim")]
        self.rows.set_rows(page["rows"], complete=self._cursor is None)
        self.more.redraw()

    @on(Rows.NearEnd)
    def _near_end(self) -> None:
        latest(self, "more", self._read_on)

    async def _read_on(self) -> None:
        if self._cursor is None:
            return
        page = await verbs.asked(self.rollcall, "decision_list", **self._given(), cursor=self._cursor)
        if page is not None:
            self._cursor = page["next_cursor"]
            self.rows.extend(page["rows"], complete=self._cursor is None)

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.more.redraw()
        self.chrome()

    def _head(self, width: int) -> Line:
        return [("  " + fit("when (UTC)", 21) + fit("who", 18) + "what", "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        kind, _, name = row["actor"].partition(":")
        gone = not row["stands"]
        actor = name if kind == "person" else f"{name} ({kind})"
        return [
            (fit(row["logged_at"][:19].replace("T", " "), 21), "faint" if gone else "dim"),
            (fit(clean(actor), 17) + " ", "faint" if gone else KINDS.get(kind, "text")),
            (("undone: " if gone else "") + clean(verbs.described(row)), "faint" if gone else "text"),
        ]

    def _draw(self, width: int, height: int) -> list[Line]:
        row = self.rows.current
        if row is None:
            return []
        facts = [
            f"decision {row['decision_id']}",
            f"batch {row['batch']}",
            row.get("level") or "",
            f"source {row['source']}" if row.get("source") else "",
        ]
        lines: list[Line] = [[(line, "text")] for line in wrap(clean(verbs.described(row)), width)]
        lines.append([("  ".join(filter(None, facts)), "dim")])
        if row.get("reason"):
            lines.append([(clean(row["reason"]), "dim")])
        return lines

    # doing

    def why_not(self, action: str) -> str | None:
        row = self.rows.current
        if action.startswith("audit.") and action != "audit.mine" and row is None:
            return "Nobody decided anything yet."
        if action in ("audit.undo", "audit.actor") and row and not row["stands"]:
            return "It is undone already; Z does it again."
        if action == "audit.redo" and row and row["stands"]:
            return "It stands; enter undoes it."
        return None

    def target(self, action: Any) -> Any:
        return self if action.id == "list.open" else super().target(action)

    def do_open(self) -> None:
        self.action_do("audit.undo")

    @on(Rows.Opened)
    def _opened(self) -> None:
        self.action_do("audit.undo")

    def do_undo(self) -> None:
        row = self.rows.current
        if row:
            self.run_worker(self._undo(row), exit_on_error=False)

    async def _undo(self, row: dict[str, Any]) -> None:
        if row["actor"] != self.rollcall.link.actor:
            from app.screens.ask import Ask

            what = f"{row['actor'].partition(':')[2]} decided: {verbs.described(row)}"
            if not await self.rollcall.push_screen_wait(Ask(what, "Undo what somebody else decided?")):
                return
        await verbs.undo_batch(self.rollcall, row["batch"], verbs.described(row))
        self.reload()

    def do_redo(self) -> None:
        row = self.rows.current
        if row:
            self.run_worker(self._redo(row), exit_on_error=False)

    async def _redo(self, row: dict[str, Any]) -> None:
        """Take back the newest undo that took this decision back."""
        taken_by = next(
            (other for other in self.rows.rows if other["verb"] == "undo" and other["stands"] and row["decision_id"] in other["voids"]), None
        )
        if taken_by is None:
            self.rollcall.say("What undid it is further down; end reads the whole audit.", severity="warning")
            return
        await verbs.run(self.rollcall, "decision_redo", said=f"Done again: {row['what']}.", batch=taken_by["batch"])
        self.reload()

    def do_actor(self) -> None:
        row = self.rows.current
        if row:
            self.run_worker(self._undo_actor(row), exit_on_error=False)

    async def _undo_actor(self, row: dict[str, Any]) -> None:
        from app.screens.ask import Ask

        given = {"by": row["actor"], "since": row["logged_at"]}
        trial = await verbs.asked(self.rollcall, "decision_undo", **given, dry_run=True)
        if trial is None:
            return
        name = row["actor"].partition(":")[2]
        what = f"{len(trial['decisions'])} decisions of {name} since {row['at'][:19].replace('T', ' ')} UTC, {trial['tracks']} tracks."
        if await self.rollcall.push_screen_wait(Ask(what, f"Undo all that {name} decided since then?")):
            await verbs.run(self.rollcall, "decision_undo", said=f"Undone: {what}", **given)
            self.reload()

    def do_mine(self) -> None:
        self._mine = not self._mine
        self.reload()


def _words(row: dict[str, Any]) -> str:
    return f"{row['actor']} {row['verb']} {verbs.described(row)}"
