"""Named moments at which a kill must lose nothing; the crash tests die exactly there.

`ROLLCALL_CRASH_AT=name` (or `name:n` for the n-th passage) makes the process kill itself with SIGKILL at that point; with `ROLLCALL_CRASH_ONCE`
naming a file, only the first process to get there does, and leaves the file behind.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

COMMIT_POINTS = (
    "artefact.before_rename",
    "observe.written",
    "track.written",
    "identify.written",
    "run.allocated",
    "vectors.added",
    "vectors.synced",
    "run.before_commit",
    "run.committed",
    "journal.appended",
    "command.committed",
    "library.before_swap",
    "library.swapped",
    "job.finished",
    "forget.marked",
    "forget.artefacts",
    "forget.committed",
    "forget.vectors",
    "forget.journal",
    "forget.files",
    "forget.proved",
)
_passed: Counter[str] = Counter()


def commit_point(name: str) -> None:
    """Mark a commit point; does nothing unless the environment asks for a crash here."""
    wanted = os.environ.get("ROLLCALL_CRASH_AT")
    if not wanted:
        return
    assert name in COMMIT_POINTS, name
    _passed[name] += 1
    target, _, nth = wanted.partition(":")
    if target == name and _passed[name] == int(nth or 1) and _first():
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    """Whether no other process has died yet."""
    mark = os.environ.get("ROLLCALL_CRASH_ONCE")
    if not mark:
        return True
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
