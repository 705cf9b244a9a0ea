"""Shows, episodes, people and casts."""

from __future__ import annotations

import json
from typing import Any

from store.database import Database, Transaction, now

_PERSON = """SELECT person_id, p.show_id, s.slug AS show, called AS name, kind, p.aliases, p.created_at, archived, featured
    FROM person p JOIN called USING (person_id) JOIN "show" s USING (show_id) WHERE erased_at IS NULL AND merged_into IS NULL"""

_EPISODE = """SELECT episode_id, e.show_id, s.slug AS show, season, number, e.title, air_date, kind, path, media_digest, bytes, duration_us,
    duration_us / 1e6 AS duration_s, fps, width, height, active_run_id, added_at FROM episode e JOIN "show" s USING (show_id)"""


def add_show(transaction: Transaction, slug: str, title: str) -> int:
    """A new show; returns its id."""
    show_id = transaction.next_id("show", "show_id")
    transaction.insert("show", show_id=show_id, slug=slug, title=title, created_at=now())
    return show_id


def shows(database: Database, after: int, limit: int) -> list[dict[str, Any]]:
    """Shows with the number of their episodes and people, by id."""
    return database.rows(
        """SELECT show_id, slug, title, aliases, created_at,
           (SELECT count(*) FROM episode e WHERE e.show_id = s.show_id) AS episodes,
           (SELECT count(*) FROM person p WHERE p.show_id = s.show_id AND erased_at IS NULL) AS people
           FROM "show" s WHERE show_id > ? ORDER BY show_id LIMIT ?""",
        [after, limit],
    )


def find_show(database: Database, reference: str) -> dict[str, Any] | None:
    """A show by id, slug, or another name it goes by."""
    return database.row(
        """SELECT show_id, slug, title, aliases, created_at FROM "show"
           WHERE slug = ? OR show_id = ? OR list_contains(list_transform(aliases, lambda a: lower(a)), lower(?))
           ORDER BY slug = ? DESC, show_id = ? DESC, show_id""",
        [reference, _id(reference), reference, reference, _id(reference)],
    )


def edit(transaction: Transaction, table: str, key: str, row_id: int, values: dict[str, Any]) -> None:
    """Change columns of a show or an episode."""
    columns = ", ".join(f"{name} = ?" for name in values)
    transaction.execute(f'UPDATE "{table}" SET {columns} WHERE {key} = ?', [*values.values(), row_id])


def add_episode(transaction: Transaction, show_id: int, media: dict[str, Any], **values: Any) -> int:
    """A new episode; `media` is what the probe found. Returns its id."""
    episode_id = transaction.next_id("episode", "episode_id")
    transaction.insert("episode", episode_id=episode_id, show_id=show_id, media=media, added_at=now(), **values)
    return episode_id


