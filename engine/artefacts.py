"""Stage results on disk: folders of Parquet tables and arrays, written whole or not at all, found again by their key.

The artefact is the checkpoint: resuming, rebuilding and equality after a crash all rest on a folder that is either complete or absent.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import StoreError
from engine.tables import CHIPS, Observed, SegmentWindow, Tracked
from store.atomic import atomic_path, sync_folder
from store.commit_point import commit_point

Kind = Literal["observe", "track", "identify"]

FEW_ROWS = 64
"""Rows read at a time of a table that is not wanted whole."""


class Artefacts:
    """Artefacts of a workspace, by kind and key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: Kind, key: str) -> Path:
        """Where the artefact is, or would be."""
        return self.folder / kind / key[:2] / key

    def exists(self, kind: Kind, key: str) -> bool:
        """Whether the artefact is there, whole."""
        return self.path(kind, key).is_dir()

    def take(self, kind: Kind, key: str) -> bool:
        """Whether the artefact is there, whole; to whoever removes old ones it is as good as made now."""
        try:
            os.utime(self.path(kind, key))
        except FileNotFoundError:
            return False
        return True

    def write(self, kind: Kind, key: str, *, tables: dict[str, pa.Table], arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Write an artefact; one that is already there stays, since equal keys mean equal content."""
        target = self.path(kind, key)
        if target.is_dir():
            return
        temporary = target.with_name(f".{key}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            for name, table in tables.items():
                pq.write_table(table, temporary / f"{name}.parquet", compression="zstd")
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array)
            (temporary / "meta.json").write_text(json.dumps(meta, sort_keys=True))
            for file in temporary.iterdir():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
            sync_folder(temporary)
            commit_point("artefact.before_rename")
            if not target.is_dir():
                temporary.rename(target)
                sync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def remove(self, kind: Kind, key: str) -> None:
        """Remove an artefact; one that is not there is no error."""
        shutil.rmtree(self.path(kind, key), ignore_errors=True)

    def listed(self) -> list[tuple[Kind, str]]:
        """Every whole artefact."""
        kinds: tuple[Kind, ...] = ("observe", "track", "identify")
        return [(kind, path.name) for kind in kinds for path in sorted((self.folder / kind).glob("*/*")) if not path.name.startswith(".")]

    def leftovers(self) -> list[Path]:
        """Half-written artefacts that killed workers left behind."""
        return sorted(path for path in self.folder.glob("*/*/.*") if path.is_dir())

    def replace(self, kind: Kind, key: str, *, tables: dict[str, pa.Table], arrays: dict[str, NDArray[Any]]) -> None:
        """Write parts of an artefact anew under its key, each file whole or not at all: the one change to finished results there is, for what must
        not be kept. A reader that has the old file open keeps reading that."""
        folder = self.path(kind, key)
        for name, table in tables.items():
            with atomic_path(folder / f"{name}.parquet") as path:
                pq.write_table(table, path, compression="zstd")
        for name, array in arrays.items():
            with atomic_path(folder / f"{name}.npy") as path, path.open("wb") as file:
                np.save(file, array)

    def table(self, kind: Kind, key: str, name: str, columns: list[str] | None = None) -> pa.Table:
        """One table of an artefact, or some columns of it.

        Raises:
            StoreError: the artefact is damaged; it is removed, so that a retry computes it again.
        """
        try:
            # One thread and no reading ahead: these files are small and on this machine, and every thread keeps buffers of its own.
            return pq.read_table(self.path(kind, key) / f"{name}.parquet", memory_map=True, columns=columns, use_threads=False, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(kind, key, error) from error

    def batches(self, kind: Kind, key: str, name: str) -> Iterator[pa.RecordBatch]:
        """A table of an artefact a few rows at a time, for one that holds pictures.

        Raises:
            StoreError: as for `table`.
        """
        try:
            with pq.ParquetFile(self.path(kind, key) / f"{name}.parquet", memory_map=True, pre_buffer=False) as file:
                yield from file.iter_batches(batch_size=FEW_ROWS, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(kind, key, error) from error

    def _damaged(self, kind: Kind, key: str, error: Exception) -> StoreError:
        """Removes the artefact."""
        self.remove(kind, key)
        return StoreError(f"The kept result {kind}/{key} was damaged ({error}) and was removed.", "Retry the job: it is computed again.")

    def array(self, kind: Kind, key: str, name: str, *, mapped: bool = False) -> NDArray[Any]:
        """One array of an artefact; `mapped` reads only the rows that are used."""
        return np.asarray(np.load(self.path(kind, key) / f"{name}.npy", mmap_mode="r" if mapped else None))

    def meta(self, kind: Kind, key: str) -> dict[str, Any]:
        """The small facts kept with an artefact."""
        found: dict[str, Any] = json.loads((self.path(kind, key) / "meta.json").read_text())
        return found

    def write_observed(self, key: str, observed: Observed) -> None:
        """Keep what `observe` saw in a segment."""
        tables = {"frames": observed.frames, "cuts": observed.cuts, "detections": observed.detections, "chips": observed.chips}
        meta = {"window": vars(observed.window), "step_us": observed.step_us, "frame_size": list(observed.frame_size)}
        self.write("observe", key, tables=tables, arrays={}, meta=meta)
        commit_point("observe.written")

    def observed(self, key: str, *, pictures: bool = True) -> Observed:
        """What `observe` saw in a segment; the chips without their pictures (the column `jpeg`) take a thirtieth of the memory."""
        columns = {"chips": None if pictures else [name for name in CHIPS.names if name != "jpeg"]}
        meta = self.meta("observe", key)
        return Observed(
            window=SegmentWindow(**meta["window"]),
            step_us=meta["step_us"],
            frame_size=(meta["frame_size"][0], meta["frame_size"][1]),
            **{name: self.table("observe", key, name, columns.get(name)) for name in ("frames", "cuts", "detections", "chips")},
        )

    def write_tracked(self, key: str, tracked: Tracked) -> None:
        """Keep the tracks of a segment."""
        tables = {"tracked": tracked.tracked, "picks": tracked.picks}
        self.write("track", key, tables=tables, arrays={"vectors": tracked.vectors}, meta={"window": vars(tracked.window)})
        commit_point("track.written")

    def tracked(self, key: str) -> Tracked:
        """The tracks of a segment."""
        return Tracked(
            window=SegmentWindow(**self.meta("track", key)["window"]),
            tracked=self.table("track", key, "tracked"),
            picks=self.table("track", key, "picks"),
            vectors=self.array("track", key, "vectors"),
        )
