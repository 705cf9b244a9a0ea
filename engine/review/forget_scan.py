"""Looking for somebody in everything a workspace holds: decoded rows and raw bytes. Run before a forgetting it must find, after it nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.review.scrub import Scrub
from store import backups, erase
from store.media import Media
from store.raw import Pattern

if TYPE_CHECKING:
    from engine.service import Engine
    from store.database import Reader

NEAR = 1e-3
"""Two vectors are one when no component differs by more."""

PATTERN_VALUES = 8
"""Leading components of a vector that are looked for as bytes."""

SHORTEST_RAW = 5
"""Bytes; shorter names turn up in compressed data by chance, so they are looked for in decoded data alone."""

OWN = {"library.lock", "forgetting.json", "models"}
"""In the workspace, and not about anybody; the marker of the forgetting under way goes last."""


@dataclass(frozen=True)
class Canary:
    """What is looked for: names (by `scrub`), vectors (each (dims,)), digests of pictures."""

    scrub: Scrub
    vectors: tuple[NDArray[np.float32], ...]
    digests: frozenset[str]

    def patterns(self) -> list[Pattern]:
        """The same as bytes, with other text that may hold them."""
        found = []
        for name in self.scrub.names:
            forms = {name, name.lower(), name.upper(), name.title()}
            written = sorted(forms | {json.dumps(form)[1:-1] for form in forms})
            found += [Pattern("name", form.encode(), self._around(form)) for form in written if len(form.encode()) >= SHORTEST_RAW]
        for vector in self.vectors:
            heads = [vector[:PATTERN_VALUES].astype(kind).tobytes() for kind in (np.float32, np.float16)]
            found += [Pattern("vector", head, ()) for head in heads]
        return found

    def _around(self, form: str) -> tuple[bytes, ...]:
        """Other text that holds a form of a name and stays."""
        return tuple(one.encode() for one in self.scrub.kept if form in one)

    def names_in(self, text: str) -> int:
        """Whether a decoded text holds a name."""
        return int(bool(self.scrub.names) and self.scrub.mentions(text))

    def pictures_in(self, data: Iterable[bytes | None]) -> int:
        """How many of some pictures are ones looked for."""
        return sum(Media.name(one, "") in self.digests for one in data if one)

    def near(self, matrix: NDArray[Any]) -> int:
        """How many rows of a matrix are a vector looked for."""
        if matrix.ndim != 2 or not len(matrix):
            return 0
        same = [vector for vector in self.vectors if len(vector) == matrix.shape[1]]
        return sum(int((np.abs(matrix.astype(np.float32) - vector).max(axis=1) < NEAR).sum()) for vector in same)


def scan(engine: Engine, canary: Canary) -> dict[str, int]:
    """place -> findings, for every place there is, none included.

    Holds the writer lane while the library's own file is read; that is done by a child process, since opening it here would drop DuckDB's lock.
    """
    found: Counter[str] = Counter(dict.fromkeys(("rows", "vectors", "journal", "backups", "artefacts", "media", "exports", "log", "files"), 0))
    people_of = erase.about(engine.database)
    found["rows"] += rows(engine.database, canary, people_of)
    found["vectors"] += sum(_table(table, canary) for _, table in engine.vectors.versions())
    lines = (line for line in engine.database.journal.lines() if not canary.scrub.spares(people_of.get(str(line.get("key")), ())))
    found["journal"] += sum(_json(line, canary) for line in lines)
    found["backups"] += sum(backup(path, canary) for path in sorted(backups.folder(engine.home).glob("*")))
    found["media"] += sum(name.split(".")[0] in canary.digests for name in engine.media.names())
    with engine.database.exclusive():
        raw = _raw(engine.home, canary.patterns())
    for name, hits in raw.items():
        found[_place(engine.home, Path(name))] += hits
    for path in sorted(engine.home.rglob("*")):
        # The library's own file must not be opened here, see `store.raw`.
        if (
            path.is_file()
            and path.relative_to(engine.home).parts[0] not in OWN
            and not path.is_relative_to(engine.home / "vectors")
            and not path.name.startswith("library.")
        ):
            found[_place(engine.home, path)] += decoded(path, canary)
    return dict(found)


def _place(home: Path, path: Path) -> str:
    first = path.relative_to(home).parts[0]
    if first.startswith("engine.log"):
        return "log"
    return first if first in ("vectors", "journal", "backups", "artefacts", "media", "exports") else "files"


def rows(database: Reader, canary: Canary, people_of: dict[str, frozenset[int]]) -> int:
    """Findings in every column of every table, lines about a namesake apart."""
    count = 0
    for table, column, kind in erase.text_columns(database):
        keyed = table in ("command", "decision")
        select = f'SELECT DISTINCT "{column}" AS cell{", idem_key" if keyed else ""} FROM "{table}" WHERE "{column}" IS NOT NULL'
        if table == "person":
            select += f" AND person_id IN ({', '.join(map(str, sorted(canary.scrub.people)))})"
        for row in database.rows(select) if _words(table, column) else ():
            if not keyed or not canary.scrub.spares(people_of.get(row["idem_key"], ())):
                count += _json(json.loads(row["cell"]) if kind == "JSON" else row["cell"], canary)
        text = f'CAST("{column}" AS VARCHAR)'
        digests = database.rows(f"SELECT DISTINCT unnest(regexp_extract_all({text}, '[0-9a-f]{{64}}')) AS one FROM \"{table}\"")
        count += sum(row["one"] in canary.digests for row in digests)
    for table, column in erase.vector_columns(database):
        values = database.arrow(f'SELECT "{column}" AS v FROM "{table}" WHERE "{column}" IS NOT NULL')["v"].to_pylist()
        for dims in {len(vector) for vector in canary.vectors}:
            matrix = [value for value in values if len(value) == dims]
            count += canary.near(np.array(matrix, np.float32).reshape(-1, dims))
    return count


def _words(table: str, column: str) -> bool:
    return erase.ours(table, column) or (table, column) in (("person", "name"), ("person", "aliases"))


def _json(value: Any, canary: Canary) -> int:
    """Findings in a JSON value."""
    if isinstance(value, str):
        return canary.names_in(value)
    if isinstance(value, dict):
        return sum(_json(part, canary) for pair in value.items() for part in pair)
    if isinstance(value, list):
        if len(value) >= PATTERN_VALUES and all(isinstance(one, float) for one in value):
            return canary.near(np.array([value], np.float32))
        return sum(_json(one, canary) for one in value)
    return 0


def _table(table: pa.Table, canary: Canary) -> int:
    """Findings in an Arrow table: texts, pictures, vectors."""
    count = 0
    for column in table.columns:
        kind = column.type
        if pa.types.is_string(kind):
            count += sum(canary.names_in(text) for text in column.unique().to_pylist() if text)
        elif pa.types.is_binary(kind):
            count += canary.pictures_in(column.to_pylist())
        elif pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type) and len(column):
            flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            count += canary.near(flat.reshape(-1, kind.list_size))
    return count


def backup(path: Path, canary: Canary) -> int:
    """Findings in the rows of a copy of the library; one that cannot be read counts as a finding, since nobody can say what it holds."""
    if path.suffix != ".duckdb":
        return 0
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return rows(_Copy(connection), canary, erase.about(_Copy(connection)))
    except (duckdb.Error, OSError):
        return 1


def knows(path: Path, people: Iterable[int]) -> bool:
    """Whether a copy of the library has a row, not yet a tombstone, of one of some people; True when it cannot be read."""
    wanted = ", ".join(str(one) for one in people)
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute(f"SELECT 1 FROM person WHERE person_id IN ({wanted}) AND erased_at IS NULL LIMIT 1").fetchall()
    except (duckdb.Error, OSError):
        return True
    return bool(rows)


class _Copy:
    """Reads of a library that nobody owns."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Any = ()) -> list[dict[str, Any]]:
        result = self._connection.execute(sql, list(parameters))
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def arrow(self, sql: str, parameters: Any = ()) -> pa.Table:
        return self._connection.sql(sql, params=list(parameters)).to_arrow_table()


