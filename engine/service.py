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
from engine.errors import Conflict, DiskFull, StoreError, StoreLocked, StoreVersion, unexpected
from engine.events import Events
from engine.hooks import Hooks
from engine.jobs import JobRunner
from engine.looker import Looker
from engine.operations import everything, registry
from engine.review import forget
from engine.review.desk import Desk
from engine.review.restore import restore
from engine.review.settle import Settler, unsettled
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
    except OSError as error:
        raise unexpected(error, "opening the library", str(home)) from error
    except duckdb.Error as error:
        if (full := unexpected(error, "opening the library", str(home))).code == DiskFull.code:
            raise full from error
        hint = "Close other programs that have it open; if it is damaged, it could not be mended and no backup could be read."
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
        self.looker = Looker(home)
        self.jobs = JobRunner(self)
        self.review = Desk(self)
        self.settler = Settler(self)
        self._changing = 0
        self._restoring = False
        self._slow_threads = anyio.CapacityLimiter(2)
        self._threads = anyio.CapacityLimiter(self.config.settings.engine.readers)

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function on one of the engine's threads."""
        return await anyio.to_thread.run_sync(partial(function, *args), limiter=self._threads)

    async def run_operation(self, op: Operation, context: Context, parameters: Params) -> Result:
        """Run an operation where it belongs and tell the listeners when it changed something."""
        if op.effect == "read":
            return await self._run(op, context, parameters)
        if self._restoring and context.idem_key not in self.database.journal.replaying:
            raise Conflict("A backup is being brought back.", "Try again in a moment.")
        self._changing += 1
        try:
            result = await self._run(op, context, parameters)
        finally:
            self._changing -= 1
        for episode_id in context.decided:
            self.settler.want(episode_id)
        self.events.publish("changed", operation=op.name, actor=str(context.actor))
        return result

    async def _run(self, op: Operation, context: Context, parameters: Params) -> Result:
        if op.blocking:
            lane = self._slow_threads if op.slow else self._threads
            result: Any = await anyio.to_thread.run_sync(op.run, context, parameters, limiter=lane)
        else:
            result = await op.run(context, parameters)  # type: ignore[misc]
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
        await self._catch_up()
        await self.jobs.resume()

    async def _catch_up(self) -> int:
        """Do again what the journal holds and the library does not; returns how many changes that were."""
        lines = self.database.journal.pending(self.database.known_keys())
        for line in lines:
            await self._replay(line)
        return len(lines)

    async def restore(self, source: Path, kept: Path) -> int:
        """Put a backup in the library's place, keep what was there, and catch up from the journal; returns how many changes were done again.

        Changes asked for meanwhile are refused: they would be given ids that the journal's have.

        Raises:
            Conflict: another change is under way.
            StoreError: the backup cannot be put there.
        """
        if self._restoring or self._changing > 1:
            raise Conflict("The library is being changed.", "Try again in a moment.")
        self._restoring = True
        try:
            await self.settler.settled()
            await self.in_thread(self.database.restore, source, kept)
        except BaseException as error:  # whatever it was, the library is as it was, and changes may go on
            self._restoring = False
            if isinstance(error, (duckdb.Error, OSError)):
                raise StoreError(f"{source} could not be brought back: {error}", "The library is as it was.") from error
            raise
        self.review.forget()
        log.warning("%s was brought back; the library that was there is kept as %s", source, kept)
        # Should this fail, changes stay refused until the next engine has caught up.
        replayed = await self._catch_up()
        self._restoring = False
        for episode_id in await self.in_thread(unsettled, self):
            self.settler.want(episode_id)
        await self.jobs.resume()
        return replayed

    async def _replay(self, line: dict[str, Any]) -> None:
        """Do what a journal line says once more; one that is refused now is settled, so that it cannot meet somebody else's id later.

        Raises:
            StoreError: the store fails, for instance for want of room. Nothing may be changed before the line is done: its ids would be given again.
        """
        journal, what = self.database.journal, f"{line.get('operation')} of {line.get('at')}"
        journal.replaying.add(line["key"])
        try:
            if "facts" in line:
                await self.in_thread(restore, self, line)
            else:
                await registry.invoke(self, line["operation"], line["parameters"], actor=line["actor"], idem_key=line["key"])
            log.warning("replayed %s from the journal", what)
        except (OSError, StoreError, duckdb.OperationalError, duckdb.FatalException) as error:
            hint = "Make room and start the engine again: the change is in the journal, and nothing is lost."
            raise StoreError(f"{what} could not be brought back from the journal: {error}", hint) from error
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
        rows = np.array(track_ids, np.int64) - ids.track_id(run_id, 0)
        vectors = self.artefacts.array("identify", key, "pooled", mapped=True)[rows].astype(np.float32, copy=False)
        known = (vectors != 0).any(axis=1)
        return {track: vectors[row] for row, track in enumerate(track_ids) if known[row]}

    async def rest(self, after_s: float) -> None:
        """End worker processes nobody has needed for so long."""
        if self.jobs.unused_s() >= after_s:
            await self.jobs.rest()
        if self.looker.unused_s() >= after_s:
            await self.in_thread(self.looker.rest)

    def close(self) -> None:
        """Checkpoint and let the library go."""
        self.looker.rest()
        self.database.close()
