"""Parquet: the rows, typed, with the lineage in the file's metadata under `rollcall`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from engine.exports.report import Report


def write(path: Path, report: Report) -> None:
    """Write the rows, zstd-compressed."""
    metadata = {b"rollcall": json.dumps(report.lineage, sort_keys=True).encode()}
    pq.write_table(report.rows.replace_schema_metadata(metadata), path, compression="zstd")
