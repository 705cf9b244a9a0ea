"""Questions in SQL: what may be asked is answered, and what would read, write, look around or never end is refused with a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from engine import sandbox
from engine.errors import BadInput, Refused
from engine.wire import Client


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(tmp_path_factory.mktemp("asked"), "person:tester")
    client.call("show_add", {"title": "First"})
    client.call("show_add", {"title": "Second"})
    for show, names in (("first", ("Ana", "Bea")), ("second", ("Cy",))):
        for name in names:
            client.call("person_add", {"name": name, "show": show})
    yield client
    client.stop()


def test_views_answer_and_can_be_narrowed(asked: Client) -> None:
    everybody = asked.call("query_run", {"sql": "WITH p AS (SELECT * FROM people) SELECT name FROM p ORDER BY name"})
    assert everybody == {"columns": ["name"], "rows": [["Ana"], ["Bea"], ["Cy"]], "more": False}
    assert asked.call("query_run", {"sql": "SELECT name FROM people ORDER BY 1 DESC", "show": "first"})["rows"] == [["Bea"], ["Ana"]]
    assert asked.call("query_run", {"sql": "SELECT name FROM people", "limit": 2})["more"]


def test_every_view_can_be_read_and_has_the_columns_it_says(asked: Client) -> None:
    for view in asked.call("query_views")["rows"]:
        assert asked.call("query_run", {"sql": f"SELECT * FROM {view['name']}"})["columns"] == list(view["columns"]), view["name"]


def test_values_of_every_kind_arrive_as_json(asked: Client) -> None:
    sql = "SELECT 'ab'::BLOB, DATE '2026-01-02', {'a': 1}, [1, 2], 1.5::DECIMAL(9, 2), 'nan'::DOUBLE, NULL"
    assert asked.call("query_run", {"sql": sql})["rows"] == [["6162", "2026-01-02", {"a": 1}, [1, 2], "1.50", None, None]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM parquet_scan('x')",
        "SELECT * FROM sqlite_scan('x', 'y')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('temp_directory')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('person')",
        "SELECT * FROM pragma_table_info('people')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "SELECT * FROM person",
        "SELECT * FROM main.people",
        "SELECT * FROM library.main.person",
        "SELECT * FROM information_schema.tables",
        "WITH x AS (SELECT * FROM command) SELECT * FROM x",
        "SELECT 1 WHERE EXISTS (SELECT * FROM command)",
        "SELECT * FROM (VALUES ((SELECT max(seq) FROM command)))",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE person",
        "INSERT INTO people VALUES (1)",
        "UPDATE person SET name = 'x'",
        "DELETE FROM person",
        "DROP VIEW called",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH '/tmp/x.db'",
        "COPY people TO '/tmp/x.csv'",
        "EXPORT DATABASE '/tmp/x'",
        "PRAGMA version",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "DESCRIBE people",
        "EXPLAIN SELECT 1",
        "BEGIN",
        "CHECKPOINT",
        "PREPARE x AS SELECT 1",
    ],
)
def test_what_reads_writes_or_looks_around_is_refused(asked: Client, sql: str) -> None:
    before = asked.call("person_list")["rows"]
    with pytest.raises(Refused) as caught:
        asked.call("query_run", {"sql": sql})
    assert caught.value.message.endswith(".") and caught.value.hint
    assert asked.call("person_list")["rows"] == before


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT nope FROM people", "SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT '" + "x" * 30_000 + "'", ""]
)
def test_what_is_wrong_is_said_to_be(asked: Client, sql: str) -> None:
    with pytest.raises((BadInput, Refused)) as caught:
        asked.call("query_run", {"sql": sql})
    assert "query" in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(100000000000) a, range(1000000) b",
        "WITH RECURSIVE r AS (SELECT 1 a UNION ALL SELECT a + 1 FROM r) SELECT max(a) FROM r",
    ],
)
def test_what_never_ends_is_ended(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    monkeypatch.setenv("ROLLCALL_AGENTS__QUERY_S", "0.5")
    client = Client(tmp_path_factory.mktemp("home"), "person:tester")
    with pytest.raises(Refused, match=r"longer than 0\.5 s"):
        client.call("query_run", {"sql": sql})
    client.stop()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 2000000000)",
        "SELECT list(a) FROM range(100000000) t(a)",
        "WITH RECURSIVE r AS (SELECT 'x' a UNION ALL SELECT a || a FROM r) SELECT length(a) FROM r",
    ],
)
def test_what_needs_more_memory_than_there_is_is_refused_and_the_engine_lives(asked: Client, sql: str) -> None:
    pid = asked.call("health_show")["pid"]
    with pytest.raises(Refused, match=r"256 MB|ended the process"):
        asked.call("query_run", {"sql": sql})
    assert asked.call("health_show")["pid"] == pid


def test_the_process_of_a_query_reaches_nothing_even_past_the_checks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The second wall by itself: whatever passed the first."""
    secret = tmp_path_factory.mktemp("outside") / "secret.csv"
    secret.write_text("a\n1\n")
    rows = [{"a": 1}]  # a variable DuckDB's Python client would find by its name
    connection = sandbox.closed(64)
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"COPY (SELECT 1) TO '{secret}'",
        f"ATTACH '{secret.with_suffix('.db')}'",
        "SELECT * FROM rows",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(sql).fetchall()
    assert secret.read_text() == "a\n1\n" and rows
