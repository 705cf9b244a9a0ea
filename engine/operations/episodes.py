"""Episodes: added from files, analysed by jobs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from engine import config, upkeep
from engine.artefacts import Artefacts
from engine.errors import BadInput, Conflict
from engine.fingerprint import file_digest
from engine.operations.common import EpisodeRef, Listed, Page, Reference, UtcTime, episode_of, next_cursor, show_of
from engine.operations.jobs import JobRow
from engine.operations.registry import Context, Params, Result, operation
from engine.operations.shows import DEFAULT_SHOW
from store import catalog, results, work


class EpisodeRow(Result):
    episode_id: int
    show_id: int
    show: str
    season: int | None
    number: int | None
    title: str
    air_date: date | None
    kind: Literal["file", "live"]
    path: str
    media_digest: str
    bytes: int
    duration_s: float
    fps: float
    width: int
    height: int
    active_run_id: int | None
    added_at: UtcTime


class EpisodeList(Listed):
    rows: list[EpisodeRow]


class EpisodeListParams(Page):
    show: Reference | None = Field(None, description="Show id or slug.")


@operation("read", "catalog", params=EpisodeListParams, result=EpisodeList)
def episode_list(context: Context, p: EpisodeListParams) -> EpisodeList:
    """List the episodes of the library or of one show; those with an active run have been analysed."""
    engine = context.engine
    show_id = show_of(engine, p.show)["show_id"] if p.show else None
    rows = catalog.episodes(engine.database, show_id, p.position() or 0, p.limit)
    return EpisodeList(rows=[_row(row) for row in rows], next_cursor=next_cursor(rows, p.limit, "episode_id"))


class EpisodeAdd(Params):
    path: str = Field(description="The video file.", json_schema_extra={"positional": True, "format": "path"})
    show: Reference | None = Field(None, description="Show id or slug; the show `library` when not given.")
    season: int | None = Field(None, ge=0, description="Season number.")
    number: int | None = Field(None, ge=0, description="Episode number.")
    title: str | None = Field(None, max_length=200, description="Title; the file's name when not given.")
    air_date: date | None = Field(None, description="When it was first shown, YYYY-MM-DD.")


class EpisodeAdded(EpisodeRow):
    added: bool = Field(description="False when a file of the same content was in the library already.")
    warnings: list[str]


@operation("write", "catalog", params=EpisodeAdd, result=EpisodeAdded, slow=True)
def episode_add(context: Context, p: EpisodeAdd) -> EpisodeAdded:
    """Add a video file to the library; the file stays where it is. The same content is never added twice."""
    return add_file(context, p)


def add_file(context: Context, p: EpisodeAdd) -> EpisodeAdded:
    """`episode_add` for other operations, under the idempotency key of `context`."""
    engine = context.engine
    path = _usable(Path(p.path).expanduser().absolute())
    if p.show is not None:
        show_of(engine, p.show)
    media = engine.looker.probe(path)
    digest = file_digest(path)
    with context.command("episode_add", p) as command:
        known = catalog.episode_of_digest(engine.database, digest)
        if command.replayed is None and known is None:
            show_id = _show_for(context, p.show, command.transaction)
            _check_place(context, show_id, p.season, p.number)
            command.result = {
                "episode_id": catalog.add_episode(
                    command.transaction,
                    show_id,
                    media.as_dict(),
                    season=p.season,
                    number=p.number,
                    title=p.title or path.stem,
                    air_date=p.air_date,
                    kind="file",
                    path=str(path),
                    media_digest=digest,
                    bytes=path.stat().st_size,
                    duration_us=media.duration_us,
                    fps=float(media.fps),
                    width=media.width,
                    height=media.height,
                )
            }
        elif command.replayed is None and known is not None:
            if not Path(known["path"]).is_file():
                # The file has moved since; from now on it is read from where it was last seen.
                command.transaction.execute("UPDATE episode SET path = ? WHERE episode_id = ?", [str(path), known["episode_id"]])
            command.result = {"episode_id": known["episode_id"]}
    episode_id = (command.replayed or command.result)["episode_id"]
    row = _row(episode_of(engine, str(episode_id)))
    return EpisodeAdded(**row.model_dump(), added=known is None, warnings=list(media.warnings))


def _usable(path: Path) -> Path:
    """A path the library can keep: text, and a file rather than a folder.

    Raises:
        BadInput: it is neither.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"The name {str(path)!a} is not valid Unicode.", "Rename the file.") from error
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", f"`rollcall episode import {path} --show SHOW` adds every video in it.")
    return path


def _check_place(context: Context, show_id: int, season: int | None, number: int | None, but: int | None = None) -> None:
    """That no episode but `but` is at that place of a show.

    Raises:
        Conflict: another one is.
    """
    if season is not None and number is not None:
        taken = catalog.episode_at(context.engine.database, show_id, season, number)
        if taken is not None and taken["episode_id"] != but:
            place = f"Season {season} episode {number} of this show is episode {taken['episode_id']} ({taken['title']})."
            raise Conflict(place, "Give another --number, or remove that one first.")


def _show_for(context: Context, reference: str | None, transaction: Any) -> int:
    if reference is not None:
        return int(show_of(context.engine, reference)["show_id"])
    default = catalog.find_show(context.engine.database, DEFAULT_SHOW)
    return int(default["show_id"]) if default else catalog.add_show(transaction, DEFAULT_SHOW, "Library")


