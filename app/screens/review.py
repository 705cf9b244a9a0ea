"""The review queue: one question a screen, the faces it is about, the likely answers on number keys; the next comes by itself."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from app import facing, verbs
from app.facing import Target
from app.latest import latest
from app.link import News
from app.paint import BAR, Line, clean, clock, fit, meter, percent, right, runs, span, spread, wrap
from app.pictures import read
from app.screens.asking import NOBODY, Unit, piece, proposal, question, with_box
from app.screens.base import Place, bindings
from app.widgets.faces import Faces
from app.widgets.panel import Panel
from app.widgets.picture import picture_lines
from app.widgets.player import RATE, Player

AHEAD = 50
PLAY_WIDTH = 72
MOST = 64
MARGIN_US = 300_000


class Review(Place):
    """Shows the first item of the queue. An item is a sheet of one or several units: a cluster or a track, with whom it is proposed to be."""

    places = ("review",)
    BINDINGS: ClassVar = bindings("review")
    DEFAULT_CSS = """
    Review #question { height: 3; padding: 0 1; }
    Review #likely { width: 34; padding: 0 1; }
    Review #when { height: 2; padding: 0 1; }
    Review .middle { height: 1fr; }
    Review #stage { layout: horizontal; }
    Review #large { width: 27; padding: 0 1; }
    Review.-wide #large { width: 51; }
    Review Player { display: none; }
    Review .playing Player { display: block; }
    Review .playing Faces, Review .playing #large { display: none; }
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 (declared as an instance variable by the toolkit)

    def __init__(self, episode: int | None = None) -> None:
        super().__init__()
        self.episode_id = episode
        self.item: dict[str, Any] | None = None
        self._items: list[dict[str, Any]] = []
        self._more = False
        self._skipped: set[str] = set()
        self._tracks: dict[str, dict[str, Any]] = {}
        self._episodes: dict[int, dict[str, Any]] = {}
        self._people: dict[int, list[dict[str, Any]]] = {}
        self._read_once = False
        self._answered = 0

    def crumbs(self) -> list[str]:
        episode = self._episodes.get(self.item["episode_id"]) if self.item else None
        return ["Review", *([episode["title"]] if episode else [])]

    def place(self) -> dict[str, Any]:
        return {"name": "review", **({"episode": self.episode_id} if self.episode_id is not None else {})}

    def body(self) -> ComposeResult:
        self.question = Panel(self._draw_question, id="question")
        self.large = Panel(self._draw_large, id="large")
        self.faces = Faces(least=24, captions=1, caption=self._caption)
        self.faces.empty = ""
        self.player = Player()
        self.likely = Panel(self._draw_likely, id="likely")
        self.when = Panel(self._draw_when, id="when")
        yield self.question
        with Horizontal(classes="middle"):
            with Vertical(id="stage"):
                yield self.large
                yield self.faces
                yield self.player
            yield self.likely
        yield self.when

    def on_mount(self) -> None:
        self.faces.focus()

    # reading

    async def fetch(self) -> None:
        given = {"episode": str(self.episode_id)} if self.episode_id is not None else {}
        page = await self.rollcall.link.ask("queue_list", limit=AHEAD, **given)
        self._items = [item for item in page["rows"] if item["item"] not in self._skipped]
        self._more = page["next_cursor"] is not None
        self._read_once = True
        same = next((item for item in self._items if self.item and item["item"] == self.item["item"]), None)
        await self._show(same or (self._items[0] if self._items else None))

    async def _show(self, item: dict[str, Any] | None) -> None:
        """Put an item on the screen, and read what it is about."""
        if item is None or self.item is None or item["item"] != self.item["item"]:
            self._stop()
            self._tracks = {}
            self.faces.marked, self.faces.cursor, self.faces.top = set(), 0, 0
        self.item = item
        self._fill()
        if item is None:
            return
        await self._read_episode(item["episode_id"])
        self._redraw()
        for ref in self._refs():
            if self.item is not item:
                return
            if ref not in self._tracks:
                found = await self.rollcall.link.ask("track_show", track_id=int(ref.partition("@")[0]))
                self._tracks[ref] = piece(found, ref)
        self._redraw()
        self.catch_up()

    async def _read_episode(self, episode_id: int) -> None:
        if episode_id not in self._episodes:
            self._episodes[episode_id] = await self.rollcall.link.ask("episode_show", episode=str(episode_id))
        show = self._episodes[episode_id]["show_id"]
        if show not in self._people:
            self._people[show] = await verbs.every(self.rollcall, "person_list", show=str(show))

    def _units(self) -> list[Unit]:
        """What is asked now: all units of a sheet whose people are proposed, to be taken at once; else the first that has to be named."""
        asked: list[Unit] = self.item["asked"] if self.item else []
        unnamed = [unit for unit in asked if unit["proposed"] is None]
        return unnamed[:1] or asked

    def _refs(self) -> list[str]:
        return [ref for unit in self._units() for ref in unit["shown"]]

    def _fill(self) -> None:
        self.faces.set_items([{"key": ref, "track": ref, "unit": unit} for unit in self._units() for ref in unit["shown"]])
        self._redraw()

    def _redraw(self) -> None:
        for panel in (self.question, self.large, self.likely, self.when):
            panel.redraw()
        self.faces.redraw()
        self.chrome()

    def pictures_came(self) -> None:
        self.faces.redraw()
        self.large.redraw()

    def concerned(self, news: News) -> bool:
        if any(name != "queue_skip" for name in news.operations()):
            self._people = {}  # names and seconds may have changed
        return super().concerned(news)

    # drawing

    def _draw_question(self, width: int, height: int) -> list[Line]:
        item, unit = self.item, self._unit()
        if item is None or unit is None:
            if not self._read_once:
                return [[], [("reading the queue", "dim")]]
            done = f" You answered {self._answered}." if self._answered else ""
            where = "this episode" if self.episode_id is not None else "the library"
            return [[], [(f"Nothing in {where} is worth asking about now.{done}", "strong")], [("L library   A what was decided", "dim")]]
        count = sum(len(other["asked"]) if any(one["proposed"] is None for one in other["asked"]) else 1 for other in self._items)
        left = f"{count}{'+' if self._more else ''} left"
        units = self._units()
        risk = item["at_risk_s"] * sum(one["seconds"] for one in units) / max(0.001, item["settles_s"])
        settles = f"settles {span(sum(one['seconds'] for one in units))}, {risk:.1f} s of error"
        asked = question(units, unit)
        gap = max(1, width - len(asked) - len(left) - len(settles) - 2)
        lines: list[Line] = [[(asked, "title"), ("  ", "text"), (settles, "dim"), (" " * gap, "text"), (left, "faint")]]
        badges = "  ".join(clean(badge) for badge in unit["badges"])
        why = wrap(clean(unit["why"]), max(10, width - len(badges) - 3))
        lines.append([(why[0] if why else "", "dim"), ("   " + badges, "accent")])
        lines += [[(line, "dim")] for line in why[1:2]]
        return lines

    def _caption(self, face: dict[str, Any]) -> list[Line]:
        unit, track = face["unit"], self._tracks.get(face["key"])
        if len(self._units()) > 1:
            known = unit["proposed"] and unit["proposed"]["person_id"] is not None
            return [[(proposal(unit), "text") if known else ("nobody", "dim")]]
        at = f"{clock(track['start_us'])[:-3]} {span((track['end_us'] - track['start_us']) / 1e6)}" if track else ""
        return [[(at, "dim")]]

    def _draw_large(self, width: int, height: int) -> list[Line]:
        """The face under the cursor, as large as there is room."""
        face = self.faces.current
        if face is None:
            return []
        columns = max(8, min(width - 1, 2 * (height - 1)) // 2 * 2)
        lines = picture_lines(self.rollcall, {"track": face["key"]}, columns, columns // 2)
        label = clean(face["unit"]["label"])
        return [*lines, [("now: ", "faint"), (label, "dim")]]

    def _draw_likely(self, width: int, height: int) -> list[Line]:
        item, unit = self.item, self._unit()
        if item is None or unit is None:
            return []
        lines: list[Line] = []
        room = width - 2
        if len(self._units()) > 1:
            lines += [[("the face under the cursor", "dim")]]
        for n, row in enumerate(self._candidates()[:9], 1):
            name = (fit(clean(row["person"]), room - 6), "strong")
            lines.append([(f"{n} ", "key", f"screen.do('review.candidate', {n})"), name, (right(percent(row["probability"]), 6), "dim")])
            lines.append([("  ", "text"), (meter(row["probability"], room), "soft")])
        others = sum(row["probability"] for row in unit["candidates"] if row["person_id"] is None)
        if others >= 0.005:
            lines.append([("  ", "text"), (fit("nobody known", room - 6), "dim"), (right(percent(others), 6), "dim")])
        marked = len(self.faces.marked)
        keys: list[tuple[str, str]] = [("y", "yes" + (", but not the marked" if marked else ""))] if self.why_not("review.accept") is None else []
        keys.append(("a", "somebody else, a new name"))
        keys.append(("0", NOBODY if self.aimed().person_id is None else f"not {proposal(unit)}"))
        if len(self.faces.items) > 1:
            keys.append(("m", f"{marked} of {len(self.faces.items)} marked" if marked else "mark one that is wrong"))
        if unit["kind"] == "mixed":
            keys.append(("s", "cut it in two"))
        keys += [("space", "play it"), ("tab", "later")]
        lines.append([])
        lines += [[(fit(key, 6), "key"), (text, "dim")] for key, text in keys[: max(0, height - len(lines))]]
        return lines

    def _draw_when(self, width: int, height: int) -> list[Line]:
        """Where in the episode the faces are; the one under the cursor stands out."""
        item = self.item
        episode = self._episodes.get(item["episode_id"]) if item else None
        if item is None or episode is None:
            return []
        length = max(1.0, episode["duration_s"] * 1e6)
        cells, inks = ["─"] * width, ["faint"] * width
        current = self.faces.current["key"] if self.faces.current else None
        for ref, track in sorted(self._tracks.items(), key=lambda pair: pair[0] == current):
            a, b = spread(track["start_us"], track["end_us"], 0, length, width)
            cells[a:b], inks[a:b] = [BAR] * (b - a), ["accent" if ref == current else "soft"] * (b - a)
        now = self._tracks.get(current or "")
        where = f"{clock(now['start_us'])} to {clock(now['end_us'])}, shot {now['shot'] + 1}" if now else ""
        unit = self._unit()
        stands = f", stands for {unit['tracks']} tracks" if unit and unit["tracks"] > len(unit["shown"]) else ""
        return [runs(cells, inks), [(where + stands, "dim")]]

    # what is meant

    def _unit(self) -> Unit | None:
        """The unit of the face under the cursor."""
        if self.item is None:
            return None
        face = self.faces.current
        unit: Unit = face["unit"] if face else self.item["asked"][0]
        return unit

    def _nobody(self, face: dict[str, Any]) -> bool:
        proposed = face["unit"]["proposed"]
        return proposed is not None and proposed["person_id"] is None

    def _candidates(self) -> list[dict[str, Any]]:
        unit = self._unit()
        return [row for row in unit["candidates"] if row["person_id"] is not None] if unit else []

    def aimed(self) -> Target:
        """The marked faces; else the cluster or the faces of the unit under the cursor."""
        unit = self._unit() or {"shown": [], "cluster_id": None, "proposed": None, "candidates": []}
        marked = [ref for ref in self._refs() if ref in self.faces.marked]
        proposed = unit["proposed"] or {}
        return Target(
            marked or list(unit["shown"]),
            cluster_id=None if marked else unit["cluster_id"],
            person_id=proposed.get("person_id"),
            person=proposed.get("person"),
            candidates=unit["candidates"],
            rev=self.item["rev"] if self.item else None,
        )

    def context(self) -> dict[str, Any]:
        if self.item is None:
            return {"episode": str(self.episode_id)} if self.episode_id is not None else {}
        unit, target = self._unit(), self.aimed()
        known = {"episode": str(self.item["episode_id"]), "item": self.item["item"], "tracks": target.tracks, "rev": self.item["rev"]}
        return {**known, "cluster_id": unit["cluster_id"] if unit else None, "leave_out": sorted(self.faces.marked)}

    def why_not(self, action: str) -> str | None:
        if not action.startswith("review."):
            return None
        item, unit = self.item, self._unit()
        if action == "review.proposals":
            return None
        if item is None or unit is None:
            return "The queue is empty: there is nothing to answer."
        if action == "review.accept" and unit["proposed"] is None:
            return "Nobody is proposed: answer with a number, or a for somebody else or a new name."
        if action == "review.accept" and len(self.faces.marked) == len(self.faces.items):
            return "All faces are marked as wrong: say who it is (a), or 0."
        if action == "review.accept" and any(self._nobody(face) for face in self.faces.items if face["key"] in self.faces.marked):
            return "A marked face is proposed to be nobody: go to it and say who it is first (a number, or a)."
        if action == "review.split" and not self.faces.marked and unit["kind"] != "mixed":
            return "Mark the faces that are somebody else first: m."
        if action == "review.split" and self.faces.marked and unit["cluster_id"] is None:
            return "These faces are no cluster of their own; answer, and the marked ones are left out."
        return None

    # doing

    def _answer(self, work: Any) -> None:
        """Send an answer; what follows is shown at once, and the queue is read again."""

        async def then() -> None:
            item = self.item
            if await work is None:
                self.reload()
                return
            self._answered += 1
            if item is not None and self.item is item:
                self.faces.marked = set()
                await self._next(item, self._units())
            self.reload()

        self.run_worker(then(), group="answer", exit_on_error=False)

    async def _next(self, item: dict[str, Any], answered: list[Unit]) -> None:
        """Show what follows at once: the rest of the item, or the next one; the queue is read again behind it."""
        item["asked"] = [unit for unit in item["asked"] if unit not in answered]
        if not item["asked"]:
            self._items = [other for other in self._items if other is not item]
        self.item = None
        if self._items:
            await self._show(self._items[0])

    def _accept(self, said: str, **given: Any) -> Any:
        """Answer the item, or the unit under the cursor where the sheet holds several."""
        item, unit = self.item, self._unit()
        assert item is not None and unit is not None
        return facing.write(self.rollcall, "queue_accept", said, item=item["item"], rev=item["rev"], leave_out=sorted(self.faces.marked), **given)

    async def _is(self, person: str, name: str, *, create: bool = False) -> Any:
        assert self.item is not None
        if len(self.item["asked"]) == 1:
            return await self._accept(f"That is {name}.", person=person, create=create)
        unit = self._unit()
        assert unit is not None
        kept = [ref for ref in unit["shown"] if ref not in self.faces.marked] or unit["shown"]
        marked = [ref for ref in unit["shown"] if ref not in kept]
        whole = Target(kept, cluster_id=unit["cluster_id"], rev=self.item["rev"])
        if marked and unit["cluster_id"] is not None:
            if await facing.split_off(self.rollcall, unit["cluster_id"], marked, self.item["rev"]) is None:
                return None
            whole = Target(whole.tracks, cluster_id=unit["cluster_id"])
        return await facing.assign(self.rollcall, whole, person, name, create=create)

    def do_accept(self) -> None:
        unit = self._unit()
        assert unit is not None
        names = sorted({proposal(unit) for unit in self._units()})
        self._answer(self._accept(f"Yes: {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}."))

    def do_candidate(self, number: int) -> None:
        likely = self._candidates()
        if number > len(likely):
            self.rollcall.say(f"There is no likely person {number} here; a picks anybody.", severity="warning")
            return
        row = likely[number - 1]
        self._answer(self._is(str(row["person_id"]), row["person"]))

    def do_assign(self) -> None:
        self._answer(self._ask())

    async def _ask(self) -> Any:
        from app.screens.ask import Who

        item, unit = self.item, self._unit()
        assert item is not None and unit is not None
        await self._read_episode(item["episode_id"])
        people = self._people[self._episodes[item["episode_id"]]["show_id"]]
        found = await self.rollcall.push_screen_wait(Who("Who is it?", people, unit["candidates"]))
        return await self._is(found["person"], found["name"], create=found["create"]) if found else None

    def do_unknown(self) -> None:
        target = self.aimed()
        if target.person_id is not None and target.person is not None:
            self._answer(facing.reject(self.rollcall, target, target.person_id, target.person))
        else:
            self._answer(self._is("unknown", NOBODY))

    def do_exclude(self) -> None:
        self._answer(facing.exclude(self.rollcall, self.aimed()))

    def do_split(self) -> None:
        item, unit = self.item, self._unit()
        assert item is not None and unit is not None
        marked = [ref for ref in unit["shown"] if ref in self.faces.marked]
        if marked:
            self._answer(facing.split_off(self.rollcall, unit["cluster_id"], marked, item["rev"]))
            return
        track = self._tracks.get(unit["shown"][0])
        middle = (track["start_us"] + track["end_us"]) / 2e6 if track else 0.0
        self._answer(facing.split_at(self.rollcall, unit["shown"][0], middle, item["rev"]))

    def do_lock(self) -> None:
        self._answer(facing.lock(self.rollcall, self.aimed(), locked=True))

    def do_skip(self) -> None:
        item = self.item
        assert item is not None
        self._skipped.add(item["item"])

        async def skip() -> None:
            await verbs.asked(self.rollcall, "queue_skip", item=item["item"])
            self._items = [other for other in self._items if other is not item]
            self.item = None
            await self._show(self._items[0] if self._items else None)
            self.reload()

        self.run_worker(skip(), group="answer", exit_on_error=False)

    def do_suggestions(self) -> None:
        from app.screens.choosing import suggestions

        assert self.item is not None
        self.run_worker(suggestions(self.rollcall, str(self.item["episode_id"])), group="answer", exit_on_error=False)

    def do_proposals(self) -> None:
        from app.screens.proposals import Proposals

        self.rollcall.push_screen(Proposals())

    def do_mark(self) -> None:
        self.faces.do_mark()
        self._redraw()

    def do_left(self) -> None:
        self.faces.do_left()

    def do_right(self) -> None:
        self.faces.do_right()

    def do_up(self) -> None:
        self.faces.do_up()

    def do_down(self) -> None:
        self.faces.do_down()

    @on(Faces.Moved)
    def _face_moved(self) -> None:
        self._stop()
        self._redraw()

    def closed(self) -> bool:
        if self.query_one("#stage").has_class("playing"):
            self._stop()
            return True
        if self.faces.marked:
            self.faces.marked = set()
            self._redraw()
            return True
        return False

    def do_moment(self) -> None:
        from app.screens.moment import Moment

        track = self._tracks.get(self.faces.current["key"]) if self.faces.current else None
        if track and self.item:
            self.rollcall.push_screen(Moment(str(self.item["episode_id"]), track["start_us"], track["end_us"], f"shot {track['shot'] + 1}"))

    # playing

    def _stop(self) -> None:
        self.player.stop()
        self.query_one("#stage").remove_class("playing")

    def do_play(self) -> None:
        if self.query_one("#stage").has_class("playing"):
            self._stop()
            return
        track = self._tracks.get(self.faces.current["key"]) if self.faces.current else None
        if track is not None and self.item is not None:
            self.player.show(None, "fetching the stretch")
            self.query_one("#stage").add_class("playing")
            latest(self, "play", self._play, str(self.item["episode_id"]), track)

    async def _play(self, episode: str, track: dict[str, Any]) -> None:
        low, high = max(0, track["start_us"] - MARGIN_US), track["end_us"] + MARGIN_US
        width = max(16, min(PLAY_WIDTH, self.query_one("#stage").size.width))
        count = max(2, min(MOST, round((high - low) / 1e6 * RATE)))
        given = {"from_s": low / 1e6, "to_s": high / 1e6, "count": count, "width": width, "form": "rgb"}
        answer = await verbs.asked(self.rollcall, "frame_strip", episode=episode, **given)
        if answer is None:
            self._stop()
            return
        colour = tuple(bytes.fromhex(self.rollcall.ink.colours["accent"][1:]))
        self.player.play([with_box(read(frame), track["boxes"], colour) for frame in answer["frames"]])
