"""JSON: the rows and where they came from."""

from __future__ import annotations

import json
from pathlib import Path

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write `{"lineage": {...}, "rows": [...]}`; returns the number of rows."""
    rows = content.rows.to_pylist()
    path.write_text(json.dumps({"lineage": content.lineage, "rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(rows)
