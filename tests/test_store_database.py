"""The owner's rules: one owner, whole transactions, commands recognised when repeated, schemas up to date."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from store import migrations
from store.database import Database
from store.errors import Locked, NewerSchema
from store.journal import Journal

PARAMETERS = {"name": "Ana"}


def _add_show(database: Database, key: str, slug: str = "show") -> dict[str, object]:
    with database.command("show_add", {"slug": slug}, actor="person:ana", key=key) as command:
        if command.replayed is None:
            show_id = command.transaction.next_id("show", "show_id")
            command.transaction.insert("show", show_id=show_id, slug=slug, title=slug, created_at="2026-01-01")
            command.result = {"show_id": show_id}
    return command.replayed or command.result


def test_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(Locked) as caught:
        Database(tmp_path)
    assert caught.value.owner == str(os.getpid())
    database.close()
    Database(tmp_path).close()


def test_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(RuntimeError), database.write() as transaction:
        transaction.insert("show", show_id=1, slug="a", title="a", created_at="2026-01-01")
        raise RuntimeError
    assert database.rows('SELECT * FROM "show"') == []
    database.close()


def test_repeated_command_gets_the_first_answer_and_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path)
    first = _add_show(database, "k1")
    assert _add_show(database, "k1") == first
    assert len(database.rows('SELECT * FROM "show"')) == 1
    assert len(list(database.journal.lines())) == 1
    database.close()


def test_command_is_in_the_journal_with_who_and_what(tmp_path: Path) -> None:
    database = Database(tmp_path)
    _add_show(database, "k1")
    (line,) = database.journal.lines()
    assert (line["key"], line["actor"], line["operation"], line["parameters"]) == ("k1", "person:ana", "show_add", {"slug": "show"})
    database.close()


def test_command_whose_block_fails_is_neither_stored_nor_journalled(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(RuntimeError), database.command("show_add", {}, actor="person:ana", key="k1"):
        raise RuntimeError
    assert database.known_keys() == set()
    assert list(database.journal.lines()) == []
    database.close()


def test_journal_line_without_a_commit_is_pending(tmp_path: Path) -> None:
    database = Database(tmp_path)
    _add_show(database, "k1")
    database.journal.append({"key": "k2", "operation": "show_add", "parameters": {}, "actor": "person:ana", "at": "x"})
    database.journal.append({"key": "k3", "operation": "show_add", "parameters": {}, "actor": "person:ana", "at": "x"})
    database.journal.append({"abort": "k3"})
    assert [line["key"] for line in database.journal.pending(database.known_keys())] == ["k2"]
    database.close()


def test_torn_journal_line_is_passed_over_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    database = Database(tmp_path)
    _add_show(database, "k1")
    database.close()
    path = tmp_path / "journal" / "commands.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "torn", "oper')
    database = Database(tmp_path)
    _add_show(database, "k2", "other")
    assert [line["key"] for line in database.journal.lines()] == ["k1", "k2"]
    database.close()


def test_threads_reading_and_writing_see_whole_rows(tmp_path: Path) -> None:
    database = Database(tmp_path)
    faults: list[str] = []

    def read() -> None:
        for _ in range(200):
            row = database.row('SELECT count(*) AS n, coalesce(max(show_id), 0) AS top FROM "show"')
            if row is None or row["n"] != row["top"]:
                faults.append(str(row))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for n in range(100):
        _add_show(database, f"k{n}", f"show-{n}")
    for reader in readers:
        reader.join()
    assert faults == []
    assert len(database.rows('SELECT * FROM "show"')) == 100
    database.close()


def test_arrow_rows_are_inserted_by_name(tmp_path: Path) -> None:
    database = Database(tmp_path)
    rows = pa.table({"person_b": [2], "run_id": [7], "episode_id": [1], "person_a": [1], "seconds": [3.5]})
    with database.write() as transaction:
        transaction.insert_arrow("co_presence", rows)
    assert database.rows("SELECT * FROM co_presence") == [{"run_id": 7, "episode_id": 1, "person_a": 1, "person_b": 2, "seconds": 3.5}]
    database.close()


def test_newer_store_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    Database(tmp_path).close()
    connection = duckdb.connect(str(tmp_path / "library.duckdb"))
    connection.execute("INSERT INTO schema_version VALUES (9999, now()::TIMESTAMP)").fetchall()
    connection.close()
    before = (tmp_path / "library.duckdb").read_bytes()
    with pytest.raises(NewerSchema) as caught:
        Database(tmp_path)
    assert caught.value.found == 9999
    assert (tmp_path / "library.duckdb").read_bytes() == before


def test_older_store_is_migrated_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path)
    _add_show(database, "k1")
    database.close()
    later = [*migrations.steps(), (migrations.steps()[-1][0] + 1, "ALTER TABLE \"show\" ADD COLUMN network VARCHAR DEFAULT 'none'")]
    monkeypatch.setattr(migrations, "steps", lambda: later)
    database = Database(tmp_path)
    assert database.rows('SELECT slug, network FROM "show"') == [{"slug": "show", "network": "none"}]
    database.close()
    (backup,) = (tmp_path / "backups").iterdir()
    old = duckdb.connect(str(backup), read_only=True)
    assert old.execute('SELECT slug FROM "show"').fetchall() == [("show",)]
    assert "network" not in [row[0] for row in old.execute('DESCRIBE "show"').fetchall()]
    old.close()


def test_failed_migration_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(tmp_path).close()
    bad = [*migrations.steps(), (migrations.steps()[-1][0] + 1, 'ALTER TABLE "show" ADD COLUMN network VARCHAR; SELECT * FROM nowhere')]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "steps", lambda: bad)
        with pytest.raises(duckdb.Error):
            Database(tmp_path)
    database = Database(tmp_path)
    assert "network" not in [row["column_name"] for row in database.rows('DESCRIBE "show"')]
    database.close()


KILLED = """
import sys
from pathlib import Path
from tests.test_store_database import _add_show
from store.database import Database
database = Database(Path(sys.argv[1]))
for n in range(1000):
    answer = _add_show(database, f"k{n}", f"show-{n}")
    print(answer["show_id"], flush=True)
