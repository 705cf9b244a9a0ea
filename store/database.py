"""The one owner of the DuckDB file: lock, cursors, one writer lane, commands with their journal, checkpoints."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from store import backups, migrations, repair
from store.atomic import atomic_path, sync_file, sync_folder
from store.commit_point import commit_point
from store.gate import Gate
from store.journal import Journal
from store.lock import take_lock
from store.remembered import Epochs, Remembered

log = logging.getLogger("rollcall.store")
T = TypeVar("T")

LOST = (duckdb.FatalException, duckdb.ConnectionException)
"""DuckDB has given the library up until it is opened again: a write or a checkpoint met a full or failing disk, or opening it again did not work."""


def now() -> datetime:
    """The present moment as the store keeps it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


GROWING = frozenset({"command", "decision"})
"""Tables nothing is ever removed from: their last id is in them, and in memory from the first that is given."""

FEW = 4
"""Rows that are written one by one rather than as an Arrow table."""

TOGETHER = 50
"""Rows that one statement writes."""

REMEMBERED = 4096
"""Reads of rows that seldom change whose answers are kept."""


class Transaction:
    """The writer lane while one transaction holds it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, epochs: Epochs, given: dict[str, int]) -> None:
        """`given`: the last ids of tables that only grow, which this transaction adds to."""
        self._cursor = cursor
        self._epochs = epochs
        self._given = given

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and drop its result."""
        self._epochs.statement(sql)
        self._cursor.execute(sql, list(parameters)).fetchall()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows as this transaction sees them."""
        self._epochs.statement(sql)
        return _rows(self._cursor, sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """A bulk read as this transaction sees it."""
        return self._cursor.sql(sql, params=list(parameters)).to_arrow_table()

    def next_id(self, table: str, column: str) -> int:
        """The next id, never one that was given before, even to what is gone; a crash before the commit burns nothing."""
        if table in GROWING:
            if table not in self._given:
                counted = self.rows("DELETE FROM counter WHERE name = ? RETURNING last", [table])
                newest = self.rows(f'SELECT coalesce(max({column}), 0) AS last FROM "{table}"')
                self._given[table] = max(int(row["last"]) for row in (*counted, *newest))
            self._given[table] += 1
            return self._given[table]
        if counted := self.rows("UPDATE counter SET last = last + 1 WHERE name = ? RETURNING last", [table]):
            return int(counted[0]["last"])
        first = int(self.rows(f'SELECT coalesce(max({column}), 0) + 1 AS id FROM "{table}"')[0]["id"])
        self.execute("INSERT INTO counter VALUES (?, ?)", [table, first])
        return first

    def reserve(self, table: str, column: str, used: int) -> None:
        """Never give that id, nor one before it, again: it was given in a library this one does not remember."""
        if table in GROWING:
            self._given.pop(table, None)  # its row is there
            return
        if not self.rows("SELECT last FROM counter WHERE name = ?", [table]):
            self.execute(f'INSERT INTO counter SELECT ?, coalesce(max({column}), 0) FROM "{table}"', [table])
        self.execute("UPDATE counter SET last = greatest(last, ?) WHERE name = ?", [used, table])

    def insert(self, table: str, **values: Any) -> None:
        """Insert one row."""
        self.insert_rows(table, [values])

    def insert_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert some rows that all have the same columns."""
        for start in range(0, len(rows), TOGETHER):
            part = rows[start : start + TOGETHER]
            cells = ", ".join(["({})".format(", ".join("?" * len(part[0])))] * len(part))
            self.execute(f'INSERT INTO "{table}" ({", ".join(part[0])}) VALUES {cells}', [_cell(v) for row in part for v in row.values()])

    def insert_arrow(self, table: str, rows: pa.Table) -> None:
        """Insert a whole Arrow table by column name, in its order."""
        if rows.num_rows > FEW:
            columns = ", ".join(rows.column_names)
            with self.incoming(rows):
                self.execute(f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM incoming')
        else:  # a round trip over Arrow costs more than the rows
            self.insert_rows(table, rows.to_pylist())

    @contextmanager
    def incoming(self, rows: pa.Table) -> Iterator[None]:
        """An Arrow table that statements in the block know as `incoming`."""
        with _incoming(self._cursor, rows):
            yield


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
        """Take the library's lock, open or create its database and bring the schema up to date; a damaged one is repaired first.

        Raises:
            Locked: another process owns the library.
            NewerSchema: the library was written by a newer version.
        """
        self.home = home
        self.path = home / "library.duckdb"
        self._memory_limit_mb = memory_limit_mb
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = take_lock(home / "library.lock")
        self._writer = threading.RLock()
        self._local = threading.local()
        self._gate = Gate()
        self._given: dict[str, int] = {}
        self._keys: set[int] | None = None
        self.epochs = Epochs()
        self._remembered = Remembered(self.epochs, REMEMBERED)
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        try:
            self._root = repair.opened(self.path, self._connect)
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

    def _read(self, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What a read gives; when DuckDB has given the library up since, it is opened again and read once more."""
        root = self._root
        try:
            with self._gate:
                return read(self._cursor())
        except LOST:
            log.exception("DuckDB gave the library up")
        with self._writer:
            if self._root is root:  # nobody has opened it meanwhile
                self.reopen()
        with self._gate:
            return read(self._cursor())

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own cursor: a connection shared by threads gives wrong rows."""
        if getattr(self._local, "root", None) is not self._root:
            self._local.root = self._root
            self._local.cursor = self._root.cursor()
            self._cursors.add(self._local.cursor)
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    def rows(self, sql: str, parameters: Sequence[Any] = (), incoming: pa.Table | None = None) -> list[dict[str, Any]]:
        """A read, fully materialised (a half-read result would hold up checkpoints); the query limits its own rows."""
        return self._read(lambda cursor: _rows(cursor, sql, parameters, incoming))

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a read, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def known(self, tables: tuple[str, ...], sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A read of a few rows of tables that seldom change (all of them named in `tables`), done again only when one was written since."""
        rows = self.remembered(tables, (sql, *parameters), lambda: self.rows(sql, parameters))
        return [dict(row) for row in rows]

    def remembered(self, tables: tuple[str, ...], key: Hashable, load: Callable[[], T]) -> T:
        """What was made of some tables under a key, made again when one of them was written since; nobody may change it."""
        return self._remembered.get(tables, key, load)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """A bulk read as one Arrow table, uncapped."""
        return self._read(lambda cursor: cursor.sql(sql, params=list(parameters)).to_arrow_table())

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction in the writer lane; rolled back when the block raises."""
        with self._writer:
            cursor = self._begun()
            try:
                yield from self._transaction(cursor)
            finally:
                self.epochs.over()

    def _transaction(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[Transaction]:
        given, self._given = self._given, {}
        try:
            yield Transaction(cursor, self.epochs, given)
        except BaseException as error:  # whatever stopped the block, nothing of it stays
            _roll_back(cursor)
            if isinstance(error, LOST):
                self.reopen()
            raise
        try:
            cursor.commit()
        except LOST:
            # A checkpoint that failed after a durable commit also arrives here, and the instance is unusable either way.
            self.reopen()
            raise
        except duckdb.Error:
            _roll_back(cursor)
            raise
        self._given = given

    def _begun(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor with a transaction of its own; a library DuckDB has given up is opened again first."""
        try:
            return self._cursor().begin()
        except LOST:
            log.exception("DuckDB gave the library up")
            self.reopen()
            return self._cursor().begin()

    @contextmanager
    def command(self, operation: str, parameters: dict[str, Any], *, actor: str, key: str) -> Iterator[Command]:
        """A change from outside: recognised when repeated, journalled before it is committed.

        The block does its work in `command.transaction` and leaves its answer in `command.result`; when `command.replayed` is set it
        was done before and the block must change nothing.
        """
        with self._writer:
            known = self._answered(key)
            if known is not None:
                yield Command(Transaction(self._cursor(), self.epochs, {}), known)
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
                        self.journal.abort(key)
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
        keys = set(self.arrow("SELECT idem_key FROM command").column(0).to_pylist())
        self._keys = {hash(key) for key in keys}
        return keys

    def _answered(self, key: str) -> dict[str, Any] | None:
        """The answer a command got, if it was committed; looked for only when a command may have had that key."""
        with self._writer:
            if self._keys is None:
                self.known_keys()
            assert self._keys is not None
            found = self.row("SELECT result FROM command WHERE idem_key = ?", [key]) if hash(key) in self._keys else None
            self._keys.add(hash(key))
        return None if found is None else dict(json.loads(found["result"]))

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; called when idle, after bulk loads and before closing."""
        with self._writer:
            try:
                self._cursor().execute("CHECKPOINT").fetchall()
            except duckdb.TransactionException:
                return  # somebody is reading; what was committed is safe in the log, and the next idle moment tries again
            except LOST:
                self.reopen()
                raise

    def reopen(self) -> None:
        """Open the library anew after DuckDB has given it up. Every cursor is closed first: one left open would hold the old file, and drop the lock
        of the new one when it goes.

        Raises:
            duckdb.Error: it does not open yet, the disk may still be full; the next read or write tries again.
        """
        with self._writer, self._gate.shut():
            self._close_connections()
            self._root = self._connect()
            self._forget()

    def _forget(self) -> None:
        """Nothing that was read before is known any more."""
        self._given, self._keys = {}, None
        self.epochs.forget()
        self._remembered.clear()

    def _close_connections(self) -> None:
        for cursor in list(self._cursors):
            cursor.close()
        self._root.close()

    def rewrite(self, copied: Callable[[Path], None]) -> None:
        """Write the whole library into a new file and put it in the place of the old one: what was only marked as deleted, or is still in the
        write-ahead log, is in neither. Writers and readers wait. Killed at any moment, the old file or the new one is there, whole.

        Args:
            copied: called with the new file, closed, before it takes the old one's place.

        Raises:
            duckdb.Error: it could not be written; nothing was changed.
        """
        fresh = self.path.with_name("library.rewritten.duckdb")
        fresh.unlink(missing_ok=True)
        repair.log_of(fresh).unlink(missing_ok=True)
        with self._writer:
            cursor = self._root.cursor()
            try:
                cursor.execute(f"ATTACH '{_quoted(fresh)}' AS rewritten").fetchall()
                try:
                    cursor.execute("COPY FROM DATABASE library TO rewritten").fetchall()
                    cursor.execute("CHECKPOINT rewritten").fetchall()
                finally:
                    cursor.execute("DETACH rewritten").fetchall()
            finally:
                cursor.close()
            # The new file is open nowhere now, so opening it drops no lock of DuckDB's; the old one must never be opened by other means.
            sync_file(fresh)
            copied(fresh)
            with self._gate.shut():
                self._swap(fresh)

    def back_up(self, target: Path) -> None:
        """Write a copy of the library as it is now. Writers wait until it is made; readers only while the write-ahead log is folded in.

        Raises:
            duckdb.Error, OSError: it could not be made; no half of it stays.
        """
        with self._writer:
            with self._gate.shut():
                self._root.execute("CHECKPOINT").fetchall()
            last = self.rows("SELECT coalesce(max(seq), 0) AS seq FROM command")[0]["seq"]
            with atomic_path(target) as path:
                backups.copy(self.path, path)
                if backups.examine(path) != last:
                    raise duckdb.IOException(f"{target.name} does not hold the newest change")

    def restore(self, source: Path, kept: Path) -> None:
        """Put a copy of a backup in the library's place and bring its schema up to date; the file there was is kept as `kept`.

        Writers and readers wait. Killed at any moment, the old file or the backup is there, whole.

        Raises:
            duckdb.Error: the backup cannot be read; nothing was changed.
        """
        fresh = self.path.with_name("library.restored.duckdb")
        with self._writer, self._gate.shut():
            shutil.copyfile(source, fresh)
            try:
                backups.examine(fresh)
                sync_file(fresh)
                self._swap(fresh, kept)
            finally:
                fresh.unlink(missing_ok=True)

    def _swap(self, fresh: Path, kept: Path | None = None) -> None:
        """Put the new file in the old one's place, which stays as `kept`. A cursor left open would keep the old file in use: all are closed first."""
        wal = repair.log_of(self.path)
        try:
            self._root.execute("CHECKPOINT").fetchall()
            self._close_connections()
            if wal.exists():
                raise duckdb.IOException(f"{wal} is still there")
            if kept is not None:
                os.link(self.path, kept)
            commit_point("library.before_swap")
            fresh.replace(self.path)
            sync_folder(self.home)
            commit_point("library.swapped")
        finally:
            self._root = migrations.open_current(self.path, self._connect)
            self._forget()

    def close(self) -> None:
        """Checkpoint, close the file and let the lock go."""
        with self._writer:
            self.checkpoint()
            self._root.close()
            self.journal.close()
            self._lock_file.close()


def _quoted(path: Path) -> str:
    """A path inside a quoted SQL string."""
    return str(path).replace("'", "''")


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # DuckDB has already ended the transaction


@contextmanager
def _incoming(cursor: duckdb.DuckDBPyConnection, rows: pa.Table) -> Iterator[None]:
    cursor.register("incoming", rows)
    try:
        yield
    finally:
        cursor.unregister("incoming")


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any], incoming: pa.Table | None = None) -> list[dict[str, Any]]:
    with nullcontext() if incoming is None else _incoming(cursor, incoming):
        result = cursor.execute(sql, list(parameters))
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _cell(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, dict) else value
