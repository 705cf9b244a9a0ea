"""The job queue: one analysis at a time, each resumable at any moment, progress for whoever looks."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from engine import analyse, pictures, pull
from engine.errors import Cancelled, RollcallError, unexpected
from engine.workers import WorkerPool
from store import work
from store.commit_point import commit_point

if TYPE_CHECKING:
    from engine.service import Engine

log = logging.getLogger("rollcall.jobs")
PUBLISH_EVERY_S = 0.25
ATTEMPTS = 5
"""Engines a job may be interrupted in before it is given up."""


PERFORMERS = {"analyse": analyse.run, "pull": pull.run, "import": pictures.run}
"""What each kind of job does."""


class JobHandle:
    """A job while it runs: its progress, its stage log, its events."""

    def __init__(self, engine: Engine, job_id: int) -> None:
        self.engine = engine
        self.job_id = job_id
        self.progress: dict[str, Any] = {}
        self.scope = anyio.CancelScope()
        self._published = 0.0

    def report(self, **progress: Any) -> None:
        """Update the progress; listeners hear of it a few times a second at most."""
        self.progress.update(progress)
        if time.monotonic() - self._published >= PUBLISH_EVERY_S:
            self._published = time.monotonic()
            self.engine.events.publish("job", job_id=self.job_id, state="running", progress=dict(self.progress))

    async def log(self, stage: str, status: str, *, segment: int | None = None, seconds: float | None = None, detail: str = "") -> None:
        """Add a line to the stage log."""

        def write() -> None:
            work.log(self.engine.database, self.job_id, stage, status, segment=segment, seconds=seconds, detail=detail)

        await self.engine.in_thread(write)
        self.engine.events.publish("stage", job_id=self.job_id, stage=stage, status=status, segment=segment, seconds=seconds, detail=detail)


class JobRunner:
    """Runs queued jobs: analyses one after the other, downloads and imports beside them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._group: TaskGroup | None = None
        self._lanes = {"analyse": anyio.CapacityLimiter(1), "pull": anyio.CapacityLimiter(1), "import": anyio.CapacityLimiter(1)}
        self._pool: WorkerPool | None = None
        self.handles: dict[int, JobHandle] = {}

    async def workers(self, size: int) -> WorkerPool:
        """The worker processes of analyses, which follow one another: kept for the next one until `rest`."""
        if self._pool is not None and self._pool.size != size:
            await self.rest()
            self._pool = None
        if self._pool is None:
            self._pool = WorkerPool(size, self._engine.home / "engine.log")
        return self._pool

    async def rest(self) -> None:
        """End the worker processes no job uses."""
        if self._pool is not None:
            await self._pool.rest()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run jobs while the block is open; on leaving it running jobs stop and stay queued for the next engine."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                yield
                self._group = None
                group.cancel_scope.cancel()
        finally:
            await self.rest()
        await self._engine.in_thread(work.hand_over, self._engine.database)

    async def resume(self) -> None:
        """Take up the jobs the last engine left; one that ended several engines is not given another."""
        for job in await self._engine.in_thread(work.unfinished_jobs, self._engine.database):
            if job["attempts"] >= ATTEMPTS:
                message = f"Job {job['job_id']} was interrupted {job['attempts']} times before it could finish."
                await self._end(job["job_id"], "failed", error=RollcallError(message, "See engine.log in the workspace, then retry the job."))
            else:
                self.start(job["job_id"], job["kind"])

    def start(self, job_id: int, kind: str) -> None:
        """Put a job into its lane; a job already there is left alone."""
        if self._group is None or job_id in self.handles:
            return
        self.handles[job_id] = JobHandle(self._engine, job_id)
        self._group.start_soon(self._run, job_id, kind)

    def cancel(self, job_id: int) -> bool:
        """Stop a job; False when it is not there."""
        handle = self.handles.get(job_id)
        if handle is not None:
            handle.scope.cancel()
        return handle is not None

    async def _run(self, job_id: int, kind: str) -> None:
        handle = self.handles[job_id]
        try:
            with handle.scope:
                async with self._lanes[kind]:
                    await self._perform(handle, kind)
            if handle.scope.cancelled_caught:
                await self._end(job_id, "cancelled", error=Cancelled(f"Job {job_id} was cancelled.", "`rollcall job retry` goes on from there."))
        except Exception:  # one job must not end the engine, not even when its end cannot be written down
            log.exception("job %d could not be carried through; it is taken up again by the next engine", job_id)
        finally:
            del self.handles[job_id]

    async def _perform(self, handle: JobHandle, kind: str) -> None:
        job_id, engine = handle.job_id, self._engine
        await engine.in_thread(work.start_job, engine.database, job_id)
        job = await engine.in_thread(work.job, engine.database, job_id)
        assert job is not None
        engine.events.publish("job", job_id=job_id, state="running", progress={})
        try:
            result = await PERFORMERS[kind](engine, handle, job)
        except RollcallError as error:
            await self._end(job_id, "failed", error=error)
        except Exception as error:  # one job's failure must not end the engine; it is logged and shown
            log.exception("job %d", job_id)
            await self._end(job_id, "failed", error=unexpected(error, f"job {job_id}", str(engine.home)))
        else:
            await self._end(job_id, "done", result=result)

    async def _end(self, job_id: int, state: str, *, result: dict[str, Any] | None = None, error: RollcallError | None = None) -> None:
        report = error.as_dict() if error else None

        def write() -> None:
            work.end_job(self._engine.database, job_id, state, result=result, error=report)

        try:
            with anyio.CancelScope(shield=True):
                await self._engine.in_thread(write)
            commit_point("job.finished")
        finally:
            # Whoever waits for the end hears of it even when it could not be written.
            self._engine.events.publish("job", job_id=job_id, state=state, result=result, error=report)
