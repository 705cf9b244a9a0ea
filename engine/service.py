"""The engine: the stores it owns, the settings in force, the jobs it runs. One per process."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import duckdb
import numpy as np
from numpy.typing import NDArray

from engine import upkeep
from engine.artefacts import Artefacts
from engine.config import Config
from engine.errors import StoreError, StoreLocked, StoreVersion
from engine.events import Events
from engine.hooks import Hooks
from engine.jobs import JobRunner
from engine.operations import everything, registry
from engine.review import forget
from engine.review.desk import Desk
from engine.review.restore import restore
from engine.review.settle import Settler
from store import ids, results
from store.database import Database
from store.errors import Locked, NewerSchema
from store.media import Media
from store.vectors import Vectors

if TYPE_CHECKING:
    from engine.operations.registry import Context, Operation, Params, Result

everything.load()
log = logging.getLogger("rollcall.engine")
T = TypeVar("T")


def open_database(home: Path, memory_limit_mb: int) -> Database:
    """The library of a workspace, owned by this process.

    Raises:
        StoreLocked: another process owns it.
        StoreVersion: a newer version wrote it.
    """
    try:
        return Database(home, memory_limit_mb)
    except Locked as error:
        hint = "Use that engine, or end it with `rollcall engine stop`."
        raise StoreLocked(f"{home} is in use by process {error.owner or 'unknown'}.", hint) from error
    except NewerSchema as error:
        message = f"{home} was written by a newer rollcall (schema {error.found}; this version knows {error.known})."
        raise StoreVersion(message, "Upgrade rollcall; nothing was changed.") from error
    except duckdb.Error as error:
        hint = "Close other programs that have it open; if none has, bring back a copy from the backups folder."
        raise StoreError(f"The library {home / 'library.duckdb'} cannot be opened: {error}", hint) from error


class Engine:
    """Everything an operation can reach."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = Config(home)
        self.database = open_database(home, self.config.settings.engine.memory_limit_mb)
        self.vectors = Vectors(home / "vectors")
        self.media = Media(home / "media")
        self.artefacts = Artefacts(home / "artefacts")
        self.exports = home / "exports"
        self.hooks = Hooks(self)
        self.events = Events(self.hooks.wake)
        self.jobs = JobRunner(self)
        self.review = Desk(self)
        self.settler = Settler(self)
        self._slow_threads = anyio.CapacityLimiter(2)
        self._threads = anyio.CapacityLimiter(self.config.settings.engine.readers)

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function on one of the engine's threads."""
        return await anyio.to_thread.run_sync(partial(function, *args), limiter=self._threads)

    async def run_operation(self, op: Operation, context: Context, parameters: Params) -> Result:
        """Run an operation where it belongs and tell the listeners when it changed something."""
        if op.blocking:
            lane = self._slow_threads if op.slow else self._threads
            result: Any = await anyio.to_thread.run_sync(op.run, context, parameters, limiter=lane)
        else:
            result = await op.run(context, parameters)  # type: ignore[misc]
        if op.effect != "read":
            for episode_id in context.decided:
                self.settler.want(episode_id)
            self.events.publish("changed", operation=op.name, actor=str(context.actor))
        return result  # type: ignore[no-any-return]

    async def recover(self) -> None:
        """Bring back what a crash interrupted: a forgetting, unfinished vector writes, journalled commands, jobs."""
        await self.in_thread(forget.resume, self)
        left = await self.in_thread(upkeep.leftovers, self.home, 0.0)
        if left:
            await self.in_thread(upkeep.remove, left)
            log.warning("removed %d half-written files of processes that were killed", len(left))
        swept = await self.in_thread(self.vectors.sweep, self.database)
        if swept:
            log.warning("removed %d vectors of runs that were never committed", swept)
        for line in self.database.journal.pending(self.database.known_keys()):
            await self._replay(line)
        await self.jobs.resume()

    async def _replay(self, line: dict[str, Any]) -> None:
        """Do what a journal line says once more; one that is refused now is settled, so that it cannot meet somebody else's id later."""
        journal, what = self.database.journal, f"{line.get('operation')} of {line.get('at')}"
        journal.replaying.add(line["key"])
        try:
            if "facts" in line:
                await self.in_thread(restore, self, line)
            else:
                await registry.invoke(self, line["operation"], line["parameters"], actor=line["actor"], idem_key=line["key"])
            log.warning("replayed %s from the journal", what)
        except Exception as error:  # whatever is wrong with one old line must not keep the engine from starting; it is kept and shown
            log.exception("could not replay %s", what)
            journal.append({"refused": line["key"], "reason": f"{what}: {error}"})
        finally:
            journal.replaying.discard(line["key"])

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for files that pass between this process and a worker, gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.home / "tmp"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Runs the jobs, and keeps totals behind decisions, while the block is open."""
        async with self.settler.open(), self.jobs.open():
            yield

    def embeddings(self, run_id: int, track_ids: list[int]) -> dict[int, NDArray[np.float32]]:
        """Pooled embeddings of some tracks of a run, those that have one; none when the artefact they lie in is gone."""
        run = results.run(self.database, run_id)
        key = run["stages"].get("identify", "") if run else ""
        if not key or not self.artefacts.exists("identify", key):
            return {}
        pooled = self.artefacts.array("identify", key, "pooled", mapped=True)
        rows = {track: pooled[track - ids.track_id(run_id, 0)] for track in track_ids}
        return {track: np.asarray(row) for track, row in rows.items() if row.any()}

    def close(self) -> None:
        """Checkpoint and let the library go."""
        self.database.close()
