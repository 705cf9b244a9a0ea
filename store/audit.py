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


def agreement(database: Database) -> list[dict[str, Any]]:
    """How each agent's labels fared with people: agent, decisions, undone (taken back by a person), judged_s and agreed_s (seconds of faces an agent
    labelled that a person decided later, and those of them given the same label), waiting, accepted, dismissed (its proposals)."""
    return database.rows(
        """WITH said AS (
               SELECT d.decision_id, d.actor, d.verb, coalesce(p.merged_into, d.person_id) AS person_id, c.track_id, c.start_us, c.end_us
               FROM decision d JOIN coverage c USING (decision_id) JOIN episode e ON e.active_run_id = c.run_id
               LEFT JOIN person p ON p.person_id = d.person_id WHERE d.verb IN ('assign', 'exclude')),
           judged AS (
               SELECT a.actor, (least(a.end_us, p.end_us) - greatest(a.start_us, p.start_us)) / 1e6 AS seconds,
                      a.verb = p.verb AND a.person_id IS NOT DISTINCT FROM p.person_id AS same
               FROM said a JOIN said p ON p.track_id = a.track_id AND p.start_us < a.end_us AND a.start_us < p.end_us
               WHERE starts_with(a.actor, 'agent:') AND starts_with(p.actor, 'person:') AND p.decision_id > a.decision_id
               QUALIFY p.decision_id = min(p.decision_id) OVER (PARTITION BY a.decision_id, a.track_id, a.start_us)),
           made AS (
               SELECT actor, count(*) AS decisions, count(*) FILTER (decision_id IN (
                   SELECT unnest(voids) FROM decision WHERE verb = 'undo' AND starts_with(actor, 'person:'))) AS undone
               FROM decision WHERE starts_with(actor, 'agent:') GROUP BY actor),
           proposed AS (
               SELECT actor, count(*) FILTER (state = 'waiting') AS waiting, count(*) FILTER (state = 'accepted') AS accepted,
                      count(*) FILTER (state = 'dismissed') AS dismissed FROM proposal GROUP BY actor),
           seconds AS (SELECT actor, sum(seconds) AS judged_s, sum(seconds) FILTER (same) AS agreed_s FROM judged GROUP BY actor)
           SELECT actor AS agent, coalesce(decisions, 0) AS decisions, coalesce(undone, 0) AS undone, coalesce(judged_s, 0) AS judged_s,
                  coalesce(agreed_s, 0) AS agreed_s, coalesce(waiting, 0) AS waiting, coalesce(accepted, 0) AS accepted,
                  coalesce(dismissed, 0) AS dismissed
           FROM made FULL JOIN proposed USING (actor) LEFT JOIN seconds USING (actor) ORDER BY agent"""
    )