"""


@pytest.mark.parametrize("point", ["journal.appended:5", "command.committed:5"])
def test_kill_at_a_commit_point_loses_no_acknowledged_command(tmp_path: Path, point: str) -> None:
    environ = {**os.environ, "ROLLCALL_CRASH_AT": point}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environ, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    acknowledged = len(killed.stdout.split())
    assert acknowledged == 4
    database = Database(tmp_path)
    slugs = [row["slug"] for row in database.rows('SELECT slug FROM "show" ORDER BY show_id')]
    pending = database.journal.pending(database.known_keys())
    assert slugs[:acknowledged] == [f"show-{n}" for n in range(acknowledged)]
    if point.startswith("journal"):
        assert [line["key"] for line in pending] == ["k4"]
    else:
        assert len(slugs) == 5
        assert _add_show(database, "k4", "show-4") == {"show_id": 5}
        assert json.loads(database.rows("SELECT result FROM command WHERE idem_key = 'k4'")[0]["result"]) == {"show_id": 5}
    database.close()


class Grudging:
    """A file on a disk that is nearly full: it takes a few bytes at a time, and then none."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken: int = self._file.write(data[: min(7, self._room)])
        self._room -= taken
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_journal_on_a_disk_that_fills_up_keeps_whole_lines_and_says_why(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "commands.jsonl")
    file = journal._file
    journal._file = Grudging(file, 1000)
    journal.append({"key": "first"})
    journal._file = Grudging(file, 10)
    with pytest.raises(OSError) as full:
        journal.append({"key": "second"})
    assert full.value.errno == errno.ENOSPC
    journal._file = file
    journal.append({"key": "third"})
    journal._file = Grudging(file, 5)
    journal.abort("third")  # no room to say so: the line itself goes
    journal._file = file
    assert [line["key"] for line in journal.lines()] == ["first"]
    journal.close()
