"""Corrections made in another library, or by another tool."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from engine.operations.change import Change, Changed, change
from engine.operations.registry import Context, operation
from engine.review import corrections


class CorrectionsImport(Change):
    path: str = Field(
        description="A file that `export create --format corrections.json` wrote.", json_schema_extra={"positional": True, "format": "path"}
    )
    create: bool = Field(True, description="Make somebody new when nobody of the show has a name of the file.")


@operation("write", "admin", params=CorrectionsImport, result=Changed, idempotent=False, slow=True)
def corrections_import(context: Context, p: CorrectionsImport) -> Changed:
    """Apply decisions exported from another library, as one batch that can be undone: recordings are known by their content, faces by where they are.
    What was decided or imported here before is passed over; what cannot be applied is said."""
    engine, actor = context.engine, str(context.actor)
    found = corrections.read(Path(p.path).expanduser())
    return change(context, "corrections_import", p, lambda: corrections.plan(engine.review, engine.database, found, actor, create=p.create))
