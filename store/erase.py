"""What the tables hold about somebody, and taking it out of them for good: rows, names in texts, pictures' names, vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa

from store import anchored
from store.database import Reader, Transaction, now

NOT_TEXT = {
    "chip",
    "picture",
    "space",
    "method",
    "label_source",
    "level",
    "state",
    "kind",
    "format",
    "sha256",
    "media_digest",
    "observe_key",
    "track_key",
}
"""Text columns whose values this program chooses."""

OTHERS = {"actor", "added_by", "decided_by", "idem_key", "key", "salt", "url", "slug"}
"""Text columns that name operators, and keys."""

CATALOGUE = {"show", "episode", "person", "run", "model", "schema_version", "counter"}
"""Tables whose words are the library's own: titles, files, models, other people's names."""

ABOUT_RECORDINGS = ("show_add", "episode_add")
"""Commands that hold titles and paths of files."""

Change = Callable[[Any, frozenset[int]], Any]


def group(database: Reader, person_id: int) -> list[int]:
    """A person and all who were merged into them, at any depth."""
    rows = database.rows("SELECT person_id, merged_into FROM person WHERE merged_into IS NOT NULL")
    found = [person_id]
    for one in found:
        found += [row["person_id"] for row in rows if row["merged_into"] == one and row["person_id"] not in found]
    return sorted(found)


def episodes_of(database: Reader, people: Collection[int]) -> list[int]:
    """Episodes in any analysis of which these people are labelled, or about which something was decided that names them."""
    wanted = _list(people)
    found = database.rows(
        f"""SELECT episode_id FROM assignment WHERE person_id IN ({wanted}) UNION SELECT episode_id FROM machine_label WHERE person_id IN ({wanted})
            UNION SELECT episode_id FROM decision WHERE person_id IN ({wanted}) AND episode_id IS NOT NULL ORDER BY episode_id"""
    )
    return [row["episode_id"] for row in found]


def runs_of(database: Reader, episode_id: int) -> list[int]:
    """The committed runs of an episode."""
    rows = database.rows("SELECT run_id FROM run WHERE episode_id = ? AND state = 'committed' ORDER BY run_id", [episode_id])
    return [row["run_id"] for row in rows]


def unnamed(database: Reader, show_id: int) -> set[int]:
    """People of a show nobody has named."""
    return {row["person_id"] for row in database.rows("SELECT person_id FROM person WHERE show_id = ? AND name IS NULL", [show_id])}


def names(database: Reader, people: Collection[int]) -> tuple[list[str], list[str]]:
    """(present names and aliases, earlier ones) of some people."""
    wanted = _list(people)
    rows = database.rows(f"SELECT name, aliases FROM person WHERE person_id IN ({wanted})")
    present = [name for row in rows for name in (row["name"], *row["aliases"]) if name]
    earlier: list[Any] = []
    for row in database.rows(f"SELECT parameters FROM decision WHERE person_id IN ({wanted}) AND verb LIKE 'person\\_%' ESCAPE '\\'"):
        parameters = json.loads(row["parameters"])
        before = parameters.get("before") or {}
        earlier += [parameters.get("name"), parameters.get("alias"), before.get("name"), *(before.get("aliases") or [])]
    for row in database.rows("SELECT parameters, result FROM command WHERE operation = 'person_add'"):
        if json.loads(row["result"]).get("person_id") in people:
            earlier.append(json.loads(row["parameters"]).get("name"))
    return sorted(set(present)), sorted({name for name in earlier if name} - set(present))


def others(database: Reader, people: Collection[int]) -> dict[str, set[int]]:
    """name or alias -> who else is called that."""
    found: dict[str, set[int]] = {}
    for row in database.rows(f"SELECT person_id, name, aliases FROM person WHERE person_id NOT IN ({_list(people)}) AND erased_at IS NULL"):
        for name in (row["name"], *row["aliases"]):
            if name:
                found.setdefault(name, set()).add(row["person_id"])
    return found


def catalogue(database: Reader) -> list[tuple[str, str]]:
    """(what it is, text) of every title and path of the library, and every operator."""
    found = []
    for row in database.rows('SELECT show_id, slug, title FROM "show" ORDER BY show_id'):
        found += [(f"the title of show {row['show_id']}", row["title"]), (f"the slug of show {row['show_id']}", row["slug"])]
    for row in database.rows("SELECT episode_id, title, path, media FROM episode ORDER BY episode_id"):
        found += [(f"the title of episode {row['episode_id']}", row["title"]), (f"the file of episode {row['episode_id']}", row["path"])]
    for row in database.rows(f"SELECT parameters FROM command WHERE operation IN {ABOUT_RECORDINGS}"):
        found += [("a command that added a recording", text) for text in json.loads(row["parameters"]).values() if isinstance(text, str)]
    actors = database.rows("SELECT DISTINCT actor FROM command UNION SELECT DISTINCT actor FROM decision UNION SELECT DISTINCT actor FROM job")
    return found + [(f"the operator {row['actor']}", row["actor"]) for row in actors]


def pictures_of(database: Reader, run_id: int, stretches: Iterable[tuple[int, int, int]]) -> set[str]:
    """Pictures of tracks (track_id, start_us, end_us) whose face lies in the stretch."""
    found = set()
    for track_id, start_us, end_us in stretches:
        rows = database.rows(
            """SELECT chip FROM track t JOIN detection d ON d.run_id = t.run_id AND d.detection_id = t.best_detection_id
               WHERE t.run_id = ? AND d.run_id = ? AND t.track_id = ? AND d.t_us >= ? AND d.t_us < ? AND chip IS NOT NULL""",
            [run_id, run_id, track_id, start_us, end_us],
        )
        found |= {row["chip"] for row in rows}
    return found


def bank(database: Reader, people: Collection[int]) -> list[dict[str, Any]]:
    """Faces of some people in the facebank."""
    return database.rows(f"SELECT entry_id, vector, chip, picture FROM facebank WHERE person_id IN ({_list(people)})")


def featured(database: Reader, people: Collection[int]) -> set[str]:
    """Pictures some people are shown by."""
    rows = database.rows(f"SELECT featured FROM person WHERE person_id IN ({_list(people)}) AND featured IS NOT NULL")
    return {row["featured"] for row in rows}


def decided(database: Reader, people: Collection[int]) -> int:
    """How many decisions are about some people."""
    return int(database.rows(f"SELECT count(*) AS n FROM decision WHERE person_id IN ({_list(people)})")[0]["n"])


def runs_showing(database: Reader, people: Collection[int]) -> list[int]:
    """Runs in whose labels or totals some people are."""
    wanted = _list(people)
    tables = ("assignment", "machine_label", "screen_time")
    parts = [f"SELECT run_id FROM {table} WHERE person_id IN ({wanted})" for table in tables]
    return sorted(row["run_id"] for row in database.rows(" UNION ".join(parts)))


def runs_about(database: Reader, people: Collection[int]) -> set[int]:
    """Committed runs whose labels or figures mention some people, or whose episode decisions about them are about."""
    wanted = _list(people)
    tables = ("assignment", "machine_label", "posterior", "suggestion", "screen_time")
    parts = [f"SELECT run_id FROM {table} WHERE person_id IN ({wanted})" for table in tables]
    parts.append(f"SELECT r.run_id FROM run r JOIN decision d ON d.episode_id = r.episode_id WHERE d.person_id IN ({wanted})")
    rows = database.rows(f"SELECT run_id FROM run WHERE state = 'committed' AND run_id IN ({' UNION '.join(parts)})")
    return {row["run_id"] for row in rows}


def about(database: Reader) -> dict[str, frozenset[int]]:
    """idem_key -> the people that change was about."""
    found: dict[str, set[int]] = {}
    for row in database.rows("SELECT idem_key, person_id, parameters->>'into' AS \"into\" FROM decision"):
        found.setdefault(row["idem_key"], set()).update(int(one) for one in (row["person_id"], row["into"]) if one is not None)
    for row in database.rows("SELECT idem_key, parameters->>'person_id' AS one, result->>'person_id' AS other FROM command"):
        found.setdefault(row["idem_key"], set()).update(int(one) for one in (row["one"], row["other"]) if one is not None)
    return {key: frozenset(people) for key, people in found.items()}


def bury(transaction: Transaction, people: Collection[int]) -> None:
    """Take out the rows about some people; who they were becomes rows without a name."""
    wanted = _list(people)
    for table in ("facebank", "cast_membership", "screen_time", "suggestion"):
        transaction.execute(f"DELETE FROM {table} WHERE person_id IN ({wanted})")
    transaction.execute(f"DELETE FROM co_presence WHERE person_a IN ({wanted}) OR person_b IN ({wanted})")
    _nobody(transaction, wanted)
    transaction.execute(f"UPDATE machine_label SET person_id = NULL, method = 'forgotten' WHERE person_id IN ({wanted})")
    blank = "name = NULL, aliases = [], consent = NULL, featured = NULL, erased_at = coalesce(erased_at, ?)"
    transaction.execute(f"UPDATE person SET {blank} WHERE person_id IN ({wanted})", [now()])


def _nobody(transaction: Transaction, wanted: str) -> None:
    """What spoke for some people in a cluster speaks for nobody who can be named."""
    held = f"SELECT DISTINCT run_id, cluster_id FROM posterior WHERE person_id IN ({wanted})"
    rows = transaction.arrow(
        f"""SELECT run_id, any_value(episode_id) AS episode_id, cluster_id, CAST(NULL AS BIGINT) AS person_id,
                   CAST(least(1, sum(probability)) AS FLOAT) AS probability, CAST(NULL AS FLOAT) AS similarity, bool_or(accepted) AS accepted
            FROM posterior JOIN ({held}) USING (run_id, cluster_id) WHERE person_id IS NULL OR person_id IN ({wanted}) GROUP BY run_id, cluster_id"""
    )
    transaction.execute(f"DELETE FROM posterior p USING ({held}) h WHERE p.run_id = h.run_id AND p.cluster_id = h.cluster_id AND p.person_id IS NULL")
    transaction.execute(f"DELETE FROM posterior WHERE person_id IN ({wanted})")
    transaction.insert_arrow("posterior", rows)


def bury_pictures(transaction: Transaction, pictures: Collection[str]) -> None:
    """Take out the names of some pictures wherever a row shows one."""
    for table, column in (("track", "chip"), ("facebank", "chip"), ("facebank", "picture"), ("person", "featured")):
        transaction.execute(f'UPDATE "{table}" SET {column} = NULL WHERE list_contains(?, {column})', [sorted(pictures)])


def bury_vectors(transaction: Transaction, tracks: Collection[int]) -> None:
    """Take out the references to vectors of some tracks."""
    transaction.execute(f"DELETE FROM track_embedding WHERE track_id IN ({_list(tracks)})")


def unsettle(transaction: Transaction, runs: Collection[int]) -> None:
    """Totals and questions of some runs are to be made again."""
    transaction.execute(f"DELETE FROM queue_item WHERE run_id IN ({_list(runs)})")
    transaction.execute(f"UPDATE run SET settled_seq = -1 WHERE run_id IN ({_list(runs)})")


Cut = dict[tuple[int, int], list[tuple[int, int]]]
"""(decision, number) of an anchor -> stretches (start_us, end_us) of its path."""


def bury_anchors(transaction: Transaction, people: Collection[int], cut: Cut) -> None:
    """Take out where the faces of decisions about some people were, and of other anchors the parts in `cut`."""
    rows = transaction.rows(
        f"""SELECT a.rowid AS id, decision_id, a.episode_id, faces, coalesce(d.person_id IN ({_list(people)}), false) AS gone FROM anchor a
            JOIN decision d USING (decision_id) WHERE gone OR decision_id IN ({_list({decision for decision, _ in cut})})"""
    )
    cells: dict[int, bytes] = {}
    for row in rows:
        held = anchored.rows(row["decision_id"], row["episode_id"], row["faces"])
        (pack,) = anchored.repacked(anchors_without(held, {row["decision_id"]} if row["gone"] else (), cut))
        cells[row["id"]] = pack.cell
    replace_cells(transaction, "anchor", "faces", cells)


def replace_cells(transaction: Transaction, table: str, column: str, cells: dict[int, Any]) -> None:
    """Set one column of some rows, by rowid."""
    if not cells:
        return
    kind = transaction.rows("SELECT data_type FROM duckdb_columns() WHERE table_name = ? AND column_name = ?", [table, column])[0]["data_type"]
    with transaction.incoming(pa.table({"row": pa.array(cells, pa.int64()), "cell": pa.array(list(cells.values()))})):
        transaction.execute(f'UPDATE "{table}" SET "{column}" = CAST(cell AS {kind}) FROM incoming WHERE "{table}".rowid = incoming."row"')


def anchors_without(rows: Iterable[anchored.Row], gone: Collection[int], cut: Cut) -> list[anchored.Row]:
    """Anchors without the paths of some decisions, and without the parts in `cut`."""
    found = []
    for row in rows:
        t_us, boxes = ([], []) if row["decision_id"] in gone else without(row["t_us"], row["boxes"], cut.get((row["decision_id"], row["number"]), ()))
        found.append({**row, "t_us": t_us, "boxes": boxes})
    return found


def without(t_us: list[int], boxes: list[float], spans: Iterable[tuple[int, int]]) -> tuple[list[int], list[float]]:
    """A path without the samples in some stretches."""
    held = list(spans)
    rows = [row for row, at in enumerate(t_us) if not any(start <= at < end for start, end in held)]
    return [t_us[row] for row in rows], [value for row in rows for value in boxes[4 * row : 4 * row + 4]]


def text_columns(database: Reader) -> Iterator[tuple[str, str, str]]:
    """(table, column, type) of every column words can be in."""
    rows = database.rows(
        """SELECT table_name, column_name, data_type FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, table_name)
           WHERE database_name = current_database() ORDER BY table_name, column_index"""
    )
    for row in rows:
        if row["data_type"] in ("VARCHAR", "JSON", "VARCHAR[]"):
            yield row["table_name"], row["column_name"], row["data_type"]


def vector_columns(database: Reader) -> list[tuple[str, str]]:
    """(table, column) of every column that holds vectors."""
    rows = database.rows("SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = current_database() AND data_type LIKE 'FLOAT[%'")
    return [(row["table_name"], row["column_name"]) for row in rows]


def ours(table: str, column: str) -> bool:
    """Whether words of a column are about people: no title, path, operator or word of the program."""
    return table not in CATALOGUE and column not in NOT_TEXT and column not in OTHERS


def rewrite_texts(transaction: Transaction, change: Change, people_of: dict[str, frozenset[int]]) -> int:
    """Change every text and JSON value by `change(value, people it is about)`; returns how many cells that changed.

    Titles and paths of recordings, operators and other people's names are left alone; so are `decision.parameters`, which have rules of their own.
    """
    count = 0
    for table, column, kind in text_columns(transaction):
        if not ours(table, column) or (table, column) == ("decision", "parameters"):
            continue
        keyed = table in ("command", "decision")
        skipped = f"AND operation NOT IN {ABOUT_RECORDINGS}" if table == "command" else ""
        rows = transaction.rows(
            f'SELECT rowid AS id, "{column}" AS cell{", idem_key" if keyed else ""} FROM "{table}" WHERE "{column}" IS NOT NULL {skipped}'
        )
        cells: dict[int, Any] = {}
        for row in rows:
            people = people_of.get(row["idem_key"], frozenset()) if keyed else frozenset()
            before = json.loads(row["cell"]) if kind == "JSON" else row["cell"]
            after = change(before, people)
            if after != before:
                cells[row["id"]] = json.dumps(after, default=str) if kind == "JSON" else after
        replace_cells(transaction, table, column, cells)
        count += len(cells)
    return count


def pictures_named(database: Reader) -> set[str]:
    """Names of media files that any row shows."""
    found: set[str] = set()
    for table, column, _ in text_columns(database):
        rows = database.rows(
            f"""SELECT DISTINCT unnest(regexp_extract_all(CAST("{column}" AS VARCHAR), '[0-9a-f]{{64}}\\.[a-z]+')) AS name FROM "{table}" """
        )
        found |= {row["name"] for row in rows}
    return found


def _list(ids: Iterable[int]) -> str:
    return ", ".join(str(int(one)) for one in sorted(ids)) or "NULL"
