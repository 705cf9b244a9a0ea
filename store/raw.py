"""Looking for bytes in every file of a folder: `python -m store.raw`, asked on stdin, answers on stdout.

A process of its own: opening and closing the library's file in the process that owns it would drop DuckDB's lock.
"""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """Bytes looked for; where they are part of one of `within` they do not count."""

    kind: str
    data: bytes
    within: tuple[bytes, ...]

    def as_json(self) -> dict[str, Any]:
        """For a pipe."""
        return {"kind": self.kind, "data": self.data.hex(), "within": [one.hex() for one in self.within]}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Pattern:
        """What `as_json` wrote."""
        return cls(found["kind"], bytes.fromhex(found["data"]), tuple(bytes.fromhex(one) for one in found["within"]))

    def count(self, data: mmap.mmap | bytes) -> int:
        """How often it is there."""
        found, at = 0, data.find(self.data)
        while at >= 0:
            found += not any(self._inside(data, at, one) for one in self.within)
            at = data.find(self.data, at + len(self.data))
        return found

    def _inside(self, data: mmap.mmap | bytes, at: int, longer: bytes) -> bool:
        offset = longer.find(self.data)
        while offset >= 0:
            if at >= offset and data[at - offset : at - offset + len(longer)] == longer:
                return True
            offset = longer.find(self.data, offset + 1)
        return False


def search(folder: Path, patterns: Sequence[Pattern], skip: set[str]) -> dict[str, int]:
    """file -> how often any pattern is in it; files without any are left out, and what lies under the names in `skip` is not read."""
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.relative_to(folder).parts[0] in skip:
            continue
        try:
            with path.open("rb") as file:
                if path.stat().st_size:
                    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                        if count := sum(pattern.count(data) for pattern in patterns):
                            found[str(path)] = count
        except FileNotFoundError:
            continue
    return found


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answer = search(Path(asked["folder"]), [Pattern.from_json(one) for one in asked["patterns"]], set(asked["skip"]))
    json.dump(answer, sys.stdout)
