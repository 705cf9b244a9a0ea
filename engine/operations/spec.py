"""The registry as data: `spec.json` lets fast surfaces offer every operation without importing any of this.

`python -m engine.operations.spec` writes it; a test holds that it is current.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from engine.operations import everything
from engine.operations.registry import OPERATIONS, Operation

PATH = Path(__file__).parent.parent / "spec.json"


def _without_titles(schema: Any) -> Any:
    """JSON schema without pydantic's `title` keys, which say nothing."""
    if isinstance(schema, dict):
        return {key: _without_titles(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(schema, list):
        return [_without_titles(value) for value in schema]
    return schema


def describe(op: Operation) -> dict[str, Any]:
    """One operation as data."""
    return {
        "name": op.name,
        "effect": op.effect,
        "idempotent": op.idempotent,
        "people_only": op.people_only,
        "toolset": op.toolset,
        "key": op.key,
        "doc": op.doc,
        "parameters": _without_titles(op.params.model_json_schema()),
    }


def build() -> str:
    """The text of `spec.json`."""
    everything.load()
    return json.dumps({"operations": [describe(op) for _, op in sorted(OPERATIONS.items())]}, indent=1) + "\n"


def digest() -> str:
    """Identifies the operations this process offers; client and engine must agree on it."""
    return hashlib.sha256(PATH.read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    PATH.write_text(build())
