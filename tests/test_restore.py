"""A library that changes hands: while a backup is brought back, killed in the middle of it, forgotten people in copies, a library DuckDB gave up."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest

from engine.errors import Conflict
from engine.operations import registry
from engine.service import Engine
from engine.wire import Client
from store import backups, repair, results
from store.database import Database
from tests.desk import Bench, Seen
from tests.forgettable import NAME, PAT, Workspace
from tests.traces import traces


def test_changes_are_refused_while_a_backup_is_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anyio.run(_change_while_restoring, tmp_path, monkeypatch)


async def _change_while_restoring(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, under_way, go_on = Engine(home), threading.Event(), threading.Event()
    restored = engine.database.restore

    def slowly(*arguments: Any) -> None:
        under_way.set()
        go_on.wait(30)
        restored(*arguments)

    async with engine.lifespan():
        await registry.invoke(engine, "show_add", {"slug": "before", "title": "Before"}, actor="person:ana")
        made = await registry.invoke(engine, "store_backup", {}, actor="person:ana")
        monkeypatch.setattr(engine.database, "restore", slowly)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: registry.invoke(engine, "store_restore", {"backup": made["file"]}, actor="person:ana"))
            await anyio.to_thread.run_sync(under_way.wait)
            for name, parameters in (("show_add", {"slug": "meanwhile", "title": "Meanwhile"}), ("store_restore", {"backup": made["file"]})):
                with pytest.raises(Conflict, match="A backup is being brought back"):
                    await registry.invoke(engine, name, parameters, actor="person:bea")
            go_on.set()
        await registry.invoke(engine, "show_add", {"slug": "after", "title": "After"}, actor="person:ana")
        shows = (await registry.invoke(engine, "show_list", {}, actor="person:ana"))["rows"]
    engine.close()
    assert {row["slug"] for row in shows} == {"before", "after"}


@pytest.mark.parametrize("point", ["library.before_swap", "library.swapped"])
def test_killed_while_a_backup_is_brought_back(point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command outlives its engine and is done again by the next one; no half of a library is left."""
    client, died = Client(tmp_path / "home", "person:pat"), tmp_path / "died"
    client.call("show_add", {"slug": "before", "title": "Before"})
    made = client.call("store_backup")
    client.call("show_add", {"slug": "after", "title": "After"})
    client.stop()
    monkeypatch.setenv("ROLLCALL_CRASH_AT", point)
    monkeypatch.setenv("ROLLCALL_CRASH_ONCE", str(died))
    client.call("store_restore", {"backup": made["file"]})
    assert died.exists()
    assert {row["slug"] for row in client.call("show_list")["rows"]} == {"before", "after"}
    assert client.call("health_show")["problems"] == []
    client.stop()
    assert all(backups.examine(path) for path in repair.kept(client.home)), "each that is kept is whole"
    assert {path.name for path in client.home.glob("library.*")} - {path.name for path in repair.kept(client.home)} == {
        "library.duckdb",
        "library.lock",
    }


@pytest.mark.parametrize("point", ["library.before_swap", "library.swapped"])
def test_killed_at_the_swap_the_old_library_or_the_new_one_is_there_whole(point: str, tmp_path: Path) -> None:
    database = Database(tmp_path)
    source, kept = tmp_path / "backup.duckdb", tmp_path / "library.duckdb.replaced-20260101T000000"
    database.back_up(source)
    with database.command("show_add", {}, actor="person:ana", key="later"):
        pass
    database.close()
    child = os.fork()
    if not child:
        os.environ["ROLLCALL_CRASH_AT"] = point
        Database(tmp_path).restore(source, kept)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    database = Database(tmp_path)
    assert database.known_keys() == (set() if point == "library.swapped" else {"later"})
    database.close()
    assert [backups.keys(path) for path in repair.kept(tmp_path)] == ([{"later"}] if point == "library.swapped" else [])