def episodes(database: Database, show_id: int | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Episodes by id."""
    return database.rows(
        f"{_EPISODE} WHERE episode_id > ? AND (? IS NULL OR e.show_id = ?) ORDER BY episode_id LIMIT ?", [after, show_id, show_id, limit]
    )


def find_episode(database: Database, reference: str) -> dict[str, Any] | None:
    """An episode by id or by `show-s01e02`."""
    found = database.known(
        ("episode", "show"),
        f"""{_EPISODE} WHERE episode_id = ?
            OR (season IS NOT NULL AND number IS NOT NULL AND lower(?) = format('{{}}-s{{:02d}}e{{:02d}}', s.slug, season, number))""",
        [_id(reference), reference],
    )
    return found[0] if found else None


def episode_at(database: Database, show_id: int, season: int, number: int) -> dict[str, Any] | None:
    """The episode of that place in a show, if there is one."""
    return database.row(f"{_EPISODE} WHERE e.show_id = ? AND season = ? AND number = ?", [show_id, season, number])


def _id(reference: str) -> int | None:
    """The id a reference is, when it is written as one."""
    return int(reference) if reference.isascii() and reference.isdigit() and len(reference) < 19 else None


def episode_of_digest(database: Database, media_digest: str) -> dict[str, Any] | None:
    """The episode made from a file of that content, if any."""
    return database.row(f"{_EPISODE} WHERE media_digest = ?", [media_digest])


def media_of(database: Database, episode_id: int) -> dict[str, Any]:
    """What the probe found when the episode was added."""
    found = database.row("SELECT media FROM episode WHERE episode_id = ?", [episode_id])
    assert found is not None
    media: dict[str, Any] = json.loads(found["media"])
    return media


def add_person(transaction: Transaction, show_id: int, name: str | None) -> int:
    """A new person, unknown while `name` is None; returns the id."""
    person_id = transaction.next_id("person", "person_id")
    transaction.insert("person", person_id=person_id, show_id=show_id, name=name, aliases=[], created_at=now())
    return person_id


def people(database: Database, show_id: int | None, kind: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """People with the episodes and seconds they are seen in (active runs), by id."""
    return database.rows(
        f"""WITH seen AS (
                SELECT person_id, count(*) AS episodes, sum(visual_s) AS visual_s
                FROM screen_time t JOIN episode e ON e.episode_id = t.episode_id AND e.active_run_id = t.run_id GROUP BY person_id)
            SELECT q.*, coalesce(episodes, 0) AS episodes, coalesce(visual_s, 0) AS visual_s
            FROM ({_PERSON}) q LEFT JOIN seen USING (person_id)
            WHERE person_id > ? AND (? IS NULL OR show_id = ?) AND (? IS NULL OR kind = ?) ORDER BY person_id LIMIT ?""",
        [after, show_id, show_id, kind, kind, limit],
    )


def find_person(database: Database, person_id: int) -> dict[str, Any] | None:
    """One person by id."""
    found = database.known(("person", "show"), f"SELECT * FROM ({_PERSON}) WHERE person_id = ?", [person_id])
    return found[0] if found else None


def erased(database: Database) -> frozenset[int]:
    """People who were forgotten."""
    return frozenset(row["person_id"] for row in database.known(("person",), "SELECT person_id FROM person WHERE erased_at IS NOT NULL"))


def person_named(database: Database, show_id: int, name: str) -> dict[str, Any] | None:
    """The person of a show with exactly that name."""
    return database.row(f"SELECT * FROM ({_PERSON}) WHERE show_id = ? AND kind = 'known' AND name = ?", [show_id, name])


def everybody(database: Database) -> list[dict[str, Any]]:
    """Everybody, also those merged into others: person_id, owner (who they are after merges), and the owner's name and what they are called."""
    return database.rows(
        """WITH RECURSIVE owned AS (
               SELECT person_id, person_id AS owner FROM person WHERE merged_into IS NULL
               UNION ALL SELECT p.person_id, o.owner FROM person p JOIN owned o ON p.merged_into = o.person_id)
           SELECT o.person_id, o.owner, p.name, c.called FROM owned o JOIN person p ON p.person_id = o.owner JOIN called c ON c.person_id = o.owner
           ORDER BY o.person_id"""
    )


def every_episode(database: Database) -> list[dict[str, Any]]:
    """All episodes by id."""
    return database.rows(f"{_EPISODE} ORDER BY episode_id")


def pictures(database: Database, person_ids: list[int]) -> dict[int, str]:
    """The picture file of each of some people: the one chosen, else the best of their faces in the bank and of their tracks in what episodes show."""
    wanted = ", ".join(map(str, person_ids)) or "NULL"
    rows = database.rows(
        f"""WITH found AS (
                SELECT a.person_id, t.chip, t.quality FROM episode e JOIN assignment a ON a.run_id = e.active_run_id
                JOIN track t ON t.run_id = a.run_id AND t.track_id = a.track_id
                WHERE a.person_id IN ({wanted}) AND NOT a.excluded AND t.chip IS NOT NULL AND a.start_us = t.start_us AND a.end_us = t.end_us
                UNION ALL SELECT person_id, chip, quality FROM facebank WHERE active AND chip IS NOT NULL AND person_id IN ({wanted})),
            best AS (SELECT person_id, arg_max(chip, quality) AS chip FROM found GROUP BY person_id)
            SELECT person_id, coalesce(featured, chip) AS picture FROM person LEFT JOIN best USING (person_id)
            WHERE person_id IN ({wanted}) AND coalesce(featured, chip) IS NOT NULL"""
    )
    return {row["person_id"]: row["picture"] for row in rows}


def presence(database: Database, person_id: int) -> list[dict[str, Any]]:
    """The episodes a person is seen in (active runs), by season and number."""
    return database.rows(
        """SELECT e.episode_id, e.title, e.season, e.number, e.duration_us / 1e6 AS duration_s, t.visual_s, t.visual_low_s, t.visual_high_s, t.solo_s,
                  t.tracks, t.faces
           FROM screen_time t JOIN episode e ON e.episode_id = t.episode_id AND e.active_run_id = t.run_id
           WHERE t.person_id = ? ORDER BY e.season NULLS LAST, e.number NULLS LAST, e.episode_id""",
        [person_id],
    )


def add_to_cast(transaction: Transaction, show_id: int, season: int | None, person_id: int, role: str | None) -> None:
    """Put a person into the cast of a show, or of one season of it."""
    transaction.insert("cast_membership", show_id=show_id, season=season, person_id=person_id, role=role, added_at=now())


def remove_from_cast(transaction: Transaction, show_id: int, season: int | None, person_id: int) -> None:
    """Take a person out of a cast."""
    transaction.execute(
        "DELETE FROM cast_membership WHERE show_id = ? AND person_id = ? AND season IS NOT DISTINCT FROM ?", [show_id, person_id, season]
    )


def cast(database: Database, show_id: int, season: int | None) -> list[dict[str, Any]]:
    """The cast of a show; with a season, those of that season and those of all seasons."""
    return database.rows(
        f"""SELECT c.season, c.role, q.person_id, q.name, q.kind FROM cast_membership c JOIN ({_PERSON}) q USING (person_id)
            WHERE c.show_id = ? AND (? IS NULL OR c.season IS NULL OR c.season = ?) ORDER BY q.name, q.person_id""",
        [show_id, season, season],
    )
