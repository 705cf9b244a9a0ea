"""What a run holds at a moment of its recording: shots and every detection, tracked or not."""

from __future__ import annotations

from typing import Any

from store.database import Database


def shots(database: Database, run_id: int, after: int, limit: int) -> list[dict[str, Any]]:
    """Shots in order, those numbered above `after`, each with how many tracks it holds."""
    return database.rows(
        """SELECT s.shot, s.start_us, s.end_us, s.thread, count(t.track_id) AS tracks
           FROM shot s LEFT JOIN (SELECT shot, track_id FROM track WHERE run_id = ?) t USING (shot)
           WHERE s.run_id = ? AND s.shot > ? GROUP BY ALL ORDER BY s.shot LIMIT ?""",
        [run_id, run_id, after, limit],
    )


def detections(database: Database, run_id: int, from_us: int, to_us: int, after: int, limit: int) -> list[dict[str, Any]]:
    """Detections shown at `from_us` <= t < `to_us`, by id, with the track each belongs to and who that is taken for."""
    return database.rows(
        """SELECT d.detection_id, d.t_us, d.x1, d.y1, d.x2, d.y2, d.score, d.quality, d.track_id, a.person_id, p.called AS person
           FROM detection d LEFT JOIN (SELECT track_id, person_id FROM assignment WHERE run_id = ?) a USING (track_id)
           LEFT JOIN called p ON p.person_id = a.person_id
           WHERE d.run_id = ? AND d.t_us >= ? AND d.t_us < ? AND d.detection_id > ? ORDER BY d.detection_id LIMIT ?""",
        [run_id, run_id, from_us, to_us, after, limit],
    )


def chip_of(database: Database, track_id: int) -> str | None:
    """Name of a track's best picture in the media folder; None when there is no such track or it has none."""
    found = database.row("SELECT chip FROM track WHERE track_id = ?", [track_id])
    return None if found is None else found["chip"]


def chip_of_person(database: Database, person_id: int) -> str | None:
    """The best picture of a person in the analyses their episodes show; None when there is none."""
    found = database.row(
        """SELECT t.chip FROM assignment a JOIN episode e ON e.episode_id = a.episode_id AND e.active_run_id = a.run_id
           JOIN track t ON t.run_id = a.run_id AND t.track_id = a.track_id
           WHERE a.person_id = ? AND t.chip IS NOT NULL ORDER BY t.quality DESC, t.track_id LIMIT 1""",
        [person_id],
    )
    return None if found is None else found["chip"]
