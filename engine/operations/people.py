"""People and casts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from engine.errors import Conflict
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, person_of, show_of
from engine.operations.registry import Context, Params, Result, operation
from store import catalog

if TYPE_CHECKING:
    from store.database import Transaction

Kind = Literal["known", "unknown"]


def _not_an_unknown(name: str) -> str:
    if re.fullmatch(r"unknown \d+", name, re.IGNORECASE):
        raise ValueError("names like Unknown 3 are kept for people nobody has named")
    return name


PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_not_an_unknown)]


class PersonRow(Result):
    person_id: int
    show_id: int
    show: str
    name: str
    kind: Kind
    aliases: list[str]
    created_at: UtcTime


class PersonListRow(PersonRow):
    episodes: int
    visual_s: float


class PersonList(Listed):
    rows: list[PersonListRow]


class PersonListParams(Page):
    show: Reference | None = Field(None, description="Show id or slug.")
    kind: Kind | None = Field(None, description="Only people with a name, or only unknowns.")


@operation("read", "catalog", params=PersonListParams, result=PersonList)
def person_list(context: Context, p: PersonListParams) -> PersonList:
    """List people, named and unknown, with the episodes and seconds they are seen in."""
    engine = context.engine
    show_id = show_of(engine, p.show)["show_id"] if p.show else None
    rows = catalog.people(engine.database, show_id, p.kind, p.position() or 0, p.limit)
    return PersonList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "person_id")})


class PersonRef(Params):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})


class Presence(Result):
    episode_id: int
    title: str
    season: int | None
    number: int | None
    visual_s: float
    visual_low_s: float
    visual_high_s: float


class PersonDetail(PersonRow):
    presence: list[Presence]


@operation("read", "catalog", params=PersonRef, result=PersonDetail)
def person_show(context: Context, p: PersonRef) -> PersonDetail:
    """Look up one person: names, and the seconds in each episode."""
    person = person_of(context.engine, p.person_id)
    return PersonDetail.model_validate({**person, "presence": catalog.presence(context.engine.database, p.person_id)})


class PersonAdd(Params):
    name: PersonName = Field(description="Name.", json_schema_extra={"positional": True})
    show: Reference = Field(description="Show id or slug.")


@operation("write", "catalog", params=PersonAdd, result=PersonRow, idempotent=False)
def person_add(context: Context, p: PersonAdd) -> PersonRow:
    """Add a person to a show before they have been seen in it."""
    engine = context.engine
    with context.command("person_add", p) as command:
        if command.replayed is None:
            show_id = show_of(engine, p.show)["show_id"]
            _refuse_same_name(context, show_id, p.name)
            command.result = {"person_id": catalog.add_person(command.transaction, show_id, p.name)}
    person_id = (command.replayed or command.result)["person_id"]
    return PersonRow.model_validate(person_of(engine, person_id))


class PersonRename(PersonRef):
    name: PersonName = Field(description="The new name.", json_schema_extra={"positional": True})


@operation("write", "review", params=PersonRename, result=PersonRow)
def person_rename(context: Context, p: PersonRename) -> PersonRow:
    """Name an unknown person, or rename a known one; every episode they are in shows the new name, and the old one stays as an alias."""
    engine = context.engine
    with context.command("person_rename", p) as command:
        if command.replayed is None:
            person = person_of(engine, p.person_id)
            if person["name"] != p.name or person["kind"] == "unknown":
                _take_over_name(context, command.transaction, person, p.name)
                catalog.rename_person(command.transaction, p.person_id, p.name)
            command.result = {"person_id": p.person_id}
    return PersonRow.model_validate(person_of(engine, p.person_id))


def _refuse_same_name(context: Context, show_id: int, name: str) -> None:
    other = catalog.person_named(context.engine.database, show_id, name)
    if other is not None:
        hint = "Give another name, or add something that tells them apart."
        raise Conflict(f"Person {other['person_id']} of this show is called {name!r} already.", hint)


def _take_over_name(context: Context, transaction: Transaction, person: dict[str, Any], name: str) -> None:
    """Somebody of that name who was added but never seen is the one now found; somebody who was seen is another person."""
    other = catalog.person_named(context.engine.database, person["show_id"], name)
    if other is not None and catalog.is_unseen(context.engine.database, other["person_id"]):
        catalog.absorb(transaction, other["person_id"], person["person_id"])
    else:
        _refuse_same_name(context, person["show_id"], name)


class CastRow(Result):
    person_id: int
    name: str
    kind: Kind
    season: int | None
    role: str | None


class CastList(Result):
    rows: list[CastRow]


class CastListParams(Params):
    show: Reference = Field(description="Show id or slug.", json_schema_extra={"positional": True})
    season: int | None = Field(None, ge=0, description="Season number; without it, every season.")


@operation("read", "catalog", params=CastListParams, result=CastList)
def cast_list(context: Context, p: CastListParams) -> CastList:
    """List the cast of a show or of one season."""
    engine = context.engine
    return CastList.model_validate({"rows": catalog.cast(engine.database, show_of(engine, p.show)["show_id"], p.season)})


class CastEntry(Params):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    season: int | None = Field(None, ge=0, description="Season number; without it, the whole show.")


class CastAdd(CastEntry):
    role: str | None = Field(None, max_length=200, description="The part they play.")


@operation("write", "catalog", params=CastAdd, result=CastList)
def cast_add(context: Context, p: CastAdd) -> CastList:
    """Put a person into the cast of their show, or of one season."""
    engine = context.engine
    person = person_of(engine, p.person_id)
    with context.command("cast_add", p) as command:
        if command.replayed is None:
            catalog.remove_from_cast(command.transaction, person["show_id"], p.season, p.person_id)
            catalog.add_to_cast(command.transaction, person["show_id"], p.season, p.person_id, p.role)
    return CastList.model_validate({"rows": catalog.cast(engine.database, person["show_id"], None)})


@operation("write", "catalog", params=CastEntry, result=CastList)
def cast_remove(context: Context, p: CastEntry) -> CastList:
    """Take a person out of a cast; the person and their seconds stay."""
    engine = context.engine
    person = person_of(engine, p.person_id)
    with context.command("cast_remove", p) as command:
        if command.replayed is None:
            catalog.remove_from_cast(command.transaction, person["show_id"], p.season, p.person_id)
    return CastList.model_validate({"rows": catalog.cast(engine.database, person["show_id"], None)})
