"""Looking for somebody in a workspace by other means than the engine's own scan: DuckDB, LanceDB, pyarrow and numpy, while no engine runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import duckdb
import lancedb
import numpy as np
import pyarrow.parquet as pq


class Looking:
    """What is looked for: names whatever their case, vectors within 1e-3, pictures by digest."""

    def __init__(self, names: Sequence[str], vectors: Sequence[Any], pictures: Collection[str]) -> None:
        self.names = [name.casefold() for name in names]
        self.vectors = [np.asarray(vector, np.float32) for vector in vectors]
        self.pictures = pictures

    def in_value(self, value: Any) -> bool:
        """In one decoded value."""
        if isinstance(value, bytes):
            return hashlib.sha256(value).hexdigest() in self.pictures
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], float):
            return self.in_matrix(np.array([value], np.float32))
        text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), str(value)).casefold()
        return any(name in text for name in self.names) or any(digest in text for digest in self.pictures)

    def in_matrix(self, matrix: np.ndarray) -> bool:
        """In the rows of a matrix."""
        same = [vector for vector in self.vectors if matrix.ndim == 2 and matrix.shape[1] == len(vector)]
        return any(bool((np.abs(matrix.astype(np.float32) - vector).max(axis=1) < 1e-3).any()) for vector in same)

    def in_rows(self, rows: Sequence[dict[str, Any]]) -> bool:
        """In rows of a table."""
        return any(self.in_value(value) for row in rows for value in row.values())

    def in_library(self, path: Path) -> set[str]:
        """Tables of a library, or a copy, that hold something."""
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            return {table for table in tables if self.in_rows(connection.sql(f'SELECT * FROM "{table}"').to_arrow_table().to_pylist())}

    def in_file(self, path: Path, name: str) -> bool:
        """In a file, decoded as its name says."""
        if path.suffix == ".parquet":
            return self.in_rows(pq.read_table(path).to_pylist())
        if path.suffix == ".npy":
            return self.in_matrix(np.load(path))
        if path.suffix == ".npz":
            return any(self.in_matrix(part) for part in np.load(path).values())
        if path.suffix in (".jpg", ".jsonl", ".txt", ".csv", ".json") or path.name.startswith("engine.log"):
            data = path.read_bytes()
            words = "" if path.suffix == ".jpg" else data.decode("utf-8", "ignore")
            return self.in_value(data) or self.in_value(words) or self.in_value(name)
        return False

    def in_bytes(self, data: bytes) -> bool:
        """In raw bytes."""
        names = any(form.encode() in data for name in self.names for form in (name, name.title(), name.upper()))
        return names or any(vector[:8].astype(kind).tobytes() in data for vector in self.vectors for kind in (np.float32, np.float16))


def traces(home: Path, looking: Looking) -> dict[str, set[str]]:
    """place -> what there holds something; places that hold nothing are left out."""
    found: dict[str, set[str]] = {"rows": looking.in_library(home / "library.duckdb"), "vectors": set(), "bytes": set()}
    connection = lancedb.connect(str(home / "vectors"))
    for name in connection.list_tables().tables:
        table = connection.open_table(name)
        for version in table.list_versions():
            table.checkout(version["version"])
            rows = table.search().limit(10_000).to_arrow()["vector"].to_pylist()
            if rows and looking.in_matrix(np.stack(rows)):
                found["vectors"].add(f"{name} @ {version['version']}")
    for path in home.rglob("*"):
        if not path.is_file():
            continue
        name, place = str(path.relative_to(home)), path.relative_to(home).parts[0]
        if looking.in_bytes(path.read_bytes()):
            found["bytes"].add(name)
        if path.suffix == ".duckdb" and path.parent != home:
            found.setdefault(place, set()).update(f"{name}: {table}" for table in looking.in_library(path))
        elif looking.in_file(path, name):
            found.setdefault(place, set()).add(name)
    return {place: things for place, things in found.items() if things}
