"""Forgetting somebody: the one thing in review that cannot be taken back."""

from __future__ import annotations

import duckdb
from pydantic import Field

from engine.errors import BadInput, Conflict, Refused, StoreError
from engine.operations.change import Change
from engine.operations.common import person_of
from engine.operations.registry import Context, Result, operation
from engine.review import forget
from engine.review.forget_plan import Going, plan, searched
from store import work


class Forget(Change):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    confirm: str | None = Field(None, description="The person's name or id once more: it cannot be taken back.")


class Proof(Result):
    before: dict[str, int] = Field(description="Place -> how often a scan of decoded data and raw bytes found a name, vector or picture of theirs.")
    after: dict[str, int] = Field(description="The same scan afterwards.")


class Forgotten(Result):
    dry_run: bool
    person_id: int
    called: str
    people: list[int] = Field(description="The person, and those who were merged into them.")
    decision: int | None = Field(description="The tombstone of the act in the audit.")
    episodes: list[int]
    tracks: int = Field(description="Tracks whose faces lose label, pictures and vectors, in all analyses.")
    seconds: float = Field(description="Seconds labelled theirs in the analyses shown.")
    pictures: int
    facebank: int = Field(description="Faces in the facebank.")
    decisions: int = Field(description="Decisions about them, which stay as tombstones.")
    exports: list[str] = Field(description="Files of the exports folder that go.")
    backups: list[str] = Field(description="Copies of the library that go; one without them is made.")
    kept: list[str] = Field(description="Where the name stays, and why.")
    proof: Proof | None


@operation("destroy", "review", params=Forget, result=Forgotten, slow=True)
def person_forget(context: Context, p: Forget) -> Forgotten:
    """Forget somebody for good: name, pictures, vectors and labels, wherever the workspace keeps them. It cannot be undone; try --dry-run."""
    engine = context.engine
    if context.actor.kind != "person":
        raise Refused(f"{context.actor} may not forget anybody: it cannot be taken back.", "Ask a person to do it.")
    with engine.database.exclusive():
        if known := engine.database.row("SELECT result FROM command WHERE idem_key = ?", [context.idem_key]):
            return Forgotten.model_validate_json(known["result"])
        if Going.read(engine.home) is not None:
            raise Conflict("Somebody is being forgotten, and it could not be finished.", "Start the engine again: it goes on from there.")
        person = person_of(engine, p.person_id)
        going = plan(engine, p.person_id, str(context.actor), context.idem_key, p.reason)
        if p.dry_run:
            return Forgotten(
                dry_run=True,
                person_id=p.person_id,
                called=person["name"],
                people=going.people,
                decision=None,
                **going.counts,
                kept=going.sentences,
                proof=None,
            )
        _confirmed(p, person["name"])
        if any(job["kind"] != "pull" for job in work.unfinished_jobs(engine.database)):
            raise Conflict(
                "Episodes or pictures are being analysed, maybe with their faces.", "Wait for the job, or cancel it with `rollcall job cancel`."
            )
        forget.check_space(engine)
        try:
            answer = forget.begin(engine, searched(engine, going))
        except (OSError, duckdb.Error) as error:
            raise StoreError(f"Forgetting person {p.person_id} could not be finished: {error}", "It goes on when the engine starts again.") from error
    context.decided.update(going.counts["episodes"])
    return Forgotten.model_validate(answer)


def _confirmed(p: Forget, name: str) -> None:
    """
    Raises:
        BadInput: the caller has not said whom once more.
    """
    if p.confirm is None or p.confirm.strip().casefold() not in (str(p.person_id), name.casefold()):
        raise BadInput(f"Forgetting {name} cannot be taken back.", f"Say --confirm {name!r}, or --confirm {p.person_id}.")
