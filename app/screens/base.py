"""What every screen has: a header, a footer made from the key table, a filter line, actions that say why they cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from app.keys import Action, fixed
from app.link import FLUSH_EVERY_S, News
from app.paint import clean
from app.widgets.chrome import Footer, Header
from app.widgets.rows import Rows
from engine.errors import RollcallError

if TYPE_CHECKING:
    from app.app import RollcallApp

Key = Binding | tuple[str, str] | tuple[str, str, str]
MANY = "candidate"
"""The verb whose keys are counted: its first key means the first candidate."""

EARLY = 63
"""Keys that wait for a screen to have read what it shows, less one."""


def bindings(*places: str) -> list[Key]:
    """Bindings of the actions of places."""
    made: list[Key] = []
    for action in fixed().values():
        if action.place not in places:
            continue
        if action.verb == MANY:
            made += [
                Binding(key, f"do('{action.id}', {n})", action.doc, show=False, id=f"{action.id}#{n}")
                for n, key in enumerate(action.keys.split(","), 1)
            ]
        else:
            made.append(Binding(action.keys, f"do('{action.id}')", action.doc, show=False, id=action.id))
    return made


def keymap(table: Iterable[Action]) -> dict[str, str]:
    """The operator's keys for these bindings."""
    made: dict[str, str] = {}
    for action in table:
        if action.verb == MANY:
            made |= {f"{action.id}#{n}": key for n, key in enumerate(action.keys.split(","), 1)}
        else:
            made[action.id] = action.keys
    return made


