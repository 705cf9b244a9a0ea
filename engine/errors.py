"""Every error rollcall raises on purpose.

RollcallError                 code, one plain sentence, and the next step
├── BadInput                  what the caller gave cannot be used
│   ├── NotFound              no such show, episode, person, track, job, model or file
│   ├── BadMedia              the file is not a video we can read
│   └── Conflict              already there, or changed since it was read
├── Refused                   the actor may not do this, or the target does not allow it
├── ModelMissing              no model for the task is installed
├── ModelInvalid              a model's file is not what the registry says it is
├── ProviderMismatch          the accelerator asked for is not the one really used
├── StoreError                the library cannot be used as it is
│   ├── DiskFull              there is no room for what was to be written
│   ├── StoreLocked           another process owns the library
│   └── StoreVersion          the library was written by a newer rollcall
├── EngineUnavailable         the engine cannot be reached or started
├── WorkerFailed              a worker process ended without finishing its work
└── Cancelled                 the job was cancelled

Nothing here imports anything but the standard library: the light client raises these too.
"""

from __future__ import annotations

import errno
from typing import Any


class RollcallError(Exception):
    """An error a user can act on.

    Args:
        message: one plain sentence naming the thing at fault.
        hint: the next step, one sentence; empty when there is none.
        data: machine-readable details.
    """

    code = "error"
    exit_status = 1
    http_status = 400

    def __init__(self, message: str, hint: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The error as every surface sends it: code, message, hint, data."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "data": self.data}


class BadInput(RollcallError):
    code = "bad_input"
    exit_status = 2


class NotFound(BadInput):
    code = "not_found"
    http_status = 404


class BadMedia(BadInput):
    code = "bad_media"


class Conflict(BadInput):
    code = "conflict"
    http_status = 409


class Refused(RollcallError):
    code = "refused"
    exit_status = 3
    http_status = 403


class ModelMissing(RollcallError):
    code = "model_missing"
    exit_status = 4


class ModelInvalid(RollcallError):
    code = "model_invalid"
    exit_status = 4


class ProviderMismatch(RollcallError):
    code = "provider_mismatch"
    exit_status = 4


class StoreError(RollcallError):
    code = "store_error"
    exit_status = 5
    http_status = 500


class DiskFull(StoreError):
    code = "disk_full"


class StoreLocked(StoreError):
    code = "store_locked"


class StoreVersion(StoreError):
    code = "store_version"


class EngineUnavailable(RollcallError):
    code = "engine_unavailable"
    exit_status = 69
    http_status = 503


class WorkerFailed(RollcallError):
    code = "worker_failed"
    http_status = 500


class Cancelled(RollcallError):
    code = "cancelled"
    exit_status = 130


def _subclasses(cls: type[RollcallError]) -> list[type[RollcallError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _subclasses(child))]


def from_dict(error: dict[str, Any]) -> RollcallError:
    """The error of `as_dict`, rebuilt on the other side of a socket or a pipe."""
    kinds = {kind.code: kind for kind in _subclasses(RollcallError)}
    kind = kinds.get(str(error.get("code")), RollcallError)
    made = kind(str(error.get("message", "unknown error")), str(error.get("hint", "")))
    made.data = dict(error.get("data") or {})
    return made


def unexpected(error: BaseException, doing: str, home: str) -> RollcallError:
    """What to tell of an error nobody raised on purpose: a full disk by its name, anything else with the way to its cause.

    Args:
        doing: what was going on, for instance `segment` or `export create`.
        home: the workspace.
    """
    if _disk_is_full(error):
        return DiskFull(f"The disk that holds {home} is full: {doing} stopped.", "Free some space and do it again; what was finished is kept.")
    return RollcallError(f"{doing} failed: {type(error).__name__}: {error}.", "See engine.log in the workspace.")


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether this error, or one it came from, says that there is no room; libraries written in other languages say it in words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in ("No space left on device", "Disk quota exceeded")):
            return True
        error = error.__cause__ or error.__context__
    return False
