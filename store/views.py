"""The views questions in SQL are asked about: what each holds and where it comes from. Of the runs that are shown, and of nobody who was erased."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from store.database import Database


@dataclass(frozen=True)
class View:
    """A view; `sql` has the columns `show_id` and `episode_id` (NULL where a row is of no episode) for narrowing."""

    doc: str
    sql: str


_EPISODE = 'episode e JOIN "show" s USING (show_id)'

VIEWS = {
    "episodes": View(
        "One row an episode.",
        f"""SELECT e.show_id, s.slug AS show, e.episode_id, season, number, e.title, e.kind, duration_us / 1e6 AS duration_s,
            active_run_id IS NOT NULL AS analysed, added_at FROM {_EPISODE}""",
    ),
    "people": View(
        "One row a person of a show; kind is known or unknown.",
        """SELECT p.show_id, NULL::BIGINT AS episode_id, person_id, called AS name, kind, created_at
           FROM person p JOIN called USING (person_id) WHERE erased_at IS NULL""",
    ),
    "totals": View(
        "Seconds a person is visible in an episode, with the bounds of 95 %; solo: nobody else in the picture.",
        f"""SELECT e.show_id, e.episode_id, s.slug AS show, season, number, t.person_id, called AS name, c.kind,
            visual_s, visual_low_s, visual_high_s, solo_s, solo_low_s,
            solo_high_s, tracks, faces, first_us / 1e6 AS first_s, last_us / 1e6 AS last_s, confidence
            FROM screen_time t JOIN {_EPISODE} ON e.active_run_id = t.run_id JOIN called c USING (person_id)""",
    ),
    "together": View(
        "Seconds two people are in the picture at once.",
        """SELECT e.show_id, e.episode_id, person_a, a.called AS name_a, person_b, b.called AS name_b, seconds
           FROM co_presence c JOIN episode e ON e.active_run_id = c.run_id
           JOIN called a ON a.person_id = c.person_a JOIN called b ON b.person_id = c.person_b""",
    ),
    "shots": View(
        "One row a shot; shots of one camera set-up share a thread.",
        """SELECT e.show_id, e.episode_id, shot, start_us / 1e6 AS start_s, end_us / 1e6 AS end_s, thread
           FROM shot h JOIN episode e ON e.active_run_id = h.run_id""",
    ),
    "tracks": View(
        "One row a piece of a face track (a whole one unless decisions cut it), with who it is taken for, how probable that is, and by whom.",
        """SELECT e.show_id, e.episode_id, t.track_id, t.shot, a.start_us / 1e6 AS start_s, a.end_us / 1e6 AS end_s, t.faces, t.score, t.height_px,
           t.quality, t.mixed, a.cluster_id, a.person_id, called AS name, a.excluded, a.score AS probability, a.label_source, a.locked, a.rev
           FROM track t JOIN episode e ON e.active_run_id = t.run_id JOIN assignment a ON a.run_id = t.run_id AND a.track_id = t.track_id
           LEFT JOIN called USING (person_id)""",
    ),
    "clusters": View(
        "One row a cluster: tracks the machine takes for one person.",
        """SELECT e.show_id, e.episode_id, cluster_id, tracks, seconds, cohesion FROM cluster c JOIN episode e ON e.active_run_id = c.run_id""",
    ),
    "decisions": View(
        "Every decision about faces and people, in order, also those taken back; voids: the decisions it takes back itself.",
        """SELECT d.show_id, d.episode_id, decision_id, batch, d.logged_at, actor, verb, level, person_id, called AS name, reason, source, voids
           FROM decision d LEFT JOIN called USING (person_id)""",
    ),
    "changes": View(
        "Every change a person, agent or script made, in order.",
        "SELECT NULL::BIGINT AS show_id, NULL::BIGINT AS episode_id, seq, logged_at, actor, operation FROM command",
    ),
    "jobs": View(
        "One row a job.",
        """SELECT e.show_id, j.episode_id, job_id, j.kind, state, actor, created_at, started_at, ended_at, attempts
           FROM job j LEFT JOIN episode e USING (episode_id)""",
    ),
}


def read(database: Database, name: str, show_id: int | None, episode_id: int | None, limit: int) -> pa.Table:
    """Rows of a view, of one show or episode where asked for; those of no show or episode are kept."""
    return database.arrow(
        f"""SELECT * FROM ({VIEWS[name].sql}) WHERE (? IS NULL OR show_id IS NULL OR show_id = ?)
            AND (? IS NULL OR episode_id IS NULL OR episode_id = ?) LIMIT ?""",
        [show_id, show_id, episode_id, episode_id, limit],
    )


def columns(database: Database, name: str) -> list[tuple[str, str]]:
    """(name, type) of a view's columns."""
    rows = database.rows(f"DESCRIBE {VIEWS[name].sql}")
    return [(row["column_name"], row["column_type"]) for row in rows]
