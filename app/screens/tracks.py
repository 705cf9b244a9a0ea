"""The tracks of an episode, each drawn where it lies in its shot."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from app import facing, verbs
from app.facing import Target, known
from app.keys import Action
from app.latest import latest
from app.paint import BAR, Line, clean, clock, fit, percent, right, span, spread
from app.screens.base import MANY
from app.screens.faced import Faced
from app.widgets.panel import Panel
from app.widgets.picture import picture_lines
from app.widgets.rows import Rows

PAGE = 1000
FACE = (24, 12)
RESTS_S = 0.06
"""How long the cursor stays on a track before its likely people are asked for: a held key asks for nobody."""


class Track(NamedTuple):
    """A row of the list. `ref` is the track as operations take it: a piece of a split track names its stretch."""

    ref: str
    track_id: int
    shot: int
    start_us: int
    end_us: int
    person_id: int | None
    person: str
    cluster_id: int
    probability: float
    quality: float
    faces: int
    source: str
    mixed: bool
    locked: bool
    chip: str | None
    rev: int
    excluded: bool


class Shot(NamedTuple):
    """A heading of the list."""

    ref: str
    shot: int
    start_us: int
    end_us: int
    tracks: int


def track_of(row: dict[str, Any]) -> Track:
    """A row as operations give it, in the list's slim form; names and words shared."""
    return Track(
        ref=row["ref"],
        track_id=row["track_id"],
        shot=row["shot"],
        start_us=row["start_us"],
        end_us=row["end_us"],
        person_id=row["person_id"],
        person="not a face" if row["excluded"] else intern(clean(row["person"] or "unidentified")),
        cluster_id=row["cluster_id"],
        probability=row["probability"],
        quality=row["quality"],
        faces=row["faces"],
        source=intern(row["label_source"]),
        mixed=row["mixed"],
        locked=row["locked"],
        chip=row["chip"],
        rev=row["rev"],
        excluded=row["excluded"],
    )


def badges(source: str, mixed: bool, locked: bool) -> str:
    """Who decided, and what is odd: p a person, a an agent, s a script; ≠ may hold two people; = locked."""
    who = {"person": "p", "agent": "a", "script": "s", "propagated": "»"}.get(source, " ")
    return f"{who}{'≠' if mixed else ' '}{'=' if locked else ' '}"


