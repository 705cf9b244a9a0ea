"""The audit: every decision, taken back and brought back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from engine.errors import BadInput
from engine.operations.change import Change, Changed, change
from engine.operations.common import EpisodeRef, Listed, Page, UtcTime, episode_of, next_cursor
from engine.operations.registry import Context, Result, operation
from engine.review import undo
from engine.review.decision import Decision, read
from engine.review.draft import Plan
from engine.review.ledger import Ledger
from store import decisions


class DecisionRow(Result):
    decision_id: int
    batch: int
    logged_at: UtcTime
    actor: str
    verb: str
    level: str | None
    episode_id: int | None
    person_id: int | None
    what: str
    reason: str | None
    source: str
    voids: list[int]
    stands: bool = Field(description="False when it was taken back.")


class DecisionList(Listed):
    rows: list[DecisionRow]


class DecisionListParams(Page):
    episode: EpisodeRef | None = Field(None)
    actor: str | None = Field(None, description="Only those of this actor, as kind:name.")
    since: datetime | None = Field(None, description="Only those from this moment on (UTC, ISO 8601).")


@operation("read", "review", params=DecisionListParams, result=DecisionList)
def decision_list(context: Context, p: DecisionListParams) -> DecisionList:
    """List decisions, newest first: who decided what, when and why, and whether it still stands."""
    engine = context.engine
    episode_id = episode_of(engine, p.episode)["episode_id"] if p.episode else None
    since = _utc(p.since)
    rows = decisions.page(engine.database, episode_id=episode_id, actor=p.actor, since=since, before=p.position(), limit=p.limit)
    gone = engine.review.ledger().gone
    listed = [_row(context, row, gone) for row in rows]
    return DecisionList(rows=listed, next_cursor=next_cursor(rows, p.limit, "decision_id"))


def _row(context: Context, row: dict[str, Any], gone: Collection[int]) -> DecisionRow:
    names = [name for name in DecisionRow.model_fields if name in row]
    what = undo.describe(context.engine.review, read(row))
    return DecisionRow.model_validate({**{name: row[name] for name in names}, "what": what, "stands": row["decision_id"] not in gone})


class Taken(Change):
    batch: int | None = Field(None, description="The batch to take back, as a change gave it.")
    decision: int | None = Field(None, description="One decision.")
    by: str | None = Field(None, description="All decisions of this actor, as kind:name ...")
    since: datetime | None = Field(None, description="... from this moment on (UTC, ISO 8601).")


class Undo(Taken):
    with_dependents: bool = Field(False, description="Take back later decisions that build on these too.")


def _utc(moment: datetime | None) -> datetime | None:
    """A time as the library keeps it; one without a zone is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment


def _chosen(context: Context, p: Taken, ledger: Ledger, *, undone: bool) -> list[Decision]:
    if p.since is not None and p.by is None:
        raise BadInput("`since` needs `by`.", "Say whose decisions: --by kind:name.")
    if p.batch is None and p.decision is None and p.by is None:
        return ledger.last_batch(str(context.actor), undone=undone)
    since = _utc(p.since)
    return ledger.chosen(batch=p.batch, decision=p.decision, actor=p.by, since=since)


@operation("write", "review", params=Undo, result=Changed, idempotent=False, key="u")
def decision_undo(context: Context, p: Undo) -> Changed:
    """Take back a batch, one decision, or all of an actor since a time; without any of these, your own last change."""
    engine = context.engine

    def make() -> Plan:
        ledger = engine.review.ledger()
        chosen = _chosen(context, p, ledger, undone=False)
        return undo.undo(engine.review, engine.database, ledger, chosen, str(context.actor), with_dependents=p.with_dependents)

    return change(context, "decision_undo", p, make)


class Redo(Change):
    batch: int | None = Field(None, description="The undo to take back, as it gave its batch; your own last undo when not given.")


@operation("write", "review", params=Redo, result=Changed, idempotent=False, key="U")
def decision_redo(context: Context, p: Redo) -> Changed:
    """Bring back what an undo took back; without a batch, your own last undo."""
    engine = context.engine

    def make() -> Plan:
        ledger = engine.review.ledger()
        chosen = _chosen(context, Taken(batch=p.batch), ledger, undone=True)
        return undo.redo(engine.review, engine.database, ledger, chosen, str(context.actor))

    return change(context, "decision_redo", p, make)
