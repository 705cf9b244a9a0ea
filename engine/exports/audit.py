"""The audit: every decision, names resolved, taken back or not; as JSON Lines or CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from engine.exports.ledger import LedgerContent
from engine.review.decision import Decision

COLUMNS = (
    "decision_id",
    "batch",
    "logged_at",  # UTC
    "actor",
    "verb",
    "level",
    "show_id",
    "episode_id",
    "episode",
    "person_id",
    "person",
    "stands",
    "voids",
    "voided_by",
    "source",
    "reason",
    "parameters",
)


def rows(content: LedgerContent) -> list[dict[str, Any]]:
    """A row a decision, with COLUMNS, oldest first."""
    taken_by: dict[int, list[int]] = {}
    for d in content.everything.values():
        for one in d.voids:
            taken_by.setdefault(one, []).append(d.decision_id)
    return [_row(content, d, taken_by.get(d.decision_id, [])) for d in content.chosen]


def _row(content: LedgerContent, d: Decision, voided_by: list[int]) -> dict[str, Any]:
    names = ("decision_id", "batch", "actor", "verb", "level", "show_id", "episode_id", "person_id", "source", "reason")
    episode = content.episodes.get(d.episode_id) if d.episode_id is not None else None
    return {
        **{name: getattr(d, name) for name in names},
        "logged_at": d.logged_at.isoformat(timespec="milliseconds") + "Z",
        "episode": episode["title"] if episode else None,
        "person": content.names.get(d.person_id, d.parameters.get("name")) if d.person_id is not None else None,
        "stands": d.decision_id not in content.gone,
        "voids": list(d.voids),
        "voided_by": voided_by,
        "parameters": d.parameters,
    }


def write_jsonl(path: Path, content: LedgerContent) -> int:
    """One JSON object a line, with COLUMNS; returns their number."""
    found = rows(content)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({name: row[name] for name in COLUMNS}, ensure_ascii=False) + "\n" for row in found)
    return len(found)


def write_csv(path: Path, content: LedgerContent) -> int:
    """COLUMNS with a header; lists of ids are separated by spaces, parameters are JSON. Returns the number of rows."""
    found = rows(content)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        out.writeheader()
        for row in found:
            lists = {name: " ".join(map(str, row[name])) for name in ("voids", "voided_by")}
            out.writerow({**row, **lists, "stands": str(row["stands"]).lower(), "parameters": json.dumps(row["parameters"], ensure_ascii=False)})
    return len(found)
