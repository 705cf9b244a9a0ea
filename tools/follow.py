"""Following a job from the command line: progress while it runs, a way back when the user lets go."""

from __future__ import annotations

import sys
from typing import Any

from engine.errors import RollcallError, from_dict
from engine.wire import Client
from tools.render import ProgressLine

ENDED = ("done", "failed", "cancelled")


class Detached(Exception):
    """The user let go of a job that goes on."""

    def __init__(self, job_id: int) -> None:
        super().__init__(
            f"Job {job_id} goes on in the engine. `rollcall job wait {job_id}` comes back to it, `rollcall job cancel {job_id}` stops it."
        )


def follow(client: Client, job_id: int) -> dict[str, Any]:
    """Show a job's progress on stderr until it has ended; returns the job. An engine that dies on the way is started again.

    Raises:
        Detached: on ctrl-C; the job goes on.
        RollcallError: the job failed or was cancelled.
    """
    line = ProgressLine(sys.stderr)
    try:
        while True:
            job = _until_changed(client, job_id, line)
            if job["state"] in ENDED:
                break
    except KeyboardInterrupt:
        line.close()
        raise Detached(job_id) from None
    line.close()
    if job["state"] != "done":
        error: RollcallError = from_dict(job["error"] or {"message": f"Job {job_id} was {job['state']}."})
        raise error
    return job


def _until_changed(client: Client, job_id: int, line: ProgressLine) -> dict[str, Any]:
    """Show events until the job has ended or the stream breaks off; returns the job as it is then."""
    events = client.events()
    try:
        for event in events:
            if event["kind"] == "hello":
                job = client.call("job_show", {"job_id": job_id})
                if job["state"] in ENDED:
                    return job
                line.show(job["progress"])
            elif event["kind"] == "job" and event["job_id"] == job_id:
                if event["state"] in ENDED:
                    break
                line.show(event.get("progress") or {})
    finally:
        events.close()
    return client.call("job_show", {"job_id": job_id})
