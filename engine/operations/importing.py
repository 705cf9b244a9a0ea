"""A whole season added at once: from a folder whose files say which episode they are, or from a list in a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from engine.errors import BadInput, Conflict, NotFound, RollcallError
from engine.fingerprint import file_digest
from engine.naming import read_name
from engine.operations.common import Reference, show_of
from engine.operations.episodes import EpisodeAdd, add_file
from engine.operations.registry import Context, Params, Result, operation
from store import catalog

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mxf", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv"}
COLUMNS = ("path", "season", "number", "title", "air_date")
MOST_FILES = 5000


class EpisodeImport(Params):
    source: str = Field(
        description="A folder of video files, or a CSV file with the columns path, season, number, title, air_date (all but path may be missing).",
        json_schema_extra={"positional": True, "format": "path"},
    )
    show: Reference = Field(description="Show id, slug or alias.")
    season: int | None = Field(None, ge=0, description="Season of files that do not say one.")
    dry_run: bool = Field(False, description="Look at every file and say what would be done, and do nothing.")


class ImportRow(Result):
    path: str
    status: Literal["added", "would add", "already there", "failed"]
    episode_id: int | None
    season: int | None
    number: int | None
    title: str | None
    reason: str = Field(description="Why it failed and what to do, or what to know; empty when there is nothing to say.")


class ImportResult(Result):
    dry_run: bool
    show: str
    added: int
    already_there: int
    failed: int
    rows: list[ImportRow]


@dataclass(frozen=True)
class _Entry:
    """A file to add and what is said of it; `fault` is set when its line cannot be used."""

    path: Path
    season: int | None = None
    number: int | None = None
    title: str | None = None
    air_date: date | None = None
    fault: RollcallError | None = None


@operation("write", "catalog", params=EpisodeImport, result=ImportResult, slow=True)
def episode_import(context: Context, p: EpisodeImport) -> ImportResult:
    """Add all episodes of a folder (S01E02 in the names) or of a CSV list to a show; a file that cannot be added does not stop the others."""
    show = show_of(context.engine, p.show)
    source = Path(p.source).expanduser().absolute()
    entries = _listed(source) if source.is_file() else _found(source)
    places: dict[tuple[int, int], Path] = {}
    digests: dict[str, Path] = {}
    rows = []
    for entry in entries:
        entry = replace(entry, season=p.season) if entry.season is None else entry
        try:
            rows.append(_take(context, show, entry, p.dry_run, places, digests))
        except (RollcallError, OSError) as error:
            reason = str(error) if isinstance(error, RollcallError) else f"{error.strerror or error}."
            named = {"season": entry.season, "number": entry.number, "title": entry.title}
            rows.append(ImportRow(path=str(entry.path), status="failed", episode_id=None, reason=reason, **named))
    counts = {status: sum(row.status == status for row in rows) for status in ("added", "would add", "already there", "failed")}
    return ImportResult(
        dry_run=p.dry_run,
        show=show["slug"],
        added=counts["added"] + counts["would add"],
        already_there=counts["already there"],
        failed=counts["failed"],
        rows=rows,
    )


def _take(
    context: Context, show: dict[str, object], entry: _Entry, dry_run: bool, places: dict[tuple[int, int], Path], digests: dict[str, Path]
) -> ImportRow:
    """Add one file, or say what would come of it.

    Raises:
        RollcallError: it cannot be added.
    """
    if entry.fault:
        raise entry.fault
    media, digest = context.engine.looker.probe(entry.path), file_digest(entry.path)
    named = {"season": entry.season, "number": entry.number, "title": entry.title or entry.path.stem}
    note = " ".join(media.warnings) or ("" if entry.number is not None else "Its name does not say which episode it is.")
    known = catalog.episode_of_digest(context.engine.database, digest)
    if known is not None or digest in digests:
        where = f"The same content is episode {known['episode_id']}." if known else f"The same content is in {digests[digest].name}."
        return ImportRow(path=str(entry.path), status="already there", episode_id=known["episode_id"] if known else None, reason=where, **named)
    _check_place(context, show, entry, places)
    if dry_run:
        status, episode_id = "would add", None
    else:
        wanted = EpisodeAdd(path=str(entry.path), show=str(show["show_id"]), **{**named, "air_date": entry.air_date})
        added = add_file(replace(context, idem_key=f"{context.idem_key}-{digest[:24]}"), wanted)
        status, episode_id = "added", added.episode_id
    digests[digest] = entry.path
    if entry.season is not None and entry.number is not None:
        places[entry.season, entry.number] = entry.path
    return ImportRow(path=str(entry.path), status=status, episode_id=episode_id, reason=note, **named)


def _check_place(context: Context, show: dict[str, object], entry: _Entry, places: dict[tuple[int, int], Path]) -> None:
    """That no other file of this import, and no episode of the show, has the same place; the second is checked again when it is added."""
    if entry.season is None or entry.number is None:
        return
    if other := places.get((entry.season, entry.number)):
        raise Conflict(f"{other.name} is season {entry.season} episode {entry.number} as well.", "Rename one of them, or leave it out.")
    taken = catalog.episode_at(context.engine.database, int(str(show["show_id"])), entry.season, entry.number)
    if taken is not None:
        raise Conflict(
            f"Season {entry.season} episode {entry.number} of this show is episode {taken['episode_id']} ({taken['title']}) with other content.",
            "Remove that one first, or give this file another number.",
        )


def _found(folder: Path) -> list[_Entry]:
    """The video files of a folder and the folders in it, by name.

    Raises:
        NotFound: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder or file {folder}.", "Check the path.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file())
    if not files:
        raise NotFound(f"There is no video file in {folder}.", f"Files ending in {', '.join(sorted(SUFFIXES))} are looked for.")
    if len(files) > MOST_FILES:
        raise BadInput(f"{folder} holds {len(files)} videos, more than {MOST_FILES}.", "Import it folder by folder.")
    named = [(path, read_name(path.stem)) for path in files]
    return [_Entry(path, name.season, name.number, name.title) for path, name in named]


def _listed(file: Path) -> list[_Entry]:
    """The lines of a CSV file; paths are relative to its folder.

    Raises:
        BadInput: it is no such list.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = csv.DictReader(opened)
            names = [name.strip().lower() for name in lines.fieldnames or []]
            lines.fieldnames = names
            if "path" not in names or set(names) - set(COLUMNS):
                hint = f"Its first line names the columns: path, and if you like {', '.join(COLUMNS[1:])}."
                raise BadInput(f"{file} is not a list of episodes: its columns are {', '.join(names) or 'missing'}.", hint)
            return [_line(file, lines.line_num, {name: (value or "").strip() for name, value in line.items() if name}) for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"{file} is neither a folder nor a CSV file in UTF-8 ({error}).", "Give a folder of videos, or save the list as CSV."
        ) from error


def _line(file: Path, number: int, line: dict[str, str]) -> _Entry:
    path = file.parent / Path(line["path"]).expanduser() if line["path"] else file
    try:
        if not line["path"]:
            raise ValueError("it names no file")
        named = read_name(path.stem)
        place = {name: int(line[name]) if line.get(name) else getattr(named, name) for name in ("season", "number")}
        aired = date.fromisoformat(line["air_date"]) if line.get("air_date") else None
    except ValueError as error:
        return _Entry(path, fault=BadInput(f"Line {number} of {file.name} cannot be used: {error}.", "Correct the line."))
    return _Entry(path, place["season"], place["number"], line.get("title") or named.title, aired)
