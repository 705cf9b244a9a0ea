"""The append-only journal of commands: one JSON line each, fsynced just before the database commit it stands for.

A line whose commit failed is followed by an abort line with the same key. At start-up every line that is neither aborted nor known to the database
is replayed, so a database restored from a backup catches up; one that the engine then refuses is settled by a line that says why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from store.atomic import atomic_path


class Journal:
    """One file of lines `{"key", "at", "actor", "operation", "parameters"}` (with "facts" where a change can be made again without them),
    `{"abort": key}` or `{"refused": key, "reason"}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._end_torn_line()
        self._file = path.open("ab", buffering=0)
        self.replaying: set[str] = set()
        self._last = 0

    def _end_torn_line(self) -> None:
        """A crash in mid-write leaves a line without an end; close it so that the next one stands alone."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return
        with self.path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

    def append(self, line: dict[str, Any]) -> None:
        """Write one line and wait until it is on disk; when that fails the file is as it was. A line being replayed is there already.

        Raises:
            OSError: the disk is full or gone.
        """
        if line.get("key") in self.replaying:
            return
        length = self._last = os.fstat(self._file.fileno()).st_size
        try:
            left = memoryview(_encoded(line))
            while left:  # a disk that is nearly full takes a part, and says why when given the rest
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except BaseException:  # whatever stopped it, half a line must not stay
            self._file.truncate(length)
            raise

    def abort(self, key: str) -> None:
        """Say that the line written last was not committed; on a full disk the line is taken back instead.

        Raises:
            OSError: not even that could be done.
        """
        if key in self.replaying:
            return  # that line is an older one, which was acknowledged
        last = self._last
        try:
            self.append({"abort": key})
        except OSError:
            self._file.truncate(last)
            os.fsync(self._file.fileno())

    def lines(self) -> Iterator[dict[str, Any]]:
        """All whole lines, oldest first; a torn line was never acknowledged and is passed over."""
        with self.path.open("rb") as file:
            for raw in file:
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    yield line

    def pending(self, known: set[str]) -> list[dict[str, Any]]:
        """Lines that should have been committed but are not `known` to the database, oldest first."""
        waiting: dict[str, dict[str, Any]] = {}
        for line in self.lines():
            waiting.pop(str(line.get("abort") or line.get("refused")), None)
            if "key" in line and line["key"] not in known:
                waiting[line["key"]] = line
        return list(waiting.values())

    def refused(self) -> list[str]:
        """Why lines could not be replayed, oldest first."""
        return [str(line["reason"]) for line in self.lines() if "refused" in line]

    def rewrite(self, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Write the journal anew, each line as `changed` gives it back; killed at any moment the old one or the new one is there, whole.

        Torn lines, which were never acknowledged, are left out.
        """
        with atomic_path(self.path) as path, path.open("wb") as file:
            for line in self.lines():
                file.write(_encoded(changed(line)))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _encoded(line: dict[str, Any]) -> bytes:
    return to_json(line, fallback=str) + b"\n"