def test_forgotten_people_are_in_no_copy_and_do_not_come_back_with_an_old_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    looking, bench, home = workspace.looking(), workspace.bench, workspace.home
    outside = tmp_path / "copy.duckdb"
    made = bench.call(PAT, "store_backup")
    shutil.copyfile(made["file"], outside)
    bench.engine.database.restore(Path(made["file"]), home / "library.duckdb.replaced-20260101T000000")
    shutil.copyfile(outside, home / "library.duckdb.damaged-20260101T000000")
    bench.engine.review.forget()
    plan = bench.call(PAT, "person_forget", person_id=workspace.gone, dry_run=True)
    copies = {Path(made["file"]).name, "library.duckdb.replaced-20260101T000000", "library.duckdb.damaged-20260101T000000"}
    assert copies <= set(plan["backups"])
    assert any("made elsewhere are not reached" in sentence for sentence in plan["kept"])
    bench.call(PAT, "person_forget", person_id=workspace.gone, confirm=NAME)
    bench.close()
    assert traces(home, looking) == {}
    engine = Engine(home)
    assert anyio.run(engine.restore, outside, home / "library.duckdb.replaced-20270101T000000") >= 1
    engine.close()
    assert traces(home, looking) == {}, "the journal knows that they were forgotten"


def gives_up(database: Database) -> None:
    """What a disk that fails in the middle of a checkpoint does to every connection."""
    cursor = database._root.cursor()
    cursor.execute("SET debug_checkpoint_abort = 'before_header'")
    with pytest.raises(duckdb.FatalException):
        cursor.execute("CHECKPOINT")
    cursor.close()


def test_library_that_duckdb_gave_up_is_opened_again_by_whoever_comes_next(tmp_path: Path) -> None:
    database = Database(tmp_path)

    def add(key: str) -> None:
        with database.command("show_add", {}, actor="person:ana", key=key):
            pass

    add("first")
    gives_up(database)
    assert database.known_keys() == {"first"}, "a read"
    gives_up(database)
    add("second")
    add("third")
    with pytest.raises(duckdb.FatalException), database.write() as transaction:
        gives_up(database)
        transaction.execute("DELETE FROM command")
    assert database.known_keys() == {"first", "second", "third"}
    gives_up(database)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            assert len(database.known_keys()) == 3
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    database.close()


def test_library_that_does_not_open_again_at_once_is_tried_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path)
    with database.command("show_add", {}, actor="person:ana", key="only"):
        pass
    gives_up(database)
    with monkeypatch.context() as full:
        full.setattr(database, "_connect", lambda: (_ for _ in ()).throw(duckdb.IOException("No space left on device")))
        with pytest.raises(duckdb.IOException):
            database.known_keys()
        with pytest.raises(duckdb.IOException), database.write():
            pass
    assert database.known_keys() == {"only"}
    database.close()


def test_run_that_was_never_finished_is_swept_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    episode = bench.episode()
    facts = {"step_us": 1, "space": "none", "settings": {}, "models": {}, "stages": {"identify": "", "segments": []}}
    given = results.allocate_run(bench.engine.database, episode, "key", **facts)
    bench.engine.vectors.sweep(bench.engine.database)
    assert bench.engine.database.rows("SELECT 1 FROM run") == []
    assert results.allocate_run(bench.engine.database, episode, "key", **facts) == given, "a crash burns no id"
    bench.close()


def test_analysis_shown_again_has_no_labels_of_people_taken_back_meanwhile(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    episode = bench.episode()
    first = bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 1)])
    made = bench.call(PAT, "track_assign", tracks=[str(bench.track(episode, 0))], person="Ana", create=True)
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 1)])
    bench.call(PAT, "decision_undo", batch=made["batch"])
    assert bench.call(PAT, "health_show")["problems"] == []
    bench.call(PAT, "analysis_activate", episode=str(episode), run_id=first)
    assert bench.engine.database.rows("SELECT 1 FROM assignment WHERE person_id IS NOT NULL") == []
    assert bench.call(PAT, "health_show")["problems"] == []
    bench.close()
