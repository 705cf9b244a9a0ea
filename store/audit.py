"""The record of changes as policy reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store.database import Database, Transaction


def times(transaction: Transaction, actor: str, limit: int) -> list[datetime]:
    """When an actor made its last changes, newest first."""
    rows = transaction.rows("SELECT logged_at FROM command WHERE actor = ? ORDER BY seq DESC LIMIT ?", [actor, limit])
    return [row["logged_at"] for row in rows]


def held(database: Database, tracks: list[int], cluster_id: int | None, person: str) -> list[dict[str, Any]]:
    """How probable the machine holds a person (id or name) for tracks, or for a cluster: track_id or cluster_id, probability; the least first."""
    number = int(person) if person.isascii() and person.isdigit() and len(person) < 19 else None
    if cluster_id is not None:
        return database.rows(
            """SELECT ? AS cluster_id, coalesce(sum(o.probability), 0) AS probability FROM posterior o JOIN called c USING (person_id)
               WHERE o.cluster_id = ? AND (o.person_id = ? OR lower(c.called) = lower(?))""",
            [cluster_id, cluster_id, number, person],
        )
    return database.rows(
        """SELECT track_id, greatest(coalesce(sum(m.probability * o.probability), 0), any_value(s.probability)) AS probability
           FROM (SELECT unnest(?::BIGINT[]) AS track_id) t LEFT JOIN membership m USING (track_id)
           LEFT JOIN (SELECT run_id, cluster_id, probability FROM posterior JOIN called c USING (person_id)
                      WHERE person_id = ? OR lower(c.called) = lower(?)) o ON o.run_id = m.run_id AND o.cluster_id = m.cluster_id
           LEFT JOIN (SELECT track_id, max(probability) AS probability FROM suggestion JOIN called c USING (person_id)
                      WHERE person_id = ? OR lower(c.called) = lower(?) GROUP BY track_id) s USING (track_id)
           GROUP BY track_id ORDER BY probability, track_id""",
        [tracks, number, person, number, person],
    )
