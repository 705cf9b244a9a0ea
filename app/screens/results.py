"""Results of an episode: who was on screen and for how long, how sure that is, and who was seen with whom."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from app import verbs
from app.latest import latest
from app.paint import BAR, Line, clean, clock, fit, interval, right, runs, span, spread
from app.screens.base import bindings
from app.screens.tab import Tab
from app.widgets.panel import Panel
from app.widgets.picture import picture_lines
from app.widgets.rows import Rows

NAME = 20
FIGURES = 29


class Results(Tab):
    """People with bars; beside them the one under the cursor, when, and with whom."""

    title = "Results"
    places = ("results",)
    BINDINGS: ClassVar = bindings("results")
    DEFAULT_CSS = """
    Results { layout: vertical; }
    Results #people { height: 1fr; }
    Results #person { height: 12; border-top: solid $surface; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        self._totals: dict[str, Any] | None = None
        self._explained: dict[int, dict[str, Any]] = {}
        self.rows = Rows(self._line, key=lambda row: row["person_id"], words=lambda row: row["name"], head=self._head, id="people")
        self.rows.empty = [("reading the totals", "dim")]
        self.person = Panel(self._draw_person, id="person")
        yield self.rows
        yield self.person

    def first(self) -> Widget:
        return self.rows

    async def fetch(self) -> None:
        self._totals = await self.rollcall.link.ask("totals_show", episode=self.episode.reference)
        self._explained = {}
        self.rows.empty = [("nobody was seen in this episode", "dim")]
        self.rows.set_rows(self._totals["people"])
        self.person.redraw()

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        return {"person_id": row["person_id"]} if row else {}

    def pictures_came(self) -> None:
        self.person.redraw()

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        self.person.redraw()
        self.episode.chrome()
        if event.row and event.row["person_id"] not in self._explained:
            latest(self, "explain", self._explain, event.row["person_id"])

    async def _explain(self, person_id: int) -> None:
        found = await verbs.asked(self.rollcall, "totals_explain", episode=self.episode.reference, person_id=person_id)
        if found:
            self._explained[person_id] = found
            self.person.redraw()

    # drawing

    def _head(self, width: int) -> Line:
        names = fit("  person", NAME + 2)
        bars = max(6, width - NAME - FIGURES - 3)
        told = "on screen: ▆ sure ▅ expected ▂ possible" if bars >= 39 else "▆ sure ▅ likely ▂ possible"
        return [(names + fit(told, bars) + right("seconds", 9) + right("95 %", 12) + right("alone", 8), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        people = self._totals["people"] if self._totals else []
        full = max((person["visual_high_s"] for person in people), default=0.0)
        bars = max(6, width - NAME - FIGURES - 2)
        ink = "text" if row["kind"] == "known" else "dim"
        between = f"{row['visual_low_s']:.1f}–{row['visual_high_s']:.1f}"
        return [
            (fit(clean(row["name"]), NAME), ink),
            (" ", "text"),
            *interval(row["visual_low_s"], row["visual_s"], row["visual_high_s"], full, bars),
            (right(f"{row['visual_s']:.1f}", 9), "strong"),
            (right(between, 12), "dim"),
            (right(f"{row['solo_s']:.1f}", 8), "dim"),
        ]

    def _draw_person(self, width: int, height: int) -> list[Line]:
        row, totals = self.rows.current, self._totals
        if row is None or totals is None:
            return []
        face = picture_lines(self.rollcall, {"person": row["person_id"]}, 20, 10)
        room = max(10, width - 23)
        words: list[Line] = [
            [
                (clean(row["name"]), "title"),
                (f"   {row['tracks']} tracks, {row['faces']} faces, {clock(row['first_us'])} to {clock(row['last_us'])}", "dim"),
            ],
            *self._timeline(row, room),
            [],
            *self._together(row, totals, room),
        ]
        if totals["unidentified_s"] >= 0.05:
            words.append([(f"Seen in this episode but not identified: {span(totals['unidentified_s'])}.", "dim")])
        words += [[]] * (10 - len(words))
        return [[*left, ("  ", "text"), *right_side] for left, right_side in zip(face, words[:10], strict=True)]

    def _timeline(self, row: dict[str, Any], width: int) -> list[Line]:
        """When the person is on screen, over the whole episode, and what is in doubt."""
        found = self._explained.get(row["person_id"])
        length = (self.episode.facts or {}).get("duration_s", 0.0) * 1e6
        if found is None or not length:
            return [[("─" * width, "faint")], []]
        cells = ["─"] * width
        for stretch in found["stretches"]:
            a, b = spread(stretch["start_us"], stretch["end_us"], 0, length, width)
            cells[a:b] = BAR * (b - a)
        line = runs(cells, ["accent" if cell == BAR else "faint" for cell in cells])
        doubts = found["doubts"]
        words = f"in {len(found['stretches'])} stretches"
        if doubts:
            words += f"; {len(doubts)} tracks in doubt move it by {sum(doubt['seconds'] for doubt in doubts):.1f} s"
        return [line, [(words, "dim")]]

    def _together(self, row: dict[str, Any], totals: dict[str, Any], width: int) -> list[Line]:
        """With whom, most seconds first."""
        names = {person["person_id"]: person["name"] for person in totals["people"]}
        mine = row["person_id"]
        others = [
            (pair["person_b"] if pair["person_a"] == mine else pair["person_a"], pair["seconds"])
            for pair in totals["co_presence"]
            if mine in (pair["person_a"], pair["person_b"])
        ]
        others = sorted((pair for pair in others if pair[1] > 0), key=lambda pair: -pair[1])
        if not others:
            return [[("never on screen with anybody else", "dim")]]
        lines: list[Line] = [[("together with", "dim")]]
        full = max(row["visual_s"], *(seconds for _, seconds in others))
        for person, seconds in others[:4]:
            bar = interval(seconds, seconds, seconds, full, max(4, width - NAME - 10))
            lines.append([(fit(clean(names.get(person, f"person {person}")), NAME), "text"), *bar, (right(f"{seconds:.1f} s", 9), "dim")])
        return lines

    # doing

    def why_not(self, action: str) -> str | None:
        if action in ("results.name", "results.person") and self.rows.current is None:
            return "Nobody was seen in this episode."
        return None

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        self.run_worker(self._show_explained(event.row), exit_on_error=False)

    async def _show_explained(self, row: dict[str, Any]) -> None:
        from app.screens.result import Result

        found = await verbs.asked(self.rollcall, "totals_explain", episode=self.episode.reference, person_id=row["person_id"])
        if found:
            self.rollcall.push_screen(Result("totals_explain", found))

    def do_name(self) -> None:
        row = self.rows.current
        if row:
            self.run_worker(verbs.name_person(self.rollcall, row), exit_on_error=False)

    def do_person(self) -> None:
        row = self.rows.current
        if row and self.episode.facts:
            self.rollcall.go("people", show=self.episode.facts["show"], person=row["person_id"])

    def do_exports(self) -> None:
        self.run_worker(self._show_exports(), exit_on_error=False)

    async def _show_exports(self) -> None:
        from app.screens.result import Result

        found = await verbs.asked(self.rollcall, "export_list", episode=self.episode.reference)
        if found is not None:
            if not found["rows"]:
                self.rollcall.say("Nothing was exported from this episode yet; e does it.")
            else:
                self.rollcall.push_screen(Result("export_list", found))
