"""The facebank: faces of people picked by hand, by which the machine finds them in other episodes."""

from __future__ import annotations

from pydantic import Field

from engine.operations.change import Change, Changed, change
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, show_of
from engine.operations.registry import Context, Result, operation
from engine.operations.review import Tracks, aim
from engine.review import bank
from store import facebank


class FaceRow(Result):
    entry_id: int
    show_id: int
    person_id: int
    person: str
    space: str = Field(description="Embedding space; a face serves analyses with models of the same space.")
    quality: float
    chip: str | None = Field(description="File of the face.")
    picture: str | None = Field(description="File of the picture it was found in.")
    origin: str
    episode_id: int | None
    track_id: int | None
    decision_id: int
    added_at: UtcTime


class FaceList(Listed):
    rows: list[FaceRow]


class FaceListParams(Page):
    person_id: int | None = Field(None, description="Only faces of this person.")
    show: Reference | None = Field(None, description="Show id or slug.")


@operation("read", "review", params=FaceListParams, result=FaceList)
def facebank_list(context: Context, p: FaceListParams) -> FaceList:
    """List the faces in the bank, newest first: whose, from where, how good."""
    engine = context.engine
    show_id = show_of(engine, p.show)["show_id"] if p.show else None
    rows = facebank.page(engine.database, person_id=p.person_id, show_id=show_id, before=p.position(), limit=p.limit)
    return FaceList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "entry_id")})


class FaceAdd(Tracks):
    person: Reference = Field(description="Person id or name.")
    create: bool = Field(False, description="Make somebody new when nobody is called that.")
    force: bool = Field(False, description="Take a face that is more like somebody else's too.")


@operation("write", "review", params=FaceAdd, result=Changed, idempotent=False, key="b")
def facebank_add(context: Context, p: FaceAdd) -> Changed:
    """Put the faces of tracks into somebody's bank, one a track: the machine finds them by these in other episodes. Poor, mixed and doubtful faces are
    refused, those it has are passed over; each with the reason."""
    engine, actor = context.engine, str(context.actor)
    return change(context, "facebank_add", p, lambda: bank.add(engine, aim(context, p), actor, p.person, create=p.create, force=p.force))


class FaceRemove(Change):
    entry_id: int = Field(description="The face, as facebank_list gives it.", json_schema_extra={"positional": True})


@operation("write", "review", params=FaceRemove, result=Changed, idempotent=False)
def facebank_remove(context: Context, p: FaceRemove) -> Changed:
    """Take a face out of the bank, and say which episodes had matched its person by face; labels change when these are analysed again."""
    engine, actor = context.engine, str(context.actor)
    return change(context, "facebank_remove", p, lambda: bank.remove(engine.review, engine.database, p.entry_id, actor))
