"""What screens do through the engine: ask, write, undo and redo, all with the same words when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import RollcallError

if TYPE_CHECKING:
    from app.app import RollcallApp

Answer = dict[str, Any]
MOST = 100_000
"""Rows a screen reads of one list."""


async def asked(app: RollcallApp, operation: str, /, **parameters: Any) -> Answer | None:
    """The answer, or None after the operator was told why there is none."""
    try:
        return await app.link.ask(operation, **parameters)
    except RollcallError as error:
        app.complain(error)
        return None


async def every(app: RollcallApp, operation: str, /, **parameters: Any) -> list[Answer]:
    """All rows of a list.

    Raises:
        RollcallError: what the operation raised.
    """
    rows: list[Answer] = []
    cursor = None
    while True:
        page = await app.link.ask(operation, **parameters, limit=1000, cursor=cursor)
        rows += page["rows"]
        cursor = page.get("next_cursor")
        if cursor is None or len(rows) >= MOST:
            return rows


async def run(app: RollcallApp, operation: str, /, *, said: str = "", **parameters: Any) -> Answer | None:
    """Run a writing operation and tell what came of it; None when it was refused."""
    answer = await asked(app, operation, **parameters)
    if answer is not None:
        tell(app, answer, said or _sentence(operation))
    return answer


def tell(app: RollcallApp, answer: Answer, said: str) -> None:
    """A toast: what was done, what it kept, and how to take it back."""
    notes = [*answer.get("kept", ()), *answer.get("notes", ())]
    if answer.get("dry_run"):
        app.say(" ".join([f"Tried only: {said}", *_moved(answer), *notes]), title="nothing was changed")
        return
    if answer.get("batch") is not None:
        said = f"{said} u undoes it."
    app.say(" ".join([said, *_moved(answer), *notes]))


def _moved(answer: Answer) -> list[str]:
    """How people's seconds changed."""
    return [
        f"{row['name']}: {row['before_s']:.1f} → {row['after_s']:.1f} s." for row in answer.get("people", ()) if row["before_s"] != row["after_s"]
    ][:3]


def _sentence(operation: str) -> str:
    noun, verb = operation.split("_", 1)
    return f"Done: {noun} {verb}."


def form(app: RollcallApp, operation: str, known: dict[str, Any], then: Callable[[Answer], None] | None = None) -> None:
    """Open the form of an operation with what is known filled in."""
    from app.screens.form import Form

    app.push_screen(Form(app.operations[operation], known), lambda answer: then(answer) if then and answer is not None else None)


async def undo(app: RollcallApp) -> None:
    """Undo this operator's newest decision that still stands."""
    rows = (await asked(app, "decision_list", actor=app.link.actor, limit=100) or {"rows": ()})["rows"]
    newest = next((row for row in rows if row["stands"] and row["verb"] != "undo"), None)
    if newest is None:
        app.say("There is no decision of yours to undo. A (audit) shows everybody's.", severity="warning")
        return
    await undo_batch(app, newest["batch"], described(newest))


async def undo_batch(app: RollcallApp, batch: int, what: str) -> None:
    """Undo a batch; when later decisions build on it, ask whether they go too."""
    try:
        answer = await app.link.ask("decision_undo", batch=batch)
    except RollcallError as error:
        if "with-dependents" not in error.hint:
            app.complain(error)
            return
        from app.screens.ask import Ask

        if not await app.push_screen_wait(Ask(error.message, "Undo those that build on it too?")):
            return
        found = await asked(app, "decision_undo", batch=batch, with_dependents=True)
        if found is None:
            return
        answer = found
    tell(app, {**answer, "batch": None}, f"Undone: {what} U does it again.")


async def redo(app: RollcallApp) -> None:
    """Take this operator's newest undo back."""
    await run(app, "decision_redo", said="Done again what was undone last.")


def described(decision: Answer) -> str:
    """A decision in a sentence."""
    what = str(decision["what"])
    return what if what.endswith(".") else f"{what}."


def parameters(app: RollcallApp, operation: str) -> set[str]:
    """Names of an operation's parameters."""
    return set(app.operations.get(operation, {}).get("parameters", {}).get("properties", ()))


def accepted(app: RollcallApp, operation: str, given: dict[str, Any]) -> dict[str, Any]:
    """Of what is known, what the operation takes; what was left empty or false is not sent."""
    names = parameters(app, operation)
    return {name: inner for name, inner in given.items() if name in names and inner is not None and inner is not False}


async def name_person(app: RollcallApp, person: Answer) -> Answer | None:
    """Ask for a person's name and give it."""
    from app.screens.ask import OneLine

    unknown = person.get("kind") == "unknown" or str(person["name"]).startswith("Unknown ")
    question = f"Who is {person['name']}?" if unknown else f"Rename {person['name']} to:"
    name = await app.push_screen_wait(OneLine(question, "" if unknown else person["name"], "enter names them in every episode, esc leaves it"))
    if name is None:
        return None
    return await run(app, "person_rename", said=f"{person['name']} is {name} from now on.", person_id=person["person_id"], name=name)
