"""The append-only journal of commands: one JSON line each, fsynced just before the database commit it stands for.

A line whose commit failed is followed by an abort line with the same key. At start-up every line that is neither aborted nor known
to the database is replayed, so a database restored from a backup catches up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """One file of lines `{"key", "at", "actor", "operation", "parameters"}` or `{"abort": key}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._end_torn_line()
        self._file = path.open("ab")

    def _end_torn_line(self) -> None:
        """A crash in mid-write leaves a line without an end; close it so that the next one stands alone."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return
        with self.path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

    def append(self, line: dict[str, Any]) -> None:
        """Write one line and wait until it is on disk."""
        self._file.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def lines(self) -> Iterator[dict[str, Any]]:
        """All whole lines, oldest first; a torn line was never acknowledged and is passed over."""
        with self.path.open("rb") as file:
            for raw in file:
                try:
                    yield json.loads(raw)
                except ValueError:
                    continue

    def pending(self, known: set[str]) -> list[dict[str, Any]]:
        """Lines that should have been committed but are not `known` to the database, oldest first."""
        lines = list(self.lines())
        aborted = {line["abort"] for line in lines if "abort" in line}
        return [line for line in lines if "key" in line and line["key"] not in known and line["key"] not in aborted]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
