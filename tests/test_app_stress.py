"""What a day does to the screens: the engine killed under them, windows resized, floods of events. No traceback, nothing frozen, no key lost."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.link import FLUSH_EVERY_S, Link, News
from app.screens.base import Place
from engine.wire import Client
from tests.screens import Driver, driven

pytestmark = pytest.mark.anyio


async def test_engine_killed_and_restarted_under_the_screens(home: Path) -> None:
    client = Client(home, "person:tester")
    async with driven(home) as driver:
        await driver.open_episode("tracks")
        rows = driver.place.shown.rows  # type: ignore[attr-defined]
        await driver.press("down")
        before = rows.current.ref
        for _ in range(2):
            os.kill(client.call("health_show")["pid"], 9)
            await driver.press("down", "up")
            await driver.until(lambda: driver.app.state == "lost", "the loss to be seen")
            assert "engine away" in driver.text()
            await driver.until(lambda: driver.app.state == "live", "the engine to come back")
            assert rows.current.ref == before
        client.call("person_rename", {"person_id": 1, "name": "Ana"})
        await driver.until(lambda: "Ana" in driver.text(), "events after the restart")


async def test_resized_to_almost_nothing_and_back(home: Path) -> None:
    async with driven(home, size=(160, 50)) as driver:
        for place, tab in (("library", ""), ("episode", "results"), ("episode", "tracks"), ("episode", "identities"), ("episode", "detections")):
            if place == "episode":
                await driver.open_episode(tab)
            await there_and_back(driver)
        for place in ("people", "review", "jobs", "health", "audit"):
            driver.app.go(place)
            await driver.until(lambda name=place: type(driver.place).__name__.lower() == name)
            await driver.settled()
            await there_and_back(driver)


async def there_and_back(driver: Driver) -> None:
    before = driver.text()
    for size in ((40, 10), (1, 1), (40, 10), (20, 4), (160, 50)):
        await driver.pilot.resize_terminal(*size)
        await driver.press("down", "up", "right", "left")
        await driver.pilot.pause(0.02)
        assert len(driver.text().split("\n")) == size[1]
    await driver.settled()
    await driver.until(lambda: driver.text().splitlines()[0][:40] == before.splitlines()[0][:40])


class Flood:
    """Stands for the engine's stream: ten thousand events a second until told that it is enough, then one that matters."""

    def __init__(self, rate: int = 10_000) -> None:
        self.rate = rate
        self.sent = 0
        self.enough = threading.Event()

    def __call__(self, after: int | None = None) -> Iterator[dict[str, Any]]:
        yield {"kind": "hello", "seq": 1}
        start = time.monotonic()
        while not self.enough.is_set():
            passed = time.monotonic() - start
            while self.sent < passed * self.rate:
                self.sent += 1
                yield {"kind": "job", "seq": 1 + self.sent, "job_id": self.sent % 50, "state": "running", "progress": {"share": passed % 1.0}}
            time.sleep(0.001)
        yield {"kind": "changed", "seq": 2 + self.sent, "operation": "person_rename", "actor": "agent:last"}
        threading.Event().wait(5)


async def test_ten_thousand_events_a_second(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with driven(home, size=(140, 40)) as driver:
        flushed: list[float] = []
        heard = driver.app.heard

        def count(news: News) -> None:
            flushed.append(time.monotonic())
            heard(news)

        flood = Flood()
        monkeypatch.setattr(driver.app.link, "_on_news", count)
        monkeypatch.setattr(driver.app.link.client, "events", flood)
        threading.Thread(target=driver.app.link._follow, daemon=True).start()
        await driver.until(lambda: flushed)
        rows = driver.place.rows  # type: ignore[attr-defined]
        await driver.press("home")
        for _ in range(4):
            await driver.press("down", "up", "down", "up")
            assert rows.cursor == 0
        await driver.until(lambda: flood.sent > 30_000, "three seconds of events")
        flood.enough.set()
        await driver.until(lambda: driver.app.rumour.startswith("last"), "the event after the flood")
        gaps = [after - before for before, after in itertools.pairwise(flushed)]
        assert min(gaps) > FLUSH_EVERY_S * 0.8
        driver.app.link._closed = True


async def test_burst_about_one_thing_is_one_entry() -> None:
    news = News()
    for n in range(1000):
        news.take({"kind": "changed", "operation": "track_assign", "actor": f"agent:{n % 3}"})
        news.take({"kind": "job", "job_id": 7, "state": "running", "progress": {"share": n / 1000}})
        news.take({"kind": "settled", "episode_id": n % 2})
    assert len(news.changed) == 3 and news.settled == {0, 1}
    assert news.jobs[7]["progress"]["share"] == 0.999


async def test_keys_pressed_before_the_rows_are_there_wait_for_them(home: Path) -> None:
    async with driven(home) as driver:
        driver.app.go("library")
        place = driver.place
        assert isinstance(place, Place)
        place._loaded, place._loading = False, True
        await driver.press("home", "down", "down", "down", "enter")
        place._loading = False
        place.reload()
        await driver.until(lambda: type(driver.place).__name__ == "Episode" or driver.toasts())


async def test_nothing_is_sent_to_a_terminal_while_nothing_happens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with driven(home, size=(160, 50)) as driver:
        await driver.open_episode("identities")
        await driver.pilot.pause(1.0)
        asked: list[str] = []
        monkeypatch.setattr(Link, "ask", lambda self, name, **given: asked.append(name))
        drawn: list[Any] = []
        monkeypatch.setattr(driver.app, "_display", lambda screen, renderable: drawn.append(renderable) if renderable else None)
        await driver.pilot.pause(2.0)
        assert asked == []
        assert drawn == []
