"""The engine daemon: the process that owns the store, speaking HTTP over a Unix socket only its user can open."""

from __future__ import annotations

import gc
import json
import logging
import logging.handlers
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import duckdb
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from engine import upkeep
from engine.errors import EngineUnavailable, RollcallError, unexpected
from engine.operations import registry
from engine.operations.spec import digest as spec_digest
from engine.platform import engine_environment, private_folder, socket_path
from engine.service import Engine
from engine.version import VERSION
from engine.workers import first_failure

log = logging.getLogger("rollcall.daemon")
CHECKPOINT_AFTER_S = 5.0
REST_AFTER_S = 60.0
TIDY_AFTER_S = 20.0

GARBAGE = (1_000_000, 5, 100)
"""New objects before the collector looks for cycles by itself, and rounds before it looks through the older ones: either would hold up a decision by
tens of milliseconds, so that it is left to moments when nobody waits."""

BREATH_S = 0.3
LITTER = 20_000
"""New objects that are looked through once nothing was asked for so long."""


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers, which end the process before the library is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's own business."""
        yield


class Daemon:
    """Serves one engine until it is stopped or has been idle long enough."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.beside: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._busy = 0
        self._last_use = time.monotonic()
        self._dirty = True
        self._server: Server | None = None

    def app(self) -> Starlette:
        """The routes: `POST /op/{name}`, `GET /events?after=SEQ`, `GET /ping`, `POST /stop`."""
        return Starlette(
            routes=[
                Route("/op/{name}", self._operation, methods=["POST"]),
                Route("/events", self._events, methods=["GET"]),
                Route("/ping", self._ping, methods=["GET"]),
                Route("/stop", self._stop, methods=["POST"]),
            ]
        )

    async def perform(self, name: str, parameters: dict[str, Any], *, actor: str) -> dict[str, Any]:
        """The answer of an operation, run as `answer` runs it."""
        return (await self.answer(name, parameters, actor=actor)).model_dump(mode="json")

    async def answer(self, name: str, parameters: dict[str, Any], *, actor: str, idem_key: str | None = None) -> registry.Result:
        """Run an operation; while it runs and some time after it the engine counts as used.

        Raises:
            RollcallError: what the operation raised, or EngineUnavailable.
        """
        self._busy += 1
        try:
            if self.engine.database.lost():
                self.stop()
                raise EngineUnavailable(f"The workspace {self.engine.home} was deleted while its engine ran.", "Run the command again.")
            return await registry.answer(self.engine, name, parameters, actor=actor, idem_key=idem_key)
        finally:
            self._busy -= 1
            self._last_use = time.monotonic()
            self._dirty = True

    async def _operation(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            body = await request.json()
            result = await self.answer(name, body.get("parameters") or {}, actor=str(body.get("actor")), idem_key=body.get("idem_key"))
            return Response(b'{"result":%b}' % result.model_dump_json().encode(), media_type="application/json")
        except RollcallError as error:
            return JSONResponse({"error": error.as_dict()}, status_code=error.http_status)
        except Exception as error:  # a request must be answered whatever happened; the cause goes to the log
            log.exception("operation %s", name)
            wrapped = unexpected(error, name.replace("_", " ", 1), str(self.engine.home))
            return JSONResponse({"error": wrapped.as_dict()}, status_code=500)

    async def _events(self, request: Request) -> Response:
        after = int(request.query_params.get("after", self.engine.events.last))
        return StreamingResponse(self._event_lines(after), media_type="application/x-ndjson")

    async def _event_lines(self, after: int) -> AsyncIterator[bytes]:
        yield json.dumps({"seq": self.engine.events.last, "kind": "hello"}).encode() + b"\n"
        async for event in self.engine.events.follow(after):
            yield json.dumps(event, default=str).encode() + b"\n"

    async def _ping(self, request: Request) -> Response:
        home = str(self.engine.home)
        answer = {"version": VERSION, "pid": os.getpid(), "home": home, "spec": spec_digest(), "environment": engine_environment()}
        return JSONResponse(answer)

    async def _stop(self, request: Request) -> Response:
        self.stop()
        return JSONResponse({"pid": os.getpid()})

    def stop(self) -> None:
        """End serving once the requests under way are answered."""
        if self._server is not None:
            self._server.should_exit = True

    async def serve(self, listener: socket.socket) -> None:
        """Answer requests on a bound socket until stopped."""
        config = uvicorn.Config(self.app(), log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1)
        self._server = Server(config)
        async with anyio.create_task_group() as group, self.engine.lifespan():
            await self.engine.recover()
            group.start_soon(self.engine.hooks.run)
            group.start_soon(self._watch_idle)
            group.start_soon(self._tidy)
            group.start_soon(self._watch_signals)
            if self.beside is not None:
                group.start_soon(self.beside)
            await self._server.serve(sockets=[listener])
            group.cancel_scope.cancel()

    async def _tidy(self) -> None:
        """Remove what the library no longer needs, once the engine has been up for a moment."""
        await anyio.sleep(TIDY_AFTER_S)
        try:
            found = await self.engine.in_thread(upkeep.waste, self.engine)
            await self.engine.in_thread(upkeep.remove, found)
        except Exception:  # tidying up is no reason to end
            log.exception("the workspace could not be tidied")
        else:
            if found:
                log.info("removed %d things nothing refers to, %d bytes", len(found), sum(waste.bytes for waste in found))

    async def _watch_signals(self) -> None:
        """End in order when asked to: running jobs go back into the queue, the library is checkpointed."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
            async for _ in received:
                self.stop()

    async def _watch_idle(self) -> None:
        """Checkpoint when work has paused; end the process when nobody has needed it for long, unless something else is served beside."""
        idle_exit_s = 0.0 if self.beside else self.engine.config.settings.engine.idle_exit_s
        watched = 0.0
        while True:
            await anyio.sleep(min(1.0, idle_exit_s or 1.0))
            await self.engine.rest(REST_AFTER_S)
            if self._busy or self.engine.jobs.handles or self.engine.hooks.waiting:
                self._last_use = time.monotonic()
                continue
            idle = time.monotonic() - self._last_use
            if idle >= BREATH_S and gc.get_count()[0] >= LITTER:
                gc.collect(1)
            if self._dirty and idle >= CHECKPOINT_AFTER_S:
                self._dirty = False
                _collect()
                await self._checkpoint()
                await self._back_up()
            if self.engine.events.listeners:  # screens that are open, though nobody does anything
                watched = time.monotonic()
            unused = time.monotonic() - max(self._last_use, watched)
            if self.engine.database.lost() or (idle_exit_s and unused >= idle_exit_s):
                log.info("idle for %.0f s: ending", unused)
                self.stop()
                return

    async def _back_up(self) -> None:
        """One backup a day, when nobody is waiting."""
        try:
            if await self.engine.in_thread(upkeep.backup_is_due, self.engine):
                made, _ = await self.engine.in_thread(upkeep.back_up, self.engine)
                log.info("made the backup %s", made)
        except (duckdb.Error, OSError):  # the library itself is well; the next idle moment tries again
            log.exception("the library could not be backed up")

    async def _checkpoint(self) -> None:
        try:
            await self.engine.in_thread(self.engine.database.checkpoint)
        except duckdb.Error:
            log.exception("the checkpoint failed; what was committed is safe in the write-ahead log")


