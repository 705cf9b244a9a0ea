"""JSON: the rows and where they came from."""

from __future__ import annotations

import json
from pathlib import Path

from engine.exports.report import Report


def write(path: Path, report: Report) -> None:
    """Write `{"lineage": {...}, "rows": [...]}`."""
    path.write_text(json.dumps({"lineage": report.lineage, "rows": report.rows.to_pylist()}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
