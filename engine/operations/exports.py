"""Exports: files that leave the workspace's care, written inside its `exports` folder and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from engine.errors import BadInput
from engine.exports import csv, json, parquet
from engine.exports.report import Report, segments_table, totals_table
from engine.fingerprint import file_digest
from engine.operations.common import EpisodeRef, Listed, Page, UtcTime, active_run, episode_of, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from engine.version import VERSION
from store import results, work
from store.atomic import atomic_path

Format = Literal["csv", "json", "parquet"]
WRITERS: dict[str, Callable[[Path, Report], None]] = {"csv": csv.write, "json": json.write, "parquet": parquet.write}
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,127}")


class ExportParams(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    format: Format = Field("csv", description="File format.")
    table: Literal["totals", "segments"] = Field("totals", description="One row a person, or one row a track.")
    name: str | None = Field(None, description="File name inside the exports folder; made from the episode when not given.")


class ExportRow(Result):
    export_id: int
    episode_id: int
    run_id: int
    format: str
    path: str
    bytes: int
    sha256: str
    rows: int
    created_at: UtcTime


@operation("write", "export", params=ExportParams, result=ExportRow, slow=True)
def export_create(context: Context, p: ExportParams) -> ExportRow:
    """Write an episode's totals or tracks to a file; returns its path and the number of rows, never the rows."""
    engine = context.engine
    episode = episode_of(engine, p.episode)
    run = active_run(engine, episode)
    report = Report(_rows(context, p.table, episode, run), _lineage(episode, run))
    target = engine.exports / _file_name(p, episode)
    with atomic_path(target) as path:
        WRITERS[p.format](path, report)
    facts = {"bytes": target.stat().st_size, "sha256": file_digest(target), "rows": report.rows.num_rows}
    with context.command("export_create", p) as command:
        if command.replayed is None:
            work.forget_exports(command.transaction, str(target))
            export_id = work.add_export(
                command.transaction, episode_id=episode["episode_id"], run_id=run["run_id"], format=p.format, path=str(target), **facts
            )
            command.result = {"export_id": export_id}
    export_id = (command.replayed or command.result)["export_id"]
    row = next(row for row in work.exports(engine.database, episode["episode_id"], None, 1000) if row["export_id"] == export_id)
    return ExportRow.model_validate(row)


def _rows(context: Context, table: str, episode: dict[str, Any], run: dict[str, Any]) -> Any:
    database, run_id = context.engine.database, run["run_id"]
    if table == "totals":
        return totals_table(episode["episode_id"], run_id, results.screen_time(database, run_id))
    tracks = results.tracks(database, run_id, person_id=None, cluster_id=None, after=0, limit=1_000_000)
    return segments_table(episode["episode_id"], run_id, tracks)


def _lineage(episode: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What made the numbers: program, media, models, settings, stage keys."""
    return {
        "rollcall": VERSION,
        "episode": {name: episode[name] for name in ("episode_id", "show", "season", "number", "title", "media_digest", "duration_s")},
        "run": {name: run[name] for name in ("run_id", "models", "settings", "stages")},
        "unidentified_s": run["unidentified_s"],
    }


def _file_name(p: ExportParams, episode: dict[str, Any]) -> str:
    name = p.name or f"{episode['show']}-e{episode['episode_id']}-{p.table}.{p.format}"
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
