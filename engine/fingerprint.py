"""Keys of stage results: equal keys mean equal inputs, settings, models and code version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHUNK = 4 << 20


def fingerprint(**parts: Any) -> str:
    """A 32-digit hexadecimal key of JSON-able parts, independent of their order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, streamed; `progress` gets the bytes read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done)
    return digest.hexdigest()
