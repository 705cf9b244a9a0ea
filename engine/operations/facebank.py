"""The facebank: faces of people picked by hand, by which the machine finds them in other episodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine import pictures
from engine.config import Config, Settings
from engine.models.load import Choice, choose
from engine.operations.change import Change, Changed, change
from engine.operations.common import Listed, Page, Reference, UtcTime, next_cursor, show_of
from engine.operations.jobs import JobRow
from engine.operations.policy import Actor
from engine.operations.registry import Context, Result, operation
from engine.operations.review import Tracks, aim
from engine.review import bank
from engine.review.draft import Plan
from store import facebank, work

if TYPE_CHECKING:
    from engine.service import Engine


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
    """Put the faces of tracks into somebody's bank, one a track: the machine finds them by these in other episodes. Poor, mixed and doubtful faces
    are refused, those it has are passed over; each with the reason."""
    engine, actor = context.engine, str(context.actor)
    return change(context, "facebank_add", p, lambda: bank.add(engine, aim(context, p), actor, p.person, create=p.create, force=p.force))


class FaceRemove(Change):
    entry_id: int = Field(description="The face, as facebank_list gives it.", json_schema_extra={"positional": True})


@operation("write", "review", params=FaceRemove, result=Changed, idempotent=False)
def facebank_remove(context: Context, p: FaceRemove) -> Changed:
    """Take a face out of the bank, and say which episodes had matched its person by face; labels change when these are analysed again."""
    engine, actor = context.engine, str(context.actor)
    return change(context, "facebank_remove", p, lambda: bank.remove(engine.review, engine.database, p.entry_id, actor))


class ImportChange(Change):
    folder: str = Field(
        description="A folder with one sub-folder of pictures for each person, called by the person's name.",
        json_schema_extra={"positional": True, "format": "path"},
    )
    show: Reference = Field(description="Show id or slug.")
    create: bool = Field(True, description="Make somebody new when nobody of the show is called like a sub-folder.")
    force: bool = Field(False, description="Take faces that are more like somebody else's too.")
    settings: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Settings for this import alone, as section.key (see config_show)."
    )


@operation("write", "admin", params=ImportChange, result=JobRow, idempotent=False)
async def facebank_import(context: Context, p: ImportChange) -> JobRow:
    """Put pictures from a folder into the facebank, as one batch that can be undone; returns the job, whose result says of every picture whether it
    was taken and why not. Episodes find the people when they are analysed next."""
    engine = context.engine

    def enqueue() -> dict[str, Any]:
        # Fails here, before anything is queued, when the folder, the show, a setting or the models are wrong.
        pictures.listed(Path(p.folder).expanduser())
        show_id = show_of(engine, p.show)["show_id"]
        choose(Config(engine.home, p.settings).settings.models.profile, engine.home / "models")
        given = {**p.model_dump(mode="json"), "folder": str(Path(p.folder).expanduser().absolute()), "show": str(show_id)}
        with context.command("facebank_import", p) as command:
            if command.replayed is None:
                command.result = {"job_id": work.add_job(command.transaction, "import", None, {"import": given}, str(context.actor))}
        job = work.job(engine.database, (command.replayed or command.result)["job_id"])
        assert job is not None
        return job

    job = await engine.in_thread(enqueue)
    if job["state"] in ("queued", "running"):
        engine.jobs.start(job["job_id"], "import")
    return JobRow.model_validate({**{name: value for name, value in job.items() if name != "parameters"}, "progress": {}})


def put_in(engine: Engine, job: dict[str, Any], p: ImportChange, settings: Settings, choice: Choice, found: list[pictures.Picture]) -> dict[str, Any]:
    """Make the change a job has prepared, once however often it is tried: the answer, and a row for every picture."""
    context = Context(engine, Actor.parse(job["actor"]), f"import-{job['job_id']}-{job['created_at'].isoformat()}")
    made: list[pictures.Sorted] = []

    def make() -> Plan:
        made.append(pictures.plan(engine, int(p.show), choice, settings, found, create=p.create, force=p.force, keep=not p.dry_run))
        return made[0].plan

    answer = change(context, "facebank_put", p, make)
    engine.events.publish("changed", operation="facebank_import", actor=job["actor"])
    report = made[0].report() if made else []  # none: an engine before this one made the change and ended before it could say so
    return {**answer.model_dump(mode="json"), "pictures": report, "models": choice.why}
