"""People and casts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from engine.errors import Conflict
from engine.operations.change import Change, Changed, change
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, person_of, show_of
from engine.operations.registry import Context, Params, Result, operation
from engine.review import persons
from store import catalog

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
    archived: bool
    featured: str | None = Field(description="File of the picture chosen for them.")
    picture: str | None = Field(description="File of the picture they are shown by: the one chosen, else their best.")


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
    pictures = catalog.pictures(engine.database, [row["person_id"] for row in rows])
    listed = [{**row, "picture": pictures.get(row["person_id"])} for row in rows]
    return PersonList.model_validate({"rows": listed, "next_cursor": next_cursor(rows, p.limit, "person_id")})


class PersonRef(Params):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})


class Presence(Result):
    episode_id: int
    title: str
    season: int | None
    number: int | None
    duration_s: float
    visual_s: float
    visual_low_s: float
    visual_high_s: float
    solo_s: float
    tracks: int
    faces: int


class PersonDetail(PersonRow):
    presence: list[Presence]


@operation("read", "catalog", params=PersonRef, result=PersonDetail)
def person_show(context: Context, p: PersonRef) -> PersonDetail:
    """Look up one person: names, and the seconds in each episode."""
    return PersonDetail.model_validate({**described(context, p.person_id), "presence": catalog.presence(context.engine.database, p.person_id)})


def described(context: Context, person_id: int) -> dict[str, Any]:
    """A person's row with the picture they are shown by."""
    engine = context.engine
    return {**person_of(engine, person_id), "picture": catalog.pictures(engine.database, [person_id]).get(person_id)}


class SeasonSum(Result):
    season: int | None
    episodes: int = Field(description="Episodes of it the person is seen in.")
    visual_s: float
    visual_low_s: float
    visual_high_s: float
    solo_s: float
    tracks: int
    faces: int


class PersonPresence(PersonRow):
    rows: list[Presence] = Field(description="Episodes, by season and number.")
    seasons: list[SeasonSum]
    total: SeasonSum = Field(description="Of all episodes; its season is null.")


@operation("read", "totals", params=PersonRef, result=PersonPresence)
def person_presence(context: Context, p: PersonRef) -> PersonPresence:
    """Show where a person is seen: seconds with intervals in every episode, in every season and over all."""
    person, rows = described(context, p.person_id), catalog.presence(context.engine.database, p.person_id)
    seasons = list(dict.fromkeys(row["season"] for row in rows))
    sums = [_sum(season, [row for row in rows if row["season"] == season]) for season in seasons]
    return PersonPresence.model_validate({**person, "rows": rows, "seasons": sums, "total": _sum(None, rows)})


def _sum(season: int | None, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Episodes added up; what is wrong about a person may be wrong in all of them, so the interval goes from all low ends to all high ends."""
    names = ("visual_s", "visual_low_s", "visual_high_s", "solo_s", "tracks", "faces")
    return {"season": season, "episodes": len(rows), **{name: sum(row[name] for row in rows) for name in names}}


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
    return PersonRow.model_validate(described(context, person_id))


class PersonRename(Change):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    name: PersonName = Field(description="The new name.", json_schema_extra={"positional": True})


@operation("write", "review", params=PersonRename, result=Changed, idempotent=False, key="n")
def person_rename(context: Context, p: PersonRename) -> Changed:
    """Name an unknown person, or rename a known one; every episode they are in shows the new name, and the old one stays as an alias."""
    engine = context.engine
    return change(context, "person_rename", p, lambda: persons.rename(engine.review, engine.database, p.person_id, p.name, str(context.actor)))


class PersonMerge(Change):
    person_id: int = Field(description="The person who is somebody else.", json_schema_extra={"positional": True})
    into_person_id: int = Field(description="Who they are; the name and picture kept.", json_schema_extra={"positional": True})


@operation("write", "review", params=PersonMerge, result=Changed, idempotent=False)
def person_merge(context: Context, p: PersonMerge) -> Changed:
    """Say that two people are one, in every episode. Undoing it separates exactly what it joined."""
    engine, actor = context.engine, str(context.actor)
    return change(context, "person_merge", p, lambda: persons.merge(engine.review, engine.database, p.person_id, p.into_person_id, actor))


class PersonArchive(Change):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    archived: bool = Field(True, description="False brings them back.")


@operation("write", "review", params=PersonArchive, result=Changed, idempotent=False)
def person_archive(context: Context, p: PersonArchive) -> Changed:
    """Put somebody aside whom nobody needs to name (crew, crowds): the review queue stops asking about them."""
    return change(context, "person_archive", p, lambda: persons.archive(context.engine.review, p.person_id, p.archived))


class PersonAlias(Change):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    alias: PersonName = Field(description="Another name they are found by.", json_schema_extra={"positional": True})
    remove: bool = Field(False, description="Take it away.")


@operation("write", "review", params=PersonAlias, result=Changed, idempotent=False)
def person_alias(context: Context, p: PersonAlias) -> Changed:
    """Give somebody another name they are found by."""
    return change(context, "person_alias", p, lambda: persons.alias(context.engine.review, p.person_id, p.alias, p.remove))


class PersonFeature(Change):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})
    track_id: int = Field(description="The track whose best picture they are shown by.", json_schema_extra={"positional": True})


@operation("write", "review", params=PersonFeature, result=Changed, idempotent=False)
def person_feature(context: Context, p: PersonFeature) -> Changed:
    """Choose the picture somebody is shown by."""
    engine = context.engine
    return change(context, "person_feature", p, lambda: persons.feature(engine.review, engine.database, p.person_id, p.track_id))


def _refuse_same_name(context: Context, show_id: int, name: str) -> None:
    other = catalog.person_named(context.engine.database, show_id, name)
    if other is not None:
        hint = "Give another name, or add something that tells them apart."
        raise Conflict(f"Person {other['person_id']} of this show is called {name!r} already.", hint)


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
