"""The outbox: what is to be told outside, written with what it reports and kept until it was delivered or given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store.database import Database, Transaction, now

_DELIVERY = """SELECT delivery_id, o.hook_id, url, salt, event, episode_id, run_id, created_at, state, attempts, next_at, ended_at, answer
    FROM outbox o JOIN hook USING (hook_id)"""


def announce(
    transaction: Transaction, event: str, *, episode_id: int | None = None, run_id: int | None = None, hook_id: int | None = None
) -> list[int]:
    """Put an event into the outbox for every hook that wants it, or for one alone; returns the deliveries."""
    hooks = transaction.rows(
        "SELECT hook_id FROM hook WHERE (? IS NULL AND (len(events) = 0 OR list_contains(events, ?))) OR hook_id = ? ORDER BY hook_id",
        [hook_id, event, hook_id],
    )
    made = []
    for hook in hooks:
        made.append(transaction.next_id("outbox", "delivery_id"))
        transaction.insert(
            "outbox",
            delivery_id=made[-1],
            hook_id=hook["hook_id"],
            event=event,
            episode_id=episode_id,
            run_id=run_id,
            created_at=now(),
            state="waiting",
            attempts=0,
            next_at=now(),
        )
    return made


def due(database: Database, limit: int) -> list[dict[str, Any]]:
    """Deliveries whose time has come, oldest first."""
    return database.rows(f"{_DELIVERY} WHERE state = 'waiting' AND next_at <= ? ORDER BY delivery_id LIMIT ?", [now(), limit])


def wait_s(database: Database) -> float | None:
    """Seconds until the next delivery is due; None when none waits."""
    found = database.row("SELECT min(next_at) AS next_at FROM outbox WHERE state = 'waiting'")
    return max(0.0, (found["next_at"] - now()).total_seconds()) if found and found["next_at"] is not None else None


def delivery(database: Database, delivery_id: int) -> dict[str, Any] | None:
    """One delivery with its hook."""
    return database.row(f"{_DELIVERY} WHERE delivery_id = ?", [delivery_id])


def deliveries(database: Database, hook_id: int | None, state: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Deliveries, newest first."""
    return database.rows(
        f"""{_DELIVERY} WHERE (? IS NULL OR hook_id = ?) AND (? IS NULL OR state = ?) AND (? IS NULL OR delivery_id < ?)
            ORDER BY delivery_id DESC LIMIT ?""",
        [hook_id, hook_id, state, state, before, before, limit],
    )


def record(database: Database, delivery_id: int, *, delivered: bool, answer: str, again_s: float | None, keep_days: float) -> None:
    """Write down an attempt: delivered, to be tried again after `again_s`, or dead when that is None; what arrived long ago is dropped."""
    state = "delivered" if delivered else "dead" if again_s is None else "waiting"
    next_at = now() + timedelta(seconds=again_s or 0.0)
    with database.write() as transaction:
        transaction.execute(
            "UPDATE outbox SET state = ?, attempts = attempts + 1, next_at = ?, answer = ?, ended_at = ? WHERE delivery_id = ? AND state = 'waiting'",
            [state, next_at, answer, None if state == "waiting" else now(), delivery_id],
        )
        transaction.execute("DELETE FROM outbox WHERE state = 'delivered' AND ended_at < ?", [now() - timedelta(days=keep_days)])


def revive(transaction: Transaction, hook_id: int, delivery_id: int | None) -> int:
    """Let dead deliveries of a hook, or one of them, be tried again from the start; returns how many."""
    found = transaction.rows(
        "SELECT delivery_id FROM outbox WHERE state = 'dead' AND hook_id = ? AND (? IS NULL OR delivery_id = ?)", [hook_id, delivery_id, delivery_id]
    )
    for row in found:
        transaction.execute(
            "UPDATE outbox SET state = 'waiting', attempts = 0, next_at = ?, ended_at = NULL WHERE delivery_id = ?", [now(), row["delivery_id"]]
        )
    return len(found)


def add_hook(transaction: Transaction, url: str, events: list[str], salt: str, actor: str) -> int:
    """A new hook; returns its id."""
    hook_id = transaction.next_id("hook", "hook_id")
    transaction.insert("hook", hook_id=hook_id, url=url, events=events, salt=salt, added_by=actor, added_at=now())
    return hook_id


def remove_hook(transaction: Transaction, hook_id: int) -> None:
    """Remove a hook with its deliveries."""
    for table in ("outbox", "hook"):
        transaction.execute(f"DELETE FROM {table} WHERE hook_id = ?", [hook_id])


def hooks(database: Database) -> list[dict[str, Any]]:
    """All hooks with how their deliveries stand."""
    return database.rows(
        """SELECT hook_id, url, events, salt, added_by, added_at, count(*) FILTER (state = 'waiting') AS waiting,
                  count(*) FILTER (state = 'delivered') AS delivered, count(*) FILTER (state = 'dead') AS dead,
                  arg_max(answer, delivery_id) FILTER (answer IS NOT NULL) AS answer
           FROM hook LEFT JOIN outbox USING (hook_id) GROUP BY ALL ORDER BY hook_id"""
    )
