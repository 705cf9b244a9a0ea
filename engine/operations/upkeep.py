"""Keeping the workspace small."""

from __future__ import annotations

from pydantic import Field

from engine import upkeep
from engine.operations.registry import Context, Params, Result, operation


class PurgeParams(Params):
    dry_run: bool = Field(False, description="Say what would be removed and remove nothing.")


class Purged(Result):
    kind: str
    count: int
    bytes: int


class PurgeResult(Result):
    dry_run: bool
    bytes: int
    rows: list[Purged]


@operation("write", "admin", params=PurgeParams, result=PurgeResult, slow=True)
def store_purge(context: Context, p: PurgeParams) -> PurgeResult:
    """Remove what nothing refers to any more: pictures, stage results, half-written files. Results, decisions and exports stay."""
    found = upkeep.waste(context.engine)
    kinds = sorted({waste.kind for waste in found})
    rows = [Purged(kind=kind, count=sum(w.kind == kind for w in found), bytes=sum(w.bytes for w in found if w.kind == kind)) for kind in kinds]
    if not p.dry_run:
        upkeep.remove(found)
    return PurgeResult(dry_run=p.dry_run, bytes=sum(row.bytes for row in rows), rows=rows)
