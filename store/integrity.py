"""Integrity queries: what foreign keys would hold, asked when somebody wants to know."""

from __future__ import annotations

from store.database import Database

# Labels and totals of an analysis that is not shown may be behind the decisions: they are made anew when it is shown again.
CHECKS = {
    "tracks without an assignment": "SELECT count(*) AS n FROM track t ANTI JOIN assignment a ON a.run_id = t.run_id AND a.track_id = t.track_id",
    "assignments of tracks that are not there": (
        "SELECT count(*) AS n FROM assignment a ANTI JOIN track t ON a.run_id = t.run_id AND a.track_id = t.track_id"
    ),
    "assignments to people who are not there": (
        "SELECT count(*) AS n FROM assignment a SEMI JOIN episode e ON e.active_run_id = a.run_id ANTI JOIN person p USING (person_id) "
        "WHERE a.person_id IS NOT NULL"
    ),
    "faces of tracks that are not there": (
        "SELECT count(*) AS n FROM detection d ANTI JOIN track t ON d.run_id = t.run_id AND d.track_id = t.track_id WHERE d.track_id IS NOT NULL"
    ),
    "memberships in clusters that are not there": (
        "SELECT count(*) AS n FROM membership m ANTI JOIN cluster c ON m.run_id = c.run_id AND m.cluster_id = c.cluster_id"
    ),
    "totals of people who are not there": (
        "SELECT count(*) AS n FROM screen_time t SEMI JOIN episode e ON e.active_run_id = t.run_id ANTI JOIN person p USING (person_id)"
    ),
    "faces in the bank of people who are not there": "SELECT count(*) AS n FROM facebank b ANTI JOIN person p USING (person_id) WHERE b.active",
    "episodes showing a run that was not committed": (
        "SELECT count(*) AS n FROM episode e ANTI JOIN run r ON r.run_id = e.active_run_id AND r.state = 'committed' WHERE active_run_id IS NOT NULL"
    ),
    "tracks whose labels do not fill them once": (
        """SELECT count(*) AS n FROM (SELECT a.run_id, a.track_id FROM assignment a JOIN track t ON t.run_id = a.run_id AND t.track_id = a.track_id
           GROUP BY a.run_id, a.track_id, t.start_us, t.end_us HAVING sum(a.end_us - a.start_us) <> t.end_us - t.start_us
           OR min(a.start_us) <> t.start_us OR max(a.end_us) <> t.end_us)"""
    ),
    "decisions about episodes without anchors": (
        """SELECT count(*) AS n FROM decision d JOIN episode e USING (episode_id) ANTI JOIN anchor a ON a.decision_id = d.decision_id
           WHERE d.level IS NOT NULL"""
    ),
}


def check(database: Database) -> list[str]:
    """One sentence for each rule that does not hold; empty when the library is sound."""
    found = {name: database.rows(sql)[0]["n"] for name, sql in CHECKS.items()}
    return [f"The library holds {count} {name}. Analyse the episodes again, or restore a backup." for name, count in found.items() if count]
