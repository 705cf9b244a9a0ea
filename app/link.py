"""The screens' line to the engine: questions on a few threads, events on one, gathered and handed over at a bounded rate.

Threads, because the client is the standard library's and blocking: importing an asynchronous one would double the time to the first rows.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.errors import RollcallError
from engine.wire import Client

State = Literal["connecting", "live", "lost"]
FLUSH_EVERY_S = 0.25
RETRY_S = (0.2, 0.5, 1.0, 2.0)


@dataclass
class News:
    """What happened since the last flush: who ran which operation, the newest word of each job, the episodes whose totals followed decisions, and
    whether something was missed."""

    changed: list[tuple[str, str]] = field(default_factory=list)
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    reset: bool = False

    def take(self, event: dict[str, Any]) -> None:
        """Add one event; a burst about one thing leaves one entry."""
        match event["kind"]:
            case "changed":
                entry = (event["operation"], event["actor"])
                if entry not in self.changed[-32:]:
                    self.changed = [*self.changed[-31:], entry]
            case "job":
                known = self.jobs.get(event["job_id"], {})
                self.jobs[event["job_id"]] = {**known, **event}
            case "stage":
                self.jobs.setdefault(event["job_id"], {"job_id": event["job_id"]})
            case "settled":
                self.settled.add(event["episode_id"])
            case "reset":
                self.reset = True

    def operations(self) -> set[str]:
        """Names of the operations that changed something."""
        return {name for name, _ in self.changed}


class Link:
    """Asks the engine and listens to it. `on_news` and `on_state` are called on the event loop."""

    def __init__(self, home: Path, actor: str | None, on_news: Callable[[News], None], on_state: Callable[[State, str], None]) -> None:
        self.client = Client(home, actor)
        self._on_news = on_news
        self._on_state = on_state
        self._made: set[int] = set()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="ask")
        self._lock = threading.Lock()
        self._pending: News | None = None
        self._flushed = 0.0
        self._seq: int | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def actor(self) -> str:
        """Who we are."""
        return self.client.actor

    async def ask(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Run an operation without holding up the screen.

        Raises:
            RollcallError: what the operation raised, or that there is no engine.
        """
        loop = asyncio.get_running_loop()

        def call(given: dict[str, Any]) -> dict[str, Any]:
            answer = self.client.call(operation, given)
            self._made.update(answer.get("decisions") or ())
            return answer

        try:
            return await loop.run_in_executor(self._threads, call, parameters)
        except RollcallError as error:
            # What was decided here a moment ago is no news, though the rows on the screen are from before it.
            if not (error.code == "conflict" and error.data.get("alone") and error.data.get("decision") in self._made and "rev" in parameters):
                raise
            return await loop.run_in_executor(self._threads, call, {**parameters, "rev": error.data["rev"]})

    def listen(self) -> None:
        """Start following events; call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._follow, name="events", daemon=True).start()

    def close(self) -> None:
        """Stop; what the engine was asked to do goes on there."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _follow(self) -> None:
        """The events' thread: follow the stream, and when it breaks off start again from the last event seen."""
        tries = 0
        while not self._closed:
            try:
                for event in self.client.events(self._seq):
                    if self._closed:
                        return
                    tries = 0
                    if event["kind"] == "hello":
                        self._seq = event["seq"] if self._seq is None else self._seq
                        self._tell("live", "")
                    else:
                        self._seq = event["seq"]
                        self._gather(event)
                trouble = ""
            except (RollcallError, OSError, ValueError) as error:
                trouble = str(error)
            if self._closed:
                return
            self._tell("lost", trouble)
            time.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1
            self.client.forget_check()

    def _gather(self, event: dict[str, Any]) -> None:
        with self._lock:
            first = self._pending is None
            self._pending = self._pending or News()
            self._pending.take(event)
        if first:
            self._on_loop(self._schedule)

    def _schedule(self) -> None:
        """One flush per interval however many events; none while nothing happens."""
        assert self._loop is not None
        wait = max(0.0, FLUSH_EVERY_S - (time.monotonic() - self._flushed))
        self._loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        with self._lock:
            news, self._pending = self._pending, None
        self._flushed = time.monotonic()
        if news is not None and not self._closed:
            self._on_news(news)

    def _tell(self, state: State, trouble: str) -> None:
        self._on_loop(lambda: self._on_state(state, trouble))

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed() and not self._closed:
            try:
                self._loop.call_soon_threadsafe(call)
            except RuntimeError:
                self._closed = True  # the loop was closed between the question and the call: the screens are gone
