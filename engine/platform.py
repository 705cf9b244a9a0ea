"""What differs between platforms: folders, the socket's place, the operator's name."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import sys
from pathlib import Path

from engine.errors import StoreError

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107, macOS 103."""


def default_home() -> Path:
    """The workspace when neither `--home` nor ROLLCALL_HOME names one: the platform's data folder."""
    if named := os.environ.get("ROLLCALL_HOME"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "rollcall"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "rollcall"


def socket_path(home: Path) -> Path:
    """The engine's socket: in the workspace, or where that path is too long for a Unix socket, under /tmp by the workspace's digest.

    It depends on the workspace alone, never on the environment: a command from cron, sudo or another login meets the same engine.
    """
    inside = home.resolve() / "run" / "engine.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    return Path("/tmp") / f"rollcall-{os.getuid()}-{digest}" / "engine.sock"


def private_folder(folder: Path) -> None:
    """Make a folder only this user can enter.

    Raises:
        StoreError: something else is there, or it belongs to somebody else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not owned(folder) or folder.is_symlink():
        raise StoreError(f"{folder} belongs to another user or is a link.", "Remove it, or use another workspace.")
    folder.chmod(0o700)


def owned(path: Path) -> bool:
    """Whether a path itself (not what it may link to) belongs to this user."""
    return path.lstat().st_uid == os.getuid()


def engine_environment() -> dict[str, str]:
    """The part of this process's environment an engine started from it would work by."""
    own = ("ROLLCALL_HOME", "ROLLCALL_ACTOR", "ROLLCALL_TEST_MEDIA")
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("ROLLCALL_") and name not in own}


def operator() -> str:
    """The actor a person at this terminal is, unless ROLLCALL_ACTOR names another."""
    if named := os.environ.get("ROLLCALL_ACTOR"):
        return named
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = f"uid-{os.getuid()}"  # a container may run as a number nobody has named
    return "person:" + (re.sub(r"[^\w.@ -]", "-", login).strip(" .-@") or "somebody")[:64]
