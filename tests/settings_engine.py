"""Scenarios of engine.* and models.*."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import anyio

from engine import analyse as analysis
from engine import upkeep
from engine.config import Settings
from engine.errors import BadMedia, ProviderMismatch, RollcallError
from engine.looker import Looker
from engine.models.load import choose
from engine.models.runtime import cpu_only
from engine.service import Engine
from engine.wire import Client
from engine.workers import pool_size
from store import backups, work
from tests.footage import scene, write
from tests.scenarios import home_with, measure

# engine


@measure("engine.idle_exit_s", 0.2, 600)
def _engine_lives(settings: Settings, folder: Path) -> float:
    """Whether it is there a little after the last request."""
    client = Client(home_with(folder, settings, "engine.idle_exit_s"), "person:tester")
    client.call("show_list")
    until = time.monotonic() + (10 if settings.engine.idle_exit_s < 1 else 2.5)
    while client.ping() and time.monotonic() < until:
        time.sleep(0.1)
    alive = client.ping()
    client.stop()
    return float(bool(alive))


@measure("engine.memory_limit_mb", 128, 512)
def _spilled_rows(settings: Settings, folder: Path) -> float:
    """What DuckDB may hold before it spills; more than that without a disk to spill to is an error."""
    engine = Engine(home_with(folder, settings, "engine.memory_limit_mb"))
    try:
        engine.database.rows("SET temp_directory = ''")
        engine.database.rows("SELECT count(*) FROM (SELECT DISTINCT hash(i) AS h, repeat('x', 20) || i AS s FROM range(2000000) t(i))")
    except Exception:  # noqa: BLE001 - DuckDB has several kinds of it
        return 0
    finally:
        engine.close()
    return 1


@measure("engine.readers", 1, 3)
def _reads_at_once(settings: Settings, folder: Path) -> float:
    engine, lock, running, most = Engine(home_with(folder, settings, "engine.readers")), threading.Lock(), [0], [0]

    def slow() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.1)
        with lock:
            running[0] -= 1

    async def ask() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(engine.in_thread, slow)

    anyio.run(ask)
    engine.close()
    return most[0]


@measure("engine.workers", 1, 3)
def _processes(settings: Settings, folder: Path) -> float:
    return pool_size(settings.engine.workers)[0]


@measure("engine.media_wait_s", 0.01, 60)
def _looked_at(settings: Settings, folder: Path) -> float:
    """Whether there is time to look at a film."""
    looker = Looker(home_with(folder, settings, "engine.media_wait_s"))
    try:
        return float(looker.probe(write(folder / "film.mp4", [scene(1)] * 5, range(5))).frames)
    except BadMedia as error:
        assert "given up" in error.message
        return 0
    finally:
        looker.rest()


@measure("engine.free_space_floor_mb", 0, 1 << 40)
def _refused(settings: Settings, folder: Path) -> float:
    engine = Engine(folder)
    try:
        analysis._check_space(engine, settings)
    except RollcallError:
        return 1
    finally:
        engine.close()
    return 0


@measure("engine.keep_days", 1, 30)
def _stage_results_kept(settings: Settings, folder: Path) -> float:
    """Of a job that was cancelled ten days ago."""
    engine = Engine(home_with(folder, settings, "engine.keep_days"))
    engine.artefacts.write("observe", "ab" * 16, tables={}, arrays={}, meta={})
    left = engine.artefacts.path("observe", "ab" * 16)
    ten_days_ago = time.time() - 10 * 86_400
    os.utime(left, (ten_days_ago, ten_days_ago))
    with engine.database.write() as transaction:
        job = work.add_job(transaction, "analyse", 1, {}, "person:tester")
        transaction.execute("UPDATE job SET state = 'cancelled', created_at = created_at - INTERVAL 11 DAY WHERE job_id = ?", [job])
    upkeep.remove(upkeep.unused_artefacts(engine))
    engine.close()
    return float(left.exists())


@measure("engine.backups_kept", 1, 3)
def _backups_kept(settings: Settings, folder: Path) -> float:
    """Of five, made one after the other."""
    engine = Engine(home_with(folder, settings, "engine.backups_kept"))
    for day in range(4):
        engine.database.back_up(backups.folder(folder) / f"library-2026010{day + 1}T000000.duckdb")
    upkeep.back_up(engine)
    engine.close()
    return len(backups.listed(folder))


# models


@measure("models.profile", "insightface", "embedded")
def _found_models(settings: Settings, folder: Path) -> float:
    """The embedded profile finds faces with dlib; the other with a network, or refuses where none is installed."""
    try:
        return float(choose(settings.models.profile, folder).detector.name == "dlib_hog")
    except RollcallError:
        return 0


@measure("models.provider", "cpu", "cuda")
def _refusals(settings: Settings, folder: Path) -> float:
    """A model that only the CPU can run is refused where an accelerator is asked for by name."""
    try:
        cpu_only("dlib_hog", settings.models.provider)
    except ProviderMismatch:
        return 1
    return 0
