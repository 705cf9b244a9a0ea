"""The one owner of the DuckDB file: lock, cursors, one writer lane, commands with their journal, checkpoints."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from store import migrations
from store.commit_point import commit_point
from store.errors import Locked
from store.journal import Journal


def now() -> datetime:
    """The present moment as the store keeps it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Transaction:
    """The writer lane while one transaction holds it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and drop its result."""
        self._cursor.execute(sql, list(parameters)).fetchall()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows as this transaction sees them."""
        return _rows(self._cursor, sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """A bulk read as this transaction sees it."""
        return self._cursor.sql(sql, params=list(parameters)).to_arrow_table()

    def next_id(self, table: str, column: str) -> int:
        """The next id, never one that was given before, even to what is gone; a crash before the commit burns nothing."""
        if counted := self.rows("SELECT last FROM counter WHERE name = ?", [table]):
            self.execute("UPDATE counter SET last = last + 1 WHERE name = ?", [table])
            return int(counted[0]["last"]) + 1
        first = int(self.rows(f'SELECT coalesce(max({column}), 0) + 1 AS id FROM "{table}"')[0]["id"])
        self.execute("INSERT INTO counter VALUES (?, ?)", [table, first])
        return first

    def reserve(self, table: str, column: str, used: int) -> None:
        """Never give that id, nor one before it, again: it was given in a library this one does not remember."""
        if not self.rows("SELECT last FROM counter WHERE name = ?", [table]):
            self.execute(f'INSERT INTO counter SELECT ?, coalesce(max({column}), 0) FROM "{table}"', [table])
        self.execute("UPDATE counter SET last = greatest(last, ?) WHERE name = ?", [used, table])

    def insert(self, table: str, **values: Any) -> None:
        """Insert one row."""
        columns = ", ".join(values)
        self.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join("?" * len(values))})', [_cell(v) for v in values.values()])

    def insert_arrow(self, table: str, rows: pa.Table) -> None:
        """Insert a whole Arrow table by column name, in its order."""
        if not rows.num_rows:
            return
        self._cursor.register("incoming", rows)
        try:
            columns = ", ".join(rows.column_names)
            self.execute(f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM incoming')
        finally:
            self._cursor.unregister("incoming")


class Reader(Protocol):
    """Whatever answers queries: the database, or a transaction that sees what it has not committed yet."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table: ...


class Command:
    """A change asked for from outside: its transaction, the answer that a repeat of it will get, and facts for the journal by which the change can be
    made again even when what its parameters name is gone."""

    def __init__(self, transaction: Transaction, replayed: dict[str, Any] | None) -> None:
        self.transaction = transaction
        self.replayed = replayed
        self.result: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}


