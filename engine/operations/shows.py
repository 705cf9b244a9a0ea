"""Shows."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from engine.errors import BadInput, Conflict, NotFound
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, show_of
from engine.operations.registry import Context, Params, Result, operation
from store import catalog

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
DEFAULT_SHOW = "library"


class ShowRow(Result):
    show_id: int
    slug: str
    title: str
    aliases: list[str]
    created_at: UtcTime


class ShowListRow(ShowRow):
    episodes: int
    people: int


class ShowList(Listed):
    rows: list[ShowListRow]


@operation("read", "catalog", params=Page, result=ShowList)
def show_list(context: Context, p: Page) -> ShowList:
    """List the shows of the library with how many episodes and people each has."""
    rows = catalog.shows(context.engine.database, p.position() or 0, p.limit)
    return ShowList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "show_id")})


class ShowAdd(Params):
    title: str = Field(min_length=1, max_length=200, description="Title of the show.", json_schema_extra={"positional": True})
    slug: str | None = Field(None, description="Short name used in references; made from the title when not given.")


@operation("write", "catalog", params=ShowAdd, result=ShowRow, idempotent=False)
def show_add(context: Context, p: ShowAdd) -> ShowRow:
    """Add a show, so that its episodes share their people."""
    slug = p.slug or re.sub(r"[^a-z0-9]+", "-", p.title.lower()).strip("-")[:64]
    if not SLUG.fullmatch(slug) or slug.isdigit():
        raise BadInput(f"{slug!r} cannot be a short name.", "Give --slug: small letters, digits and hyphens, 64 at most, and not a mere number.")
    with context.command("show_add", p) as command:
        if command.replayed is None:
            if catalog.find_show(context.engine.database, slug):
                raise Conflict(f"There is a show {slug!r} already.", "Give another --slug.")
            command.result = {"show_id": catalog.add_show(command.transaction, slug, p.title)}
    return _row(context, slug)


class ShowRef(Params):
    show: Reference = Field(description="Show id or slug.", json_schema_extra={"positional": True})


@operation("read", "catalog", params=ShowRef, result=ShowRow)
def show_show(context: Context, p: ShowRef) -> ShowRow:
    """Look up one show by id or slug."""
    return _row(context, p.show)


class ShowEdit(ShowRef):
    title: str | None = Field(None, min_length=1, max_length=200, description="The new title; references keep using the short name.")
    add_alias: str | None = Field(None, min_length=1, max_length=200, description="Another name the show can be referred to by.")
    remove_alias: str | None = Field(None, description="A name it no longer goes by.")


@operation("write", "catalog", params=ShowEdit, result=ShowRow)
def show_edit(context: Context, p: ShowEdit) -> ShowRow:
    """Change a show's title, or the other names it goes by."""
    with context.command("show_edit", p) as command:
        show = show_of(context.engine, p.show)
        if command.replayed is None:
            values: dict[str, Any] = {"aliases": _aliases(context, show, p)}
            if p.title is not None:
                values["title"] = p.title
            catalog.edit(command.transaction, "show", "show_id", show["show_id"], values)
    return _row(context, str(show["show_id"]))


def _aliases(context: Context, show: dict[str, Any], p: ShowEdit) -> list[str]:
    aliases: list[str] = list(show["aliases"])
    if p.remove_alias is not None:
        if p.remove_alias not in aliases:
            raise NotFound(f"{show['slug']} does not go by {p.remove_alias!r}.", f"It goes by: {', '.join(aliases) or 'no other name'}.")
        aliases.remove(p.remove_alias)
    if p.add_alias is not None and p.add_alias not in aliases:
        name = p.add_alias.strip()
        if not name or name.isdigit():
            raise BadInput(f"{p.add_alias!r} cannot be a name: it would be taken for an id.", "Give a name with letters.")
        other = catalog.find_show(context.engine.database, name)
        if other is not None:
            raise Conflict(f"{name!r} is what show {other['slug']} goes by already.", "Give another name, or take it from that show first.")
        aliases.append(name)
    return aliases


def _row(context: Context, reference: str) -> ShowRow:
    return ShowRow.model_validate(show_of(context.engine, reference))
