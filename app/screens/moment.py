"""A moment of a recording: the frame, the frames around it, played when asked, with a link to it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from app import verbs
from app.latest import latest
from app.paint import Line, clock, span
from app.pictures import Picture, read
from app.screens.base import Place, bindings
from app.widgets.panel import Panel
from app.widgets.picture import frame_lines
from app.widgets.player import RATE, WIDEST, Player

AROUND_US = 1_500_000
MOST = 96
SMALL = 20
STEP_US = 200_000
AROUND_CLIP_S = 0.5


class Moment(Place):
    """Shows start..end of an episode: the frame at the hand, small frames of the whole stretch below."""

    places = ("moment",)
    BINDINGS: ClassVar = bindings("moment")
    DEFAULT_CSS = "Moment #sheet { height: 9; } Moment Player { height: 1fr; }"

    def __init__(self, episode: str, start_us: int, end_us: int, title: str = "") -> None:
        super().__init__()
        self.episode, self.start_us, self.end_us = episode, start_us, max(end_us, start_us + 1)
        self.t_us = (start_us + end_us) // 2
        self._heading = title
        self._sheet: list[Picture] = []
        self._frames: list[Picture] = []

    def crumbs(self) -> list[str]:
        return [f"episode {self.episode}", *([self._heading] if self._heading else []), clock(self.t_us)]

    def context(self) -> dict[str, Any]:
        return {"episode": self.episode, "at_s": self.t_us / 1e6}

    def body(self) -> ComposeResult:
        self.player = Player()
        self.sheet = Panel(self._draw_sheet, id="sheet")
        yield self.player
        yield self.sheet

    async def fetch(self) -> None:
        count = max(2, self.size.width // (SMALL + 1))
        low, high = max(0, self.start_us - AROUND_US), self.end_us + AROUND_US
        found = await self._strip(low, high, count, SMALL)
        self._sheet = found
        self.sheet.redraw()
        await self._look()

    async def _strip(self, low: int, high: int, count: int, width: int) -> list[Picture]:
        given = {"from_s": max(0, low) / 1e6, "to_s": high / 1e6, "count": count, "width": max(16, width), "form": "rgb"}
        answer = await self.rollcall.link.ask("frame_strip", episode=self.episode, **given)
        return [read(frame) for frame in answer["frames"]]

    async def _look(self) -> None:
        """The frame at the hand."""
        width = max(16, min(WIDEST, self.size.width))
        answer = await verbs.asked(self.rollcall, "frame_read", episode=self.episode, at_s=self.t_us / 1e6, width=width, form="rgb")
        if answer:
            self.player.show(read(answer))
        self.chrome()
        self.sheet.redraw()

    def _draw_sheet(self, width: int, height: int) -> list[Line]:
        if not self._sheet:
            return []
        rows = height - 2
        pictures = [frame_lines(self.rollcall, frame, SMALL, rows) for frame in self._sheet]
        lines: list[Line] = [[("─" * width, "faint")]]
        nearest = min(self._sheet, key=lambda frame: abs(frame.t_us - self.t_us))
        for y in range(max(map(len, pictures))):
            line: list[Any] = []
            for picture in pictures:
                line += [*(picture[y] if y < len(picture) else [(" " * SMALL, "text")]), (" ", "text")]
            lines.append(line)
        words: list[Any] = []
        for frame in self._sheet:
            inside = self.start_us <= frame.t_us < self.end_us
            words.append(
                (
                    f"{'▲' if frame is nearest else ' '}{clock(frame.t_us)}".ljust(SMALL + 1),
                    "accent" if frame is nearest else "text" if inside else "faint",
                )
            )
        return [*lines, words]

    def pictures_came(self) -> None:
        self.sheet.redraw()

    # doing

    def do_earlier(self) -> None:
        self._go(-STEP_US)

    def do_later(self) -> None:
        self._go(STEP_US)

    def _go(self, by: int) -> None:
        self.player.stop()
        self.t_us = max(0, self.t_us + by)
        latest(self, "look", self._look)

    def do_play(self) -> None:
        if self.player.playing:
            self.player.stop()
        else:
            latest(self, "play", self._play)

    async def _play(self) -> None:
        low, high = max(0, self.start_us - AROUND_US // 3), self.end_us + AROUND_US // 3
        if not self._frames:
            count = max(2, min(MOST, round((high - low) / 1e6 * RATE)))
            self._frames = await self._strip(low, high, count, min(WIDEST, self.size.width))
        self.player.play(self._frames)

    def do_copy(self) -> None:
        link = f"rollcall://episode/{self.episode}@{self.t_us / 1e6:.2f}"
        self.rollcall.copy_to_clipboard(link)
        self.rollcall.say(f"{link} is in the clipboard; typed after : it comes back here.")

    def do_clip(self) -> None:
        self.run_worker(self._clip(), group="clip", exit_on_error=False)

    def do_open(self) -> None:
        self.run_worker(self._open(), group="clip", exit_on_error=False)

    async def _clip(self) -> dict[str, Any] | None:
        """Write the stretch, and say where it is."""
        self.rollcall.say("Writing the clip.")
        given = {"from_s": self.start_us / 1e6, "to_s": self.end_us / 1e6, "around_s": AROUND_CLIP_S}
        made = await verbs.asked(self.rollcall, "clip_create", episode=self.episode, **given)
        if made is not None:
            length = span((made["end_us"] - made["start_us"]) / 1e6)
            self.rollcall.say(f"{length}: {made['path']}", title="clip written")
        return made

    async def _open(self) -> None:
        from app import player

        made = await self._clip()
        if made is None:
            return
        plan = player.plan(made["path"], made["play"])
        trouble = player.start(plan.command) if plan.command else ""
        if trouble or not plan.command:
            self.rollcall.copy_to_clipboard(made["path"])
        self.rollcall.say(trouble or plan.words, severity="warning" if trouble or not plan.command else "information")