class Database:
    """The library's tables. One per process, and one process per library."""

    def __init__(self, home: Path, memory_limit_mb: int = 1024) -> None:
        """Take the library's lock, open or create its database and bring the schema up to date.

        Raises:
            Locked: another process owns the library.
            NewerSchema: the library was written by a newer version.
        """
        self.home = home
        self.path = home / "library.duckdb"
        self._memory_limit_mb = memory_limit_mb
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = _take_lock(home / "library.lock")
        self._writer = threading.RLock()
        self._local = threading.local()
        try:
            self._root = migrations.open_current(self.path, self._connect)
            self.journal = Journal(home / "journal" / "commands.jsonl")
        except BaseException:  # the lock must not outlive a library that did not open
            self._lock_file.close()
            raise

    def _connect(self) -> duckdb.DuckDBPyConnection:
        spill = self.home / "tmp"
        spill.mkdir(exist_ok=True)
        return duckdb.connect(
            str(self.path),
            config={
                "memory_limit": f"{self._memory_limit_mb}MB",
                "threads": str(min(4, os.cpu_count() or 1)),
                "temp_directory": str(spill),
                # A low threshold rewrites the metadata block often, and each rewrite is a window for a torn block.
                "checkpoint_threshold": "256MB",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor: a connection shared by threads gives wrong rows."""
        if getattr(self._local, "root", None) is not self._root:
            self._local.root = self._root
            self._local.cursor = self._root.cursor()
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A read, fully materialised (a half-read result would hold up checkpoints); the query limits its own rows."""
        return _rows(self._cursor(), sql, parameters)

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a read, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """A bulk read as one Arrow table, uncapped."""
        return self._cursor().sql(sql, params=list(parameters)).to_arrow_table()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction in the writer lane; rolled back when the block raises."""
        with self._writer:
            cursor = self._cursor()
            cursor.begin()
            try:
                yield Transaction(cursor)
            except BaseException:  # whatever stopped the block, nothing of it stays
                _roll_back(cursor)
                raise
            try:
                cursor.commit()
            except duckdb.FatalException:
                # A checkpoint that failed after a durable commit also arrives here, and the instance is unusable either way.
                self.reopen()
                raise
            except duckdb.Error:
                _roll_back(cursor)
                raise

    @contextmanager
    def command(self, operation: str, parameters: dict[str, Any], *, actor: str, key: str) -> Iterator[Command]:
        """A change from outside: recognised when repeated, journalled before it is committed.

        The block does its work in `command.transaction` and leaves its answer in `command.result`; when `command.replayed` is set it
        was done before and the block must change nothing.
        """
        with self._writer:
            known = self.row("SELECT result FROM command WHERE idem_key = ?", [key])
            if known is not None:
                yield Command(Transaction(self._cursor()), json.loads(known["result"]))
                return
            at, journalled = now(), False
            try:
                with self.write() as transaction:
                    command = Command(transaction, None)
                    yield command
                    transaction.insert(
                        "command",
                        seq=transaction.next_id("command", "seq"),
                        idem_key=key,
                        logged_at=at,
                        actor=actor,
                        operation=operation,
                        parameters=parameters,
                        result=command.result,
                    )
                    line = {"key": key, "at": at, "actor": actor, "operation": operation, "parameters": parameters}
                    self.journal.append({**line, "facts": {**command.facts, "result": command.result}} if command.facts else line)
                    journalled = True
                    commit_point("journal.appended")
            except BaseException as error:  # a journalled change that was not committed must not come back
                done = isinstance(error, duckdb.Error) and self.row("SELECT seq FROM command WHERE idem_key = ?", [key]) is not None
                if not done:
                    if journalled:
                        self.journal.append({"abort": key})
                    raise
            commit_point("command.committed")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the writer lane around several steps: what is read in the block is what its transactions change."""
        with self._writer:
            yield

    def lost(self) -> bool:
        """Whether the library was deleted or replaced under us: what is written now would be gone with it."""
        try:
            there = os.stat(self.home / "library.lock")
        except FileNotFoundError:
            return True
        held = os.fstat(self._lock_file.fileno())
        return (there.st_ino, there.st_dev) != (held.st_ino, held.st_dev)

    def known_keys(self) -> set[str]:
        """Keys of all committed commands."""
        return set(self.arrow("SELECT idem_key FROM command").column(0).to_pylist())

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; called when idle, after bulk loads and before closing."""
        with self._writer:
            try:
                self._cursor().execute("CHECKPOINT").fetchall()
            except duckdb.TransactionException:
                return  # somebody is reading; what was committed is safe in the log, and the next idle moment tries again
            except duckdb.FatalException:
                self.reopen()
                raise

    def reopen(self) -> None:
        """Replace a connection DuckDB has invalidated."""
        self._root.close()
        self._root = self._connect()

    def close(self) -> None:
        """Checkpoint, close the file and let the lock go."""
        with self._writer:
            self.checkpoint()
            self._root.close()
            self.journal.close()
            self._lock_file.close()


def _take_lock(path: Path) -> Any:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise Locked(owner) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # DuckDB has already ended the transaction


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    result = cursor.execute(sql, list(parameters))
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _cell(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, dict) else value
