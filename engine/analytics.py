"""Questions in SQL that cannot do harm: one SELECT over documented views, answered by a database of its own.

The views asked for are handed to a process of its own (engine/sandbox.py), whose database has no way to the file system, the network, the
library or its variables, and which may neither grow nor last. What is not refused by name before (a second statement, a table that is not a
view, a function that reads) has nothing to reach.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from engine import sandbox
from engine.errors import BadInput, Refused
from store import views
from store.database import Database

if TYPE_CHECKING:
    from engine.service import Engine

log = logging.getLogger("rollcall.analytics")
LONGEST_SQL = 20_000
PARSER_MB = 64
START_S = 10.0
"""What the process may take to start, to read the views and to end, beyond the query's own time."""

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""Functions that make rows out of their arguments alone."""

FORBIDDEN = frozenset({"getenv", "current_setting", "query", "query_table", "read_text", "read_blob", "getvariable"})
"""Functions that look at where they run; the database of the answer has nothing to show them, and the refusal says so."""

HINT = "`rollcall query views` lists what can be asked about."
NARROWER = "Ask about one show or episode, or for less."


@dataclass(frozen=True)
class Limits:
    """Of one question."""

    seconds: float
    rows: int
    memory_mb: int
    copied_rows: int


@dataclass(frozen=True)
class Answer:
    """Columns and rows; `more`: there were more rows than the limit."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool


def ask(engine: Engine, sql: str, limits: Limits, show_id: int | None = None, episode_id: int | None = None) -> Answer:
    """Answer one SELECT.

    Args:
        show_id, episode_id: the views hold this show's or episode's rows alone.

    Raises:
        Refused: it is not one SELECT over the views, or it asks for more than the limits give.
        BadInput: it is not SQL, or wrong.
    """
    named = checked(sql)
    with engine.scratch() as folder:
        tables = {name: _hand_over(engine.database, folder, name, limits.copied_rows, show_id, episode_id) for name in sorted(named)}
        question = {"sql": sql, "tables": tables, "rows": limits.rows, "seconds": limits.seconds, "memory_mb": limits.memory_mb}
        answer = _answered(question)
    if "refused" in answer:
        raise Refused(answer["refused"], NARROWER)
    if "wrong" in answer:
        raise BadInput(f"The query cannot be answered: {answer['wrong']}", HINT)
    return Answer(**answer)


def _answered(question: dict[str, Any]) -> dict[str, Any]:
    # -P: nothing is imported from the folder the engine happens to be in. No environment: there is nothing in it for a query.
    command = [sys.executable, "-P", "-m", "engine.sandbox"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=question["seconds"] + START_S,
            env={"PATH": os.defpath},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"The query took longer than {question['seconds']:g} s.", NARROWER) from error
    if done.returncode != 0:
        log.warning("a query ended its process (%d): %s", done.returncode, done.stderr[-2000:])
        raise Refused(f"The query ended the process that answered it (status {done.returncode}).", NARROWER)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def checked(sql: str) -> set[str]:
    """The views a query names.

    Raises:
        Refused, BadInput: as `ask`.
    """
    if len(sql) > LONGEST_SQL:
        raise BadInput(f"The query has {len(sql)} characters.", f"{LONGEST_SQL} are the most.")
    with sandbox.closed(PARSER_MB) as parser:
        try:
            statements = parser.extract_statements(sql)
            if len(statements) != 1:
                raise Refused(f"That is {len(statements)} statements; a query is exactly one SELECT.", "Send them one by one.")
            if statements[0].type != duckdb.StatementType.SELECT:
                raise Refused(f"{statements[0].type.name} is not allowed; a query is one SELECT, and nothing can be changed by it.", HINT)
            found = parser.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        except duckdb.Error as error:
            raise BadInput(f"The query is not valid SQL: {sandbox.first_line(error)}", HINT) from error
    assert found is not None
    tree = json.loads(found[0])
    if tree["error"]:
        raise BadInput(f"The query cannot be read: {tree['error_message']}", HINT)
    return _named(tree)


def _named(tree: Any) -> set[str]:
    local = {entry["key"].lower() for node in _nodes(tree) for entry in (node.get("cte_map") or {}).get("map", ())}
    named = set()
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node["table_name"]).lower()
            if name in local and not (node.get("schema_name") or node.get("catalog_name")):
                continue
            if name not in views.VIEWS or node.get("schema_name") or node.get("catalog_name"):
                raise Refused(f"{node['table_name']!r} is not one of the views that can be asked about.", HINT)
            named.add(name)
        elif kind == "SHOW_REF":
            raise Refused("DESCRIBE, SHOW and SUMMARIZE are not allowed; a query is one SELECT.", HINT)
        elif kind == "TABLE_FUNCTION" and _function(node) not in TABLE_FUNCTIONS:
            raise Refused(f"{_function(node)}() is not allowed: a query reads the views and no files, settings or network.", HINT)
        elif kind == "FUNCTION" and str(node.get("function_name", "")).lower() in FORBIDDEN:
            raise Refused(f"{node['function_name']}() is not allowed: a query reads the views and nothing around them.", HINT)
    return named


def _function(node: dict[str, Any]) -> str:
    return str((node.get("function") or {}).get("function_name", "")).lower()


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a syntax tree; walked without recursion, so that no query is too deep for it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _hand_over(database: Database, folder: Path, name: str, most: int, show_id: int | None, episode_id: int | None) -> str:
    """Write a view's rows where the process finds them."""
    rows = views.read(database, name, show_id, episode_id, most + 1)
    if rows.num_rows > most:
        raise Refused(f"The view {name} has more than {most} rows.", "Ask about one show or one episode at a time.")
    path = folder / f"{name}.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    return str(path)