class Place(Screen[Any]):
    """A screen of the app. `places` are the parts of the key table that work in it."""

    places: ClassVar[tuple[str, ...]] = ()
    BINDINGS: ClassVar[list[Key]] = bindings("list")
    DEFAULT_CSS = """
    Place { layout: vertical; background: $background; }
    Place > .body { height: 1fr; width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._loading = False
        self._again = False
        self._loaded = False
        self.composed = False
        self._chrome_wanted = False
        self._early: list[tuple[str, int]] = []
        self.failed: RollcallError | None = None

    @property
    def rollcall(self) -> RollcallApp:
        """The app, as what it is."""
        return cast("RollcallApp", self.app)

    # what a screen says about itself

    def crumbs(self) -> list[str]:
        """Where we are, from the outside in."""
        return []

    def body(self) -> ComposeResult:
        """The widgets between header and footer."""
        yield from ()

    async def fetch(self) -> None:
        """Read what the screen shows."""

    def why_not(self, action: str) -> str | None:
        """Why an action cannot be done now, in one sentence with what to do; None when it can."""
        return None

    def concerned(self, news: News) -> bool:
        """Whether what happened changes what the screen shows."""
        return (
            bool(news.changed or news.settled) or news.reset or any(job.get("state") in ("done", "failed", "cancelled") for job in news.jobs.values())
        )

    def pictures_came(self) -> None:
        """Draw pictures that arrived."""

    def place(self) -> dict[str, Any] | None:
        """What brings an operator back here after a broken connection; None for what is not worth it."""
        return None

    def context(self) -> dict[str, Any]:
        """Parameters the palette fills in: what the operator is looking at."""
        return {}

    # the frame

    def compose(self) -> ComposeResult:
        self._around = (Header(), Footer())
        yield self._around[0]
        yield from self.body()
        yield self._around[1]

    def on_mount(self) -> None:
        # The toolkit calls this after a subclass's own, and after every widget inside is there.
        self.composed = True
        self.reload()

    def on_screen_resume(self) -> None:
        self.rollcall.remember(self)
        if self._loaded:
            self.reload()

    def reload(self) -> None:
        """Read afresh; asked again while it reads, it reads once more after that."""
        if self._loading:
            self._again = True
            return
        self._loading = True
        self.run_worker(self._load(), group="load", exit_on_error=False)

    async def _load(self) -> None:
        try:
            while True:
                self._again = False
                try:
                    if self.failed is not None:
                        for rows in self.query(Rows):
                            rows.advice = ""
                    await self.fetch()
                    self.failed = None
                except RollcallError as error:
                    if self.failed is None or str(self.failed) != str(error):
                        self.rollcall.complain(error)
                    self.failed = error
                    for rows in self.query(Rows):
                        rows.empty, rows.advice = [("this could not be read", "bad")], clean(error)
                        rows.redraw()
                self._loaded = True
                self.chrome()
                self.catch_up()
                if not self._again:
                    return
                await asyncio.sleep(FLUSH_EVERY_S)
        finally:
            self._loading = False

    def ready(self, action: Action) -> bool:
        """Whether there is something for an action to work on yet; keys pressed before wait for it."""
        return self._loaded or (self.composed and not self._loading) or action.place == "everywhere"

    def catch_up(self) -> None:
        """Do what was pressed before there was anything to do it to."""
        early, self._early = self._early, []
        for name, number in early:
            self.call_later(self.action_do, name, number)

    def heard(self, news: News) -> None:
        """Something happened in the engine."""
        if self.concerned(news):
            self.reload()

    def chrome(self) -> None:
        """Draw header and footer again where they changed: once, however many asked for it."""
        if self.composed and not self._chrome_wanted:
            self._chrome_wanted = True
            self.call_later(self._draw_chrome)

    def _draw_chrome(self) -> None:
        self._chrome_wanted = False
        for part in self._around:
            part.redraw()

    # actions

    def offered(self) -> list[Action]:
        """The actions the footer shows, most particular first."""
        shown = [action for action in self.rollcall.keys.of(*self.places) if action.hint and not self._moot(action)]
        order = [place for place in self.places if place != "list"]
        rank = {place: n for n, place in enumerate([*order, "list", "everywhere"])}
        told = {action.hint for action in shown}
        every = [action for action in self.rollcall.keys.of("everywhere") if action.hint and action.hint not in told]
        return sorted([*shown, *every], key=lambda action: rank[action.place])

    def reason(self, action: Action) -> str | None:
        """Why an action is not to be had now."""
        missing = [name for name in action.operations if name not in self.rollcall.operations]
        if action.operations and len(missing) == len(action.operations):
            return f"This engine has no {missing[0].replace('_', ' ')} yet."
        if self._moot(action):
            return "There is no list here." if action.verb in ("open", "filter") else "Nothing is done to many rows at once here, so none are marked."
        return action.later or (self.why_not(action.id) if self.composed else None)

    def _moot(self, action: Action) -> bool:
        """Whether an action of lists has no list to work on, or marks where nothing is done to all marked."""
        if action.id not in ("list.open", "list.filter", "list.mark", "list.mark_all") or not self.composed:
            return False
        if action.verb == "filter":
            return self.filtered() is None
        target = self.target(action)
        return target is None or (action.verb in ("mark", "mark_all") and isinstance(target, Rows) and not target.marks)

    def action_do(self, name: str, number: int = 0) -> None:
        """Do what a key stands for, or say why not."""
        action = self.rollcall.keys.table[name]
        if not self.ready(action):
            self._early = [*self._early[-EARLY:], (name, number)]
            return
        reason = self.reason(action)
        if reason is not None:
            self.rollcall.say(reason, severity="warning")
            return
        target: Any = self.target(action)
        if target is None:
            return
        method = getattr(target, f"do_{action.verb}")
        if action.verb == MANY:
            method(number)
        else:
            method()
        self.chrome()

    def target(self, action: Action) -> Any:
        """Who does it: the list that has the keys, or the screen itself."""
        if action.place == "list" and action.verb != "filter":
            focused = self.focused
            if focused is not None and hasattr(focused, f"do_{action.verb}"):
                return focused
            return next((widget for widget in self.lists() if hasattr(widget, f"do_{action.verb}")), None)
        return self

    def lists(self) -> list[Rows]:
        """The lists on the screen."""
        return [rows for rows in self.query(Rows) if rows.display]

    # the filter

    def filtered(self) -> Rows | None:
        """The list the filter works on."""
        return self.focused if isinstance(self.focused, Rows) else next(iter(self.lists()), None)

    def do_filter(self) -> None:
        """Open the filter line."""
        from app.widgets.filter import Filter

        rows = self.filtered()
        if rows is None:
            self.rollcall.say("There is no list here to filter.", severity="warning")
            return
        self.mount(Filter(rows), before=self.query_one(Footer))

    def closed(self) -> bool:
        """Leave what is open inside the screen; False when nothing is."""
        for rows in self.query(Rows):
            if rows.filter:
                rows.set_filter("")
                return True
        for rows in self.query(Rows):
            if rows.marked:
                rows.marked = set()
                rows.redraw()
                return True
        return False
