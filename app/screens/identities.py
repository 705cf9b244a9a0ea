"""The clusters of an episode: tracks the machine takes for one person, with their faces."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from app import facing, verbs
from app.facing import Target, known
from app.keys import Action
from app.latest import latest
from app.paint import Line, clean, clock, fit, percent, right, span
from app.screens.faced import Faced
from app.widgets.faces import Faces
from app.widgets.panel import Panel
from app.widgets.rows import Rows


class Identities(Faced):
    """Clusters on the left, the faces of the one under the cursor on the right; enter goes into the faces, esc comes back."""

    title = "Identities"
    DEFAULT_CSS = """
    Identities #clusters { width: 38%; min-width: 30; max-width: 56; }
    Identities #about { height: 3; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        self._shown: dict[str, Any] | None = None
        self.rows = Rows(
            self._line, key=lambda row: row["cluster_id"], words=lambda row: row["person"] or "unidentified", head=self._head, id="clusters"
        )
        self.rows.empty = [("reading the clusters", "dim")]
        self.about = Panel(self._about, id="about")
        self.faces = Faces(least=8, captions=1)
        self.faces.empty = "no faces"
        yield self.rows
        with Vertical():
            yield self.about
            yield self.faces

    def first(self) -> Widget:
        return self.rows

    async def fetch(self) -> None:
        rows = await verbs.every(self.rollcall, "cluster_list", episode=self.episode.reference)
        self.rows.empty = [("there are no clusters: no face was good enough to compare", "dim")]
        self.rows.set_rows(rows)
        if self.rows.current:
            await self._read(self.rows.current["cluster_id"])

    async def _read(self, cluster_id: int) -> None:
        found = await verbs.asked(self.rollcall, "cluster_show", cluster_id=cluster_id)
        if found is None:
            self._shown = None
            self.episode.catch_up()
            return
        if self._shown is None or self._shown["cluster_id"] != cluster_id:
            self.faces.marked, self.faces.cursor = set(), 0
        self._shown = found
        self.faces.set_items([_face(member) for member in found["members"]])
        self.about.redraw()
        self.episode.chrome()
        self.episode.catch_up()

    def ready(self, action: Action) -> bool:
        """Keys wait until the cluster under the cursor is the one whose faces are shown."""
        row = self.rows.current
        return action.place != "faces" or self._shown is None or row is None or row["cluster_id"] == self._shown["cluster_id"]

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        if event.row:
            latest(self, "cluster", self._read, event.row["cluster_id"])

    @on(Faces.Moved)
    def _face_moved(self) -> None:
        self.about.redraw()

    def pictures_came(self) -> None:
        self.faces.redraw()

    # drawing

    def _head(self, width: int) -> Line:
        return [(fit("  taken for", max(8, width - 18)) + right("seconds", 9) + right("tracks", 8), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        name = fit(clean(row["person"] or "unidentified"), max(8, width - 18))
        return [
            (name, "text" if row["person_id"] is not None else "dim"),
            (right(f"{row['seconds']:.1f}", 9), "strong"),
            (right(str(row["tracks"]), 8), "dim"),
        ]

    def _about(self, width: int, height: int) -> list[Line]:
        found = self._shown
        if found is None:
            return []
        name = clean(found["person"] or "unidentified")
        line: list[Any] = [(name, "title"), (f"  {found['tracks']} tracks, {span(found['seconds'])}", "dim")]
        if self.faces.has_focus and self.faces.current:
            member = self.faces.current["member"]
            line.append((f"   {clock(member['start_us'])} to {clock(member['end_us'])}, shot {member['shot'] + 1}", "dim"))
        likely: list[Any] = []
        for n, candidate in enumerate(self._likely()[:9], 1):
            likely += [(f"{n} ", "key"), (clean(candidate["person"]), "text"), (f" {percent(candidate['probability'])}   ", "dim")]
        return [line, likely or [("nobody known is likely: a says who it is, n names this unknown", "dim")]]

    # doing

    def _likely(self) -> list[dict[str, Any]]:
        return known((self._shown or {}).get("candidates", []))

    def context(self) -> dict[str, Any]:
        if self._shown is None:
            return {}
        tracks = [item["key"] for item in self.faces.chosen()]
        one = {"cluster_id": self._shown["cluster_id"], "tracks": tracks, "track": tracks[0] if tracks else None}
        return {**one, "person_id": self._shown["person_id"]}

    def aimed(self) -> Target:
        """The whole cluster; with the cursor among the faces, the marked faces or the one under it."""
        found = self._shown or {}
        chosen = self.faces.chosen() if self.faces.has_focus else []
        revs = [item["member"].get("rev") for item in (chosen or self.faces.items)]
        return Target(
            [item["key"] for item in (chosen or self.faces.items)],
            cluster_id=None if chosen else found.get("cluster_id"),
            person_id=found.get("person_id"),
            person=found.get("person"),
            candidates=found.get("candidates", []),
            rev=found.get("rev") if not chosen else max((rev for rev in revs if rev is not None), default=None),
        )

    def unmark(self) -> None:
        self.faces.marked = set()

    def why_not(self, action: str) -> str | None:
        if not action.startswith("faces."):
            return None
        if self._shown is None:
            return "There is no cluster here."
        if action in ("faces.reject", "faces.name", "faces.bank", "faces.propagate") and self._shown["person_id"] is None:
            return "This cluster is taken for nobody yet; a says who it is."
        if action == "faces.split" and not self.faces.marked:
            return "Mark the faces that are somebody else first: enter goes to the faces, space marks."
        if action == "faces.split" and len(self.faces.marked) == len(self.faces.items):
            return "All faces are marked; leave those that stay unmarked."
        if action == "faces.merge" and len(self.rows.rows) < 2:
            return "There is no other cluster to merge it into."
        if action == "faces.feature" and (not self.faces.has_focus or self._shown["person_id"] is None):
            return "Go to a face of a person first: enter."
        return None

    def closed(self) -> bool:
        if self.faces.marked:
            self.faces.marked = set()
            self.faces.redraw()
            return True
        if self.faces.has_focus:
            self.rows.focus()
            return True
        return False

    @on(Rows.Opened)
    def _opened(self) -> None:
        if self.faces.items:
            self.faces.focus()
            self.about.redraw()

    @on(Faces.Opened)
    def _face_opened(self) -> None:
        self.do_moment()

    def do_split(self) -> None:
        target = self.aimed()
        assert self._shown is not None
        marked = [item["key"] for item in self.faces.items if item["key"] in self.faces.marked]
        self.do_faces(facing.split_off(self.rollcall, self._shown["cluster_id"], marked, target.rev))

    def do_merge(self) -> None:
        assert self._shown is not None
        whole = Target([], cluster_id=self._shown["cluster_id"], rev=self._shown.get("rev"))
        self.do_faces(facing.merge(self.rollcall, whole, self.episode.reference))

    def do_moment(self) -> None:
        from app.screens.moment import Moment

        if self.faces.current:
            member = self.faces.current["member"]
            title = f"{member['person'] or 'unidentified'}, shot {member['shot'] + 1}"
            self.rollcall.push_screen(Moment(self.episode.reference, member["start_us"], member["end_us"], title))


def _face(member: dict[str, Any]) -> dict[str, Any]:
    ref = str(member.get("ref") or member["track_id"])
    source = {"chip": member["chip"]} if member.get("chip") else {"track": str(member["track_id"])}
    mark = "≠" if member["mixed"] else ""
    return {"key": ref, **source, "caption": (f"{clock(member['start_us'])[:-3]} {percent(member['probability'])}{mark}",), "member": member}
