"""Running an iterator a little ahead of its consumer, in a thread of its own: what it does outside Python's lock goes on meanwhile."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

CHUNK, DEPTH = 4, 2
"""Items handed over at a time, for waking a thread costs as much as a tenth of decoding a frame, and how many times that many are made ahead; a
1080p frame is 3 MB."""

_LOOK_EVERY_S = 0.2


def ahead(items: Generator[T, None, None], wait_s: float | None = None) -> Generator[T, None, None]:
    """The same items, made up to about CHUNK * DEPTH ahead; what making them raises is raised here. Closing this ends the thread and closes `items`.

    Raises:
        TimeoutError: the next CHUNK took longer than `wait_s`; the thread is left to itself.
    """
    made: queue.Queue[list[T] | BaseException | None] = queue.Queue(maxsize=DEPTH)
    stop = threading.Event()

    def put(chunk: list[T] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                made.put(chunk, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        chunk: list[T] = []
        try:
            for item in items:
                chunk.append(item)
                if len(chunk) == CHUNK:
                    if not put(chunk):
                        return
                    chunk = []
            put(chunk)
            put(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the consumer's to handle
            put(chunk)
            put(error)
        finally:
            items.close()

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    stuck = False
    try:
        while True:
            try:
                got = made.get(timeout=wait_s)
            except queue.Empty:
                stuck = True
                raise TimeoutError from None
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            yield from got
    finally:
        stop.set()
        while thread.is_alive() and not stuck:
            with contextlib.suppress(queue.Empty):
                made.get_nowait()  # whoever waits for room goes on at once
            thread.join(0.01)
