"""The lock that elects a library's owner."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from store.errors import Locked


def take_lock(path: Path) -> Any:
    """The open file that holds the lock, with our process id in it; closing it lets go.

    Raises:
        Locked: another process owns the library.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise Locked(owner) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
