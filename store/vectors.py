"""LanceDB: a rebuildable index of exemplar vectors, one table per embedding space.

Write order: vectors with their run id, `syncfs` (LanceDB itself never flushes to disk), then the DuckDB commit that refers to them. What a
crash leaves behind belongs to a run that was never committed and is swept at start-up. LanceDB is imported on first use: it costs
seconds, and an engine that only answers questions does without it.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.commit_point import commit_point

if TYPE_CHECKING:
    from store.database import Database


class Vectors:
    """Exemplar vectors of tracks, by embedding space. Only the owner of the database may use it: LanceDB does not tolerate two writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection: Any = None
        self._lock = threading.Lock()

    def _open(self) -> Any:
        if self._connection is None:
            import lancedb

            self.folder.mkdir(parents=True, exist_ok=True)
            self._connection = lancedb.connect(str(self.folder))
        return self._connection

    def _table(self, space: str) -> Any | None:
        name = _table_name(space)
        return self._open().open_table(name) if name in self._open().list_tables().tables else None

    def has(self, space: str) -> bool:
        """Whether the space has a table; LanceDB is not loaded to find out."""
        return (self.folder / f"{_table_name(space)}.lance").is_dir()

    def add(self, space: str, run_id: int, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Replace the vectors of one run by these, durably.

        Args:
            ids: (n,) vector ids, unique in the space.
            vectors: (n, dims) L2-normalised.
        """
        if not len(ids):
            return
        dims = vectors.shape[1]
        rows = pa.table(
            {
                "vector_id": pa.array(ids, pa.int64()),
                "run_id": pa.array(np.full(len(ids), run_id), pa.int64()),
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), dims),
            }
        )
        with self._lock:
            table = self._table(space)
            if table is None:
                self._open().create_table(_table_name(space), rows)
            else:
                table.delete(f"run_id = {run_id}")
                table.add(rows)
        commit_point("vectors.added")
        _sync_filesystem(self.folder)
        commit_point("vectors.synced")

    def of_runs(self, space: str, run_ids: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids (n,) and vectors (n, dims) of some runs, by id."""
        with self._lock:
            table = self._table(space) if run_ids else None
            if table is None:
                return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
            found = table.search().where(f"run_id IN ({', '.join(map(str, run_ids))})").limit(table.count_rows()).to_arrow().sort_by("vector_id")
        if not found.num_rows:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
        flat = found["vector"].combine_chunks().flatten().to_numpy()
        return found["vector_id"].to_numpy(), flat.reshape(found.num_rows, -1).astype(np.float32)

    def sweep(self, database: Database) -> int:
        """At start-up: remove runs that were never committed with their vectors, the vectors of runs that were removed, and what killed writers left;
        returns rows removed.

        LanceDB is not even loaded when the database knows of nothing to sweep.
        """
        orphans = database.rows("SELECT run_id, space FROM run WHERE state = 'loading'")
        removed = self.collect(database)
        if orphans and self.folder.exists():
            for leftover in self.folder.glob("**/.tmp*"):
                leftover.unlink(missing_ok=True)
            removed += sum(self._remove(str(orphan["space"]), orphan["run_id"]) for orphan in orphans)
        if orphans:
            _drop_unfinished(database)
        return removed

    def collect(self, database: Database) -> int:
        """Remove the vectors of runs that were removed; returns rows removed."""
        removed = 0
        for row in database.rows("SELECT run_id, space FROM vector_gc"):
            removed += self._remove(str(row["space"]), row["run_id"]) if self.folder.exists() else 0
            with database.write() as transaction:
                transaction.execute("DELETE FROM vector_gc WHERE run_id = ? AND space = ?", [row["run_id"], row["space"]])
        return removed

    def erase(self, ids: dict[str, list[int]]) -> None:
        """Write every table anew without some vectors (ids by space), and remove every earlier version, the vectors of removed runs in them too."""
        if not self.folder.exists():
            return
        gone = {_table_name(space): sorted(wanted) for space, wanted in ids.items()}
        with self._lock:
            for name in self._open().list_tables().tables:
                table = self._open().open_table(name)
                rows = table.search().limit(max(1, table.count_rows())).to_batches()
                wanted = np.array(gone.get(name, []), np.int64)
                kept = (batch.filter(pa.array(~np.isin(batch["vector_id"].to_numpy(), wanted))) for batch in rows)
                new = self._open().create_table(name, pa.RecordBatchReader.from_batches(table.schema, kept), mode="overwrite")
                with warnings.catch_warnings():
                    # It warns of other readers; the owner of the library has none.
                    warnings.simplefilter("ignore", UserWarning)
                    new.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
            for leftover in self.folder.glob("**/.tmp*"):
                leftover.unlink(missing_ok=True)
        _sync_filesystem(self.folder)

    def versions(self) -> Iterator[tuple[str, pa.Table]]:
        """(`table @ version`, rows) of every version of every table that can still be read."""
        if not self.folder.exists():
            return
        with self._lock:
            for name in self._open().list_tables().tables:
                table = self._open().open_table(name)
                for version in table.list_versions():
                    table.checkout(version["version"])
                    yield f"{name} @ {version['version']}", table.search().limit(max(1, table.count_rows())).to_arrow()

    def _remove(self, space: str, run_id: int) -> int:
        with self._lock:
            table = self._table(space)
            if table is None:
                return 0
            before = int(table.count_rows())
            table.delete(f"run_id = {run_id}")
            return before - int(table.count_rows())


def _drop_unfinished(database: Database) -> None:
    """Remove runs that never got to their commit. Nobody ever saw their ids: the newest are given again."""
    with database.write() as transaction:
        gone = [row["run_id"] for row in transaction.rows("DELETE FROM run WHERE state = 'loading' RETURNING run_id")]
        for run_id in sorted(gone, reverse=True):
            transaction.execute("UPDATE counter SET last = last - 1 WHERE name = 'run' AND last = ?", [run_id])


def _table_name(space: str) -> str:
    return "track_" + re.sub(r"[^A-Za-z0-9_.-]", "_", space)


def _sync_filesystem(folder: Path) -> None:
    """`syncfs` where the platform has it, else `sync`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
        if syncfs is None or syncfs(handle) != 0:
            os.sync()
    finally:
        os.close(handle)
