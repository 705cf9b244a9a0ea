"""The content of a library, read by DuckDB and LanceDB alone while no engine runs: what two libraries must agree in to be equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import lancedb

TABLES = (
    "show",
    "episode",
    "person",
    "run",
    "segment",
    "shot",
    "detection",
    "track",
    "track_embedding",
    "cluster",
    "membership",
    "posterior",
    "machine_label",
    "assignment",
    "screen_time",
    "co_presence",
)
VOLATILE = {"created_at", "committed_at", "added_at", "path", "settled_seq"}
"""Columns that say when and where, not what."""


def library(home: Path, besides: frozenset[str] = frozenset()) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows in an order of their own, without times and places, nor the columns `besides`; and the vectors, by id."""
    connection = duckdb.connect(str(home / "library.duckdb"), read_only=True)
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in TABLES:
        names = [row[0] for row in connection.execute(f'DESCRIBE "{table}"').fetchall() if row[0] not in VOLATILE | besides]
        rows = connection.execute(f'SELECT {", ".join(names)} FROM "{table}"').fetchall()
        found[table] = sorted(rows, key=repr)
    connection.close()
    vectors = lancedb.connect(str(home / "vectors"))
    for name in vectors.list_tables().tables:
        table = vectors.open_table(name)
        rows = table.search().limit(1_000_000).to_arrow().to_pylist()
        found[name] = sorted((row["vector_id"], row["run_id"], tuple(row["vector"])) for row in rows)
    return found
