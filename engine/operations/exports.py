"""Exports: files that leave the workspace's care, written inside its `exports` folder and nowhere else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from engine.errors import BadInput, Conflict, NotFound
from engine.exports import season
from engine.exports.content import Content
from engine.exports.formats import FORMATS, LEDGER, MEANINGS
from engine.exports.ledger import LedgerContent
from engine.fingerprint import file_digest
from engine.operations.common import EpisodeRef, Listed, Page, Reference, UtcTime, active_run, episode_of, next_cursor, show_of
from engine.operations.registry import Context, Params, Result, operation
from store import results, work
from store.atomic import atomic_path

SETTLE_S = 15.0
"""How long an export waits for the totals to follow the decisions."""

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,127}")


def _known_format(name: str) -> str:
    if name not in MEANINGS:
        raise ValueError(f"one of {', '.join(MEANINGS)}")
    return name


FormatName = Annotated[str, AfterValidator(_known_format), Field(json_schema_extra={"enum": list(MEANINGS)})]


class ExportParams(Params):
    episode: EpisodeRef | None = Field(
        None, description="Episode id, or show-s01e02; without it decisions of the whole library.", json_schema_extra={"positional": True}
    )
    format: FormatName = Field("csv", description="; ".join(f"{name}: {meaning}" for name, meaning in MEANINGS.items()) + ".")
    table: Literal["totals", "segments"] | None = Field(
        None, description="One row a person (the default), or one row a track; for csv, json and parquet."
    )
    person_id: int | None = Field(None, description="Only this person; for otio, edl and vtt.")
    name: str | None = Field(None, description="File name inside the exports folder; made from the episode when not given.")


class ExportRow(Result):
    export_id: int
    episode_id: int | None = Field(description="Null for a season, or for decisions of the whole library.")
    run_id: int | None
    format: str
    path: str
    bytes: int
    sha256: str
    rows: int
    created_at: UtcTime


@operation("write", "export", params=ExportParams, result=ExportRow, slow=True)
def export_create(context: Context, p: ExportParams) -> ExportRow:
    """Write an episode's totals, tracks, faces or a report, or decisions, to a file; returns its path and what it holds, never the rows."""
    engine = context.engine
    episode = episode_of(engine, p.episode) if p.episode is not None else None
    if p.format in LEDGER:
        return _decisions(context, p, episode)
    if episode is None:
        raise BadInput(f"{p.format} is about one episode.", f"Name it; {', '.join(LEDGER)} can be of the whole library.")
    run = _settled_run(context, episode)
    kind = FORMATS[p.format]
    if p.table is not None and not kind.tables:
        raise BadInput(f"{p.format} holds no table.", "--table goes with csv, json and parquet.")
    if p.person_id is not None and not kind.one_person:
        raise BadInput(f"{p.format} is about everybody.", "--person-id goes with otio, edl and vtt.")
    content = Content(engine.database, engine.media, episode, run, p.table or "totals", p.person_id)
    if p.person_id is not None and p.person_id not in content.names:
        raise NotFound(f"Person {p.person_id} is not seen in episode {episode['episode_id']}.", "`rollcall totals show EPISODE` lists those who are.")
    stem = f"{episode['show']}-e{episode['episode_id']}"
    suffix = f"-{content.table}{kind.suffix}" if kind.tables else kind.suffix if p.person_id is None else f"-p{p.person_id}{kind.suffix}"
    facts = {"episode_id": episode["episode_id"], "run_id": run["run_id"], "format": p.format}
    return write_export(context, "export_create", p, stem + suffix if p.name is None else p.name, lambda path: kind.write(path, content), facts)


def _decisions(context: Context, p: ExportParams, episode: dict[str, Any] | None) -> ExportRow:
    """Export the ledger, of one episode or whole."""
    if p.table is not None or p.person_id is not None:
        raise BadInput(f"{p.format} holds decisions, whole.", "Leave out --table and --person-id.")
    kind, episode_id = LEDGER[p.format], episode["episode_id"] if episode else None
    content = LedgerContent(context.engine.database, episode_id)
    stem = f"{episode['show']}-e{episode_id}" if episode else "library"
    facts = {"episode_id": episode_id, "run_id": None, "format": p.format}
    return write_export(context, "export_create", p, stem + kind.suffix if p.name is None else p.name, lambda path: kind.write(path, content), facts)


