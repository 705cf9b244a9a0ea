"""CSV: the table alone, comma separated, quoted where needed, UTF-8."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write the rows with a header line; returns their number."""
    pyarrow.csv.write_csv(content.rows, path, pyarrow.csv.WriteOptions(quoting_style="needed", quoting_header="none"))
    return int(content.rows.num_rows)
