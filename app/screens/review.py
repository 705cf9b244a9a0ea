"""The review queue: one question a screen, the faces it is about, the likely answers on number keys; the next comes by itself."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from app import facing, verbs
from app.facing import Target
from app.link import News
from app.paint import BAR, Line, clean, clock, fit, meter, percent, right, span, spread, wrap
from app.pictures import Picture, boxed, read, scaled
from app.screens.base import Place, bindings
from app.widgets.faces import Faces
from app.widgets.panel import Panel
from app.widgets.player import RATE, Player

AHEAD = 50
PLAY_WIDTH = 72
MOST = 64
MARGIN_US = 300_000

QUESTIONS = {
    "name": "Who is this?",
    "confirm": "Is this {person}?",
    "disagreement": "Who is right about this one?",
    "mixed": "Is this one person all the time?",
    "suggestion": "Is this suggestion right?",
    "lost": "A decision has lost its face",
}


class Review(Place):
    """Shows the first item of the queue that was not put off. Answers go to the whole cluster, or to the marked faces."""

    places = ("review",)
    BINDINGS: ClassVar = bindings("review")
    DEFAULT_CSS = """
    Review #question { height: 3; padding: 0 1; }
    Review #likely { width: 36; padding: 0 1; }
    Review #when { height: 3; padding: 0 1; }
    Review .middle { height: 1fr; }
    Review Player { display: none; }
    Review .playing Player { display: block; }
    Review .playing Faces { display: none; }
    """

    def __init__(self, episode: int | None = None) -> None:
        super().__init__()
        self.episode_id = episode
        self.item: dict[str, Any] | None = None
        self._items: list[dict[str, Any]] = []
        self._more = False
        self._later: set[Any] = set()
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
        self.faces = Faces(least=4, captions=1)
        self.faces.empty = ""
        self.player = Player()
        self.likely = Panel(self._draw_likely, id="likely")
        self.when = Panel(self._draw_when, id="when")
        yield self.question
        with Horizontal(classes="middle"):
            with Vertical(id="stage"):
                yield self.faces
                yield self.player
            yield self.likely
        yield self.when

    def on_mount(self) -> None:
        super().on_mount()
        self.faces.focus()

    # reading

    async def fetch(self) -> None:
        given = {"episode": str(self.episode_id)} if self.episode_id is not None else {}
        page = await self.rollcall.link.ask("queue_list", limit=AHEAD, **given)
        self._items, self._more = page["rows"], page.get("next_cursor") is not None
        self._read_once = True
        waiting = [item for item in self._items if item["item"] not in self._later]
        if not waiting and self._later:
            self._later.clear()
            waiting = self._items
        current = next((item for item in waiting if self.item and item["item"] == self.item["item"]), waiting[0] if waiting else None)
        await self._show(current)

    async def _show(self, item: dict[str, Any] | None) -> None:
        """Put an item on the screen, and read what it is about."""
        fresh = item is None or self.item is None or item["item"] != self.item["item"]
        self.item = item
        if fresh:
            self._stop()
            self._tracks = {}
            self.faces.marked, self.faces.cursor, self.faces.top = set(), 0, 0
        self._fill()
        if item is None:
            return
        await self._read_episode(item["episode_id"])
        self._redraw()
        for ref in item["tracks"]:
            if self.item is not item:
                return
            if ref not in self._tracks:
                found = await self.rollcall.link.ask("track_show", track_id=int(ref.partition("@")[0]))
                self._tracks[ref] = _piece(found, ref)
        self._fill()

    async def _read_episode(self, episode_id: int) -> None:
        if episode_id not in self._episodes:
            self._episodes[episode_id] = await self.rollcall.link.ask("episode_show", episode=str(episode_id))
        show = self._episodes[episode_id]["show_id"]
        if show not in self._people:
            self._people[show] = await verbs.every(self.rollcall, "person_list", show=str(show))

    def _fill(self) -> None:
        item = self.item
        faces = []
        for ref in item["tracks"] if item else ():
            known = self._tracks.get(ref)
            caption = clock(known["start_us"])[:-3] + f" {span((known['end_us'] - known['start_us']) / 1e6)}" if known else ""
            faces.append({"key": ref, "track": ref, "caption": (caption,)})
        self.faces.set_items(faces)
        self._redraw()

    def _redraw(self) -> None:
        for panel in (self.question, self.likely, self.when):
            panel.redraw()
        self.chrome()

    def pictures_came(self) -> None:
        self.faces.redraw()

    def concerned(self, news: News) -> bool:
        if any(name.startswith("person_") for name in news.operations()):
            self._people = {}
        return super().concerned(news)

    # drawing

    def _draw_question(self, width: int, height: int) -> list[Line]:
        item = self.item
        if item is None:
            if not self._read_once:
                return [[], [("reading the queue", "dim")]]
            done = f" You answered {self._answered}." if self._answered else ""
            where = "this episode" if self.episode_id is not None else "the library"
            return [
                [],
                [(f"Nothing in {where} is worth asking about now.{done}", "strong")],
                [("L goes to the library, A shows what was decided", "dim")],
            ]
        first = next((row["person"] for row in item["candidates"] if row["person_id"] is not None), None)
        question = QUESTIONS.get(item["kind"], clean(item["kind"])).format(person=clean(first or "them"))
        count = f"{len(self._items)}{'+' if self._more else ''} to answer"
        settles = f"settles {span(item['seconds'])}"
        if item.get("at_risk_s"):
            settles += f", {item['at_risk_s']:.1f} s of it in doubt"
        gap = max(1, width - len(question) - len(count) - len(settles) - 5)
        lines: list[Line] = [[(question, "title"), ("  ", "text"), (settles, "dim"), (" " * gap, "text"), (count, "faint")]]
        badges = "  ".join(clean(badge) for badge in item.get("badges", ()))
        why = wrap(clean(item["why"]), width)
        lines.append([(why[0] if why else "", "text")])
        lines.append([(why[1], "text") if len(why) > 1 else (badges, "accent")])
        return lines

    def _draw_likely(self, width: int, height: int) -> list[Line]:
        item = self.item
        if item is None:
            return []
        lines: list[Line] = []
        room = width - 2
        for n, row in enumerate(self._candidates()[:9], 1):
            lines.append(
                [
                    (f"{n} ", "key", f"screen.do('review.candidate', {n})"),
                    (fit(clean(row["person"]), room - 6), "strong"),
                    (right(percent(row["probability"]), 6), "dim"),
                ]
            )
            lines.append([("  ", "text"), (meter(row["probability"], room), "soft")])
        others = sum(row["probability"] for row in item["candidates"] if row["person_id"] is None)
        if others >= 0.005:
            lines.append([("  ", "text"), (fit("nobody known", room - 6), "dim"), (right(percent(others), 6), "dim")])
        keys: list[tuple[str, str]] = [("a", "somebody else, or a new name")]
        if item["kind"] == "suggestion":
            keys = [("y", "accept it"), ("d", "dismiss it"), *keys]
        elif self._candidates():
            keys.append(("0", f"not {clean(self._candidates()[0]['person'])}"))
        if len(item["tracks"]) > 1:
            keys += [("m", "mark faces"), ("s", "the marked are another person")]
        keys += [("X", "not a face"), ("space", "play it"), ("tab", "later")]
        lines.append([])
        marked = len(self.faces.marked)
        if marked:
            lines.append([(f"{marked} of {len(item['tracks'])} faces marked", "accent")])
        for key, text in keys[: max(0, height - len(lines))]:
            lines.append([(fit(key, 6), "key"), (text, "dim")])
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
        pieces: list[tuple[str, str]] = []
        for cell, ink in zip(cells, inks, strict=True):
            if pieces and pieces[-1][1] == ink:
                pieces[-1] = (pieces[-1][0] + cell, ink)
            else:
                pieces.append((cell, ink))
        track_now = self._tracks.get(current or "")
        where = f"{clock(track_now['start_us'])} to {clock(track_now['end_us'])}, shot {track_now['shot'] + 1}" if track_now else ""
        return [[], pieces, [(where, "dim")]]

    # what is meant

    def _candidates(self) -> list[dict[str, Any]]:
        return [row for row in (self.item or {}).get("candidates", ()) if row["person_id"] is not None]

    def aimed(self) -> Target:
        """The marked faces; else the item's cluster, or all its faces."""
        item = self.item or {}
        marked = [ref for ref in item.get("tracks", ()) if ref in self.faces.marked]
        first = self._candidates()[0] if self._candidates() else {}
        return Target(
            marked or list(item.get("tracks", ())),
            cluster_id=None if marked else item.get("cluster_id"),
            person_id=first.get("person_id"),
            person=first.get("person"),
            candidates=item.get("candidates", []),
            rev=item.get("rev"),
        )

    def context(self) -> dict[str, Any]:
        if self.item is None:
            return {"episode": str(self.episode_id)} if self.episode_id is not None else {}
        target = self.aimed()
        return {
            "episode": str(self.item["episode_id"]),
            "item": self.item["item"],
            "tracks": target.tracks,
            "cluster_id": self.item.get("cluster_id"),
        }

    def why_not(self, action: str) -> str | None:
        if not action.startswith("review."):
            return None
        item = self.item
        if item is None:
            return None if action == "review.suggestions" else "The queue is empty: there is nothing to answer."
        if action == "review.unknown" and not self._candidates():
            return "It is taken for nobody; tab leaves it for later."
        if action == "review.accept" and item["kind"] != "suggestion" and not self._candidates():
            return "There is nobody to say yes to; a says who it is."
        if action == "review.dismiss" and item["kind"] != "suggestion":
            return "This is no suggestion; 0 says that it is not them, tab leaves it for later."
        if action == "review.split" and not self.faces.marked:
            return "Mark the faces that are somebody else first: m."
        if action == "review.split" and item.get("cluster_id") is None:
            return "These faces are in no cluster; say who the marked ones are (a)."
        if action in ("review.play", "review.moment", "review.mark") and not item["tracks"]:
            return "There is no face to this item."
        return None

    # doing

    def _answer(self, work: Any) -> None:
        """Send an answer; the next item shows at once when the engine names it."""

        async def then() -> None:
            item = self.item
            answer = await work
            if answer is None:
                self.reload()
                return
            self._answered += 1
            if self.item is item and item is not None:
                self._items = [other for other in self._items if other["item"] != item["item"]]
                following = answer.get("next") or next((other for other in self._items if other["item"] not in self._later), None)
                if following and "tracks" in following:
                    await self._show(following)
                else:
                    self.item = None
            self.reload()

        self.run_worker(then(), group="answer", exit_on_error=False)

    def do_candidate(self, number: int) -> None:
        likely = self._candidates()
        if number > len(likely):
            self.rollcall.say(f"There is no likely person {number} here; a picks anybody.", severity="warning")
            return
        row = likely[number - 1]
        self._answer(facing.assign(self.rollcall, self.aimed(), str(row["person_id"]), row["person"]))

    def do_assign(self) -> None:
        assert self.item is not None
        episode = self._episodes.get(self.item["episode_id"])
        people = self._people.get(episode["show_id"], []) if episode else []
        self._answer(facing.ask_who(self.rollcall, self.aimed(), people))

    def do_unknown(self) -> None:
        target = self.aimed()
        assert target.person_id is not None and target.person is not None
        self._answer(facing.reject(self.rollcall, target, target.person_id, target.person))

    def do_exclude(self) -> None:
        self._answer(facing.exclude(self.rollcall, self.aimed()))

    def do_split(self) -> None:
        assert self.item is not None
        marked = [ref for ref in self.item["tracks"] if ref in self.faces.marked]
        self._answer(facing.split_off(self.rollcall, self.item["cluster_id"], marked, self.item.get("rev")))

    def do_accept(self) -> None:
        assert self.item is not None
        if self.item["kind"] == "suggestion":
            given = {"episode": str(self.item["episode_id"]), "suggestions": self.item.get("suggestions")}
            self._answer(facing.write(self.rollcall, "suggestion_accept", "Accepted.", **given))
        else:
            self.do_candidate(1)

    def do_dismiss(self) -> None:
        assert self.item is not None
        self._answer(facing.write(self.rollcall, "suggestion_dismiss", "Dismissed.", suggestions=self.item.get("suggestions")))

    def do_lock(self) -> None:
        self._answer(facing.lock(self.rollcall, self.aimed(), locked=True))

    def do_skip(self) -> None:
        item = self.item
        if item is None:
            return
        self._later.add(item["item"])

        async def skip() -> None:
            await verbs.asked(self.rollcall, "queue_skip", item=item["item"])
            following = next((other for other in self._items if other["item"] not in self._later), None)
            if following is None:
                self.rollcall.say("That was the last one; those put off come again.")
                self.reload()
            else:
                await self._show(following)

        self.run_worker(skip(), group="answer", exit_on_error=False)

    def do_suggestions(self) -> None:
        verbs.form(self.rollcall, "suggestion_list", self.context(), then=self._show_suggestions)

    def _show_suggestions(self, answer: dict[str, Any]) -> None:
        from app.screens.result import Result

        self.rollcall.push_screen(Result("suggestion_list", answer))

    def do_mark(self) -> None:
        self.faces.do_mark()
        self.likely.redraw()

    def do_left(self) -> None:
        self.faces.do_left()

    def do_right(self) -> None:
        self.faces.do_right()

    @on(Faces.Moved)
    def _face_moved(self) -> None:
        self._stop()
        self.when.redraw()

    def closed(self) -> bool:
        if self.query_one("#stage").has_class("playing"):
            self._stop()
            return True
        if self.faces.marked:
            self.faces.marked = set()
            self.faces.redraw()
            self.likely.redraw()
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
            self.run_worker(self._play(str(self.item["episode_id"]), track), group="play", exclusive=True, exit_on_error=False)

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
        self.player.play([_with_box(read(frame), track["boxes"], colour) for frame in answer["frames"]])


def _piece(track: dict[str, Any], ref: str) -> dict[str, Any]:
    """A track, or the stretch of it that a reference names."""
    _, at, stretch = ref.partition("@")
    if at:
        low, _, high = stretch.partition("-")
        track = {**track, "start_us": round(float(low) * 1e6), "end_us": round(float(high) * 1e6)}
        track["boxes"] = [box for box in track["boxes"] if track["start_us"] <= box["t_us"] < track["end_us"]]
    return track


def _with_box(frame: Picture, boxes: list[dict[str, Any]], colour: tuple[int, ...]) -> Picture:
    """The frame with the box of the face nearest in time, when there is one near."""
    near = min(boxes, key=lambda box: abs(box["t_us"] - frame.t_us), default=None)
    if near is None or abs(near["t_us"] - frame.t_us) > 250_000:
        return frame
    return boxed(scaled(frame, frame.width, frame.height), [((near["x1"], near["y1"], near["x2"], near["y2"]), colour)])
