"""Every face found, as boxes over the frame, with the detector's score as a threshold to turn."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget

from app import verbs
from app.latest import latest
from app.paint import Line, clean, clock, fit, right, spread
from app.pictures import blocks, boxed, fitted, scaled
from app.screens.base import bindings
from app.screens.tab import Tab
from app.widgets.panel import Panel
from app.widgets.player import WIDEST
from app.widgets.rows import Rows

STEP = 0.05


class Detections(Tab):
    """The frame with its boxes; the list of them beside; the shot as a line below."""

    title = "Detections"
    places = ("detections",)
    BINDINGS: ClassVar = bindings("detections")
    DEFAULT_CSS = """
    Detections #boxes { width: 30; }
    Detections #line { height: 2; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        self._shots: list[dict[str, Any]] = []
        self._shot = 0
        self._found: list[dict[str, Any]] = []
        self._times: list[int] = []
        self._at = 0
        self.threshold = 0.0
        self.rows = Rows(self._line, key=lambda row: row["detection_id"], head=self._head, id="boxes")
        self.rows.empty = [("no box here", "dim")]
        self.frame = Panel(self._draw, id="frame")
        self.timeline = Panel(self._draw_line, id="line")
        with Vertical():
            yield self.frame
            yield self.timeline
        yield self.rows

    def first(self) -> Widget:
        return self.rows

    async def fetch(self) -> None:
        self._shots = await verbs.every(self.rollcall, "shot_list", episode=self.episode.reference)
        await self._read_shot()

    async def _read_shot(self, *, last: bool = False) -> None:
        if not self._shots:
            return
        shot = self._shots[self._shot]
        before = self._times[self._at] if self._times else None
        window = {"from_s": shot["start_us"] / 1e6, "to_s": shot["end_us"] / 1e6}
        self._found = await verbs.every(self.rollcall, "detection_list", episode=self.episode.reference, **window)
        self._times = sorted({row["t_us"] for row in self._found}) or [(shot["start_us"] + shot["end_us"]) // 2]
        self._at = self._times.index(before) if before in self._times else len(self._times) - 1 if last else 0
        self._shown()

    @property
    def t_us(self) -> int:
        """The time of the frame shown."""
        return self._times[self._at] if self._times else 0

    def _shown(self) -> None:
        here = [row for row in self._found if row["t_us"] == self.t_us and row["score"] >= self.threshold]
        self.rows.set_rows(here)
        self.frame.redraw()
        self.timeline.redraw()
        self.episode.chrome()

    def context(self) -> dict[str, Any]:
        row = self.rows.current
        here = {"at_s": self.t_us / 1e6, "from_s": self.t_us / 1e6}
        return {**here, "track_id": row["track_id"], "track": str(row["track_id"])} if row and row["track_id"] else here

    def pictures_came(self) -> None:
        self.frame.redraw()

    @on(Rows.Moved)
    def _moved(self) -> None:
        self.frame.redraw()

    # drawing

    def _head(self, width: int) -> Line:
        return [(fit("  taken for", max(6, width - 12)) + right("score", 6) + right("qual.", 6), "faint")]

    def _line(self, row: dict[str, Any], width: int) -> Line:
        name = clean(row["person"] or ("unidentified" if row["track_id"] else "in no track"))
        ink = "text" if row["person"] else "dim"
        return [(fit(name, max(6, width - 12)), ink), (right(f"{row['score']:.2f}", 6), "strong"), (right(f"{row['quality']:.2f}", 6), "dim")]

    def _draw(self, width: int, height: int) -> list[Line]:
        facts = self.episode.facts
        if not facts or not self._times:
            return [[], [(" reading the detections", "dim")]]
        columns, rows = fitted(facts["width"], facts["height"], width, height)
        picture = self.rollcall.pictures.frame(self.episode.reference, self.t_us, max(16, min(WIDEST, columns)))
        if picture is None:
            return []
        boxes = [(row, row is self.rows.current) for row in self.rows.rows]
        ink = self.rollcall.ink
        colours = [tuple(bytes.fromhex(ink.colours[name][1:])) for name in ("text", "accent")]
        drawn = boxed(scaled(picture, columns, 2 * rows), [(_edges(row), colours[held]) for row, held in boxes])
        lines: list[Line] = list(blocks(drawn, columns, rows, ink.plain))
        for row, held in boxes:
            x, y = round(row["x1"] * columns), round(row["y1"] * rows) - 1
            name = clean(row["person"] or "?")[: max(1, columns - max(0, x))]
            if 0 <= y < len(lines):
                lines[y] = _over(lines[y], columns, max(0, x), ink.strip([(name, "accent" if held else "text")], len(name), "bar"))
        margin = (" " * ((width - columns) // 2), "text")
        return [*([[]] * ((height - rows) // 2)), *[[margin, *line] for line in lines]]

    def _draw_line(self, width: int, height: int) -> list[Line]:
        if not self._shots:
            return []
        shot = self._shots[self._shot]
        room = max(10, width)
        cells = ["·"] * room
        for t in self._times:
            if any(row["t_us"] == t and row["score"] >= self.threshold for row in self._found):
                a, _ = spread(t, t, shot["start_us"], shot["end_us"], room)
                cells[a] = "▪"
        at, _ = spread(self.t_us, self.t_us, shot["start_us"], shot["end_us"], room)
        line: Line = [("".join(cells[:at]), "dim"), ("▲", "accent"), ("".join(cells[at + 1 :]), "dim")]
        count = sum(row["score"] >= self.threshold for row in self._found)
        where = f"shot {self._shot + 1} of {len(self._shots)}   {clock(self.t_us)}   "
        words = f"score at least {self.threshold:.2f}: {count} of {len(self._found)} boxes of the shot"
        if len(where) + len(words) > room:
            words = f"≥{self.threshold:.2f}: {count} of {len(self._found)} boxes"
        return [line, [(where, "text"), (words, "dim")]]

    # doing

    def why_not(self, action: str) -> str | None:
        if not action.startswith("detections."):
            return None
        if not self._shots:
            return "There is no shot here."
        if action == "detections.less" and self.threshold <= 0:
            return "All boxes are shown."
        if action == "detections.shot_before" and self._shot == 0:
            return "This is the first shot."
        if action == "detections.shot_after" and self._shot == len(self._shots) - 1:
            return "This is the last shot."
        return None

    def do_earlier(self) -> None:
        if self._at:
            self._at -= 1
            self._shown()
        elif self._shot:
            self._go(-1, last=True)

    def do_later(self) -> None:
        if self._at + 1 < len(self._times):
            self._at += 1
            self._shown()
        elif self._shot + 1 < len(self._shots):
            self._go(1)

    def do_shot_before(self) -> None:
        self._go(-1)

    def do_shot_after(self) -> None:
        self._go(1)

    def _go(self, by: int, *, last: bool = False) -> None:
        self._shot = max(0, min(self._shot + by, len(self._shots) - 1))
        latest(self, "shot", self._read_shot, last=last)

    def do_less(self) -> None:
        self._turn(-STEP)

    def do_more(self) -> None:
        self._turn(STEP)

    def _turn(self, by: float) -> None:
        self.threshold = round(max(0.0, min(0.95, self.threshold + by)), 2)
        self._shown()

    def do_moment(self) -> None:
        from app.screens.moment import Moment

        shot = self._shots[self._shot]
        self.rollcall.push_screen(Moment(self.episode.reference, shot["start_us"], shot["end_us"], f"shot {self._shot + 1}"))

    @on(Rows.Opened)
    def _opened(self, event: Rows.Opened) -> None:
        row = event.row
        if row["track_id"] is None:
            self.rollcall.say("This box is in no track: it was too weak to start one, or alone.", severity="warning")
            return
        self.episode.show_track(row["track_id"], row["t_us"])


def _edges(row: dict[str, Any]) -> tuple[float, float, float, float]:
    return row["x1"], row["y1"], row["x2"], row["y2"]


def _over(line: Line, columns: int, x: int, words: Strip) -> Line:
    """Words put over a line of a picture."""
    whole = Strip(list(line), columns)  # type: ignore[arg-type]
    return [*whole.crop(0, x), *words, *whole.crop(x + words.cell_length, columns)]