class Tracks(Faced):
    """The list, shot by shot; beside it the face of the track under the cursor."""

    title = "Tracks"
    DEFAULT_CSS = "Tracks #track { width: 28; padding: 0 1; }"

    def compose(self) -> ComposeResult:
        self._shots: dict[int, Shot] = {}
        self._cursor: str | None = None
        self._candidates: dict[int, list[dict[str, Any]]] = {}
        self._reading = False
        self._sought: tuple[int, int] | None = None
        self.rows = Rows(self._line, key=lambda row: row.ref, words=_words, fixed=lambda row: isinstance(row, Shot), marks=True)
        self.rows.empty = [("reading the tracks", "dim")]
        self.panel = Panel(self._draw, id="track")
        yield self.rows
        yield self.panel

    def first(self) -> Widget:
        return self.rows

    async def fetch(self) -> None:
        shots = await verbs.every(self.rollcall, "shot_list", episode=self.episode.reference)
        self._shots = {row["shot"]: Shot(f"shot {row['shot']}", row["shot"], row["start_us"], row["end_us"], row["tracks"]) for row in shots}
        read = max(PAGE, len(self.rows.rows))
        found: list[Track] = []
        self._cursor = None
        while True:
            page = await self._page()
            found += page
            if self._cursor is None or len(found) >= read:
                break
        self._candidates = {}
        self.rows.empty = [("no face was followed in this episode", "dim")]
        self.rows.set_rows(self._grouped(found, None), complete=self._cursor is None)
        self.panel.redraw()
        await self._go_to_sought()

    async def find(self, track_id: int, t_us: int) -> None:
        """Put the cursor on a track, or on the piece of it that holds the time, now or once the tracks are read."""
        self._sought = (track_id, t_us)
        if self.rows.rows:
            await self._go_to_sought()

    async def _go_to_sought(self) -> None:
        if self._sought is None:
            return
        (track_id, t_us), self._sought = self._sought, None
        self.rows.set_filter("")
        while not (pieces := [row for row in self.rows.rows if isinstance(row, Track) and row.track_id == track_id]) and self._cursor is not None:
            self._extend(await self._page())
        if pieces:
            self.rows.go_to(next((row for row in pieces if row.start_us <= t_us < row.end_us), pieces[0]).ref)

    async def _page(self) -> list[Track]:
        page = await self.rollcall.link.ask("track_list", episode=self.episode.reference, limit=PAGE, cursor=self._cursor)
        self._cursor = page["next_cursor"]
        return [track_of(row) for row in page["rows"]]

    def _grouped(self, tracks: list[Track], shot: int | None) -> list[Track | Shot]:
        """Tracks under headings; `shot` is the last heading there is already."""
        rows: list[Track | Shot] = []
        for track in tracks:
            if track.shot != shot:
                shot = track.shot
                rows.append(self._shots.get(shot) or Shot(f"shot {shot}", shot, track.start_us, track.end_us, 0))
            rows.append(track)
        return rows

    @on(Rows.NearEnd)
    def _more(self, event: Rows.NearEnd) -> None:
        if not self._reading and self._cursor is not None:
            self._reading = True
            self.run_worker(self._read_on(event.whole), exit_on_error=False)

    async def _read_on(self, whole: bool) -> None:
        """Read the next page, or all that are left."""
        try:
            found: list[Track] = []
            at = self.rows.current
            while self._cursor is not None:
                found += await self._page()
                if not whole:
                    break
            self._extend(found)
            if whole and self.rows.current is at:
                self.rows.do_last()  # unless the operator has gone elsewhere meanwhile
        finally:
            self._reading = False

    def _extend(self, found: list[Track]) -> None:
        last = self.rows.last
        self.rows.extend(self._grouped(found, last.shot if last else None), complete=self._cursor is None)

    # drawing

    def _line(self, row: Track | Shot, width: int) -> Line:
        if isinstance(row, Shot):
            text = f"shot {row.shot + 1}  {clock(row.start_us)}  {span((row.end_us - row.start_us) / 1e6)}"
            return [(text, "dim"), ("  " + "─" * max(0, width - len(text) - 2), "faint")]
        shot = self._shots.get(row.shot)
        name, tail = max(10, min(24, width // 4)), 9
        bars = max(4, width - 10 - name - tail - 2)
        line: list[tuple[str, str]] = [(right(clock(row.start_us), 9), "dim"), (" ", "text")]
        low, high = (shot.start_us, shot.end_us) if shot else (row.start_us, row.end_us)
        a, b = spread(row.start_us, row.end_us, low, high, bars)
        line += [("·" * a, "faint"), (BAR * (b - a), "accent" if row.person_id is not None else "soft"), ("·" * (bars - b), "faint"), (" ", "text")]
        line += [(fit(row.person, name), "text" if row.person_id is not None else "dim"), (right(percent(row.probability), 5), "dim")]
        return [*line, (" " + badges(row.source, row.mixed, row.locked), "accent")]

    def _draw(self, width: int, height: int) -> list[Line]:
        row = self.rows.current
        if not isinstance(row, Track):
            return []
        columns, tall = FACE if height >= 20 else (20, 10)
        lines = picture_lines(self.rollcall, {"chip": row.chip} if row.chip else {"track": str(row.track_id)}, columns, tall)
        lines.append([(row.person, "strong" if row.person_id is not None else "dim"), (f"  {percent(row.probability)}", "dim")])
        lines.append([(f"{clock(row.start_us)} to {clock(row.end_us)}", "dim")])
        lines.append([(f"{row.faces} faces, quality {row.quality:.2f}", "dim")])
        said = {"person": "a person said so", "agent": "an agent said so", "script": "a script said so"}.get(row.source, "")
        notes = [said, "locked" if row.locked else "", "may hold two people" if row.mixed else ""]
        lines += [[(note, "accent")] for note in notes if note]
        likely = known(self._candidates.get(row.cluster_id, []))
        for n, candidate in enumerate(likely[: min(9, max(0, height - len(lines) - 1))], 1):
            lines.append(
                [(f"{n} ", "key"), (fit(clean(candidate["person"]), width - 10), "text"), (right(percent(candidate["probability"]), 6), "dim")]
            )
        return lines

    def pictures_came(self) -> None:
        self.panel.redraw()

    @on(Rows.Moved)
    def _moved(self, event: Rows.Moved) -> None:
        self.panel.redraw()
        row = event.row
        if isinstance(row, Track) and row.cluster_id not in self._candidates:
            latest(self, "candidates", self._read_candidates, row.cluster_id)

    async def _read_candidates(self, cluster_id: int) -> None:
        await asyncio.sleep(RESTS_S)
        found = await verbs.asked(self.rollcall, "cluster_show", cluster_id=cluster_id)
        self._candidates[cluster_id] = found["candidates"] if found else []
        self.panel.redraw()
        self.episode.catch_up()

    def ready(self, action: Action) -> bool:
        """Number keys wait for the people they stand for."""
        row = self.rows.current
        return action.verb != MANY or not isinstance(row, Track) or row.cluster_id in self._candidates

    # doing

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        if not isinstance(row, Track):
            return {}
        chosen = [track.ref for track in self.rows.chosen() if isinstance(track, Track)]
        one = {"track_id": row.track_id, "track": row.ref, "tracks": chosen, "cluster_id": row.cluster_id}
        return {**one, "person_id": row.person_id} if row.person_id is not None else one

    def aimed(self) -> Target:
        """The marked tracks, or the one under the cursor."""
        chosen = [track for track in self.rows.chosen() if isinstance(track, Track)]
        people = {track.person_id for track in chosen}
        one = chosen[0] if len(people) == 1 else None
        revs = [track.rev for track in chosen]
        return Target(
            [track.ref for track in chosen],
            person_id=one.person_id if one else None,
            person=one.person if one else None,
            candidates=self._candidates.get(chosen[0].cluster_id, []) if chosen else [],
            rev=max(revs, default=None),
        )

    def unmark(self) -> None:
        self.rows.marked = set()

    def why_not(self, action: str) -> str | None:
        if not action.startswith("faces."):
            return None
        if not isinstance(self.rows.current, Track):
            return "Put the cursor on a track first."
        target = self.aimed()
        if action in ("faces.reject", "faces.name", "faces.bank", "faces.feature", "faces.propagate") and target.person_id is None:
            return "Nobody is named there, or not everywhere the same; a says who it is."
        if action == "faces.split" and len(target.tracks) > 1:
            return "Only one track can be split at a time; esc takes the marks away."
        if action == "faces.merge":
            return "Tracks are not merged; say of both who they are (a), or merge their clusters under Identities."
        return None

    def do_split(self) -> None:
        row = self.rows.current
        assert isinstance(row, Track)
        self.do_faces(facing.split_at(self.rollcall, row.ref, (row.start_us + row.end_us) / 2e6, row.rev))

    def do_merge(self) -> None:
        """Never reached: `why_not` says what to do instead."""

    def do_moment(self) -> None:
        self._open_moment()

    @on(Rows.Opened)
    def _opened(self) -> None:
        self._open_moment()

    def _open_moment(self) -> None:
        from app.screens.moment import Moment

        row = self.rows.current
        if isinstance(row, Track):
            self.rollcall.push_screen(Moment(self.episode.reference, row.start_us, row.end_us, f"{row.person}, shot {row.shot + 1}"))


def _words(row: Track | Shot) -> str:
    if isinstance(row, Shot):
        return ""
    return _text(row.person, row.shot, row.source, row.mixed, row.locked)


@lru_cache(4096)
def _text(person: str, shot: int, source: str, mixed: bool, locked: bool) -> str:
    """Of the many tracks of a shot few differ in these: they share one text."""
    return f"{person} shot {shot + 1} {source} {'mixed' if mixed else ''} {'locked' if locked else ''}".lower()
