"""The review queue and suggestions as they were last settled, and what was put off."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from store.database import Database, Transaction, now

MANY = 1_000_000
"""More items than any queue has."""


def items(database: Database, run_id: int) -> list[dict[str, Any]]:
    """Queue items of a run, best first: at_risk_s and item (JSON text)."""
    return database.known(("queue_item",), "SELECT at_risk_s, item FROM queue_item WHERE run_id = ? ORDER BY rank", [run_id])


def count(database: Database, episode_ids: list[int]) -> int:
    """Queue items of some episodes, those answered since the last settling among them."""
    wanted = ", ".join(str(int(one)) for one in episode_ids) or "NULL"
    found = database.row(f"SELECT count(*) AS n FROM queue_item q JOIN episode e ON e.active_run_id = q.run_id WHERE e.episode_id IN ({wanted})")
    assert found is not None
    return int(found["n"])


def waiting(database: Database, limit: int) -> list[int]:
    """Episodes with something to ask, those with most at risk first."""
    rows = database.rows(
        """SELECT e.episode_id FROM queue_item q JOIN episode e ON e.active_run_id = q.run_id
           GROUP BY e.episode_id ORDER BY max(at_risk_s) DESC, e.episode_id LIMIT ?""",
        [limit],
    )
    return [row["episode_id"] for row in rows]


def episode_of_item(database: Database, item: str) -> int | None:
    """The episode that asks an item, or whose item a proposal holds."""
    if item.startswith("proposal-"):
        found = database.row(
            "SELECT episode_id FROM track WHERE track_id = (SELECT targets[1] FROM proposal WHERE proposal_id = TRY_CAST(? AS BIGINT))",
            [item.removeprefix("proposal-")],
        )
    elif item.startswith("joined-"):
        found = database.row("SELECT episode_id FROM track WHERE track_id = TRY_CAST(? AS BIGINT)", [item.removeprefix("joined-")])
    else:
        found = database.row(
            "SELECT q.episode_id FROM queue_item q JOIN episode e ON e.active_run_id = q.run_id WHERE json_extract_string(item, '$.id') = ?", [item]
        )
    return int(found["episode_id"]) if found else None


def asked(database: Database, item: str) -> str | None:
    """An item as it is kept (JSON text), by its id."""
    found = database.row(
        "SELECT item FROM queue_item q JOIN episode e ON e.active_run_id = q.run_id WHERE json_extract_string(item, '$.id') = ?", [item]
    )
    return found["item"] if found else None


def held(database: Database, proposal: str) -> str | None:
    """The item a proposal (its number) holds, as it was kept (JSON text)."""
    found = database.row("SELECT preview->'held' AS item FROM proposal WHERE proposal_id = TRY_CAST(? AS BIGINT)", [proposal])
    return found["item"] if found else None


def run_made(database: Database, run_id: int) -> datetime:
    """When a run was committed."""
    moment: datetime = database.known(("run",), "SELECT committed_at FROM run WHERE run_id = ?", [run_id])[0]["committed_at"]
    return moment


def snoozed(database: Database, episode_id: int) -> set[tuple[int, int]]:
    """(track_id, start_us) of pieces put off until later."""
    rows = database.known(("snooze",), "SELECT track_id, start_us, until FROM snooze WHERE episode_id = ?", [episode_id])
    present = now()
    return {(row["track_id"], row["start_us"]) for row in rows if row["until"] > present}


def snooze(transaction: Transaction, episode_id: int, pieces: list[tuple[int, int]], until: datetime) -> None:
    """Put pieces off."""
    transaction.execute("DELETE FROM snooze WHERE until <= ?", [now()])
    for track_id, start_us in pieces:
        transaction.insert("snooze", episode_id=episode_id, track_id=track_id, start_us=start_us, until=until)


def suggestions(
    database: Database, run_id: int, *, at_least: float, below: float, person_id: int | None, after: tuple[float, int] | None, limit: int
) -> list[dict[str, Any]]:
    """The most probable person of each undecided piece, most probable first."""
    return database.rows(
        """WITH best AS (
               SELECT s.track_id, s.start_us, s.end_us, max(s.probability) AS probability, arg_max(s.person_id, s.probability) AS person_id
               FROM suggestion s WHERE s.run_id = ? GROUP BY ALL)
           SELECT b.*, p.called AS person, a.rev, t.chip, t.start_us AS track_start_us, t.end_us AS track_end_us
           FROM best b JOIN assignment a ON a.run_id = ? AND a.track_id = b.track_id AND a.start_us = b.start_us AND a.end_us = b.end_us
           JOIN track t ON t.run_id = ? AND t.track_id = b.track_id JOIN called p ON p.person_id = b.person_id
           WHERE a.decision_id IS NULL AND NOT a.locked AND NOT list_contains(a.rejected, b.person_id) AND a.person_id IS DISTINCT FROM b.person_id
             AND b.probability >= ? AND b.probability < ? AND (? IS NULL OR b.person_id = ?)
             AND (? IS NULL OR (b.probability, -b.track_id) < (CAST(? AS FLOAT), -?))
           ORDER BY b.probability DESC, b.track_id, b.start_us LIMIT ?""",
        [
            run_id,
            run_id,
            run_id,
            at_least,
            below,
            person_id,
            person_id,
            after[0] if after else None,
            after[0] if after else None,
            after[1] if after else None,
            limit,
        ],
    )


def looks_of_run(database: Database, run_id: int) -> pa.Table:
    """track_id, quality, height_px, mixed and chip of the tracks of a run."""
    return database.arrow("SELECT track_id, quality, height_px, mixed, chip FROM track WHERE run_id = ?", [run_id])


def names(database: Database, people: set[int]) -> dict[int, str]:
    """What some people are called."""
    found: dict[int, str] = database.remembered(("person",), "names", dict)  # grows with who is asked about, until somebody is renamed
    if missing := people - found.keys():
        wanted = ", ".join(str(int(one)) for one in sorted(missing))
        rows = database.rows(f"SELECT person_id, called FROM called WHERE person_id IN ({wanted})")
        found.update({row["person_id"]: row["called"] for row in rows})
    return found


def settled(database: Database, run_id: int) -> int:
    """The newest decision a run's queue knows."""
    found = database.known(("run",), "SELECT settled_seq FROM run WHERE run_id = ?", [run_id])
    return int(found[0]["settled_seq"]) if found else 0