def _settled_run(context: Context, episode: dict[str, Any]) -> dict[str, Any]:
    """The active run once its totals know of every decision; an export never holds labels and totals that contradict one another.

    Raises:
        Conflict: not analysed, or people keep deciding.
    """
    until = time.monotonic() + SETTLE_S
    while True:
        run = active_run(context.engine, episode)
        if results.is_settled(context.engine.database, run["run_id"]):
            return active_run(context.engine, episode)
        if time.monotonic() > until:
            raise Conflict(f"The totals of episode {episode['episode_id']} are being made again from decisions.", "Try again in a few seconds.")
        time.sleep(0.1)


class SeasonParams(Params):
    show: Reference = Field(description="Show id or slug.", json_schema_extra={"positional": True})
    season: int | None = Field(None, ge=0, description="Season number; all seasons when not given.")
    format: Literal["csv", "json"] = Field("csv", description="File format.")
    name: str | None = Field(None, description="File name inside the exports folder; made from the show when not given.")


@operation("write", "export", params=SeasonParams, result=ExportRow, slow=True)
def export_season(context: Context, p: SeasonParams) -> ExportRow:
    """Write the seconds of every person per episode and per season to a file; episodes that were not analysed are left out."""
    show = show_of(context.engine, p.show)
    rollup = season.roll_up(context.engine.database, show, p.season)
    if not rollup.episodes:
        which = f"season {p.season} of {show['slug']}" if p.season is not None else show["slug"]
        raise NotFound(f"No episode of {which} has been analysed.", "`rollcall episode list` lists them; `rollcall episode analyse` does it.")
    place = "all" if p.season is None else f"s{p.season:02d}"
    name = f"{show['slug']}-{place}.{p.format}" if p.name is None else p.name
    write = season.write_csv if p.format == "csv" else season.write_json
    return write_export(context, "export_season", p, name, lambda path: write(path, rollup), {"episode_id": None, "run_id": None, "format": p.format})


def write_export(context: Context, operation_name: str, p: Params, name: str, write: Callable[[Path], int], facts: dict[str, Any]) -> ExportRow:
    """Make the file, whole or not at all, and record it."""
    target = context.engine.exports / _checked(name)
    if target.is_dir():
        raise BadInput(f"{target} is a folder.", "Give another --name.")
    with atomic_path(target) as path:
        rows = write(path)
    facts = {**facts, "bytes": target.stat().st_size, "sha256": file_digest(target), "rows": rows}
    with context.command(operation_name, p) as command:
        if command.replayed is None:
            work.forget_exports(command.transaction, str(target))
            export_id = work.add_export(command.transaction, path=str(target), **facts)
            command.result = {"export_id": export_id}
    found = work.export(context.engine.database, (command.replayed or command.result)["export_id"])
    if found is None:
        raise NotFound(f"The record of {target} is gone: it was exported again meanwhile.", "`rollcall export list` lists the files.")
    return ExportRow.model_validate(found)


def _checked(name: str) -> str:
    """A name that stays inside the exports folder.

    Raises:
        BadInput: it would not, or it could not be seen there.
    """
    if not FILE_NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be a file name in the exports folder.", "Use letters, digits, spaces, dots, hyphens; no folders.")
    return name


class ExportList(Listed):
    rows: list[ExportRow]


class ExportListParams(Page):
    episode: EpisodeRef | None = None


@operation("read", "export", params=ExportListParams, result=ExportList)
def export_list(context: Context, p: ExportListParams) -> ExportList:
    """List the files exported, newest first."""
    engine = context.engine
    episode_id = episode_of(engine, p.episode)["episode_id"] if p.episode else None
    rows = work.exports(engine.database, episode_id, p.position(), p.limit)
    return ExportList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "export_id")})
