"""The event stream: what changed, in order, for every surface that listens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

KEPT = 10_000


class Events:
    """A bounded log of events with rising sequence numbers, which go on rising over restarts. Used on the event loop only."""

    def __init__(self, heard: Callable[[], None] | None = None) -> None:
        """`heard` is called at each event."""
        self._heard = heard or (lambda: None)
        self._log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._seq = time.time_ns() // 1000
        self._changed = anyio.Event()
        self.listeners = 0

    @property
    def last(self) -> int:
        """Sequence number of the newest event."""
        return self._seq

    def publish(self, kind: str, **data: Any) -> None:
        """Append an event and wake the listeners."""
        self._seq += 1
        self._log.append({"seq": self._seq, "kind": kind, **data})
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        self._heard()

    async def follow(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Events after a sequence number, then new ones as they come.

        When some of them are no longer kept the first is `{"kind": "reset"}`: read everything afresh.
        """
        self.listeners += 1
        try:
            while True:
                if not 0 <= self._seq - after <= len(self._log):
                    yield {"seq": self._seq, "kind": "reset"}
                    after = self._seq
                changed = self._changed
                # Sequence numbers have no holes, so how many are new is known without looking through what is kept.
                fresh = [self._log[-back] for back in range(self._seq - after, 0, -1)]
                for event in fresh:
                    after = event["seq"]
                    yield event
                if not fresh:
                    await changed.wait()
        finally:
            self.listeners -= 1
