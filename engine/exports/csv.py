"""CSV: the table alone, comma separated, quoted where needed, UTF-8."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv

from engine.exports.report import Report


def write(path: Path, report: Report) -> None:
    """Write the rows with a header line."""
    pyarrow.csv.write_csv(report.rows, path, pyarrow.csv.WriteOptions(quoting_style="needed", quoting_header="none"))
