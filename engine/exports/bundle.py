"""ZIP: one analysis whole: what made it (models with digests and licences, settings, counts) and every export of it."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.errors import BadInput
from engine.exports.content import Content
from engine.fingerprint import file_digest
from store import results


@dataclass(frozen=True)
class Member:
    """A file of the bundle and what writes it."""

    name: str
    write: Callable[[Path, Content], int]
    table: str


def write(path: Path, content: Content, members: list[Member]) -> int:
    """Write the bundle; returns the number of files in it. Equal analyses give equal bundles.

    A format that cannot hold this episode is left out, with its reason in `manifest.json`.
    """
    files: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=path.parent) as folder, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for member in members:
            file = Path(folder) / "member"
            try:
                rows = member.write(file, replace(content, table=member.table))
            except BadInput as error:
                left_out.append({"name": member.name, "reason": str(error)})
                continue
            files.append({"name": member.name, "rows": rows, "bytes": file.stat().st_size, "sha256": file_digest(file)})
            with file.open("rb") as source, bundle.open(_entry(content, member.name), "w", force_zip64=True) as target:
                while block := source.read(1 << 20):
                    target.write(block)
        bundle.writestr(_entry(content, "manifest.json"), json.dumps(manifest(content, files, left_out), indent=1, ensure_ascii=False) + "\n")
    return len(files) + 1


def manifest(content: Content, files: list[dict[str, Any]], left_out: list[dict[str, str]]) -> dict[str, Any]:
    """Lineage, counts and the list of files."""
    counts = results.counts(content.database, content.run["run_id"])
    return {**content.lineage, "counts": {**counts, "people": len(content.people)}, "files": files, "left_out": left_out}


def _entry(content: Content, name: str) -> zipfile.ZipInfo:
    """A file's place in the bundle, dated by the analysis."""
    at: datetime = content.run["committed_at"]
    entry = zipfile.ZipInfo(name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
