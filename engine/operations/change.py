"""What every change to labels shares: a dry run, the newest decision the asker has seen, one batch, and an answer that says what it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from engine.operations import policy
from engine.operations.registry import Context, Params, Result
from engine.review.draft import Plan

if TYPE_CHECKING:
    from engine.review.desk import Outcome

LISTED = 20
"""People whose seconds an answer lists, those that change most."""


class Change(Params):
    """Parameters every change takes."""

    dry_run: bool = Field(False, description="Say what it would change, and change nothing.")
    reason: str | None = Field(None, max_length=500, description="Why, for the audit.")


class ChangeSeen(Change):
    """A change to something the asker has looked at."""

    rev: int | None = Field(None, ge=0, description="The `rev` you saw; refused when somebody has decided about the target since.")
    force: bool = Field(False, description="Change locked faces too; people only.")


class PersonSeconds(Result):
    person_id: int | None = Field(description="Null: nobody who can be named.")
    name: str
    before_s: float = Field(description="Seconds of tracks labelled theirs in the episodes concerned.")
    after_s: float


class Changed(Result):
    dry_run: bool
    batch: int | None = Field(description="Give it to decision_undo to take all of this back.")
    decisions: list[int]
    episodes: list[int]
    tracks: int = Field(description="Tracks whose label, lock or cluster changes.")
    seconds: float = Field(description="Seconds of them.")
    people: list[PersonSeconds]
    kept: list[str] = Field(description="What keeps its label although it was meant.")
    notes: list[str]
    rev: int = Field(description="The rev of the targets from now on.")


def change(context: Context, op: str, p: Change, make: Callable[[], Plan]) -> Changed:
    """Plan a batch and write it, or only say what it would do.

    Args:
        make: reads the present labels and returns the plan, or raises; it is called while nobody else can write.
    """
    engine, actor = context.engine, str(context.actor)
    if p.dry_run:
        with engine.database.exclusive():
            plan = make()
            return _answer(context, plan, engine.review.preview(plan, actor, p.reason), dry_run=True)
    with engine.database.exclusive():
        outcome = None
        with context.command(op, p) as command:
            if command.replayed is not None:
                return Changed.model_validate(command.replayed)
            plan = make()
            policy.hold_to_floor(engine, context.actor, plan.drafts, context.idem_key)
            outcome = engine.review.write(command.transaction, plan, actor, p.reason, context.idem_key)
            answer = _answer(context, plan, outcome, dry_run=False)
            command.result, command.facts = answer.model_dump(mode="json"), outcome.facts()
        engine.review.settle(outcome)
    context.decided.update(outcome.after)
    return answer


def _answer(context: Context, plan: Plan, outcome: Outcome, *, dry_run: bool) -> Changed:
    tracks, moved_us = outcome.changed()
    ids = [d.decision_id for d in outcome.decisions]
    return Changed(
        dry_run=dry_run,
        batch=None if dry_run or not ids else ids[0],
        decisions=[] if dry_run else ids,
        episodes=sorted(outcome.after),
        tracks=tracks,
        seconds=round(moved_us / 1e6, 3),
        people=_people(context, outcome),
        kept=plan.kept,
        notes=plan.notes,
        rev=plan.rev if dry_run else max(ids, default=plan.rev),
    )


def _people(context: Context, outcome: Outcome) -> list[PersonSeconds]:
    """Seconds before and after of those whose labels change."""
    before, after = (
        {person: sum(state.held_us.get(person, 0) for state in states.values()) for person in outcome.holders()}
        for states in (outcome.before, outcome.after)
    )
    moved = {person: after[person] - us for person, us in before.items() if after[person] != us}
    order = sorted(moved, key=lambda person: (-abs(moved[person]), person or 0))[:LISTED]
    called = context.engine.review.called
    return [PersonSeconds(person_id=one, name=called(one), before_s=before[one] / 1e6, after_s=after[one] / 1e6) for one in order]
