"""Worker processes: work that costs CPU runs beside the engine, so a native crash cannot touch the database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from engine.errors import RollcallError, WorkerFailed, from_dict

ATTEMPTS = 3
"""A task is given to this many workers before its death is taken to be its own fault."""

MAX_LINE = 64 << 20

Message = dict[str, Any]


class Worker:
    """One worker process, speaking JSON lines: a task in; progress, then `done` or `error` out."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def start(cls, log: IO[bytes]) -> Worker:
        """Start a process; its diagnostics go to `log`."""
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", "engine.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        return cls(process)

    async def run(self, task: Message, on_message: Callable[[Message], None]) -> Message:
        """Do one task; every message before the last goes to `on_message`.

        Raises:
            RollcallError: what the task raised.
            WorkerFailed: the process ended without an answer.
        """
        try:
            await self._stdin.send(json.dumps(task).encode() + b"\n")
            while True:
                message: Message = json.loads(await self._lines.receive_until(b"\n", MAX_LINE))
                if "error" in message:
                    raise from_dict(message["error"])
                if "done" in message:
                    done: Message = message["done"]
                    return done
                on_message(message)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            status = await self._process.wait()
            cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            raise WorkerFailed(f"A worker process ended without an answer ({cause}).", "See engine.log in the workspace.") from error

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process.returncode is None

    async def stop(self) -> None:
        """Kill the process and wait for it."""
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.aclose()


class WorkerPool:
    """Up to `size` workers, started when needed; a worker that dies is replaced and its task tried again."""

    def __init__(self, size: int, log: Path) -> None:
        self.size = size
        self._log = log
        self._idle: list[Worker] = []
        self._limiter = anyio.CapacityLimiter(size)

    @classmethod
    @asynccontextmanager
    async def open(cls, size: int, log: Path) -> AsyncIterator[WorkerPool]:
        """A pool whose workers end with the block."""
        pool = cls(size, log)
        try:
            yield pool
        finally:
            await pool.rest()

    async def rest(self) -> None:
        """End the workers nobody uses."""
        while self._idle:
            await self._idle.pop().stop()

    async def submit(self, task: Message, on_message: Callable[[Message], None]) -> Message:
        """Run a task on the next free worker; returns its answer.

        Raises:
            RollcallError: what the task raised.
            WorkerFailed: it killed ATTEMPTS workers.
        """
        async with self._limiter:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return await self._attempt(task, on_message)
                except WorkerFailed as error:
                    if attempt == ATTEMPTS:
                        raise
                    on_message({"log": {"stage": task["kind"], "segment": task.get("segment"), "status": "retried", "detail": str(error)}})
        raise AssertionError("unreachable")

    async def _waiting(self) -> Worker | None:
        """A worker that waits for a task and is still alive."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.stop()
        return None

    async def _attempt(self, task: Message, on_message: Callable[[Message], None]) -> Message:
        worker = await self._waiting()
        if worker is None:
            with self._log.open("ab") as log:
                worker = await Worker.start(log)
        try:
            answer = await worker.run(task, on_message)
        except BaseException:  # cancelled or failed, a worker in the middle of a task is of no more use
            await worker.stop()
            raise
        self._idle.append(worker)
        return answer


def pool_size(setting: int) -> tuple[int, int]:
    """(worker processes, threads each) for this machine: models gain little beyond four threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = setting or max(1, cores // 4)
    return workers, max(1, cores // workers)


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to report of several tasks': the first of ours, else the first."""
    leaves = list(_leaves(failures))
    return next((leaf for leaf in leaves if isinstance(leaf, RollcallError)), leaves[0])


def _leaves(failures: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure
