"""Behind the decisions: totals and suggestions of a run are made again from what people said, in a worker, a moment after the last change."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import RollcallError
from engine.totals.labels import IDENTITY
from engine.workers import WorkerPool
from store import decisions, ids, outbox, results

if TYPE_CHECKING:
    from engine.service import Engine

log = logging.getLogger("rollcall.review")

QUIET_S = 0.3
"""A run is settled when nothing has been decided about it for this long: people decide in bursts."""

LATEST_S = 3.0
"""... or at the latest this long after the first decision it does not know."""


KEEP_S = 60.0
"""The worker is kept this long after the last change."""


class Settler:
    """Keeps totals and suggestions behind the decisions up to date; one worker, one run at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[int, tuple[float, float]] = {}
        self._changed = anyio.Event()
        self._idle = anyio.Event()
        self._idle.set()

    def want(self, episode_id: int) -> None:
        """Something was decided about an episode; to be called on the event loop."""
        now = time.monotonic()
        first, _ = self._waiting.get(episode_id, (now, now))
        self._waiting[episode_id] = (first, now)
        self._idle = anyio.Event() if self._idle.is_set() else self._idle
        self._changed.set()

    async def settled(self) -> None:
        """Wait until nothing is left to do."""
        while self._waiting:
            await self._idle.wait()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Settles runs while the block is open, those first that an earlier engine left behind."""
        for episode_id in await self._engine.in_thread(unsettled, self._engine):
            self.want(episode_id)
        async with anyio.create_task_group() as group:
            group.start_soon(self._work)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            async with WorkerPool.open(1, self._engine.home / "engine.log") as pool:
                # The worker keeps what it knows of an episode while somebody is at it.
                while await self._more():
                    await self._next(pool)

    async def _more(self) -> bool:
        """Wait a while for something to settle."""
        if not self._waiting:
            self._changed = anyio.Event()
            self._idle.set()
            with anyio.move_on_after(KEEP_S):
                await self._changed.wait()
        return bool(self._waiting)

    async def _next(self, pool: WorkerPool) -> None:
        episode_id, (first, last) = min(self._waiting.items(), key=lambda item: min(item[1][0] + LATEST_S, item[1][1] + QUIET_S))
        due = min(first + LATEST_S, last + QUIET_S) - time.monotonic()
        if due > 0:
            await anyio.sleep(due)
            return
        del self._waiting[episode_id]
        try:
            await settle(self._engine, pool, episode_id)
        except RollcallError as error:
            log.warning("episode %d could not be settled: %s", episode_id, error)
        except Exception:  # one episode must not end the engine; it is tried again after the next decision or start
            log.exception("episode %d could not be settled", episode_id)


def unsettled(engine: Engine) -> list[int]:
    """Episodes whose active run does not know the newest decision about it."""
    rows = engine.database.rows(
        """SELECT e.episode_id FROM episode e JOIN run r ON r.run_id = e.active_run_id
           WHERE coalesce(r.settled_seq, 0) < (SELECT coalesce(max(rev), 0) FROM assignment a WHERE a.run_id = r.run_id) OR r.settled_seq = -1"""
    )
    return [row["episode_id"] for row in rows]


async def settle(engine: Engine, pool: WorkerPool, episode_id: int) -> None:
    """Make totals and suggestions of an episode's active run from the labels in force."""
    with engine.scratch() as scratch:
        settling = await engine.in_thread(_prepare, engine, episode_id, scratch)
        if settling is None:
            return
        answer = await pool.submit(settling.task, lambda message: None)
        changed = await engine.in_thread(_write, engine, settling, answer)
    if changed:
        engine.events.publish("settled", episode_id=episode_id, run_id=settling.run_id)


@dataclass(frozen=True)
class Settling:
    """What a worker is asked, and what its answer is about. seq: the newest decision it knows; pieces: the labels it was given."""

    run_id: int
    episode_id: int
    seq: int
    pieces: pa.Table
    task: dict[str, Any]


def _prepare(engine: Engine, episode_id: int, scratch: Path) -> Settling | None:
    """What a worker needs; None when the run is gone or its artefact is."""
    database = engine.database
    # Nobody who decides waits for this: labels newer than `seq` are of a decision after which it is all done again.
    seq = decisions.newest(database)
    row = database.row("SELECT active_run_id FROM episode WHERE episode_id = ?", [episode_id])
    run = results.run(database, row["active_run_id"]) if row and row["active_run_id"] else None
    if run is None:
        return None
    key = run["stages"]["identify"]
    if not engine.artefacts.exists("identify", key):
        log.warning("the totals of episode %d cannot follow decisions: what they are made from is gone; analyse it again", episode_id)
        return None
    stored = results.explained(database, run["run_id"])
    run_id = run["run_id"]
    identity = _numbered(stored["identity"], "cluster", "cluster_id", ids.cluster_id(run_id, 0))
    pieces = _numbered(stored["pieces"], "track", "track_id", ids.track_id(run_id, 0))
    for name in ("cluster", "machine_cluster"):
        pieces = _numbered(pieces, name, f"{name}_id", ids.cluster_id(run_id, 0))
    pq.write_table(identity.select(IDENTITY.names).cast(IDENTITY), scratch / "identity.parquet")
    pq.write_table(pieces.drop_columns(["track_id", "cluster_id", "machine_cluster_id"]), scratch / "pieces.parquet")
    task = {
        "kind": "totals",
        "identify": key,
        "identity": str(scratch / "identity.parquet"),
        "pieces": str(scratch / "pieces.parquet"),
        "out": str(scratch),
        "artefacts": str(engine.artefacts.folder),
        # Totals are counted as they were when the run was made: only the labels have changed.
        "settings": run["settings"],
    }
    if "calibration" in run["models"]:
        task["ask"] = {"calibration": run["models"]["calibration"], **_known(engine, episode_id, run_id)}
    return Settling(run_id, episode_id, seq, stored["pieces"], task)


