"""The library: shows, their seasons and episodes, and how far each is."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from app import verbs
from app.link import News
from app.paint import Line, clean, clock, fit, interval, meter, percent, right, size, span, wrap
from app.screens.base import Place, bindings
from app.widgets.panel import Panel
from app.widgets.picture import picture_lines
from app.widgets.rows import Rows

WIDE = 110
FACE = (8, 4)


class Library(Place):
    """Everything there is to work on. A row is a show or an episode; the panel beside tells more of it where there is room."""

    places = ("library", "list")
    BINDINGS: ClassVar = bindings("library")
    DEFAULT_CSS = """
    Library #detail { width: 46%; display: none; padding: 0 1; }
    Library.-wide #detail { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 (declared as an instance variable by the toolkit)

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[int, dict[str, Any]] = {}
        self._totals: dict[int, dict[str, Any] | None] = {}

    def crumbs(self) -> list[str]:
        return ["Library"]

    def body(self) -> ComposeResult:
        self.rows = Rows(self._line, key=lambda row: row["key"], words=_words, head=self._head, marks=True)
        self.rows.empty = [("reading the library", "dim")]
        self.detail = Panel(self._detail, id="detail")
        yield Horizontal(self.rows, self.detail, classes="body")

    def on_mount(self) -> None:
        self.rows.focus()

    def place(self) -> dict[str, Any]:
        return {"name": "library"}

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        if row is None:
            return {}
        return {"show": row["slug"]} if row["kind"] == "show" else {"episode": str(row["episode_id"]), "show": row["show"]}

    # reading

    async def fetch(self) -> None:
        shows = await verbs.every(self.rollcall, "show_list")
        episodes = await verbs.every(self.rollcall, "episode_list")
        jobs = (await self.rollcall.link.ask("job_list", limit=200))["rows"]
        self._jobs = {}
        for job in reversed(jobs):
            if job["episode_id"] is not None:
                self._jobs[job["episode_id"]] = job
                if job["state"] == "running":
                    self.rollcall.jobs.setdefault(job["job_id"], job)
        self._totals = {}
        self.rows.empty = [("the library is empty: press ", "dim"), ("a", "key", "screen.do('library.add')"), (" to add a video file", "dim")]
        self.rows.advice = WELCOME
        self.rows.set_rows(_tree(shows, episodes))
        self._look(self.rows.current)

    def concerned(self, news: News) -> bool:
        for job in news.jobs.values():
            known = next((known for known in self._jobs.values() if known["job_id"] == job["job_id"]), None)
            if known is not None:
                known.update({name: job[name] for name in ("state", "progress") if name in job})
                self.rows.redraw({("episode", known["episode_id"])})
                self.detail.redraw()
        return super().concerned(news)

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        self._look(event.row)
        self.chrome()

    def _look(self, row: dict[str, Any] | None) -> None:
        """Read the totals of the episode under the cursor for the panel beside."""
        self.detail.redraw()
        if row is not None and row["kind"] == "episode" and row["active_run_id"] is not None and row["episode_id"] not in self._totals:
            self._totals[row["episode_id"]] = None
            self.run_worker(self._read_totals(row["episode_id"]), exit_on_error=False)

    async def _read_totals(self, episode_id: int) -> None:
        found = await verbs.asked(self.rollcall, "totals_show", episode=str(episode_id))
        if found:
            self._totals[episode_id] = found
            self.detail.redraw()

    def pictures_came(self) -> None:
        self.detail.redraw()

    # drawing

    def _head(self, width: int) -> Line:
        return [(fit("  title", max(10, width - 39)), "faint"), (right("length", 9), "faint"), ("   ", "faint"), (fit("analysis", 26), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        if row["kind"] == "show":
            count = f"{row['episodes']} episode{'s' if row['episodes'] != 1 else ''}, {row['people']} people"
            return [(clean(row["title"]), "strong"), ("  ", "text"), (count, "dim")]
        if row["kind"] == "season":
            return [(f"  season {row['season']}", "dim")]
        number = f"{row['number']:>3}  " if row["number"] is not None else ""
        title = fit("  " + ("  " if row["season"] is not None else "") + number + clean(row["title"]), max(10, width - 39))
        return [(title, "text"), (right(span(row["duration_s"]), 9), "dim"), ("   ", "text"), *self._status(row)]

    def _status(self, row: dict[str, Any]) -> Line:
        job = self._jobs.get(row["episode_id"])
        if job is not None and job["state"] == "running":
            progress = job.get("progress") or {}
            share = progress.get("share", 0.0)
            return [(meter(share, 10), "accent"), (f" {share:4.0%} {progress.get('stage', '')}", "accent")]
        if job is not None and job["state"] == "queued":
            return [("waits for its turn", "dim")]
        if job is not None and job["state"] == "failed":
            return [("failed: J tells why", "bad")]
        if row["active_run_id"] is not None:
            return [("● ", "good"), ("analysed", "dim")]
        return [("○ not analysed: ", "dim"), ("s", "key"), (" starts it", "dim")]

    def _detail(self, width: int, height: int) -> list[Line]:
        row = self.rows.current
        if row is None:
            return []
        if row["kind"] == "season":
            return []
        if row["kind"] == "show":
            return [
                [],
                [(clean(row["title"]), "title")],
                [(f"short name {row['slug']}", "dim")],
                [],
                *[[(line, "dim")] for line in wrap(SHOWS, width - 2)],
            ]
        lines: list[Line] = [[], [(clean(row["title"]), "title")], [(fit_path(row["path"], width - 2), "dim")]]
        lines.append(
            [(f"{row['width']}×{row['height']}  {row['fps']:.4g} fps  {size(row['bytes'])}  {clock(round(row['duration_s'] * 1e6))}", "dim")]
        )
        job = self._jobs.get(row["episode_id"])
        if job is not None and job["state"] == "running":
            lines += [[], *_progress(job.get("progress") or {}, width - 2)]
        totals = self._totals.get(row["episode_id"])
        if totals:
            lines += [[], *self._people(totals, width - 2, height - len(lines) - 1)]
        elif row["active_run_id"] is None:
            lines += [[], [("Not analysed yet. ", "text"), ("s", "key"), (" finds who is in it.", "text")]]
        return lines

    def _people(self, totals: dict[str, Any], width: int, height: int) -> list[Line]:
        """The people of an episode with their faces and bars."""
        people = totals["people"]
        full = max((person["visual_high_s"] for person in people), default=0.0)
        lines: list[Line] = []
        for person in people[: max(1, height // (FACE[1] + 1))]:
            picture = picture_lines(self.rollcall, {"person": person["person_id"]}, *FACE)
            room = width - FACE[0] - 2
            bar = interval(person["visual_low_s"], person["visual_s"], person["visual_high_s"], full, room)
            texts: list[Line] = [
                [(clean(person["name"]), "strong")],
                bar,
                [(f"{span(person['visual_s'])}, alone {span(person['solo_s'])}, {person['tracks']} tracks", "dim")],
                [],
            ]
            lines += [beside(left, text) for left, text in zip(picture, texts, strict=True)]
            lines.append([])
        if totals["unidentified_s"] >= 0.05:
            lines.append([(f"seen but not identified: {span(totals['unidentified_s'])}", "dim")])
        return lines

    # doing

    def why_not(self, action: str) -> str | None:
        row = self.rows.current
        on_episode = row is not None and row["kind"] == "episode"
        if action in ("library.analyse", "library.settings", "library.remove", "library.queue", "library.cancel") and not on_episode:
            return "Put the cursor on an episode first; a adds a video file." if not self.rows.rows else "Put the cursor on an episode first."
        if action == "library.cancel" and row is not None and not self._job_of(row):
            return "This episode is not being analysed."
        if action == "library.queue" and row is not None and row["active_run_id"] is None:
            return "There is nothing to review before the analysis; s starts it."
        return None

    def _job_of(self, row: dict[str, Any]) -> dict[str, Any] | None:
        job = self._jobs.get(row["episode_id"])
        return job if job is not None and job["state"] in ("queued", "running") else None

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        row = event.row
        if row["kind"] != "episode":
            return
        if row["active_run_id"] is None:
            reason = "It is being analysed; its row shows how far it is." if self._job_of(row) else "It has not been analysed; s starts that."
            self.rollcall.say(reason, severity="warning")
            return
        self.rollcall.go("episode", episode=row["episode_id"])

    def do_add(self) -> None:
        verbs.form(self.rollcall, "episode_add", self.context(), then=self._added)

    def _added(self, result: dict[str, Any]) -> None:
        for warning in result["warnings"]:
            self.rollcall.say(warning, severity="warning")
        if result["added"]:
            self.rollcall.say(f"Added {result['title']}. s analyses it.")
        else:
            self.rollcall.say(f"The same content is in the library already, as {result['title']}.", severity="warning")
        self.rows.go_to(("episode", result["episode_id"]))  # news of it may have brought its row already
        self.run_worker(self._show_added(result["episode_id"]), exit_on_error=False)

    async def _show_added(self, episode_id: int) -> None:
        await self.fetch()
        self.rows.go_to(("episode", episode_id))

    def do_show(self) -> None:
        verbs.form(self.rollcall, "show_add", {})

    def do_analyse(self) -> None:
        self.run_worker(self._analyse([row for row in self.rows.chosen() if row["kind"] == "episode"]), exit_on_error=False)

    async def _analyse(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            job = await verbs.asked(self.rollcall, "episode_analyse", episode=str(row["episode_id"]))
            if job is not None:
                self.rollcall.say(f"Analysing {row['title']}.")
        self.reload()

    def do_settings(self) -> None:
        verbs.form(self.rollcall, "episode_analyse", self.context())

    def do_cancel(self) -> None:
        job = self._job_of(self.rows.current or {"episode_id": None})
        if job:
            self.run_worker(verbs.run(self.rollcall, "job_cancel", job_id=job["job_id"]), exit_on_error=False)

    def do_queue(self) -> None:
        row = self.rows.current
        if row:
            self.rollcall.go("review", episode=row["episode_id"])

    def do_remove(self) -> None:
        verbs.form(self.rollcall, "episode_remove", self.context())


WELCOME = (
    "rollcall tells who was on screen and for how long. Add a video file, analyse it, look at the totals, "
    "and answer what the machine is not sure of: every answer can be undone."
)
SHOWS = "People are known across the episodes of a show: who is named in one is found again in the others."


def _tree(shows: list[dict[str, Any]], episodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shows, under them their seasons and episodes in order."""
    rows: list[dict[str, Any]] = []
    for show in shows:
        rows.append({"kind": "show", "key": ("show", show["show_id"]), **show})
        mine = [episode for episode in episodes if episode["show_id"] == show["show_id"]]
        mine.sort(key=lambda e: (e["season"] is None, e["season"] or 0, e["number"] is None, e["number"] or 0, e["episode_id"]))
        season = None
        for episode in mine:
            if episode["season"] is not None and episode["season"] != season:
                season = episode["season"]
                rows.append({"kind": "season", "key": ("season", show["show_id"], season), "season": season})
            rows.append({**episode, "key": ("episode", episode["episode_id"]), "kind": "episode"})
    return rows


def _words(row: dict[str, Any]) -> str:
    return " ".join(str(row.get(name, "")) for name in ("title", "slug", "show", "path"))


def _progress(progress: dict[str, Any], width: int) -> list[Line]:
    share = progress.get("share", 0.0)
    facts = [percent(share), progress.get("stage", "")]
    if progress.get("segments"):
        facts.append(f"segment {min(progress.get('segments_done', 0) + 1, progress['segments'])} of {progress['segments']}")
    if progress.get("speed"):
        facts.append(f"{progress['speed']:.1f}× realtime")
    if progress.get("left_s") is not None:
        facts.append(f"{span(progress['left_s'])} left")
    return [[(meter(share, width), "accent")], [("  ".join(filter(None, facts)), "dim")]]


def beside(left: Line, text: Line) -> Line:
    """A line of a picture and the words beside it."""
    return [*left, ("  ", "text"), *text]


def fit_path(path: str, width: int) -> str:
    """A path that keeps its end, which tells more than its start."""
    text = clean(path)
    return text if len(text) <= width else "…" + text[-(width - 1) :]
