"""Bearer tokens: one an agent, in a file of the workspace only its owner can read. The token says who an agent is; no header does."""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
from pathlib import Path

FILE = "agents.tokens"


def token_of(home: Path, name: str) -> str:
    """The token of an agent; made when it has none."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(home / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+") as file:
        os.fchmod(file.fileno(), 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = _parse(file.read())
        if name not in known:
            known[name] = secrets.token_urlsafe(32)
            file.write(f"{known[name]} {name}\n")
        return known[name]


def holder(home: Path, token: str) -> str | None:
    """The agent a token was given to. Read afresh each time, so that a line taken out of the file no longer counts."""
    try:
        known = _parse((home / FILE).read_text())
    except FileNotFoundError:
        return None
    found = None
    for name, theirs in known.items():
        # Every one is compared, in constant time: how long it takes tells nothing.
        if hmac.compare_digest(theirs.encode(), token.encode()):
            found = name
    return found


def _parse(text: str) -> dict[str, str]:
    """name -> token."""
    split = [line.split(" ", 1) for line in text.splitlines() if " " in line]
    return {name: token for token, name in split}
