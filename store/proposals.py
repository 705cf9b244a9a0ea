"""What agents propose and people decide about."""

from __future__ import annotations

import json
from typing import Any

from store.database import Database, Transaction, now


def add(transaction: Transaction, *, targets: list[tuple[int, int]], **values: Any) -> int:
    """A new proposal about pieces (track_id, start_us); values: actor, operation, parameters, preview, rev. Returns its id."""
    proposal_id = transaction.next_id("proposal", "proposal_id")
    flat = [number for target in targets for number in target]
    transaction.insert("proposal", proposal_id=proposal_id, targets=flat, made_at=now(), state="waiting", **values)
    return proposal_id


def decide(transaction: Transaction, proposal_id: int, state: str, actor: str, *, batch: int | None = None, reason: str | None = None) -> None:
    """Write down what became of a proposal."""
    transaction.execute(
        "UPDATE proposal SET state = ?, decided_by = ?, decided_at = ?, batch = ?, reason = ? WHERE proposal_id = ?",
        [state, actor, now(), batch, reason, proposal_id],
    )


def waiting_about(database: Database, actor: str) -> set[tuple[int, int]]:
    """(track_id, start_us) of pieces about which something an actor proposed waits."""
    rows = database.rows("SELECT targets FROM proposal WHERE actor = ? AND state = 'waiting'", [actor])
    return {(flat[n], flat[n + 1]) for row in rows for flat in [row["targets"]] for n in range(0, len(flat), 2)}


def only_accepted_since(database: Database, actor: str, tracks: list[int], rev: int) -> int | None:
    """The newest decision about some tracks after `rev`, when all of those since come from accepted proposals of one actor; None: others decided."""
    found = database.row(
        """SELECT max(decision_id) AS newest, bool_and(p.proposal_id IS NOT NULL) AS own FROM (
               SELECT DISTINCT d.decision_id, d.batch FROM decision d JOIN coverage c USING (decision_id)
               WHERE list_contains(?::BIGINT[], c.track_id) AND d.decision_id > ?) since
           LEFT JOIN proposal p ON p.batch = since.batch AND p.actor = ? AND p.state = 'accepted'""",
        [tracks, rev, actor],
    )
    return int(found["newest"]) if found and found["newest"] is not None and found["own"] else None


def one(database: Database, proposal_id: int) -> dict[str, Any] | None:
    """One proposal."""
    found = database.row("SELECT * FROM proposal WHERE proposal_id = ?", [proposal_id])
    return _read(found) if found else None


def page(database: Database, actor: str | None, state: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Proposals, oldest first."""
    rows = database.rows(
        "SELECT * FROM proposal WHERE (? IS NULL OR actor = ?) AND (? IS NULL OR state = ?) AND proposal_id > ? ORDER BY proposal_id LIMIT ?",
        [actor, actor, state, state, after, limit],
    )
    return [_read(row) for row in rows]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if name in ("parameters", "preview") else value for name, value in row.items()}
