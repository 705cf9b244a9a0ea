"""What agents propose and people decide about."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from store import covered, ids
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
    rows = database.rows(
        """SELECT c.run_id, d.decision_id, c.covers, p.proposal_id IS NOT NULL AS own FROM decision d JOIN coverage c USING (decision_id)
           LEFT JOIN proposal p ON p.batch = d.batch AND p.actor = ? AND p.state = 'accepted'
           WHERE list_contains(?::BIGINT[], c.run_id) AND d.decision_id > ?""",
        [actor, sorted({track // ids.TRACKS_PER_RUN for track in tracks}), rev],
    )
    about = covered.stretches(rows)
    since = set(about.filter(pc.is_in(about["track_id"], pa.array(tracks, pa.int64())))["decision_id"].to_pylist())
    return max(since) if since and all(row["own"] for row in rows if row["decision_id"] in since) else None


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
