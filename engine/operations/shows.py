"""Shows."""

from __future__ import annotations

import re

from pydantic import Field

from engine.errors import BadInput, Conflict
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, show_of
from engine.operations.registry import Context, Params, Result, operation
from store import catalog

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
DEFAULT_SHOW = "library"


class ShowRow(Result):
    show_id: int
    slug: str
    title: str
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


def _row(context: Context, reference: str) -> ShowRow:
    return ShowRow.model_validate(show_of(context.engine, reference))
