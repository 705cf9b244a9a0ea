"""Models: what there is, what is installed, and how to get more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine.config import Config
from engine.errors import ModelMissing
from engine.models import listing, registry
from engine.models.importing import import_path
from engine.models.load import choose
from engine.models.store import Models
from engine.operations.jobs import JobRow
from engine.operations.registry import Context, Params, Result, operation
from store import work

if TYPE_CHECKING:
    from engine.service import Engine


class Nothing(Params):
    pass


class ModelRow(Result):
    name: str
    task: str
    installed: bool
    commercial: bool = Field(description="Whether its licence allows commercial use.")
    licence: str
    megabytes: float
    profiles: list[str]
    how: str
    note: str
    source: str
    path: str | None


class ModelList(Result):
    rows: list[ModelRow]
    chosen: str
    better: str


@operation("read", "admin", params=Nothing, result=ModelList)
def model_list(context: Context, p: Nothing) -> ModelList:
    """List the models rollcall knows: which are installed, under what licence, and how to get the others."""
    rows = [
        ModelRow(
            name=row.name,
            task=row.task,
            installed=row.path is not None,
            commercial=row.commercial,
            licence=row.licence,
            megabytes=round(row.size / 1e6, 1),
            profiles=list(row.profiles),
            how=row.how,
            note=row.note,
            source=row.source,
            path=row.path,
        )
        for row in listing.rows(_models(context.engine))
    ]
    choice = chosen(context.engine)
    return ModelList(rows=rows, chosen=choice["why"], better=choice["better"])


def chosen(engine: Engine) -> dict[str, Any]:
    """The models an analysis would use now, why, and how to get better ones; without any, what is missing."""
    try:
        choice = choose(Config(engine.home).settings.models.profile, engine.home / "models")
    except ModelMissing as error:
        return {"why": error.message, "better": error.hint}
    return {
        "profile": choice.profile,
        "detector": choice.detector.name,
        "embedder": choice.embedder.name,
        "why": choice.why,
        "better": choice.better,
    }


class ModelName(Params):
    name: str = Field(description="A model, or a pack of them such as buffalo_l or open.", json_schema_extra={"positional": True})


@operation("write", "admin", params=ModelName, result=JobRow)
async def model_pull(context: Context, p: ModelName) -> JobRow:
    """Download a model or a pack of models; returns the job. Nothing is ever downloaded without being asked for."""
    engine = context.engine
    registry.named(p.name)

    def enqueue() -> dict[str, Any]:
        with context.command("model_pull", p) as command:
            if command.replayed is None:
                unfinished = work.unfinished_jobs(engine.database)
                same = next((job["job_id"] for job in unfinished if job["kind"] == "pull" and job["parameters"]["name"] == p.name), None)
                command.result = {"job_id": same or work.add_job(command.transaction, "pull", None, {"name": p.name}, str(context.actor))}
        job = work.job(engine.database, (command.replayed or command.result)["job_id"])
        assert job is not None
        return job

    job = await engine.in_thread(enqueue)
    if job["state"] in ("queued", "running"):
        engine.jobs.start(job["job_id"], "pull")
    return JobRow.model_validate({**{name: value for name, value in job.items() if name != "parameters"}, "progress": {}})


class ModelImport(Params):
    path: str = Field(
        description="A model file, a folder of them, or a .zip or .tar archive.", json_schema_extra={"positional": True, "format": "path"}
    )


class ModelNames(Result):
    models: list[str]


@operation("write", "admin", params=ModelImport, result=ModelNames, slow=True)
def model_import(context: Context, p: ModelImport) -> ModelNames:
    """Take model files brought by hand, for a machine without a network; files are recognised by their digest."""
    return ModelNames(models=import_path(Path(p.path).expanduser(), _models(context.engine)))


class CheckedFile(Result):
    path: str
    models: list[str]
    problem: str


class ModelVerify(Result):
    rows: list[CheckedFile]


@operation("read", "admin", params=Nothing, result=ModelVerify, slow=True)
def model_verify(context: Context, p: Nothing) -> ModelVerify:
    """Read every model file again and hold it to the registry's digest; a file that is something else is an error."""
    checked = listing.verify(_models(context.engine))
    listing.demand_valid(checked)
    return ModelVerify(rows=[CheckedFile(path=one.path, models=list(one.models), problem=one.problem) for one in checked])


def _models(engine: Engine) -> Models:
    return Models(engine.home / "models")
