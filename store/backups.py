"""Backups: whole copies of the library in `backups/`, the newest of which are kept."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from store import migrations

STAMP = re.compile(r"(\d{8}T\d{6})\.duckdb$")
OURS = "library-2*.duckdb"
"""Copies made by `store backup`; those made before a change of schema and after a forgetting have other names and stay."""

COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def stamp() -> str:
    """The present moment as it stands in file names."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S")


def folder(home: Path) -> Path:
    """Where a workspace keeps its backups."""
    return home / "backups"


def listed(home: Path) -> list[Path]:
    """Every copy of the library there is, newest first."""
    found = [(match[1], path) for path in folder(home).glob("*.duckdb") if (match := STAMP.search(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def copy(source: Path, target: Path) -> None:
    """Copy a database file in a child process: were the owner to open its own file, closing it again would drop DuckDB's lock.

    Raises:
        OSError: it could not be copied; what was written of it is still there.
    """
    child = subprocess.run([sys.executable, "-I", "-S", "-c", COPY, str(source), str(target)], capture_output=True, text=True, check=False)
    if child.returncode:
        raise OSError(f"{source} could not be copied: {child.stderr.strip().splitlines()[-1] if child.stderr.strip() else 'the child was killed'}")


def examine(path: Path) -> int:
    """Read every cell of a closed copy of the library, changing nothing; returns its last command, 0 when there is none.

    Raises:
        duckdb.Error: it is damaged, is no library, or was written by a newer version.
    """
    if not path.exists():
        raise duckdb.IOException(f"{path} is not there")
    with duckdb.connect(str(path), read_only=True, config={"memory_limit": "512MB", "autoload_known_extensions": "false"}) as connection:
        tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        if not {"schema_version", "command"} <= set(tables):
            raise duckdb.DataError(f"{path.name} is not a library")
        version = connection.execute("SELECT max(version) FROM schema_version").fetchall()[0][0]
        if not 0 < version <= migrations.steps()[-1][0]:
            raise duckdb.DataError(f"{path.name} has schema {version}, which this version does not know")
        for table in tables:
            connection.execute(f'SELECT max(hash(t)) FROM "{table}" t').fetchall()
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM command").fetchall()[0][0])


def keys(path: Path) -> set[str]:
    """Keys of the commands a backup knows."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return {row[0] for row in connection.execute("SELECT idem_key FROM command").fetchall()}


def rotate(home: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` of our own backups; returns those removed."""
    old = sorted(folder(home).glob(OURS), reverse=True)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def age_s(home: Path) -> float | None:
    """Seconds since the newest backup of our own was made; None: there is none."""
    made = [datetime.strptime(match[1], "%Y%m%dT%H%M%S") for path in folder(home).glob(OURS) if (match := STAMP.search(path.name))]
    return (datetime.now(UTC).replace(tzinfo=None) - max(made)).total_seconds() if made else None
