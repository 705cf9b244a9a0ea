"""A frame of a recording, or several one after the other."""

from __future__ import annotations

import asyncio

from textual.worker import Worker

from app.paint import Line
from app.pictures import Picture
from app.widgets.panel import Panel
from app.widgets.picture import frame_lines

RATE = 8
WIDEST = 120


class Player(Panel):
    """Shows a frame as large as it fits; plays frames at their own pace, and once more while `again` says so."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.frame: Picture | None = None
        self.word = ""
        self._playing: Worker[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether it plays."""
        return self._playing is not None and self._playing.is_running

    def show(self, frame: Picture | None, word: str = "") -> None:
        """Show one frame, or a word instead."""
        self.frame, self.word = frame, word
        self.redraw()

    def play(self, frames: list[Picture]) -> None:
        """Play frames by their times."""
        self.stop()
        self._playing = self.run_worker(self._play(frames), exit_on_error=False)

    def stop(self) -> None:
        """Stay at the frame shown."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    async def _play(self, frames: list[Picture]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n, frame in enumerate(frames):
            due = (frame.t_us - frames[0].t_us) / 1e6
            wait = due - (loop.time() - start)
            if wait < -0.25 and n + 1 < len(frames):
                continue  # the terminal is slower than the recording: leave frames out rather than fall behind
            await asyncio.sleep(max(0.0, wait))
            self.show(frame)

    def draw(self, width: int, height: int) -> list[Line]:
        if self.frame is None:
            return [[]] * (height // 2) + [[(self.word.center(width), "dim")]]
        lines = frame_lines(self.app, self.frame, width, height)  # type: ignore[arg-type]
        used = sum(len(piece[0]) for piece in lines[0]) if lines else 0
        margin = (" " * ((width - used) // 2), "text")
        return [[]] * ((height - len(lines)) // 2) + [[margin, *line] for line in lines]
