"""The people of a show, as a grid of faces; the one under the cursor over the episodes."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import facing, verbs
from app.latest import latest
from app.link import News
from app.paint import Line, clean, fit, interval, right, span
from app.screens.base import Place, bindings
from app.widgets.faces import Faces
from app.widgets.panel import Panel
from app.widgets.picture import picture_lines


class People(Place):
    """Named people first, then unknowns; those with most seconds first."""

    places = ("people", "list")
    BINDINGS: ClassVar = bindings("people")
    DEFAULT_CSS = "People #person { width: 40%; max-width: 60; padding: 0 1; }"

    def __init__(self, show: str | None = None, person: int | None = None) -> None:
        super().__init__()
        self._show = show
        self._wanted = person
        self._shows: list[dict[str, Any]] = []
        self._cards: dict[int, dict[str, Any]] = {}
        self._query = ""

    def crumbs(self) -> list[str]:
        show = next((show["title"] for show in self._shows if show["slug"] == self._show), None)
        return ["People", *([show] if show else [])]

    def place(self) -> dict[str, Any]:
        return {"name": "people", **({"show": self._show} if self._show else {})}

    def context(self) -> dict[str, Any]:
        person = self._person()
        return {"show": self._show} | ({"person_id": person["person_id"], "person": str(person["person_id"])} if person else {})

    def body(self) -> ComposeResult:
        self.faces = Faces(least=6, captions=2, caption=self._caption)
        self.faces.empty = "reading the people"
        self.panel = Panel(self._draw, id="person")
        yield Horizontal(self.faces, self.panel, classes="body")

    def on_mount(self) -> None:
        self.faces.focus()

    async def fetch(self) -> None:
        self._shows = await verbs.every(self.rollcall, "show_list")
        if self._show is None and self._shows:
            self._show = max(self._shows, key=lambda show: show["people"])["slug"]
        people = await verbs.every(self.rollcall, "person_list", show=self._show) if self._show else []
        people.sort(key=lambda person: (person["kind"] == "unknown", -person["visual_s"], person["person_id"]))
        self.faces.empty = "nobody yet: add and analyse a video in the library (L), or add somebody here (a)"
        self.faces.set_items([{"key": person["person_id"], "person": person["person_id"], "row": person} for person in people])
        if self._wanted is not None:
            keys = [item["key"] for item in self.faces.items]
            if self._wanted in keys:
                self.faces.cursor = keys.index(self._wanted)
            self._wanted = None
        self._cards = {}
        self._read_card()

    def concerned(self, news: News) -> bool:
        return super().concerned(news)

    def pictures_came(self) -> None:
        self.faces.redraw()
        self.panel.redraw()

    def _person(self) -> dict[str, Any] | None:
        return self.faces.current["row"] if self.faces.current else None

    @on(Faces.Moved)
    def _moved(self) -> None:
        self._read_card()
        self.chrome()

    def _read_card(self) -> None:
        person = self._person()
        self.panel.redraw()
        if person is not None and person["person_id"] not in self._cards:
            latest(self, "card", self._read, person["person_id"])

    async def _read(self, person_id: int) -> None:
        found = await verbs.asked(self.rollcall, "person_show", person_id=person_id)
        if found:
            self._cards[person_id] = found
            self.panel.redraw()

    # drawing

    def _caption(self, item: dict[str, Any]) -> list[Line]:
        row = item["row"]
        return [[(clean(row["name"]), "strong" if row["kind"] == "known" else "dim")], [(f"{span(row['visual_s'])} in {row['episodes']}", "faint")]]

    def _draw(self, width: int, height: int) -> list[Line]:
        person = self._person()
        if person is None:
            return []
        columns, rows = (24, 12) if height >= 26 and width >= 26 else (16, 8)
        lines = picture_lines(self.rollcall, {"person": person["person_id"]}, columns, rows)
        lines.append([(clean(person["name"]), "title")])
        if person["aliases"]:
            lines.append([("also " + clean(", ".join(person["aliases"])), "dim")])
        if person["kind"] == "unknown":
            lines.append([("nobody has named them: ", "dim"), ("n", "key"), (" does", "dim")])
        card = self._cards.get(person["person_id"])
        if card is None:
            return lines
        lines.append([])
        presence = card["presence"]
        full = max((row["visual_high_s"] for row in presence), default=0.0)
        name = max(8, width // 3)
        for row in presence[: max(0, height - len(lines))]:
            number = f"s{row['season']:02d}e{row['number']:02d} " if row["season"] is not None and row["number"] is not None else ""
            bar = interval(row["visual_low_s"], row["visual_s"], row["visual_high_s"], full, max(4, width - name - 12))
            lines.append([(fit(number + clean(row["title"]), name), "text"), (" ", "text"), *bar, (right(f"{row['visual_s']:.1f} s", 10), "dim")])
        if not presence:
            lines.append([("not seen in any analysed episode", "dim")])
        return lines

    # doing

    def why_not(self, action: str) -> str | None:
        if not action.startswith("people."):
            return None
        if action == "people.show":
            return None if len(self._shows) > 1 else "There is only one show."
        if action == "people.add":
            return None if self._show else "Add a show first: L, then n."
        if self._person() is None:
            return "There is nobody here yet."
        if action == "people.merge" and len(self.faces.items) < 2:
            return "There is nobody else to merge them with."
        return None

    def do_filter(self) -> None:
        async def ask() -> None:
            from app.screens.ask import Who

            people = [item["row"] for item in self.faces.items]
            found = await self.rollcall.push_screen_wait(Who("Go to whom?", people, new=False))
            if found:
                self.faces.cursor = [str(item["key"]) for item in self.faces.items].index(found["person"])
                self.faces._settle()
                self.faces.redraw()
                self._read_card()

        self.run_worker(ask(), exit_on_error=False)

    @on(Faces.Opened)
    def _opened(self) -> None:
        from app.screens.result import Result

        person = self._person()
        card = self._cards.get(person["person_id"]) if person else None
        if card:
            self.rollcall.push_screen(Result("person_show", card))

    def do_show(self) -> None:
        slugs = [show["slug"] for show in self._shows]
        self._show = slugs[(slugs.index(self._show) + 1) % len(slugs)] if self._show in slugs else slugs[0]
        self.rollcall.remember(self)
        self.reload()

    def do_add(self) -> None:
        verbs.form(self.rollcall, "person_add", {"show": self._show})

    def do_name(self) -> None:
        person = self._person()
        if person:
            self.run_worker(verbs.name_person(self.rollcall, person), exit_on_error=False)

    def do_merge(self) -> None:
        self.run_worker(self._merge(), exit_on_error=False)

    async def _merge(self) -> None:
        from app.screens.ask import Who

        person = self._person()
        assert person is not None
        others = [item["row"] for item in self.faces.items if item["key"] != person["person_id"]]
        found = await self.rollcall.push_screen_wait(Who(f"{person['name']} is the same person as whom? That one's name stays.", others, new=False))
        if found:
            said = f"{person['name']} and {found['name']} are one person."
            await facing.write(self.rollcall, "person_merge", said, person_id=person["person_id"], into_person_id=int(found["person"]))

    def _form(self, operation: str) -> None:
        verbs.form(self.rollcall, operation, self.context(), then=lambda answer: self._done(operation, answer))

    def _done(self, operation: str, answer: dict[str, Any]) -> None:
        if self.rollcall.operations[operation]["effect"] == "read":
            from app.screens.result import Result

            self.rollcall.push_screen(Result(operation, answer))
        else:
            verbs.tell(self.rollcall, answer, f"Done: {operation.replace('_', ' ', 1)}.")

    def do_alias(self) -> None:
        self._form("person_alias")

    def do_feature(self) -> None:
        self._form("person_feature")

    def do_bank(self) -> None:
        self.run_worker(self._bank(), exit_on_error=False)

    async def _bank(self) -> None:
        person = self._person()
        assert person is not None
        found = await verbs.asked(self.rollcall, "facebank_list", person_id=person["person_id"])
        if found is not None:
            self._done("facebank_list", found)

    def do_imported(self) -> None:
        self._form("facebank_import")

    def do_archive(self) -> None:
        self._form("person_archive")

    def do_forget(self) -> None:
        self._form("person_forget")
