"""Proposals: what agents would change where their answers wait for a person."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from engine.errors import BadInput, Conflict, NotFound, RollcallError
from engine.operations import registry
from engine.operations.common import Listed, Page, UtcTime, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from engine.review import agenda
from engine.review.targets import aim_at_cluster, aim_at_tracks
from store import proposals, questions

SHOWN = 24
"""Tracks of a proposal a person is shown at most."""

State = Literal["waiting", "accepted", "dismissed"]


class ProposalAdd(Params):
    operation: str = Field(description="The operation that would make the change, for instance track_assign.")
    parameters: dict[str, Any] = Field(description="Its parameters.")


class ProposalRow(Result):
    proposal_id: int
    actor: str
    operation: str
    parameters: dict[str, Any]
    preview: dict[str, Any] = Field(description="What it would have changed when it was made.")
    shown: list[str] = Field(description="Tracks it is about, 24 at most.")
    made_at: UtcTime
    state: State
    decided_by: str | None
    decided_at: UtcTime | None
    batch: int | None = Field(description="Of an accepted one: what decision_undo takes back.")
    reason: str | None = Field(description="Why it was dismissed.")


@operation("write", "review", params=ProposalAdd, result=ProposalRow, idempotent=False)
async def proposal_add(context: Context, p: ProposalAdd) -> ProposalRow:
    """Propose a change that a person accepts or dismisses; where agents only propose, their changes come here by themselves."""
    engine = context.engine
    op = registry.find(p.operation)
    if op.effect != "write" or op.toolset != "review" or "dry_run" not in op.params.model_fields or op.people_only:
        raise BadInput(f"{p.operation} cannot be proposed.", "Propose changes of labels and people, for instance cluster_assign or track_assign.")
    given = {name: value for name, value in p.parameters.items() if name != "dry_run"}
    # A dry run holds the change to every rule: what would be refused is refused now.
    preview = await registry.invoke(engine, p.operation, {**given, "dry_run": True}, actor=str(context.actor))

    def write() -> int:
        with context.command("proposal_add", p) as command:
            if command.replayed is None:
                if op.name == "queue_accept" and (asked := questions.asked(engine.database, given["item"])):
                    # The queue is made anew after every decision; a proposal keeps the item as the agent saw it.
                    preview["held"] = json.loads(asked)
                made = proposals.add(
                    command.transaction,
                    targets=_targets(context, given),
                    actor=str(context.actor),
                    operation=p.operation,
                    parameters=given,
                    preview=preview,
                    rev=preview.get("rev"),
                )
                command.result = {"proposal_id": made}
        return int((command.replayed or command.result)["proposal_id"])

    proposal_id = await engine.in_thread(write)
    return await engine.in_thread(_one, context, proposal_id)


def _targets(context: Context, parameters: dict[str, Any]) -> list[tuple[int, int]]:
    """(track_id, start_us) of the pieces a change is about."""
    engine = context.engine
    tracks = [str(one) for one in [*parameters.get("tracks", ()), *([parameters["track"]] if "track" in parameters else [])]]
    if tracks:
        aim = aim_at_tracks(engine.review, engine.database, tracks)
    elif "cluster_id" in parameters:
        aim = aim_at_cluster(engine.review, engine.database, parameters["cluster_id"])
    elif "item" in parameters:
        item = agenda.find(engine.database, engine.review.state(agenda.episode_of(engine.database, parameters["item"])), parameters["item"])
        return [(piece.track_id, piece.start_us) for unit in item.units for piece in unit.pieces]
    else:
        return []
    return [(piece.track_id, piece.start_us) for piece in aim.pieces]


class ProposalListParams(Page):
    agent: str | None = Field(None, description="Only this actor's, for instance agent:claude.")
    state: State | None = Field("waiting", description="waiting, accepted or dismissed; null for all.")


class ProposalList(Listed):
    rows: list[ProposalRow]


@operation("read", "review", params=ProposalListParams, result=ProposalList)
def proposal_list(context: Context, p: ProposalListParams) -> ProposalList:
    """List what agents propose, oldest first."""
    rows = proposals.page(context.engine.database, p.agent, p.state, p.position() or 0, p.limit)
    return ProposalList(rows=[_shown(row) for row in rows], next_cursor=next_cursor(rows, p.limit, "proposal_id"))


class ProposalAccept(Params):
    proposals: list[int] = Field(min_length=1, max_length=1000, description="Proposal ids.")


class Refusal(Result):
    proposal_id: int
    code: str
    message: str


class Accepted(Result):
    accepted: list[ProposalRow]
    refused: list[Refusal] = Field(description="Those whose faces have changed since, or whose change is not allowed any more; they wait on.")


@operation("write", "review", params=ProposalAccept, result=Accepted, people_only=True)
async def proposal_accept(context: Context, p: ProposalAccept) -> Accepted:
    """Make the changes agents propose, as your own decisions that say whose proposals they were."""
    engine = context.engine
    accepted, refused = [], []
    for proposal_id in dict.fromkeys(p.proposals):
        row = await engine.in_thread(_waiting, context, proposal_id)
        said = row["parameters"].get("reason")
        sent = {**row["parameters"], "reason": f"Proposed by {row['actor']}" + (f": {said}" if said else "")}
        if "held" in row["preview"]:
            sent["item"] = f"{agenda.HELD}{proposal_id}"
        if row["rev"] is not None:
            sent["rev"] = await engine.in_thread(_seen, context, row)
        try:
            # The key makes a second acceptance of one proposal the same change, whatever happened after the first.
            done = await registry.invoke(engine, row["operation"], sent, actor=str(context.actor), idem_key=f"proposal-{proposal_id}")
        except RollcallError as error:
            refused.append(Refusal(proposal_id=proposal_id, code=error.code, message=str(error)))
            continue
        await engine.in_thread(_decide, context, proposal_id, "accepted", done.get("batch"), None)
        accepted.append(await engine.in_thread(_one, context, proposal_id))
    return Accepted(accepted=accepted, refused=refused)


class ProposalDismiss(Params):
    proposals: list[int] = Field(min_length=1, max_length=1000, description="Proposal ids.")
    reason: str | None = Field(None, max_length=500, description="Why; the agent can read it.")


class Dismissed(Result):
    dismissed: list[int]


@operation("write", "review", params=ProposalDismiss, result=Dismissed, people_only=True)
def proposal_dismiss(context: Context, p: ProposalDismiss) -> Dismissed:
    """Say no to what agents propose; nothing changes but their record."""
    for proposal_id in p.proposals:
        _waiting(context, proposal_id)
    with context.command("proposal_dismiss", p) as command:
        if command.replayed is None:
            for proposal_id in p.proposals:
                proposals.decide(command.transaction, proposal_id, "dismissed", str(context.actor), reason=p.reason)
    return Dismissed(dismissed=p.proposals)


def _decide(context: Context, proposal_id: int, state: str, batch: int | None, reason: str | None) -> None:
    with context.engine.database.write() as transaction:
        proposals.decide(transaction, proposal_id, state, str(context.actor), batch=batch, reason=reason)


def _seen(context: Context, row: dict[str, Any]) -> int:
    """The rev a proposal was made at; what was accepted from the same agent since is part of what it saw."""
    newest = proposals.only_accepted_since(context.engine.database, row["actor"], row["targets"][::2], row["rev"])
    return newest if newest is not None else int(row["rev"])


def _waiting(context: Context, proposal_id: int) -> dict[str, Any]:
    found = proposals.one(context.engine.database, proposal_id)
    if found is None:
        raise NotFound(f"There is no proposal {proposal_id}.", "`rollcall proposal list` lists them.")
    if found["state"] != "waiting":
        raise Conflict(f"Proposal {proposal_id} was {found['state']} by {found['decided_by']}.", "`rollcall proposal list` lists those that wait.")
    return found


def _one(context: Context, proposal_id: int) -> ProposalRow:
    found = proposals.one(context.engine.database, proposal_id)
    assert found is not None
    return _shown(found)


def _shown(row: dict[str, Any]) -> ProposalRow:
    shown = list(dict.fromkeys(str(track) for track in row["targets"][::2]))[:SHOWN]
    preview = {name: value for name, value in row["preview"].items() if name != "held"}
    return ProposalRow.model_validate({**{name: row.get(name) for name in ProposalRow.model_fields}, "shown": shown, "preview": preview})
