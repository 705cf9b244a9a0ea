"""Parquet: the rows, typed, with the lineage in the file's metadata under `rollcall`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write the rows, zstd-compressed; returns their number."""
    metadata = {b"rollcall": json.dumps(content.lineage, sort_keys=True).encode()}
    pq.write_table(content.rows.replace_schema_metadata(metadata), path, compression="zstd")
    return int(content.rows.num_rows)
