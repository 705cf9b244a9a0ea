"""Machine results of a run: allocated, loaded in one sorted transaction, read back page by page."""

from __future__ import annotations

import json
from typing import Any, Literal

import pyarrow as pa

from store.commit_point import commit_point
from store.database import Database, Reader, Transaction, now

Stage = Literal["observe", "track", "identify"]

RESULT_TABLES = (
    "segment",
    "shot",
    "detection",
    "track",
    "track_embedding",
    "cluster",
    "membership",
    "posterior",
    "machine_label",
    "assignment",
    "coverage",
    "suggestion",
    "queue_item",
    "screen_time",
    "co_presence",
)
"""Tables loaded with a run, in the order they are written."""


def allocate_run(database: Database, episode_id: int, key: str, **values: Any) -> int:
    """The id of a run to be loaded; an earlier attempt at the same one that never got to its commit is taken over."""
    with database.write() as transaction:
        found = transaction.rows("SELECT run_id FROM run WHERE episode_id = ? AND key = ? AND state = 'loading'", [episode_id, key])
        if found:
            return int(found[0]["run_id"])
        run_id = transaction.next_id("run", "run_id")
        transaction.insert("run", run_id=run_id, episode_id=episode_id, key=key, state="loading", created_at=now(), unidentified_s=0.0, **values)
    commit_point("run.allocated")
    return run_id


def load_run(transaction: Transaction, run_id: int, episode_id: int, tables: dict[str, pa.Table], unidentified_s: float) -> None:
    """Write a run's tables and make it the active run of its episode, in the transaction given."""
    for name in RESULT_TABLES:
        transaction.execute(f"DELETE FROM {name} WHERE run_id = ?", [run_id])
        transaction.insert_arrow(name, _of_run(tables[name], run_id, episode_id))
    transaction.execute("UPDATE run SET state = 'committed', committed_at = ?, unidentified_s = ? WHERE run_id = ?", [now(), unidentified_s, run_id])
    activate_run(transaction, episode_id, run_id)


def replace_totals(
    transaction: Transaction, run_id: int, episode_id: int, screen_time: pa.Table, co_presence: pa.Table, unidentified_s: float, seq: int
) -> None:
    """Replace a run's totals by those that know the decisions up to `seq`."""
    for name, rows in (("screen_time", screen_time), ("co_presence", co_presence)):
        transaction.execute(f"DELETE FROM {name} WHERE run_id = ?", [run_id])
        transaction.insert_arrow(name, _of_run(rows, run_id, episode_id))
    transaction.execute("UPDATE run SET unidentified_s = ?, settled_seq = ? WHERE run_id = ?", [unidentified_s, seq, run_id])


def replace_questions(transaction: Transaction, run_id: int, episode_id: int, suggestions: pa.Table, items: pa.Table) -> None:
    """Replace a run's suggestions (track_id, start_us, end_us, person_id, probability) and queue items (rank, at_risk_s, item)."""
    for name, rows in (("suggestion", suggestions), ("queue_item", items)):
        transaction.execute(f"DELETE FROM {name} WHERE run_id = ?", [run_id])
        transaction.insert_arrow(name, _of_run(rows, run_id, episode_id))


def _of_run(rows: pa.Table, run_id: int, episode_id: int) -> pa.Table:
    for column, value in (("run_id", run_id), ("episode_id", episode_id)):
        rows = rows.append_column(column, pa.array([value] * rows.num_rows, pa.int64()))
    return rows


def activate_run(transaction: Transaction, episode_id: int, run_id: int) -> None:
    """Make a committed run the one an episode shows."""
    transaction.execute("UPDATE episode SET active_run_id = ? WHERE episode_id = ?", [run_id, episode_id])


def committed_run(database: Database, episode_id: int, key: str) -> int | None:
    """The committed run of an episode under that key."""
    found = database.row("SELECT run_id FROM run WHERE episode_id = ? AND key = ? AND state = 'committed'", [episode_id, key])
    return int(found["run_id"]) if found else None


def run(database: Database, run_id: int) -> dict[str, Any] | None:
    """One run with its settings, models and stage keys."""
    found = database.known(("run",), "SELECT * FROM run WHERE run_id = ?", [run_id])
    if not found:
        return None
    return {name: json.loads(value) if name in ("settings", "models", "stages") else value for name, value in found[0].items()}


