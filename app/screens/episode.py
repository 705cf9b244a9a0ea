"""One episode from its sides: results, tracks, identities, detections, voices."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from app import verbs
from app.keys import Action
from app.latest import latest
from app.link import News
from app.paint import Line, clean, span
from app.screens.base import Place, bindings
from app.screens.detections import Detections
from app.screens.identities import Identities
from app.screens.results import Results
from app.screens.tab import Tab
from app.screens.tracks import Tracks
from app.screens.voices import Voices
from app.widgets.panel import Panel
from app.widgets.rows import Rows

TABS: dict[str, type[Tab]] = {"results": Results, "tracks": Tracks, "identities": Identities, "detections": Detections, "voices": Voices}


class Episode(Place):
    """An episode. The tab that is shown reads when it is first shown, and again when something changed."""

    BINDINGS: ClassVar = bindings("episode", "list")
    DEFAULT_CSS = "Episode #tabs { height: 1; }"

    def __init__(self, episode: int, tab: str = "results") -> None:
        super().__init__()
        self.episode_id = episode
        self.facts: dict[str, Any] | None = None
        self.people: list[dict[str, Any]] = []
        self._tab = tab if tab in TABS else "results"
        self._stale = set(TABS)

    @property
    def places(self) -> tuple[str, ...]:  # type: ignore[override]
        """The shown tab's keys first."""
        return (*TABS[self._tab].places, "episode", "list")

    @property
    def reference(self) -> str:
        """The episode as operations take it."""
        return str(self.episode_id)

    @property
    def shown(self) -> Tab:
        """The tab on screen."""
        return self.query_one(f"#{self._tab}", Tab)

    def crumbs(self) -> list[str]:
        title = self.facts["title"] if self.facts else f"episode {self.episode_id}"
        return [*([self.facts["show"]] if self.facts else []), title]

    def place(self) -> dict[str, Any]:
        return {"name": "episode", "episode": self.episode_id, "tab": self._tab}

    def context(self) -> dict[str, Any]:
        show = {"show": self.facts["show"]} if self.facts else {}
        return {"episode": self.reference, **show, **self.shown.context()}

    def body(self) -> ComposeResult:
        self._tabs = Panel(self._draw_tabs, id="tabs", on="panel")
        yield self._tabs
        for name, tab in TABS.items():
            yield tab(id=name, classes="shown" if name == self._tab else "")

    def on_mount(self) -> None:
        self._focus()

    def _focus(self) -> None:
        first = self.shown.first()
        if first is not None:
            first.focus()

    def _draw_tabs(self, width: int, height: int) -> list[Line]:
        line: list[tuple[str, str] | tuple[str, str, str]] = [(" ", "text")]
        for name, tab in TABS.items():
            line += [(f" {tab.title} ", "accent" if name == self._tab else "dim", f"screen.show('{name}')"), (" ", "text")]
        line.append((" Review ", "dim", "screen.do('episode.queue')"))
        line.append(("   tab ⇥", "key", "screen.do('episode.next_tab')"))
        if self.facts and width > 100:
            line.append((f"    {span(self.facts['duration_s'])}  {clean(self.facts['path'].rsplit('/', 1)[-1])}", "faint"))
        return [line]

    def action_show(self, name: str) -> None:
        """Show a tab."""
        if name == self._tab:
            return
        self.shown.remove_class("shown")
        self._tab = name
        self.shown.add_class("shown")
        self._focus()
        self._tabs.redraw()
        self.rollcall.remember(self)
        self.chrome()
        if name in self._stale:
            self.reload()

    def show_track(self, track_id: int, t_us: int) -> None:
        """Show the tracks with the cursor on one of them."""
        self.action_show("tracks")
        latest(self, "find", self.query_one(Tracks).find, track_id, t_us)

    # reading

    async def fetch(self) -> None:
        if self.facts is None:
            self.facts = await self.rollcall.link.ask("episode_show", episode=self.reference)
            self._tabs.redraw()
        name = self._tab
        await self.read_people()
        await self.query_one(f"#{name}", Tab).fetch()
        self._stale.discard(name)
        if name != self._tab and self._tab in self._stale:
            self._again = True

    async def read_people(self) -> None:
        """The people of the show, for picking one."""
        assert self.facts is not None
        self.people = await verbs.every(self.rollcall, "person_list", show=str(self.facts["show_id"]))

    def ready(self, action: Action) -> bool:
        if not self.composed:
            return action.place == "everywhere"
        if action.place in ("everywhere", "episode"):
            return True
        return (self._tab not in self._stale or not self._loading) and self.shown.ready(action)

    def heard(self, news: News) -> None:
        if self.concerned(news):
            self._stale = set(TABS) - {self._tab}
            self.reload()

    def pictures_came(self) -> None:
        self.shown.pictures_came()

    # doing

    def why_not(self, action: str) -> str | None:
        return self.shown.why_not(action)

    def target(self, action: Action) -> Any:
        return self.shown if action.place in self.shown.places and action.place != "list" else super().target(action)

    def lists(self) -> list[Rows]:
        return list(self.shown.query(Rows))

    def filtered(self) -> Rows | None:
        return next(iter(self.lists()), None)

    def closed(self) -> bool:
        return self.shown.closed() or super().closed()

    def do_next_tab(self) -> None:
        names = list(TABS)
        self.action_show(names[(names.index(self._tab) + 1) % len(names)])

    def do_previous_tab(self) -> None:
        names = list(TABS)
        self.action_show(names[(names.index(self._tab) - 1) % len(names)])

    def do_queue(self) -> None:
        self.rollcall.go("review", episode=self.episode_id)

    def do_exported(self) -> None:
        verbs.form(self.rollcall, "export_create", {"episode": self.reference}, then=self._exported)

    def _exported(self, answer: dict[str, Any]) -> None:
        rows = "" if answer.get("rows") is None else f"{answer['rows']} rows: "
        self.rollcall.say(f"{rows}{answer['path']}", title="exported")

    def do_runs(self) -> None:
        self.run_worker(self._show_runs(), exit_on_error=False)

    async def _show_runs(self) -> None:
        from app.screens.result import Result

        found = await verbs.asked(self.rollcall, "analysis_list", episode=self.reference)
        if found is not None:
            self.rollcall.push_screen(Result("analysis_list", found))
