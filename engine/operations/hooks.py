"""Webhooks: who is told what, what waits, what could not be delivered."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import anyio
from pydantic import AfterValidator, Field

from engine import hooks
from engine.errors import NotFound
from engine.operations.common import Listed, Page, UtcTime, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from store import outbox

Event = Literal["episode.analysed", "totals.changed", "review.finished"]
WAIT_S = 5.0
"""How long a test waits for its turn, beyond what the address may take."""

State = Literal["waiting", "delivered", "dead"]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    return url


class HookRow(Result):
    hook_id: int
    url: str
    events: list[str] = Field(description="Empty: all events.")
    added_by: str
    added_at: UtcTime
    waiting: int
    delivered: int
    dead: int
    answer: str | None = Field(description="What the address last answered.")


class HookList(Result):
    rows: list[HookRow]


class Nothing(Params):
    pass


@operation("read", "admin", params=Nothing, result=HookList)
def hook_list(context: Context, p: Nothing) -> HookList:
    """List the webhooks and how their deliveries stand."""
    return HookList(rows=[_row(row) for row in outbox.hooks(context.engine.database)])


class HookAdd(Params):
    url: Annotated[str, AfterValidator(_address)] = Field(
        max_length=2000, description="http or https address.", json_schema_extra={"positional": True}
    )
    events: list[Event] = Field(default_factory=list, description="Events it is told; all when not given.")


class HookAdded(HookRow):
    secret: str = Field(description="What messages are signed with (Standard Webhooks, v1); shown here only.")


@operation("write", "admin", params=HookAdd, result=HookAdded, idempotent=False)
def hook_add(context: Context, p: HookAdd) -> HookAdded:
    """Tell an address of events from now on, signed and at least once; returns the secret the signature is made with."""
    engine = context.engine
    with context.command("hook_add", p) as command:
        if command.replayed is None:
            added = outbox.add_hook(command.transaction, p.url, list(p.events), context.idem_key, str(context.actor))
            command.result = {"hook_id": added}
    row = _hook(context, (command.replayed or command.result)["hook_id"])
    return HookAdded(**_row(row).model_dump(), secret=hooks.secret(engine.home, row["salt"]))


class HookRef(Params):
    hook_id: int = Field(description="Hook id.", json_schema_extra={"positional": True})


@operation("write", "admin", params=HookRef, result=HookRow)
def hook_remove(context: Context, p: HookRef) -> HookRow:
    """Stop telling an address anything; what waits for it is dropped."""
    row = _hook(context, p.hook_id)
    with context.command("hook_remove", p) as command:
        if command.replayed is None:
            outbox.remove_hook(command.transaction, p.hook_id)
    return _row(row)


class Delivery(Result):
    delivery_id: int
    hook_id: int
    url: str
    event: str
    episode_id: int | None
    run_id: int | None
    created_at: UtcTime
    state: State
    attempts: int
    next_at: UtcTime
    ended_at: UtcTime | None
    answer: str | None


@operation("write", "admin", params=HookRef, result=Delivery, idempotent=False)
async def hook_test(context: Context, p: HookRef) -> Delivery:
    """Send a test message to an address now, and show what it answered."""
    engine = context.engine

    def put() -> int:
        _hook(context, p.hook_id)
        with context.command("hook_test", p) as command:
            if command.replayed is None:
                (delivery_id,) = outbox.announce(command.transaction, "test", hook_id=p.hook_id)
                command.result = {"delivery_id": delivery_id}
        return int((command.replayed or command.result)["delivery_id"])

    after = engine.events.last
    delivery_id = await engine.in_thread(put)
    engine.hooks.wake()
    with anyio.move_on_after(engine.config.settings.hooks.timeout_s + WAIT_S):
        async for event in engine.events.follow(after):
            if event["kind"] == "delivery" and event["delivery_id"] == delivery_id:
                break
    return await engine.in_thread(_delivery, context, delivery_id)


class HookRetry(HookRef):
    delivery_id: int | None = Field(None, description="Only this delivery; all that were given up when not given.")


class Retried(Result):
    hook_id: int
    retried: int


@operation("write", "admin", params=HookRetry, result=Retried)
def hook_retry(context: Context, p: HookRetry) -> Retried:
    """Try deliveries that were given up once more, from the start."""
    _hook(context, p.hook_id)
    with context.command("hook_retry", p) as command:
        if command.replayed is None:
            command.result = {"retried": outbox.revive(command.transaction, p.hook_id, p.delivery_id)}
    return Retried(hook_id=p.hook_id, retried=(command.replayed or command.result)["retried"])


class DeliveryList(Listed):
    rows: list[Delivery]


class DeliveryListParams(Page):
    hook_id: int | None = Field(None, description="Only this hook's.")
    state: State | None = Field(None, description="waiting, delivered, or dead: given up.")


@operation("read", "admin", params=DeliveryListParams, result=DeliveryList)
def delivery_list(context: Context, p: DeliveryListParams) -> DeliveryList:
    """List webhook deliveries, newest first: what waits, what arrived, and what was given up and why."""
    rows = outbox.deliveries(context.engine.database, p.hook_id, p.state, p.position(), p.limit)
    return DeliveryList(rows=[_shown(row) for row in rows], next_cursor=next_cursor(rows, p.limit, "delivery_id"))


def _hook(context: Context, hook_id: int) -> dict[str, Any]:
    found = next((row for row in outbox.hooks(context.engine.database) if row["hook_id"] == hook_id), None)
    if found is None:
        raise NotFound(f"There is no hook {hook_id}.", "`rollcall hook list` lists them.")
    return found


def _delivery(context: Context, delivery_id: int) -> Delivery:
    found = outbox.delivery(context.engine.database, delivery_id)
    if found is None:
        raise NotFound(f"Delivery {delivery_id} went with its hook.", "`rollcall hook list` lists the hooks there are.")
    return _shown(found)


def _row(row: dict[str, Any]) -> HookRow:
    return HookRow.model_validate({name: row[name] for name in HookRow.model_fields})


def _shown(row: dict[str, Any]) -> Delivery:
    return Delivery.model_validate({name: row[name] for name in Delivery.model_fields})
