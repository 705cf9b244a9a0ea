"""The registry: every operation once, typed, and the one `invoke` all surfaces end in."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import BadInput, NotFound
from engine.operations import policy

if TYPE_CHECKING:
    from engine.service import Engine
    from store.database import Command

Effect = Literal["read", "write", "destroy"]
Toolset = Literal["catalog", "review", "totals", "export", "jobs", "admin"]


class Params(BaseModel):
    """Parameters of an operation. A field with `json_schema_extra={"positional": True}` is given by position on the command line."""

    model_config = ConfigDict(extra="forbid")


class Result(BaseModel):
    """Result of an operation."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Context:
    """What an operation acts on, for whom, and the key under which a repeat of it is recognised. `decided` gathers the episodes whose labels it
    changed."""

    engine: Engine
    actor: policy.Actor
    idem_key: str
    decided: set[int] = field(default_factory=set)

    @contextmanager
    def command(self, op: str, parameters: Params) -> Iterator[Command]:
        """The transaction in which a writing operation makes its change, journalled and recognised when repeated.

        Raises:
            Refused: the actor's budget is spent.
        """
        raw = parameters.model_dump(mode="json", exclude_unset=True)
        with self.engine.database.command(op, raw, actor=str(self.actor), key=self.idem_key) as command:
            if command.replayed is None:
                policy.spend(self.engine, self.actor, command.transaction, self.idem_key)
            yield command


Run = Callable[[Context, Any], Result] | Callable[[Context, Any], Awaitable[Result]]


@dataclass(frozen=True)
class Operation:
    """One operation. `key` is its default key in the terminal UI; a `blocking` one runs on a worker thread, a `slow` one
    on threads kept apart from those that answer questions; one that is `people_only` agents may not use."""

    name: str
    effect: Effect
    idempotent: bool
    toolset: Toolset
    doc: str
    params: type[Params]
    result: type[Result]
    run: Run
    blocking: bool
    slow: bool
    people_only: bool
    key: str | None = None


OPERATIONS: dict[str, Operation] = {}


def operation(
    effect: Effect,
    toolset: Toolset,
    *,
    params: type[Params],
    result: type[Result],
    idempotent: bool = True,
    slow: bool = False,
    people_only: bool = False,
    key: str | None = None,
) -> Callable[[Run], Run]:
    """Register a function as the operation of its own name; its docstring's first paragraph says when to use it.

    A plain function is run on a worker thread, a coroutine function on the event loop.
    """

    def register(run: Run) -> Run:
        from inspect import cleandoc, iscoroutinefunction

        doc = " ".join(cleandoc(run.__doc__ or "").split("\n\n")[0].split())
        assert doc, f"{run.__name__} needs a docstring"
        assert run.__name__ not in OPERATIONS, run.__name__
        blocking = not iscoroutinefunction(run)
        OPERATIONS[run.__name__] = Operation(run.__name__, effect, idempotent, toolset, doc, params, result, run, blocking, slow, people_only, key)
        return run

    return register


def find(name: str) -> Operation:
    """The operation of that name.

    Raises:
        NotFound: there is none.
    """
    found = OPERATIONS.get(name)
    if found is None:
        raise NotFound(f"There is no operation {name!r}.", "`rollcall --help` lists them.")
    return found


def validate(op: Operation, raw: dict[str, Any]) -> Params:
    """Typed parameters.

    Raises:
        BadInput: names every parameter at fault.
    """
    try:
        return op.params.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'parameters'}: {fault['msg']}" for fault in error.errors())
        raise BadInput(f"{op.name}: {faults}.") from error


def _proposal(op: Operation, raw: dict[str, Any]) -> tuple[Operation, Params]:
    """The operation that has another one wait for a person."""
    waiting = find("proposal_add")
    return waiting, validate(waiting, {"operation": op.name, "parameters": raw})


async def invoke(engine: Engine, name: str, raw: dict[str, Any], *, actor: str, idem_key: str | None = None) -> dict[str, Any]:
    """Validate, authorise, run; the only way any surface changes or reads anything.

    Raises:
        RollcallError: with a code, a sentence and a next step; nothing else is raised on purpose.
    """
    return (await answer(engine, name, raw, actor=actor, idem_key=idem_key)).model_dump(mode="json")


async def answer(engine: Engine, name: str, raw: dict[str, Any], *, actor: str, idem_key: str | None = None) -> Result:
    """As `invoke`, for who writes the answer out: a long one is written several times faster as it is than as a dictionary."""
    op = find(name)
    who = policy.Actor.parse(actor)
    parameters = validate(op, raw)
    key = idem_key or uuid.uuid4().hex
    # What the journal holds was allowed when it was done.
    if key not in engine.database.journal.replaying and policy.authorise(engine, who, op, raw) == "propose":
        op, parameters = _proposal(op, raw)
    context = Context(engine, who, key)
    return await engine.run_operation(op, context, parameters)