class EpisodeRefPositional(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})


class RunRow(Result):
    run_id: int
    created_at: UtcTime
    committed_at: UtcTime
    space: str
    detector: str
    embedder: str


class EpisodeDetail(EpisodeRow):
    runs: list[RunRow]


@operation("read", "catalog", params=EpisodeRefPositional, result=EpisodeDetail)
def episode_show(context: Context, p: EpisodeRefPositional) -> EpisodeDetail:
    """Look up one episode: its file and the analyses made of it."""
    episode = episode_of(context.engine, p.episode)
    runs = results.runs(context.engine.database, episode["episode_id"])
    return EpisodeDetail.model_validate({**_row(episode).model_dump(), "runs": runs})


class EpisodeEdit(EpisodeRefPositional):
    title: str | None = Field(None, min_length=1, max_length=200, description="The new title.")
    season: int | None = Field(None, ge=0, description="The season it belongs to.")
    number: int | None = Field(None, ge=0, description="Its number in the season.")
    air_date: date | None = Field(None, description="When it was first shown, YYYY-MM-DD.")


@operation("write", "catalog", params=EpisodeEdit, result=EpisodeRow)
def episode_edit(context: Context, p: EpisodeEdit) -> EpisodeRow:
    """Correct what an episode is called, its place in the show or its air date; results stay. What is not given stays as it is."""
    with context.command("episode_edit", p) as command:
        episode = episode_of(context.engine, p.episode)
        values = {name: value for name in ("title", "season", "number", "air_date") if (value := getattr(p, name)) is not None}
        if not values:
            raise BadInput("Nothing to change was given.", "Give --title, --season, --number or --air-date.")
        if command.replayed is None:
            place = {name: values.get(name, episode[name]) for name in ("season", "number")}
            _check_place(context, episode["show_id"], place["season"], place["number"], but=episode["episode_id"])
            catalog.edit(command.transaction, "episode", "episode_id", episode["episode_id"], values)
    return _row(episode_of(context.engine, str(episode["episode_id"])))


class EpisodeAnalyse(EpisodeRefPositional):
    settings: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Settings for this analysis alone, as section.key (see config_show)."
    )


@operation("write", "jobs", params=EpisodeAnalyse, result=JobRow)
async def episode_analyse(context: Context, p: EpisodeAnalyse) -> JobRow:
    """Start analysing an episode; returns the job. What was computed before under the same settings and models is used, not repeated."""
    engine = context.engine
    # Fails here, before anything is queued, when a name or a value is wrong.
    config.Config(engine.home, p.settings)

    def enqueue() -> int:
        episode_id = episode_of(engine, p.episode)["episode_id"]
        with context.command("episode_analyse", p) as command:
            if command.replayed is None:
                same = next(
                    (
                        job
                        for job in work.unfinished_jobs(engine.database)
                        if job["episode_id"] == episode_id and job["parameters"]["settings"] == p.settings
                    ),
                    None,
                )
                job_id = (
                    same["job_id"] if same else work.add_job(command.transaction, "analyse", episode_id, {"settings": p.settings}, str(context.actor))
                )
                command.result = {"job_id": job_id}
        return int((command.replayed or command.result)["job_id"])

    job_id = await engine.in_thread(enqueue)
    job = await engine.in_thread(work.job, engine.database, job_id)
    assert job is not None
    if job["state"] in ("queued", "running"):
        engine.jobs.start(job_id, "analyse")
    return JobRow.model_validate({**{name: value for name, value in job.items() if name != "parameters"}, "progress": {}})


@operation("destroy", "catalog", params=EpisodeRefPositional, result=EpisodeRow)
def episode_remove(context: Context, p: EpisodeRefPositional) -> EpisodeRow:
    """Remove an episode with all its results from the library; the video file itself is not touched."""
    engine = context.engine
    episode = episode_of(engine, p.episode)
    if any(job["episode_id"] == episode["episode_id"] for job in work.unfinished_jobs(engine.database)):
        raise Conflict(f"Episode {episode['episode_id']} is being analysed.", "Wait for the job, or cancel it with `rollcall job cancel`.")
    stages = [results.run(engine.database, run["run_id"]) for run in results.runs(engine.database, episode["episode_id"])]
    pictures = results.pictures_of_episode(engine.database, episode["episode_id"])
    with context.command("episode_remove", p) as command:
        if command.replayed is None:
            results.remove_episode(command.transaction, episode["episode_id"])
    for name in pictures - results.pictures_in_use(engine.database):
        engine.media.path(name).unlink(missing_ok=True)
    engine.vectors.collect(engine.database)
    for run in stages:
        if run is not None:
            _remove_artefacts(engine.artefacts, run["stages"])
    upkeep.remove(upkeep.unused_artefacts(engine))
    return _row(episode)


def _remove_artefacts(artefacts: Artefacts, stages: dict[str, Any]) -> None:
    """The stage results of one run; no other episode can share them, since they are keyed by what is in its file."""
    for kind, key in results.stage_results(stages):
        artefacts.remove(kind, key)


def _row(episode: dict[str, Any]) -> EpisodeRow:
    return EpisodeRow.model_validate({name: episode[name] for name in EpisodeRow.model_fields})
