"""The record of changes as policy reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store import covered
from store.database import Database, Transaction


def times(transaction: Transaction, actor: str, limit: int) -> list[datetime]:
    """When an actor made its last changes, newest first."""
    rows = transaction.rows("SELECT logged_at FROM command WHERE actor = ? ORDER BY seq DESC LIMIT ?", [actor, limit])
    return [row["logged_at"] for row in rows]


def least_held(database: Database, tracks: list[int], person_id: int, with_cluster: bool) -> tuple[int, float] | None:
    """Of the tracks nobody decided to be a person yet, the one for which the machine holds that least probable, and how probable.

    By its memberships, or as it is suggested by now; `with_cluster`: or as its cluster as a whole is held to be that person.
    """
    row = database.row(
        """WITH same AS (SELECT person_id FROM person WHERE coalesce(merged_into, person_id) = ?),
                of AS (SELECT cluster_id, sum(probability) AS probability FROM posterior JOIN same USING (person_id) GROUP BY cluster_id),
                track AS (SELECT track_id, any_value(cluster_id) AS cluster_id FROM assignment
                          WHERE list_contains(?::BIGINT[], track_id) AND (label_source = 'machine' OR person_id IS DISTINCT FROM ?)
                          GROUP BY track_id),
                member AS (SELECT track_id, sum(m.probability * of.probability) AS probability FROM membership m JOIN of USING (cluster_id)
                           WHERE track_id IN (SELECT track_id FROM track) GROUP BY track_id),
                suggested AS (SELECT track_id, max(probability) AS probability FROM suggestion JOIN same USING (person_id) GROUP BY track_id)
           SELECT track_id, greatest(0, member.probability, suggested.probability, CASE WHEN ? THEN of.probability END) AS probability
           FROM track LEFT JOIN member USING (track_id) LEFT JOIN suggested USING (track_id) LEFT JOIN of USING (cluster_id)
           ORDER BY probability, track_id LIMIT 1""",
        [person_id, tracks, person_id, with_cluster],
    )
    return (row["track_id"], row["probability"]) if row else None


def agreement(database: Database) -> list[dict[str, Any]]:
    """How each agent's labels fared with people: agent, decisions, undone (taken back by a person), judged_s and agreed_s (seconds of faces an agent
    labelled that a person decided later, and those of them given the same label), waiting, accepted, dismissed (its proposals)."""
    held = database.rows(
        """SELECT c.run_id, c.decision_id, c.covers FROM coverage c JOIN episode e ON e.active_run_id = c.run_id JOIN decision d USING (decision_id)
           WHERE d.verb IN ('assign', 'exclude')"""
    )
    return database.rows(
        """WITH said AS (
               SELECT d.decision_id, d.actor, d.verb, coalesce(p.merged_into, d.person_id) AS person_id, c.track_id, c.start_us, c.end_us
               FROM decision d JOIN incoming c USING (decision_id) LEFT JOIN person p ON p.person_id = d.person_id),
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
           FROM made FULL JOIN proposed USING (actor) LEFT JOIN seconds USING (actor) ORDER BY agent""",
        incoming=covered.stretches(held),
    )
