"""Numbered SQL steps in `schema/`, each applied once in its own transaction; a backup is made before an existing library is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import duckdb

from store.errors import NewerSchema

Connect = Callable[[], duckdb.DuckDBPyConnection]


def steps() -> list[tuple[int, str]]:
    """(number, SQL) of every step, in order."""
    files = sorted((entry for entry in resources.files("store.schema").iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [(int(entry.name.split("_")[0]), entry.read_text()) for entry in files]


def open_current(path: Path, connect: Connect) -> duckdb.DuckDBPyConnection:
    """Open the database with the newest schema this version knows.

    Raises:
        NewerSchema: a newer version wrote it; the file is left as it was.
    """
    existed = path.exists()
    connection = connect()
    found, known = _version(connection), steps()[-1][0]
    if found == known:
        return connection
    if found > known:
        connection.close()
        raise NewerSchema(found, known)
    if existed and found:
        # The copy is made while nobody has the file open: opening it a second time in this process would drop DuckDB's own lock.
        connection.execute("CHECKPOINT").fetchall()
        connection.close()
        _back_up(path, found)
        connection = connect()
    for number, sql in steps():
        if number > found:
            _apply(connection, number, sql)
    connection.execute("CHECKPOINT").fetchall()
    return connection


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    tables = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_name = 'schema_version'").fetchall()
    if not tables[0][0]:
        return 0
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchall()[0][0])


def _apply(connection: duckdb.DuckDBPyConnection, number: int, sql: str) -> None:
    connection.begin()
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)").fetchall()
        connection.execute(sql).fetchall()
        stamp = datetime.now(UTC).replace(tzinfo=None)
        connection.execute("INSERT INTO schema_version VALUES (?, ?)", [number, stamp]).fetchall()
    except BaseException:  # a step is whole or not at all
        connection.rollback()
        raise
    connection.commit()


def _back_up(path: Path, version: int) -> Path:
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    target = folder / f"library-schema{version}-{stamp}.duckdb"
    shutil.copy2(path, target)
    return target