def _numbered(table: pa.Table, name: str, column: str, first: int) -> pa.Table:
    """The table with ids of a run as the numbers they have in it."""
    return table.append_column(name, pa.array(table[column].to_numpy() - first, pa.int32()))


def _known(engine: Engine, episode_id: int, run_id: int) -> dict[str, Any]:
    """Who may be named: people with a name and those decided here, the ones the run was matched with first."""
    database = engine.database
    rows = database.rows(
        """SELECT p.person_id, p.archived, p.person_id IN (SELECT person_id FROM posterior WHERE run_id = ? AND similarity IS NOT NULL) AS matched
           FROM person p JOIN episode e USING (show_id) WHERE e.episode_id = ? AND p.merged_into IS NULL AND erased_at IS NULL
           AND (p.name IS NOT NULL OR p.person_id IN (SELECT person_id FROM assignment WHERE run_id = ? AND label_source <> 'machine'))
           ORDER BY matched DESC, p.person_id""",
        [run_id, episode_id, run_id],
    )
    return {
        "people": [row["person_id"] for row in rows],
        "known": sum(row["matched"] for row in rows),
        "archived": [row["person_id"] for row in rows if row["archived"]],
    }


def _write(engine: Engine, settling: Settling, answer: dict[str, Any]) -> bool:
    """Replace the totals, suggestions and questions of a run, unless it was removed meanwhile."""
    run_id, episode_id = settling.run_id, settling.episode_id
    totals = pq.read_table(answer["screen_time"]).rename_columns({"person": "person_id"})
    pairs = pq.read_table(answer["co_presence"])
    suggestions, items = _questions(settling, answer)
    with engine.database.write() as transaction:
        if not transaction.rows("SELECT 1 FROM run WHERE run_id = ? AND state = 'committed'", [run_id]):
            return False
        people = {row["person_id"] for row in transaction.rows("SELECT person_id FROM person WHERE erased_at IS NULL")}
        if not {*totals["person_id"].to_pylist(), *suggestions["person_id"].to_pylist()} <= people:
            return False  # somebody was taken back or forgotten while the worker counted; the decision that did it is settled next
        results.replace_totals(transaction, run_id, episode_id, totals, pairs, answer["unidentified_s"], settling.seq)
        asked = transaction.rows("SELECT count(*) AS items FROM queue_item WHERE run_id = ?", [run_id])[0]["items"]
        results.replace_questions(transaction, run_id, episode_id, suggestions, items)
        outbox.announce(transaction, "totals.changed", episode_id=episode_id, run_id=run_id)
        if asked and not items.num_rows:
            outbox.announce(transaction, "review.finished", episode_id=episode_id, run_id=run_id)
    return True


def _questions(settling: Settling, answer: dict[str, Any]) -> tuple[pa.Table, pa.Table]:
    """Suggestions and queue items, with tracks where the worker has rows of pieces."""
    pieces = settling.pieces
    if "suggestions" not in answer:
        schemas = (decisions.SUGGESTION, decisions.QUEUE_ITEM)
        nothing = [schema.empty_table().drop_columns(["run_id", "episode_id"]) for schema in schemas]
        return nothing[0], nothing[1]
    found = pq.read_table(answer["suggestions"])
    where = pieces.select(["track_id", "start_us", "end_us"]).take(found["piece"])
    for name in ("person_id", "probability"):
        where = where.append_column(name, found[name])
    spans = list(zip(*(pieces[name].to_pylist() for name in ("track_id", "start_us", "end_us")), strict=True))
    items: list[dict[str, Any]] = json.loads(Path(answer["items"]).read_text())
    for item in items:
        for unit in item["units"]:
            unit["targets"] = [spans[row] for row in unit.pop("rows")]
            unit["shown"] = [spans[row] for row in unit["shown"]]
        # By what is asked: a yes never means somebody else than was shown.
        asked = [(unit["targets"], unit["kind"] == "name", unit["proposed"]) for unit in item["units"]]
        item["id"] = blake2b(json.dumps(asked).encode(), digest_size=6).hexdigest()
    columns = {
        "rank": pa.array(range(len(items)), pa.int32()),
        "at_risk_s": pa.array([item["at_risk_s"] for item in items], pa.float64()),
        "item": pa.array([json.dumps(item) for item in items], pa.string()),
    }
    return where, pa.table(columns)