def runs(database: Database, episode_id: int) -> list[dict[str, Any]]:
    """The committed runs of an episode, newest first."""
    return database.rows(
        """SELECT run_id, created_at, committed_at, space, models->>'detector' AS detector, models->>'embedder' AS embedder
           FROM run WHERE episode_id = ? AND state = 'committed' ORDER BY run_id DESC""",
        [episode_id],
    )


def tracks(database: Database, run_id: int, *, person_id: int | None, cluster_id: int | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Pieces of tracks of a run with the person in force, by track and time; all pieces of at most `limit` tracks."""
    return database.rows(
        """SELECT t.track_id, a.person_id, p.called AS person, a.cluster_id, a.start_us, a.end_us, t.start_us AS track_start_us,
                  t.end_us AS track_end_us, t.shot, t.faces, t.score, t.height_px, t.quality, t.mixed, a.excluded, a.score AS probability,
                  a.label_source, a.level, a.locked, a.rev, t.chip
           FROM track t JOIN assignment a ON a.run_id = t.run_id AND a.track_id = t.track_id LEFT JOIN called p ON p.person_id = a.person_id
           WHERE t.run_id = ? AND a.run_id = ? AND t.track_id > ?
             AND (? IS NULL OR a.person_id = ?) AND (? IS NULL OR a.cluster_id = ?)
             AND t.track_id IN (SELECT track_id FROM assignment WHERE run_id = ? AND track_id > ? AND (? IS NULL OR person_id = ?)
                                AND (? IS NULL OR cluster_id = ?) GROUP BY track_id ORDER BY track_id LIMIT ?)
           ORDER BY t.track_id, a.start_us""",
        [run_id, run_id, after, person_id, person_id, cluster_id, cluster_id, run_id, after, person_id, person_id, cluster_id, cluster_id, limit],
    )


def track(database: Database, track_id: int) -> dict[str, Any] | None:
    """One track with its episode and place."""
    return database.row("SELECT * FROM track WHERE track_id = ?", [track_id])


def pieces_of_track(database: Database, run_id: int, track_id: int) -> list[dict[str, Any]]:
    """The labels in force for a track, in time order."""
    return database.rows(
        """SELECT a.start_us, a.end_us, a.person_id, p.called AS person, a.cluster_id, a.excluded, a.score AS probability, a.label_source, a.level,
                  a.method, a.locked, a.rev, a.rejected
           FROM assignment a LEFT JOIN called p ON p.person_id = a.person_id WHERE a.run_id = ? AND a.track_id = ? ORDER BY a.start_us""",
        [run_id, track_id],
    )


def machine_labels(database: Reader, run_id: int) -> list[dict[str, Any]]:
    """What the machine said of every track of a run, by id."""
    return database.rows(
        """SELECT m.track_id, t.start_us, t.end_us, m.cluster_id, m.person_id, m.method, m.score, m.threshold
           FROM machine_label m JOIN track t ON t.run_id = m.run_id AND t.track_id = m.track_id
           WHERE m.run_id = ? AND t.run_id = ? ORDER BY m.track_id""",
        [run_id, run_id],
    )


def track_spans(database: Reader, run_id: int) -> pa.Table:
    """track_id, start_us, end_us of the tracks of a run, by id."""
    return database.arrow("SELECT track_id, start_us, end_us FROM track WHERE run_id = ? ORDER BY track_id", [run_id])


def active_run(database: Database, episode_id: int) -> int | None:
    """The run an episode shows."""
    found = database.known(("episode",), "SELECT active_run_id FROM episode WHERE episode_id = ?", [episode_id])
    return found[0]["active_run_id"] if found else None


def analysed_by(database: Database, run_id: int) -> int | None:
    """The episode a run analyses; None: there is no such run, or its episode is gone."""
    sql = "SELECT episode_id FROM run JOIN episode USING (episode_id) WHERE run_id = ?"
    found = database.known(("run", "episode"), sql, [run_id])
    return found[0]["episode_id"] if found else None


def episode_of_run(database: Reader, run_id: int) -> int:
    """The episode a run analyses."""
    return int(database.rows("SELECT episode_id FROM run WHERE run_id = ?", [run_id])[0]["episode_id"])


def faces_of_tracks(database: Reader, run_id: int, track_ids: list[int] | None = None) -> pa.Table:
    """Faces of some tracks of a run, or of all: track_id, t_us, x1, y1, x2, y2, detection_id, by track and time."""
    wanted = f"AND track_id IN ({', '.join(str(int(one)) for one in track_ids)})" if track_ids is not None else "AND track_id IS NOT NULL"
    return database.arrow(
        f"SELECT track_id, t_us, x1, y1, x2, y2, detection_id FROM detection WHERE run_id = ? {wanted} ORDER BY track_id, t_us", [run_id]
    )


def faces_of_track(database: Database, run_id: int, track_id: int) -> list[dict[str, Any]]:
    """The faces of a track in time order, boxes normalised."""
    return database.rows(
        """SELECT detection_id, t_us, x1, y1, x2, y2, score, quality FROM detection
           WHERE run_id = ? AND track_id = ? ORDER BY t_us LIMIT 100000""",
        [run_id, track_id],
    )


_PIECES = """SELECT t.run_id, t.track_id, a.start_us, a.end_us, t.shot, a.person_id, a.cluster_id, a.score AS probability, a.label_source,
           CASE WHEN a.start_us <= t.start_us AND a.end_us >= t.end_us THEN t.faces ELSE (
               SELECT count(*) FROM detection d
               WHERE d.run_id = t.run_id AND d.track_id = t.track_id AND d.t_us >= a.start_us AND d.t_us < a.end_us) END AS faces,
           t.score, t.height_px, t.quality, t.mixed, CASE WHEN b.t_us >= a.start_us AND b.t_us < a.end_us THEN t.chip END AS chip
    FROM track t JOIN assignment a ON a.run_id = t.run_id AND a.track_id = t.track_id
    JOIN detection b ON b.run_id = t.run_id AND b.detection_id = t.best_detection_id
    WHERE t.run_id = ? AND a.run_id = ? AND b.run_id = ? AND NOT a.excluded"""
"""A row for every stretch of a track that carries one label: the one place that knows how tracks and labels meet for exports. What is no face is
left out; a picture goes with the stretch it was taken in."""


def pieces(database: Database, run_id: int) -> list[dict[str, Any]]:
    """All stretches of tracks of a run with the person in force, in time order; person_id None: unidentified."""
    return database.rows(
        f"""SELECT q.* EXCLUDE (run_id), p.called AS person FROM ({_PIECES}) q LEFT JOIN called p ON p.person_id = q.person_id
            ORDER BY q.start_us, q.track_id""",
        [run_id] * 3,
    )


def piece_faces(database: Database, run_id: int) -> pa.Table:
    """All faces of tracks with the person in force: t_us, track_id, person_id, x1, y1, x2, y2 (normalised), score, piece_start_us, piece_end_us;
    in time order."""
    return database.arrow(
        f"""SELECT d.t_us, d.track_id, q.person_id, d.x1, d.y1, d.x2, d.y2, d.score, q.start_us AS piece_start_us, q.end_us AS piece_end_us
            FROM detection d JOIN ({_PIECES}) q ON q.track_id = d.track_id AND d.t_us >= q.start_us AND d.t_us < q.end_us
            WHERE d.run_id = ? ORDER BY d.t_us, d.track_id""",
        [run_id] * 4,
    )


def is_settled(database: Database, run_id: int) -> bool:
    """Whether the totals of a run know of every decision about it."""
    found = database.row(
        """SELECT settled_seq >= 0 AND settled_seq >= (SELECT coalesce(max(rev), 0) FROM assignment a WHERE a.run_id = r.run_id) AS settled
           FROM run r WHERE run_id = ?""",
        [run_id],
    )
    return found is None or bool(found["settled"])


def shots(database: Database, run_id: int) -> list[dict[str, Any]]:
    """Shots of a run in time order."""
    return database.rows("SELECT shot, start_us, end_us, thread FROM shot WHERE run_id = ? ORDER BY shot", [run_id])


def observed_between(database: Database, run_id: int, start_us: int, end_us: int) -> list[str]:
    """Keys of the observe artefacts of a run that saw a stretch of time, its segments' overlap included."""
    found = database.rows(
        "SELECT observe_key FROM segment WHERE run_id = ? AND start_us <= ? AND end_us >= ? ORDER BY segment", [run_id, end_us, start_us]
    )
    return [row["observe_key"] for row in found]


def portraits(database: Database, person_id: int, limit: int) -> list[dict[str, Any]]:
    """Tracks that show a person best (active runs), those people decided first."""
    return database.rows(
        """SELECT t.track_id, t.episode_id, t.chip, t.start_us, t.quality, a.label_source, p.called AS person
           FROM assignment a JOIN called p USING (person_id) JOIN episode e ON e.active_run_id = a.run_id
           JOIN track t ON t.run_id = a.run_id AND t.track_id = a.track_id
           WHERE a.person_id = ? AND NOT a.excluded AND t.chip IS NOT NULL AND NOT t.mixed
           QUALIFY row_number() OVER (PARTITION BY t.track_id ORDER BY a.start_us) = 1
           ORDER BY a.label_source = 'machine', t.quality DESC, t.track_id LIMIT ?""",
        [person_id, limit],
    )


def beside(database: Database, run_id: int, track_id: int, start_us: int, end_us: int) -> list[dict[str, Any]]:
    """Tracks in the picture together with a stretch of one: track_id, person_id, person, seconds; most seconds first."""
    return database.rows(
        """SELECT o.track_id, a.person_id, p.called AS person,
                  sum(greatest(0, least(a.end_us, t.end_us, ?) - greatest(a.start_us, t.start_us, ?))) / 1e6 AS seconds
           FROM track t JOIN track o ON o.run_id = t.run_id AND o.shot = t.shot AND o.track_id <> t.track_id
           JOIN assignment a ON a.run_id = o.run_id AND a.track_id = o.track_id LEFT JOIN called p USING (person_id)
           WHERE t.run_id = ? AND t.track_id = ? AND NOT a.excluded GROUP BY o.track_id, a.person_id, p.called HAVING seconds > 0
           ORDER BY seconds DESC, o.track_id LIMIT 24""",
        [end_us, start_us, run_id, track_id],
    )


def face(database: Database, run_id: int, detection_id: int) -> dict[str, Any] | None:
    """When a detection was made, and how good a face it is."""
    return database.row("SELECT t_us, quality FROM detection WHERE run_id = ? AND detection_id = ?", [run_id, detection_id])


def face_at(database: Database, run_id: int, track_id: int, t_us: int) -> dict[str, Any] | None:
    """The face of a track nearest to a time."""
    return database.row(
        "SELECT t_us, x1, y1, x2, y2 FROM detection WHERE run_id = ? AND track_id = ? ORDER BY abs(t_us - ?), detection_id LIMIT 1",
        [run_id, track_id, t_us],
    )


def clusters(database: Database, run_id: int, after: int, limit: int) -> list[dict[str, Any]]:
    """Clusters of a run as decisions left them, with the person most of each is labelled, by id (the machine's are by seconds, most first)."""
    return database.rows(
        """WITH held AS (
               SELECT cluster_id, person_id, sum(end_us - start_us) AS us, max(rev) AS rev, count(*) FILTER (decision_id IS NOT NULL) AS decided,
                      bool_or(locked) AS locked
               FROM assignment WHERE run_id = ? AND cluster_id > ? AND NOT excluded GROUP BY ALL)
           SELECT h.cluster_id, (SELECT count(DISTINCT track_id) FROM assignment a WHERE a.run_id = ? AND a.cluster_id = h.cluster_id) AS tracks,
                  sum(us) / 1e6 AS seconds, any_value(c.cohesion) AS cohesion, arg_max(h.person_id, us) AS person_id,
                  arg_max(p.called, us) FILTER (h.person_id IS NOT NULL) AS person, max(h.rev) AS rev, sum(decided) > 0 AS decided,
                  bool_or(h.locked) AS locked, count(*) > 1 AS mixed
           FROM held h LEFT JOIN cluster c ON c.run_id = ? AND c.cluster_id = h.cluster_id LEFT JOIN called p ON p.person_id = h.person_id
           GROUP BY h.cluster_id ORDER BY h.cluster_id LIMIT ?""",
        [run_id, after, run_id, run_id, limit],
    )


def labelled_seconds(database: Database, run_id: int) -> list[dict[str, Any]]:
    """Seconds of track under each label of a run."""
    return database.rows(
        """SELECT person_id, sum(end_us - start_us) / 1e6 AS seconds FROM assignment WHERE run_id = ? AND NOT excluded
           GROUP BY person_id ORDER BY person_id""",
        [run_id],
    )


def matched_seconds(database: Database, one: int, other: int) -> dict[str, float]:
    """Seconds of face two runs of an episode show: under one label, under two, and in one of them alone.

    A face is in both when a box of the other run at the nearest moment, at most 0.3 s off, overlaps it by half.
    """
    faces = """SELECT d.t_us, d.x1, d.y1, d.x2, d.y2, a.person_id, r.step_us / 1e6 AS seconds FROM detection d
               JOIN assignment a ON a.run_id = d.run_id AND a.track_id = d.track_id AND d.t_us >= a.start_us AND d.t_us < a.end_us
               JOIN run r ON r.run_id = d.run_id WHERE d.run_id = ? AND a.run_id = ? AND NOT a.excluded"""
    pairs = f"""WITH a AS ({faces}), b AS ({faces}), p AS (
        SELECT a.t_us, a.x1, a.seconds, a.person_id AS mine, b.person_id AS theirs, b.t_us IS NOT NULL AS there,
               greatest(0, least(a.x2, b.x2) - greatest(a.x1, b.x1)) * greatest(0, least(a.y2, b.y2) - greatest(a.y1, b.y1)) AS shared,
               (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) AS both
        FROM a LEFT JOIN b ON b.t_us BETWEEN a.t_us - 300000 AND a.t_us + 300000),
        best AS (SELECT t_us, x1, any_value(seconds) AS seconds, max(there AND shared >= (both - shared) / 2) AS found,
                        max_by(mine IS NOT DISTINCT FROM theirs, shared) AS same FROM p GROUP BY t_us, x1)
        SELECT coalesce(sum(seconds) FILTER (found AND same), 0) AS agree_s, coalesce(sum(seconds) FILTER (found AND NOT same), 0) AS disagree_s,
               coalesce(sum(seconds) FILTER (NOT coalesce(found, false)), 0) AS only_s FROM best"""
    mine = database.row(pairs, [one, one, other, other])
    theirs = database.row(pairs, [other, other, one, one])
    assert mine is not None and theirs is not None
    return {**mine, "only_other_s": theirs["only_s"]}


def posteriors(database: Database, run_id: int, cluster_id: int) -> list[dict[str, Any]]:
    """Who a cluster may be, most probable first; person_id None stands for none of the people known. One decided as a whole is that person."""
    decided = database.rows(
        """SELECT person_id, p.called AS person, 1.0::DOUBLE AS probability, NULL AS similarity FROM (
             SELECT any_value(person_id) AS person_id FROM assignment WHERE run_id = ? AND cluster_id = ?
             HAVING bool_and(label_source <> 'machine' AND NOT excluded AND person_id IS NOT NULL) AND count(DISTINCT person_id) = 1
           ) JOIN called p USING (person_id)""",
        [run_id, cluster_id],
    )
    return decided or database.rows(
        """SELECT o.person_id, p.called AS person, o.probability, o.similarity
           FROM posterior o LEFT JOIN called p USING (person_id)
           WHERE o.run_id = ? AND o.cluster_id = ? ORDER BY o.probability DESC, o.person_id""",
        [run_id, cluster_id],
    )


def explained(database: Database, run_id: int) -> dict[str, pa.Table]:
    """What totals are made of: shot, track, membership, identity (who each cluster may be), by id; and pieces, the labels in force."""
    return {
        "shot": database.arrow("SELECT shot, start_us, end_us, thread FROM shot WHERE run_id = ? ORDER BY shot", [run_id]),
        "track": database.arrow("SELECT track_id, shot, start_us, end_us, faces, quality FROM track WHERE run_id = ? ORDER BY track_id", [run_id]),
        "membership": database.arrow(
            "SELECT track_id, cluster_id, probability FROM membership WHERE run_id = ? ORDER BY track_id, probability DESC, cluster_id", [run_id]
        ),
        "identity": database.arrow(
            """SELECT cluster_id, coalesce(p.merged_into, o.person_id) AS person, probability, accepted AS label
               FROM posterior o LEFT JOIN person p ON p.person_id = o.person_id
               WHERE run_id = ? ORDER BY cluster_id, probability DESC, o.person_id NULLS LAST""",
            [run_id],
        ),
        "pieces": database.arrow(
            """SELECT a.track_id, a.start_us, a.end_us, a.person_id AS person, excluded, label_source <> 'machine' AS decided, rejected, level,
                      a.cluster_id, m.cluster_id AS machine_cluster_id
               FROM assignment a JOIN machine_label m ON m.run_id = a.run_id AND m.track_id = a.track_id
               WHERE a.run_id = ? AND m.run_id = ? ORDER BY a.track_id, a.start_us""",
            [run_id, run_id],
        ),
    }


def screen_time(database: Database, run_id: int) -> list[dict[str, Any]]:
    """Totals of a run, most seen first."""
    return database.rows(
        """SELECT t.person_id, p.called AS name, p.kind,
                  visual_s, visual_low_s, visual_high_s, solo_s, solo_low_s, solo_high_s, tracks, faces, first_us, last_us, confidence
           FROM screen_time t JOIN called p USING (person_id) WHERE run_id = ? ORDER BY visual_s DESC, t.person_id""",
        [run_id],
    )


def season_time(database: Database, show_id: int, season: int | None) -> list[dict[str, Any]]:
    """Totals of all analysed episodes of a show or of one season, episode by episode, most seen first."""
    return database.rows(
        """SELECT e.season, e.number, e.episode_id, e.title, e.duration_us / 1e6 AS duration_s, t.run_id, t.person_id, p.called AS name, p.kind,
                  visual_s, visual_low_s, visual_high_s, solo_s, solo_low_s, solo_high_s, tracks, faces, confidence
           FROM episode e JOIN screen_time t ON t.episode_id = e.episode_id AND t.run_id = e.active_run_id JOIN called p USING (person_id)
           WHERE e.show_id = ? AND (? IS NULL OR e.season = ?)
           ORDER BY e.season NULLS LAST, e.number NULLS LAST, e.episode_id, visual_s DESC, t.person_id""",
        [show_id, season, season],
    )


def analysed_episodes(database: Database, show_id: int, season: int | None) -> list[dict[str, Any]]:
    """Episodes of a show or of one season that have an active run, in their order, with the models and unidentified seconds of it."""
    return database.rows(
        """SELECT e.episode_id, e.season, e.number, e.title, e.duration_us / 1e6 AS duration_s, e.media_digest, r.run_id, r.unidentified_s,
                  r.models->>'detector' AS detector, r.models->>'embedder' AS embedder
           FROM episode e JOIN run r ON r.run_id = e.active_run_id WHERE e.show_id = ? AND (? IS NULL OR e.season = ?)
           ORDER BY e.season NULLS LAST, e.number NULLS LAST, e.episode_id""",
        [show_id, season, season],
    )


def co_presence(database: Database, run_id: int) -> list[dict[str, Any]]:
    """Seconds two people are seen together, most first."""
    return database.rows("SELECT person_a, person_b, seconds FROM co_presence WHERE run_id = ? ORDER BY seconds DESC, person_a, person_b", [run_id])


def counts(database: Database, run_id: int) -> dict[str, Any]:
    """How much a run holds."""
    found = database.row(
        """SELECT (SELECT count(*) FROM shot WHERE run_id = ?) AS shots, (SELECT count(*) FROM detection WHERE run_id = ?) AS detections,
                  (SELECT count(*) FROM track WHERE run_id = ?) AS tracks, (SELECT count(*) FROM cluster WHERE run_id = ?) AS clusters""",
        [run_id] * 4,
    )
    assert found is not None
    return found


def person_tracks(database: Database, run_id: int, unmatched: list[int]) -> pa.Table:
    """Faces of all tracks of a run that the machine gave a person: person_id, track_id, t_us, x1, y1, x2, y2, in time order.

    Args:
        unmatched: people whom a match of faces does not count for.
    """
    less = f"AND NOT (a.method = 'face match' AND a.person_id IN ({', '.join(map(str, unmatched))}))" if unmatched else ""
    return database.arrow(
        f"""SELECT a.person_id, d.track_id, d.t_us, d.x1, d.y1, d.x2, d.y2
           FROM detection d JOIN machine_label a ON a.run_id = d.run_id AND a.track_id = d.track_id
           WHERE d.run_id = ? AND a.run_id = ? AND a.person_id IS NOT NULL {less} ORDER BY d.t_us, d.track_id""",
        [run_id, run_id],
    )


def gallery_tracks(database: Database, show_id: int, space: str, without_episode: int) -> pa.Table:
    """Exemplars of the people of a show from other episodes, of tracks that are one person's whole: vector_id, run_id, person_id, quality, known,
    by vector id."""
    return database.arrow(
        """SELECT v.vector_id, v.run_id, a.person_id, v.quality, p.name IS NOT NULL AS known
           FROM episode e JOIN run r ON r.run_id = e.active_run_id
           JOIN track_embedding v ON v.run_id = r.run_id
           JOIN assignment a ON a.run_id = v.run_id AND a.track_id = v.track_id
           JOIN person p ON p.person_id = a.person_id
           WHERE e.show_id = ? AND r.space = ? AND e.episode_id <> ? AND p.erased_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM assignment o WHERE o.run_id = a.run_id AND o.track_id = a.track_id AND o.start_us <> a.start_us)
           ORDER BY v.vector_id""",
        [show_id, space, without_episode],
    )


def pictures_in_use(database: Database) -> set[str]:
    """File names of all pictures something refers to: tracks, picked faces, people, and decisions about them."""
    rows = database.arrow(
        """SELECT DISTINCT chip FROM (SELECT chip FROM track UNION ALL SELECT unnest([chip, picture]) FROM facebank
           UNION ALL SELECT featured FROM person
           UNION ALL SELECT parameters->>'chip' FROM decision) WHERE chip IS NOT NULL"""
    )
    return set(rows["chip"].to_pylist())


def pictures_of_episode(database: Database, episode_id: int) -> set[str]:
    """File names of the pictures of an episode's tracks."""
    return {row["chip"] for row in database.rows("SELECT DISTINCT chip FROM track WHERE episode_id = ? AND chip IS NOT NULL", [episode_id])}


def stage_results(stages: dict[str, Any]) -> list[tuple[Stage, str]]:
    """(kind, key) of the stage results a run was made of."""
    found: list[tuple[Stage, str]] = [("identify", stages["identify"])]
    for observe_key, track_key in stages["segments"]:
        found += [("observe", observe_key), ("track", track_key)]
    return found


def artefacts_in_use(database: Reader) -> set[tuple[Stage, str]]:
    """(kind, key) of all stage results committed runs were made of."""
    rows = database.rows("SELECT stages FROM run WHERE state = 'committed'")
    return {found for row in rows for found in stage_results(json.loads(row["stages"]))}


def remove_episode(transaction: Transaction, episode_id: int) -> None:
    """Remove an episode, its runs, jobs and exports' records, and the unknown people seen nowhere else; its vectors are put up for removal."""
    transaction.execute("INSERT INTO vector_gc SELECT run_id, space FROM run WHERE episode_id = ?", [episode_id])
    gone = """SELECT person_id FROM person WHERE name IS NULL
              AND person_id IN (SELECT person_id FROM screen_time WHERE episode_id = ?)
              AND person_id NOT IN (SELECT person_id FROM screen_time WHERE episode_id <> ?)
              AND person_id NOT IN (SELECT person_id FROM facebank)"""
    for table in ("cast_membership", "person"):
        transaction.execute(f"DELETE FROM {table} WHERE person_id IN ({gone})", [episode_id, episode_id])
    transaction.execute("DELETE FROM job_event WHERE job_id IN (SELECT job_id FROM job WHERE episode_id = ?)", [episode_id])
    for name in (*RESULT_TABLES, "anchor", "snooze", "export", "job", "run", "episode"):
        transaction.execute(f"DELETE FROM {name} WHERE episode_id = ?", [episode_id])