def decoded(path: Path, canary: Canary) -> int:
    """Findings in a file whose format hides them from a search for bytes."""
    try:
        if path.suffix == ".parquet":
            return _table(pq.read_table(path), canary)
        if path.suffix == ".npy":
            return canary.near(np.load(path, mmap_mode="r"))
        if path.suffix == ".npz":
            with np.load(path) as found:
                return sum(canary.near(found[name]) for name in found.files)
        if zipfile.is_zipfile(path):
            return sum(_bytes(data, canary) for data in _members(path))
        if path.suffix in (".jpg", ".jpeg", ".png", ".webp"):
            return canary.pictures_in([path.read_bytes()])
        if path.parent.name == "exports" or path.suffix in (".log", ".json", ".csv", ".txt", ".html", ".vtt", ".ass"):
            return canary.names_in(path.name) + _bytes(path.read_bytes(), canary)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, pa.ArrowException, zipfile.BadZipFile):
        return 0  # not what its name says: the search for bytes has read it
    return 0


def _members(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield archive.read(name)


def _bytes(data: bytes, canary: Canary) -> int:
    text = data.decode("utf-8", "ignore")
    return canary.names_in(text) + canary.pictures_in([data]) + sum(digest in text for digest in canary.digests)


def _raw(home: Path, patterns: list[Pattern]) -> dict[str, int]:
    """file -> findings among the bytes of every file of a workspace, by a child process."""
    asked = json.dumps({"folder": str(home), "skip": sorted(OWN), "patterns": [pattern.as_json() for pattern in patterns]})
    done = subprocess.run([sys.executable, "-P", "-m", "store.raw"], input=asked, capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found
