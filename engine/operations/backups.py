"""Copies of the library, and bringing one back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pydantic import Field

from engine import upkeep
from engine.errors import BadInput, Conflict, NotFound, StoreError
from engine.operations.registry import Context, Params, Result, operation
from engine.review.forget_plan import Going
from store import backups

if TYPE_CHECKING:
    from engine.service import Engine


class BackupParams(Params):
    pass


class Backup(Result):
    file: str
    bytes: int
    removed: list[str] = Field(description="Older backups that went, see engine.backups_kept.")


@operation("write", "admin", params=BackupParams, result=Backup, idempotent=False, slow=True)
def store_backup(context: Context, p: BackupParams) -> Backup:
    """Copy the library, with every decision in it, into the backups folder; the engine does so by itself once a day."""
    home = context.engine.home
    try:
        made, removed = upkeep.back_up(context.engine)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"The library could not be copied into {backups.folder(home)}: {error}", "Make room there and try again.") from error
    return Backup(file=str(made), bytes=made.stat().st_size, removed=[path.name for path in removed])


class RestoreParams(Params):
    backup: str = Field(description="File of the backups folder, or a path.", json_schema_extra={"positional": True})
    dry_run: bool = Field(False, description="Say what would come back and change nothing.")


class Restored(Result):
    dry_run: bool
    backup: str
    kept: str | None = Field(description="Where the library that was there before is kept.")
    replayed: int = Field(description="Changes since the backup, done again from the journal.")


@operation("destroy", "admin", params=RestoreParams, result=Restored, idempotent=False, people_only=True)
async def store_restore(context: Context, p: RestoreParams) -> Restored:
    """Put a backup in the library's place and do again what the journal holds since; what was there is kept beside it. For a library that is damaged
    but opens: nothing decided is taken back by it."""
    engine = context.engine
    source = _found(engine, p.backup)
    try:
        await engine.in_thread(backups.examine, source)
    except duckdb.Error as error:
        raise BadInput(f"{source} cannot be brought back: {error}", f"There are: {_names(engine)}.") from error
    if p.dry_run:
        waiting = await engine.in_thread(engine.database.journal.pending, await engine.in_thread(backups.keys, source))
        return Restored(dry_run=True, backup=str(source), kept=None, replayed=len(waiting))
    if engine.jobs.handles:
        raise Conflict("A job is running and would write into the library that goes.", "Wait for it, or cancel it with `rollcall job cancel`.")
    if Going.read(engine.home) is not None:
        raise Conflict("Somebody is being forgotten, and it could not be finished.", "Start the engine again: it goes on from there.")
    if shutil.disk_usage(engine.home).free < source.stat().st_size:
        raise StoreError(f"{engine.home} has no room for {source.name}.", "Make room and try again; nothing was changed.")
    kept = engine.database.path.with_name(f"{engine.database.path.name}.replaced-{backups.stamp()}")
    replayed = await engine.restore(source, kept)
    return Restored(dry_run=False, backup=str(source), kept=str(kept), replayed=replayed)


def _found(engine: Engine, name: str) -> Path:
    """The backup of that name, or at that path."""
    for path in (backups.folder(engine.home) / name, Path(name)):
        if path.is_file() and path.resolve() != engine.database.path.resolve():
            return path
    raise NotFound(f"There is no backup {name}.", f"There are: {_names(engine)}.")


def _names(engine: Engine) -> str:
    return ", ".join(path.name for path in backups.listed(engine.home)) or "none yet; `rollcall store backup` makes one"
