"""What differs between platforms: folders, the socket's place, the operator's name."""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
import tempfile
from pathlib import Path


def default_home() -> Path:
    """The workspace when neither `--home` nor ROLLCALL_HOME names one: the platform's data folder."""
    if named := os.environ.get("ROLLCALL_HOME"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "rollcall"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "rollcall"


def socket_path(home: Path) -> Path:
    """The engine's socket for a workspace, short enough for a Unix socket whatever the workspace's path."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "rollcall" if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir()) / f"rollcall-{os.getuid()}"
    digest = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    return base / digest / "engine.sock"


def private_folder(folder: Path) -> None:
    """Make a folder only this user can enter.

    Raises:
        PermissionError: it belongs to somebody else.
    """
    for level in (folder.parent, folder):
        level.mkdir(parents=True, exist_ok=True, mode=0o700)
        if level.stat().st_uid != os.getuid():
            raise PermissionError(f"{level} belongs to another user")
        level.chmod(0o700)


def engine_environment() -> dict[str, str]:
    """The part of this process's environment an engine started from it would work by."""
    own = ("ROLLCALL_HOME", "ROLLCALL_ACTOR", "ROLLCALL_TEST_MEDIA")
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("ROLLCALL_") and name not in own}


def operator() -> str:
    """The actor a person at this terminal is, unless ROLLCALL_ACTOR names another."""
    return os.environ.get("ROLLCALL_ACTOR") or f"person:{getpass.getuser()}"
