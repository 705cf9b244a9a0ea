"""The process a query in SQL is answered in: an empty in-memory DuckDB with nothing around it, in a process that may not grow.

Reads one JSON object on stdin (sql, tables: name -> Arrow file, rows, seconds, memory_mb), writes one on stdout (columns, rows, more; or
refused, wrong).
"""

from __future__ import annotations

import json
import math
import sys
import threading
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

LONGEST_CELL = 2_000
LONGEST_LIST = 200


def closed(memory_mb: int) -> duckdb.DuckDBPyConnection:
    """An in-memory database that reaches nothing: no file, no network, no extension, no variable of this process."""
    connection = duckdb.connect(":memory:", config={"memory_limit": f"{memory_mb}MB", "threads": "1"})
    # In this order: the last one locks the others, and nothing but a new connection undoes it.
    for setting in (
        "temp_directory = ''",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}").fetchall()
    return connection


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Copy the tables in, answer, and say it in JSON."""
    connection = closed(asked["memory_mb"])
    clock = threading.Timer(asked["seconds"], connection.interrupt)
    clock.daemon = True
    try:
        for name, file in asked["tables"].items():
            with pa.memory_map(file) as source:
                connection.register("incoming", pa.ipc.open_file(source).read_all())
                connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming').fetchall()
                connection.unregister("incoming")
        # DuckDB forgets what its functions allocate for themselves, so the process has a limit too.
        _limit(asked["memory_mb"])
        clock.start()
        reader: pa.RecordBatchReader = connection.execute(asked["sql"]).to_arrow_reader(asked["rows"] + 1)
        rows: list[list[Any]] = []
        for batch in reader:
            rows += [[_cell(value) for value in row] for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
            if len(rows) > asked["rows"]:
                break
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        return {"refused": f"The query needs more than {asked['memory_mb']} MB of memory."}
    except duckdb.InterruptException:
        return {"refused": f"The query took longer than {asked['seconds']:g} s."}
    except duckdb.PermissionException as error:
        return {"refused": f"The query may not do that: {first_line(error)}"}
    except (duckdb.Error, pa.ArrowException) as error:
        return {"wrong": first_line(error)}
    return {"columns": list(reader.schema.names), "rows": rows[: asked["rows"]], "more": len(rows) > asked["rows"]}


def _limit(memory_mb: int) -> None:
    """Let this process grow by no more than twice the memory of the database. Linux only; elsewhere the database's own limit stands alone."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (mapped + (2 * memory_mb << 20), resource.RLIM_INFINITY))


def first_line(error: Exception) -> str:
    """What DuckDB says, without the query it repeats."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_cell(item) for item in value[:LONGEST_LIST]]
    if isinstance(value, dict):
        return {str(key): _cell(item) for key, item in list(value.items())[:LONGEST_LIST]}
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))
