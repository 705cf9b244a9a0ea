"""Jobs: what runs, how far it is, how it ended."""

from __future__ import annotations

from typing import Any, Literal

import anyio
from pydantic import Field

from engine.errors import Conflict, NotFound
from engine.operations.common import Listed, Page, UtcTime, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from store import work

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


class JobRow(Result):
    job_id: int
    kind: str
    episode_id: int | None
    state: State
    actor: str
    created_at: UtcTime
    started_at: UtcTime | None
    ended_at: UtcTime | None
    attempts: int
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class JobList(Listed):
    rows: list[JobRow]


class JobListParams(Page):
    state: State | None = Field(None, description="Only jobs in this state.")


@operation("read", "jobs", params=JobListParams, result=JobList)
def job_list(context: Context, p: JobListParams) -> JobList:
    """List jobs, newest first, with their progress."""
    rows = work.jobs(context.engine.database, p.state, p.position(), p.limit)
    return JobList(rows=[_row(context, row) for row in rows], next_cursor=next_cursor(rows, p.limit, "job_id"))


class JobRef(Params):
    job_id: int = Field(description="Job id.", json_schema_extra={"positional": True})


class StageLine(Result):
    seq: int
    logged_at: UtcTime
    stage: str
    segment: int | None
    status: str
    seconds: float | None
    detail: str


class JobDetail(JobRow):
    stages: list[StageLine]


@operation("read", "jobs", params=JobRef, result=JobDetail)
def job_show(context: Context, p: JobRef) -> JobDetail:
    """Show one job with its stage log: what was computed, what was found done, and how long each took."""
    return _detail(context, p.job_id)


class JobWait(JobRef):
    timeout_s: float = Field(3600.0, ge=0, description="Give up waiting after this long; the job goes on.")


@operation("read", "jobs", params=JobWait, result=JobDetail)
async def job_wait(context: Context, p: JobWait) -> JobDetail:
    """Wait until a job has ended, or until the time is up, and show it."""
    engine = context.engine
    after = engine.events.last
    detail = await engine.in_thread(_detail, context, p.job_id)
    with anyio.move_on_after(p.timeout_s):
        if detail.state not in ENDED:
            async for event in engine.events.follow(after):
                if event["kind"] == "reset" or (event["kind"] == "job" and event["job_id"] == p.job_id and event["state"] in ENDED):
                    break
    return await engine.in_thread(_detail, context, p.job_id)


@operation("write", "jobs", params=JobRef, result=JobRow)
async def job_cancel(context: Context, p: JobRef) -> JobRow:
    """Stop a job that waits or runs; what it has finished is kept and used by a retry."""
    engine = context.engine
    detail = await engine.in_thread(_detail, context, p.job_id)
    if detail.state in ENDED:
        raise Conflict(f"Job {p.job_id} has ended already ({detail.state}).")
    after = engine.events.last
    if engine.jobs.cancel(p.job_id):
        async for event in engine.events.follow(after):
            if event["kind"] == "job" and event["job_id"] == p.job_id and event["state"] in ENDED:
                break
    return await engine.in_thread(_plain, context, p.job_id)


@operation("write", "jobs", params=JobRef, result=JobRow)
async def job_retry(context: Context, p: JobRef) -> JobRow:
    """Run a failed or cancelled job again from where it stopped."""
    engine = context.engine
    job = await engine.in_thread(_plain, context, p.job_id)

    def requeue() -> None:
        with context.command("job_retry", p) as command:
            if command.replayed is None:
                if job.state not in ("failed", "cancelled"):
                    raise Conflict(f"Job {p.job_id} is {job.state}; only a failed or cancelled job can be retried.")
                work.requeue_job(command.transaction, p.job_id)

    await engine.in_thread(requeue)
    engine.jobs.start(p.job_id, job.kind)
    return await engine.in_thread(_plain, context, p.job_id)


def _row(context: Context, job: dict[str, Any]) -> JobRow:
    handle = context.engine.jobs.handles.get(job["job_id"])
    fields = {name: value for name, value in job.items() if name != "parameters"}
    return JobRow.model_validate({**fields, "progress": dict(handle.progress) if handle else {}})


def _plain(context: Context, job_id: int) -> JobRow:
    job = work.job(context.engine.database, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.", "`rollcall job list` lists them.")
    return _row(context, job)


def _detail(context: Context, job_id: int) -> JobDetail:
    row = _plain(context, job_id)
    return JobDetail.model_validate({**row.model_dump(), "stages": work.stage_log(context.engine.database, job_id)})
