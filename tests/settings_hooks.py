"""Scenarios of hooks.*: an engine delivers to an address of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio

from engine.config import Settings
from engine.service import Engine
from store import outbox
from store.database import now
from tests.scenarios import home_with, measure
from tests.test_mcp_hooks import Receiver


@contextmanager
def _telling(folder: Path, settings: Settings, name: str, /, **others: Any) -> Iterator[tuple[Engine, Receiver]]:
    """An engine with one hook, for which one event waits, and the address of that hook."""
    engine, receiver = Engine(home_with(folder, settings, name, **others)), Receiver()
    with engine.database.write() as transaction:
        outbox.add_hook(transaction, receiver.url, [], "salt", "person:tester")
        outbox.announce(transaction, "totals.changed")
    yield engine, receiver
    engine.close()
    receiver.close()


def _deliver(engine: Engine, done: Callable[[], bool]) -> None:
    """Let it work until an attempt was made after which this is so."""

    async def run() -> None:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                after = engine.events.last
                group.start_soon(engine.hooks.run)
                async for _ in engine.events.follow(after):
                    if done():
                        break
                group.cancel_scope.cancel()

    anyio.run(run)


def _states(engine: Engine) -> list[str]:
    return [row["state"] for row in outbox.deliveries(engine.database, None, None, None, 10)]


@measure("hooks.timeout_s", 0.2, 20)
def _slow_address_is_heard(settings: Settings, folder: Path) -> float:
    """It answers after a second."""
    with _telling(folder, settings, "hooks.timeout_s") as (engine, receiver):
        receiver.before_answer = lambda: time.sleep(1)
        _deliver(engine, lambda: True)
        return float(_states(engine) == ["delivered"])


@measure("hooks.attempts", 1, 3)
def _messages_until_it_is_given_up(settings: Settings, folder: Path) -> float:
    with _telling(folder, settings, "hooks.attempts", first_pause_s=0.01) as (engine, receiver):
        receiver.status = 500
        _deliver(engine, lambda: _states(engine) == ["dead"])
        return len(receiver.got)


def _pause(settings: Settings, folder: Path, name: str, failed: int) -> float:
    """Seconds until the next attempt, when the one made now fails as so many did before; to ten seconds, as some have passed since it failed."""
    with _telling(folder, settings, name) as (engine, receiver):
        receiver.status = 500
        with engine.database.write() as transaction:
            transaction.execute("UPDATE outbox SET attempts = ?", [failed])
        _deliver(engine, lambda: True)
        return round(outbox.wait_s(engine.database) or 0.0, -1)


@measure("hooks.first_pause_s", 5, 50)
def _pause_after_the_first_failure(settings: Settings, folder: Path) -> float:
    return _pause(settings, folder, "hooks.first_pause_s", 0)


@measure("hooks.pause_factor", 1, 4)
def _pause_after_the_third_failure(settings: Settings, folder: Path) -> float:
    return _pause(settings, folder, "hooks.pause_factor", 2)


@measure("hooks.longest_pause_s", 60, 21_600)
def _pause_after_the_seventh_failure(settings: Settings, folder: Path) -> float:
    return _pause(settings, folder, "hooks.longest_pause_s", 6)


@measure("hooks.keep_days", 1, 30)
def _deliveries_on_record(settings: Settings, folder: Path) -> float:
    """One arrived ten days ago, one does now."""
    with _telling(folder, settings, "hooks.keep_days") as (engine, _):
        with engine.database.write() as transaction:
            transaction.execute("UPDATE outbox SET state = 'delivered', ended_at = ?", [now() - timedelta(days=10)])
            outbox.announce(transaction, "totals.changed")
        _deliver(engine, lambda: True)
        return len(_states(engine))