def _collect() -> None:
    """Remove garbage now; what is left (modules, episodes under review) is not looked through again until the next idle moment."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def bind(path: Path) -> socket.socket:
    """A listening Unix socket with mode 0600 in a folder with mode 0700. The caller owns the library, so a socket left there is stale."""
    private_folder(path.parent)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(128)
    return listener


def _log_to(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(home / "engine.log", maxBytes=5_000_000, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def run(home: Path, beside: Callable[[Daemon], Callable[[], Coroutine[Any, Any, None]] | None] | None = None) -> None:
    """Own the workspace and serve it until stopped.

    Args:
        beside: asked once the library is open for what else to serve, if anything.

    Raises:
        StoreLocked: another engine owns it.
        StoreVersion: a newer version wrote it.
        StoreError: it cannot be used, or what the journal holds could not be brought back.
    """
    _log_to(home)
    os.chdir(home)
    engine = Engine(home)
    try:
        daemon = Daemon(engine)
        daemon.beside = beside(daemon) if beside else None
        path = socket_path(home)
        listener = bind(path)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        log.info("engine %s of %s, process %d", VERSION, home, os.getpid())
        gc.set_threshold(*GARBAGE)
        gc.freeze()  # modules are no garbage
        try:
            anyio.run(daemon.serve, listener)
        except BaseExceptionGroup as failures:
            failure = first_failure(failures)
            if isinstance(failure, RollcallError) or not isinstance(failure, Exception):
                raise failure from None
            log.exception("the engine ended")
            raise unexpected(failure, "the engine", str(home)) from failure
        finally:
            listener.close()
            if not engine.database.lost():
                path.unlink(missing_ok=True)
    finally:
        _close(engine)


def _close(engine: Engine) -> None:
    """Let the library go. When it was deleted under us, what lies at its paths now is another engine's: closing in order would take that apart."""
    if engine.database.lost():
        log.info("the workspace was deleted: ending without closing it")
        logging.shutdown()
        os._exit(0)
    try:
        engine.close()
    except (duckdb.Error, OSError):
        log.exception("closing the library")
