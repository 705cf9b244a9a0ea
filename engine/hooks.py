"""Webhooks: events go out of the outbox to the addresses that asked for them, signed, at least once, with pauses that grow, until they are given up.

Signed as the Standard Webhooks specification (v1) says: `webhook-id`, `webhook-timestamp`, and `webhook-signature`, the base64 of HMAC-SHA256 over
`id.timestamp.body`. The id stays the same over retries, so a receiver can tell a repeat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from engine.version import VERSION
from store import catalog, outbox, results

if TYPE_CHECKING:
    from engine.config import HookSettings
    from engine.service import Engine

log = logging.getLogger("rollcall.hooks")

AT_ONCE = 8
LONGEST_ANSWER = 200


def secret(home: Path, salt: str) -> str:
    """What a hook signs with. Made of a key beside the database, so that the database alone, or a copy of it, tells nobody."""
    made = hmac.new(_key(home / "hooks.key"), salt.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(made).decode()


def _key(path: Path) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32))
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    return path.read_bytes()


def signature(key: str, delivery: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a message."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    mac = hmac.new(base64.b64decode(key.removeprefix("whsec_")), signed, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def pause_s(settings: HookSettings, attempts: int) -> float | None:
    """How long to wait after that many failed attempts; None: give up."""
    if attempts >= settings.attempts:
        return None
    return float(min(settings.longest_pause_s, settings.first_pause_s * settings.pause_factor ** (attempts - 1)))


class Hooks:
    """Delivers what is due while the engine runs; what is left is delivered by the next engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake = anyio.Event()
        self._empty: tuple[int, ...] | None = None
        self.waiting = False

    def wake(self) -> None:
        """Something may have been put into the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver, then sleep until more is due or something happened."""
        async with httpx2.AsyncClient(timeout=self._engine.config.settings.hooks.timeout_s, follow_redirects=False) as client:
            while True:
                self._wake = anyio.Event()
                wait_s = await self._deliver_due(client)
                self.waiting = wait_s is not None
                with anyio.move_on_after(wait_s if wait_s is not None else float("inf")):
                    await self._wake.wait()

    async def _deliver_due(self, client: httpx2.AsyncClient) -> float | None:
        """Attempt what is due, hooks beside one another, each in its own order; returns the seconds until the next is."""
        engine = self._engine
        written = engine.database.epochs.of(("outbox",))
        if written is not None and written == self._empty:  # nearly every event: nothing waits, and nothing was put in since
            return None
        due = await engine.in_thread(outbox.due, engine.database, AT_ONCE)
        by_hook: dict[int, list[dict[str, Any]]] = {}
        for delivery in due:
            by_hook.setdefault(delivery["hook_id"], []).append(delivery)
        async with anyio.create_task_group() as group:
            for deliveries in by_hook.values():
                group.start_soon(self._in_order, client, deliveries)
        wait_s = 0.0 if due else await engine.in_thread(outbox.wait_s, engine.database)
        self._empty = written if wait_s is None else None
        return wait_s

    async def _in_order(self, client: httpx2.AsyncClient, deliveries: list[dict[str, Any]]) -> None:
        for delivery in deliveries:
            await self._attempt(client, delivery)

    async def _attempt(self, client: httpx2.AsyncClient, delivery: dict[str, Any]) -> None:
        """Send one message and write down how it went."""
        engine = self._engine
        body = json.dumps(await engine.in_thread(message, engine, delivery), separators=(",", ":"), default=str).encode()
        delivered, answer = await self._post(client, delivery, body)
        again_s = None if delivered else pause_s(engine.config.settings.hooks, delivery["attempts"] + 1)

        def record() -> None:
            keep_days = engine.config.settings.hooks.keep_days
            outbox.record(engine.database, delivery["delivery_id"], delivered=delivered, answer=answer, again_s=again_s, keep_days=keep_days)

        await engine.in_thread(record)
        engine.events.publish("delivery", delivery_id=delivery["delivery_id"], hook_id=delivery["hook_id"], delivered=delivered, answer=answer)
        if not delivered:
            log.warning("delivery %d to hook %d: %s%s", delivery["delivery_id"], delivery["hook_id"], answer, "" if again_s else "; given up")

    async def _post(self, client: httpx2.AsyncClient, delivery: dict[str, Any], body: bytes) -> tuple[bool, str]:
        name, stamp = f"rollcall-{delivery['hook_id']}-{delivery['delivery_id']}", int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": f"rollcall/{VERSION}",
            "webhook-id": name,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(secret(self._engine.home, delivery["salt"]), name, stamp, body),
        }
        try:
            async with client.stream("POST", delivery["url"], content=body, headers=headers) as answer:
                return answer.is_success, f"{answer.status_code} {answer.reason_phrase}"[:LONGEST_ANSWER]
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return False, f"{type(error).__name__}: {error}"[:LONGEST_ANSWER]


def message(engine: Engine, delivery: dict[str, Any]) -> dict[str, Any]:
    """What is said, as things are now: `event`, `at`, and of an episode its place in the library and its totals."""
    told: dict[str, Any] = {"event": delivery["event"], "at": f"{delivery['created_at'].isoformat(timespec='milliseconds')}Z"}
    if delivery["episode_id"] is None:
        return told
    episode = catalog.find_episode(engine.database, str(delivery["episode_id"]))
    if episode is None:
        return {**told, "episode": {"episode_id": delivery["episode_id"], "removed": True}}
    told["episode"] = {name: episode[name] for name in ("episode_id", "show", "season", "number", "title", "duration_s")}
    told["run_id"] = delivery["run_id"]
    if episode["active_run_id"] is not None:
        people = results.screen_time(engine.database, episode["active_run_id"])
        told["totals"] = [{name: row[name] for name in ("person_id", "name", "kind", "visual_s", "visual_low_s", "visual_high_s")} for row in people]
    return told
