"""Driving the terminal screens in tests: a small analysed library, an app over it, keys pressed and waited for."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from app.app import RollcallApp
from app.screens.base import Place
from engine.wire import Client
from tests.clips import FACES, framing, write

WAIT_S = 60.0


def make_library(home: Path, folder: Path) -> None:
    """A workspace with a show, an analysed episode of three people (one of them twice), and one that is not analysed."""
    parts = ["left", "middle", "left", "right"]
    frames = [framing(*FACES[name]) for name in parts for _ in range(50)]
    clip, other = write(folder / "first.mp4", frames), write(folder / "second.mp4", frames[:60])
    client = Client(home, "person:tester")
    client.call("show_add", {"title": "The Office Party", "slug": "party"})
    client.call("episode_add", {"path": str(clip), "show": "party", "season": 1, "number": 1, "title": "The first"})
    client.call("episode_add", {"path": str(other), "show": "party", "season": 1, "number": 2, "title": "The second"})
    job = client.call("episode_analyse", {"episode": "1", "settings": {"models.profile": "embedded"}})
    assert client.call("job_wait", {"job_id": job["job_id"]})["state"] == "done"
    end = time.monotonic() + WAIT_S
    while not client.call("queue_list", {"episode": "1"})["rows"]:
        assert time.monotonic() < end, "no question was made"
        time.sleep(0.1)
    client.stop()


@dataclass
class Driver:
    """An app under test."""

    app: RollcallApp
    pilot: Pilot[Any]

    @property
    def place(self) -> Place:
        """The screen, as one of ours."""
        assert isinstance(self.app.screen, Place), self.app.screen
        return self.app.screen

    async def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Wait until something holds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WAIT_S
        while True:
            try:
                if found := condition():
                    return found
            except (AttributeError, IndexError, KeyError, TypeError):
                pass  # not there yet
            assert loop.time() < end, f"{what or 'it'} did not come about:\n{self.text()}\n{self.toasts()}"
            await self.pilot.pause(0.03)

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they post be handled."""
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into what has the keys."""
        await self.press(*(NAMED.get(char, char) for char in text))

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in self.app.screen._compositor.render_strips())

    def toasts(self) -> list[str]:
        """What was said since the start."""
        return [f"{note.title} {note.message}".strip() for note in self.app._notifications]

    async def said(self, words: str) -> None:
        """Wait until a toast holds these words."""
        await self.until(lambda: any(words in toast for toast in self.toasts()), f"a toast with {words!r}")

    def read(self) -> bool:
        """Whether the screen has read what it shows: a screen that was only just opened has not begun to."""
        return self.place._loaded and not self.place._loading

    async def settled(self) -> None:
        """Wait until the screen has read what it shows, and its pictures have come."""
        await self.until(lambda: self.read() and not self.app.pictures._wanted and not self.app.pictures._asked, "everything read")
        await self.pilot.pause(0.15)

    async def open_episode(self, tab: str = "results") -> None:
        """Show the analysed episode."""
        self.app.go("episode", episode=1, tab=tab)
        await self.until(lambda: type(self.place).__name__ == "Episode" and self.read() and self.place.facts)  # type: ignore[attr-defined]
        await self.settled()


NAMED = {" ": "space", "/": "slash", ".": "full_stop", ":": "colon", "-": "minus", "_": "underscore", "@": "at"}


@asynccontextmanager
async def driven(home: Path, size: tuple[int, int] = (80, 24), actor: str = "person:tester") -> AsyncIterator[Driver]:
    """The app over a workspace, its first rows there."""
    app = RollcallApp(home, actor)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.state == "live" and isinstance(app.screen, Place) and driver.read(), "the engine")
        await driver.settled()
        yield driver


def copied(library: Path, folder: Path) -> Path:
    """A workspace of one's own with the same content."""
    home = folder / "home"
    shutil.copytree(library, home, ignore=shutil.ignore_patterns("run", "*.lock"))
    return home


def masked(text: str) -> str:
    """A screen without what differs from run to run: digits, how long work took, the folder, and in lines with bars their lengths."""
    text = re.sub(r"(computed|reused) +\d[\d.]* s\b", r"\1 0 s", text)
    text = re.sub(r"took \d[\d.]* s *", "took 0 s", text)
    text = re.sub(r"\S*/(home|first\.mp4|second\.mp4)", r"/…/\1", text)
    return "\n".join(_without_bars(re.sub(r"\d", "0", line)) for line in text.split("\n"))


def _without_bars(line: str) -> str:
    if not re.search("[▆▅▂▏▎▍▋▊▉]|█{2}", line):
        return line
    line = re.sub("[▆▅▂]+", "▆", re.sub("[█▏▎▍▌▋▊▉]{2,}", "█", line))
    return re.sub(" {2,}", "  ", re.sub("─{2,}", "─", line))
