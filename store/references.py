"""Which files the library refers to, and by what."""

from __future__ import annotations

import json
from typing import Any

from store.database import Database


def pictures_of_run(database: Database, run_id: int) -> set[str]:
    """File names of the pictures of a run's tracks."""
    return {row["chip"] for row in database.rows("SELECT DISTINCT chip FROM track WHERE run_id = ? AND chip IS NOT NULL", [run_id])}


def shown_pictures(database: Database) -> list[dict[str, Any]]:
    """episode_id, track_id, chip of every track of an analysis in force that has a picture."""
    return database.rows(
        """SELECT t.episode_id, t.track_id, t.chip FROM track t JOIN episode e ON e.active_run_id = t.run_id
           WHERE t.chip IS NOT NULL ORDER BY t.track_id"""
    )


def bank_pictures(database: Database) -> list[dict[str, Any]]:
    """person_id, chip, picture of the active entries of the facebank."""
    return database.rows("SELECT person_id, chip, picture FROM facebank WHERE active ORDER BY entry_id")


def active_stages(database: Database) -> list[dict[str, Any]]:
    """episode_id and stages of every analysis in force."""
    rows = database.rows("SELECT e.episode_id, r.stages FROM episode e JOIN run r ON r.run_id = e.active_run_id ORDER BY e.episode_id")
    return [{**row, "stages": json.loads(row["stages"])} for row in rows]


def spaces_with_vectors(database: Database) -> list[str]:
    """Embedding spaces in which an analysis in force has vectors."""
    rows = database.rows(
        """SELECT DISTINCT r.space FROM episode e JOIN run r ON r.run_id = e.active_run_id
           SEMI JOIN track_embedding v ON v.run_id = r.run_id ORDER BY r.space"""
    )
    return [row["space"] for row in rows]
