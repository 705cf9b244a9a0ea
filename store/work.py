"""Jobs, their stage logs, and the files exported."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from store.database import Database, Transaction, now

_JOB = "SELECT job_id, kind, episode_id, parameters, state, actor, created_at, started_at, ended_at, attempts, result, error FROM job"


def add_job(transaction: Transaction, kind: str, episode_id: int | None, parameters: dict[str, Any], actor: str) -> int:
    """Queue a job; returns its id."""
    job_id = transaction.next_id("job", "job_id")
    transaction.insert(
        "job", job_id=job_id, kind=kind, episode_id=episode_id, parameters=parameters, state="queued", actor=actor, created_at=now(), attempts=0
    )
    return job_id


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(value) if name in ("parameters", "result", "error") and value is not None else value for name, value in row.items()}


def job(database: Database, job_id: int) -> dict[str, Any] | None:
    """One job."""
    found = database.row(f"{_JOB} WHERE job_id = ?", [job_id])
    return _parsed(found) if found else None


def jobs(database: Database, state: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Jobs, newest first."""
    rows = database.rows(
        f"{_JOB} WHERE (? IS NULL OR state = ?) AND (? IS NULL OR job_id < ?) ORDER BY job_id DESC LIMIT ?", [state, state, before, before, limit]
    )
    return [_parsed(row) for row in rows]


def unfinished_jobs(database: Database) -> list[dict[str, Any]]:
    """Jobs that wait or were running when the engine ended, oldest first."""
    return [_parsed(row) for row in database.rows(f"{_JOB} WHERE state IN ('queued', 'running') ORDER BY job_id")]


def oldest_open_job(database: Database) -> datetime | None:
    """When the oldest analysis was asked for that waits, runs, or can be taken up again; UTC."""
    found = database.row("SELECT min(created_at) AS at FROM job WHERE kind = 'analyse' AND state <> 'done'")
    return found["at"].replace(tzinfo=UTC) if found and found["at"] else None


def start_job(database: Database, job_id: int) -> None:
    """Mark a job as running."""
    with database.write() as transaction:
        transaction.execute(
            "UPDATE job SET state = 'running', started_at = coalesce(started_at, ?), attempts = attempts + 1, error = NULL WHERE job_id = ?",
            [now(), job_id],
        )


def end_job(database: Database, job_id: int, state: str, *, result: dict[str, Any] | None = None, error: dict[str, Any] | None = None) -> None:
    """Mark a job as done, failed or cancelled, with its result or its error."""
    with database.write() as transaction:
        transaction.execute(
            "UPDATE job SET state = ?, ended_at = ?, result = ?, error = ? WHERE job_id = ?",
            [state, now(), json.dumps(result) if result is not None else None, json.dumps(error) if error is not None else None, job_id],
        )


def hand_over(database: Database) -> None:
    """Leave running jobs to the next engine; an orderly end is no interruption that counts."""
    with database.write() as transaction:
        transaction.execute("UPDATE job SET state = 'queued', attempts = greatest(attempts - 1, 0) WHERE state = 'running'")


def requeue_job(transaction: Transaction, job_id: int) -> None:
    """Put a job back into the queue; what it has finished is kept as artefacts."""
    transaction.execute("UPDATE job SET state = 'queued', ended_at = NULL, error = NULL, attempts = 0 WHERE job_id = ?", [job_id])


def log(
    database: Database, job_id: int, stage: str, status: str, *, segment: int | None = None, seconds: float | None = None, detail: str = ""
) -> None:
    """Add a line to a job's stage log."""
    with database.write() as transaction:
        seq = transaction.rows("SELECT coalesce(max(seq), 0) + 1 AS seq FROM job_event WHERE job_id = ?", [job_id])[0]["seq"]
        transaction.insert(
            "job_event", job_id=job_id, seq=seq, logged_at=now(), stage=stage, segment=segment, status=status, seconds=seconds, detail=detail
        )


def stage_log(database: Database, job_id: int) -> list[dict[str, Any]]:
    """The stage log of a job, oldest first."""
    return database.rows("SELECT seq, logged_at, stage, segment, status, seconds, detail FROM job_event WHERE job_id = ? ORDER BY seq", [job_id])


def add_export(transaction: Transaction, **values: Any) -> int:
    """Record a file that was exported; returns its id."""
    export_id = transaction.next_id("export", "export_id")
    transaction.insert("export", export_id=export_id, created_at=now(), **values)
    return export_id


def forget_exports(transaction: Transaction, path: str) -> None:
    """Drop the records of a file that is written anew."""
    transaction.execute("DELETE FROM export WHERE path = ?", [path])


def exports_of_runs(database: Database, runs: list[int]) -> list[dict[str, Any]]:
    """Files made from some runs."""
    return database.rows(f"SELECT * FROM export WHERE run_id IN ({', '.join(map(str, runs)) or 'NULL'})")


def forget_exported(transaction: Transaction, names: list[str]) -> None:
    """Drop the records of files that are removed, by name: the workspace may have moved since."""
    transaction.execute("DELETE FROM export WHERE list_contains(?, regexp_extract(path, '[^/]*$'))", [names])


def export(database: Database, export_id: int) -> dict[str, Any] | None:
    """One exported file."""
    return database.row("SELECT * FROM export WHERE export_id = ?", [export_id])


def exports(database: Database, episode_id: int | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Files exported, newest first."""
    return database.rows(
        """SELECT * FROM export WHERE (? IS NULL OR episode_id = ?) AND (? IS NULL OR export_id < ?) ORDER BY export_id DESC LIMIT ?""",
        [episode_id, episode_id, before, before, limit],
    )
