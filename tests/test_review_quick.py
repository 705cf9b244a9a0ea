"""What makes decisions quick: what is held in memory is what the store has, and few statements are asked of it."""

from __future__ import annotations

import gc
import itertools
import json
import re
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from engine.review import anchors, ledger
from engine.review.draft import Target
from engine.review.faces import RunFaces
from engine.review.ledger import Ledger
from engine.review.state import EpisodeState, People
from store import anchored, audit, covered, decisions
from store.database import FEW, Database, Transaction
from store.journal import Journal
from tests.desk import Bench, Seen

ANA = "person:ana"
BOX = ("x1", "y1", "x2", "y2")
SEEN = [Seen(at, at + 4, at % 3, None, at % 3) for at in range(0, 60, 2)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.run(made.episode(), SEEN)
    for number, name in enumerate(("Ana", "Bea")):
        made.call(ANA, "track_assign", tracks=[str(made.track(1, number))], person=name, create=True)
    yield made
    made.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements the store is asked."""
    found: list[str] = []
    for kind, name in ((Transaction, "execute"), (Transaction, "rows"), (Database, "rows"), (Database, "arrow")):
        real = getattr(kind, name)

        def counted(self: Any, sql: str, parameters: Any = (), real: Any = real) -> Any:
            found.append(sql)
            return real(self, sql, parameters)

        monkeypatch.setattr(kind, name, counted)
    return found


def test_a_decision_asks_little_of_the_store(bench: Bench, asked: list[str]) -> None:
    cluster = bench.cluster(1, 2)
    bench.call(ANA, "track_assign", tracks=[str(bench.track(1, 5))], person="Bea")
    asked.clear()
    bench.call(ANA, "cluster_assign", cluster_id=cluster, person="Bea")
    assert len(asked) <= 5, asked
    asked.clear()
    bench.call(ANA, "decision_undo")
    assert len(asked) <= 4, asked


def test_a_page_of_the_queue_asks_nothing_twice(bench: Bench, asked: list[str]) -> None:
    first = bench.call(ANA, "queue_list", episode="1")
    asked.clear()
    assert bench.call(ANA, "queue_list", episode="1") == first
    assert not asked


def test_what_is_known_follows_what_is_written(tmp_path: Path) -> None:
    database = Database(tmp_path)
    sql = 'SELECT count(*) AS n FROM "show"'

    def shows() -> int:
        return int(database.known(("show",), sql)[0]["n"])

    def elsewhere() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(shows()))
        thread.start()
        thread.join()
        return found[0]

    def add(transaction: Transaction, number: int) -> None:
        transaction.insert("show", show_id=number, slug=str(number), title="t", created_at="2026-01-01")

    assert shows() == 0
    with database.write() as transaction:
        add(transaction, 1)
        assert (shows(), elsewhere()) == (1, 0), "a transaction sees what it wrote, nobody else does"
    assert (shows(), elsewhere()) == (1, 1)
    with pytest.raises(RuntimeError), database.write() as transaction:
        add(transaction, 2)
        assert shows() == 2
        raise RuntimeError
    assert (shows(), elsewhere()) == (1, 1), "what was rolled back is forgotten"
    with database.write() as transaction:
        transaction.execute('WITH gone AS (SELECT 1 AS one) DELETE FROM "show" WHERE show_id IN (SELECT one FROM gone)')
    assert shows() == 0, "a statement that is not understood may have written anything"
    database.close()


def test_ids_go_on_where_they_were(tmp_path: Path) -> None:
    """Also after a rollback, a restart, and in a library whose ids were counted in a table."""
    database = Database(tmp_path)

    def command(key: str, *, fail: bool = False) -> None:
        with database.command("show_add", {}, actor=ANA, key=key) as made:
            made.result = {"key": key}
            if fail:
                raise RuntimeError

    with database.write() as transaction:
        transaction.execute("INSERT INTO counter VALUES ('command', 7)")
    command("a")
    with pytest.raises(RuntimeError):
        command("b", fail=True)
    command("b")
    database.close()
    database = Database(tmp_path)
    command("c")
    with database.command("show_add", {}, actor=ANA, key="b") as again:
        assert again.replayed == {"key": "b"}
    assert [tuple(row.values()) for row in database.rows("SELECT idem_key, seq FROM command ORDER BY seq")] == [("a", 8), ("b", 9), ("c", 10)]
    database.close()


def test_old_decisions_are_read_and_new_ones_held(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo finds its way however far back, wherever what is held in memory begins."""
    start = bench.content()
    answers = []
    for kept in (2, 2000):
        monkeypatch.setattr(ledger, "KEPT", kept)
        bench.engine.review.forget()
        made = [bench.call(ANA, "track_assign", tracks=[str(bench.track(1, number))], person="Ana")["batch"] for number in range(3, 9)]
        other = bench.call("person:bea", "track_reject", tracks=[str(bench.track(1, 12))], person="Bea")["batch"]
        undone = [bench.call(ANA, "decision_undo", batch=made[0]), *(bench.call(ANA, "decision_undo") for _ in made[1:])]
        back = bench.call(ANA, "decision_redo")
        assert bench.engine.review.ledger().gone == Ledger.load(bench.engine.database).gone
        again = bench.call(ANA, "decision_undo", batch=back["batch"])
        bench.call("person:bea", "decision_undo", batch=other)
        answers.append([(one["tracks"], one["seconds"]) for one in (*undone, back, again)])
        assert bench.content() == start
    assert answers[0] == answers[1]


def test_episodes_at_hand_follow_what_is_decided_elsewhere(bench: Bench) -> None:
    desk, database = bench.engine.review, bench.engine.database
    bench.run(bench.episode(), SEEN)
    bench.call(ANA, "track_assign", tracks=[str(bench.track(2, 4))], person="Bea")
    for name, parameters in (
        ("track_assign", {"tracks": [str(bench.track(1, 7))], "person": "Cy", "create": True}),
        ("decision_undo", {}),
        ("person_rename", {"person_id": 1, "name": "Anna"}),
        ("person_merge", {"person_id": 2, "into_person_id": 1}),
        ("decision_undo", {}),
        ("decision_redo", {}),
    ):
        bench.call(ANA, name, **parameters)
        for episode in (1, 2) if name != "person_rename" else ():  # what follows finds both still to be told
            held = desk.state(episode)
            read = EpisodeState.load(database, episode, held.run_id, People.load(database))
            assert (held.pieces, held.decisions, held.rules) == (read.pieces, read.decisions, read.rules), name


def decimal(rows: list[dict[str, Any]]) -> list[dict[str, list[Any]]]:
    """Anchors as they were kept before they were records: columns of decimal numbers, those of a path each less the one before it."""
    found = []
    for _, group in itertools.groupby(rows, lambda row: row["decision_id"]):
        mine = list(group)
        pack = {name: [row[name] for row in mine] for name in ("decision_id", "number", "part", "episode_id", "start_us", "end_us")}
        pack["faces"] = [len(row["t_us"]) for row in mine]
        pack["t_us"] = [int(step) for row in mine for step in np.diff(row["t_us"], prepend=0)]
        corners = [np.rint(np.reshape(row["boxes"], (-1, 4)) * 100_000).astype(int) for row in mine]
        pack["boxes"] = [int(step) for one in corners for step in np.diff(one, axis=0, prepend=0).ravel()]
        found.append(pack)
    return found


@pytest.mark.parametrize("far", [9, 12])
def test_paths_come_back_from_the_journal_as_they_were(tmp_path: Path, far: int) -> None:
    """Also when the middle of a path was forgotten, and hours lie between two of its samples."""
    rng = np.random.default_rng(3)
    counts = [0, 3, 1, 0, 7]
    rows = [
        {
            "decision_id": 4 + number // 2,
            "number": number,
            "part": number % 2,
            "episode_id": 9,
            "start_us": number,
            "end_us": 10**10 + number,
            "t_us": np.sort(rng.integers(number, 10**far, count)).tolist(),
            "boxes": rng.random(4 * count, np.float32).tolist(),
        }
        for number, count in enumerate(counts)
    ]
    plain = [{**row, "boxes": [round(20_000 * value) / 20_000 for value in row["boxes"]]} for row in rows]
    packs = anchored.repacked(rows)
    assert [(pack.decision_id, pack.episode_id) for pack in packs] == [(4, 9), (5, 9), (6, 9)]
    assert [row for pack in packs for row in anchored.rows(pack.decision_id, pack.episode_id, pack.cell)] == plain
    journal = Journal(tmp_path / "commands.jsonl")
    for each in (packs, []):
        journal.append({"key": "k", "facts": {"anchors": anchored.joined(each), "result": {"kept": ["é \u2028"]}}})
    journal.close()
    first, second = (line["facts"] for line in journal.lines())
    assert (anchored.unpacked(first["anchors"]), anchored.unpacked(second["anchors"])) == (plain, [])
    assert first["result"] == second["result"] == {"kept": ["é \u2028"]}
    assert [row for one in decimal(plain) for row in anchored.rows(0, 0, json.dumps(one).encode())] == plain, "an older library has decimal numbers"
    assert anchored.unpacked(decimal(plain)) == plain, "... so has an older journal"
    together = {name: [cell for pack in decimal(plain) for cell in pack[name]] for name in decimal(plain)[0]}
    assert anchored.unpacked(together) == plain, "... and before that one pack for all"
    assert anchored.unpacked(plain) == plain, "... and before that a line for each"
    assert anchored.unpacked({}) == []


def test_anchors_and_coverage_of_an_older_library_are_kept(tmp_path: Path) -> None:
    """Before schema 7 anchors were rows, with how the face looked; before schema 8 so was coverage."""
    made = Bench(tmp_path)
    made.run(made.episode(), SEEN)
    made.call("agent:seven", "track_assign", tracks=[str(made.track(1, 0))], person="Ana", create=True)
    made.call(ANA, "track_assign", tracks=[str(made.track(1, number)) for number in (0, 3)], person="Ana", create=True)
    made.call(ANA, "track_exclude", tracks=[f"{made.track(1, 2)}@4.5-6.0"])
    before, covers = decisions.anchors_of_episode(made.engine.database, 1), covered.of_run(made.engine.database, 1)
    agreed = audit.agreement(made.engine.database)
    assert len(covers) == 4
    assert [(row["judged_s"] > 1, row["agreed_s"] == row["judged_s"]) for row in agreed] == [(True, True)]
    assert [len(row["t_us"]) > 2 for row in before] == [True] * 4
    made.close()
    with duckdb.connect(str(tmp_path / "library.duckdb")) as connection:
        old = (resources.files("store.schema") / "0002_decisions.sql").read_text()
        for table in ("anchor", "coverage"):
            connection.execute(f"DROP TABLE {table}")
            connection.execute(re.search(rf"CREATE TABLE {table} \(.*?\);", old, re.DOTALL)[0])  # type: ignore[index]
        connection.executemany("INSERT INTO coverage VALUES (1, 1, ?, ?, ?, ?, ?, ?, ?)", reversed(covers))
        for row in before:
            connection.execute(f"INSERT INTO anchor VALUES ({', '.join('?' * 10)})", [*row.values(), "s", [0.5, 0.25]])
        connection.execute("DELETE FROM schema_version WHERE version >= 7")
    made = Bench(tmp_path)
    after = decisions.anchors_of_episode(made.engine.database, 1)
    assert [{**row, "boxes": np.round(row["boxes"], 5).tolist()} for row in after] == before
    assert covered.of_run(made.engine.database, 1) == covers
    assert audit.agreement(made.engine.database) == agreed
    made.close()


def test_whole_tracks_are_remembered_by_the_same_faces_as_any_stretch() -> None:
    """What is sampled once for a whole run against sampling the stretch alone."""
    rng = np.random.default_rng(6)
    count = 600
    table = pa.table(
        {"track_id": np.sort(rng.integers(10, 30, count)), "t_us": np.zeros(count, np.int64)} | {name: rng.random(count) for name in BOX}
    )
    sizes = np.unique(table["track_id"].to_numpy(), return_counts=True)[1]
    times = np.concatenate([np.sort(rng.choice(9_000_000, size, replace=False)) for size in sizes])
    faces = RunFaces.of(table.set_column(1, "t_us", pa.array(times)))
    ends = np.cumsum(sizes)
    whole = [Target(int(track), int(times[end - size]), int(times[end - 1]) + 1) for track, size, end in zip(faces.tracks, sizes, ends, strict=True)]
    for targets in (whole, whole[3:9], [whole[2]._replace(end_us=whole[2].end_us - 1), *whole[4:]], [whole[0]._replace(track_id=5), whole[1]]):
        rows, of = faces.rows(targets)
        kept = anchors.sample(of, faces.t_us[rows], faces.boxes[rows])
        found, sizes_found = faces.sampled(targets)
        assert found.tolist() == rows[kept].tolist()
        assert sizes_found.tolist() == np.bincount(of[kept], minlength=len(targets)).tolist()
        held = anchored.rows(1, 1, faces.remembered(1, 1, targets).cell)
        assert [at for row in held for at in row["t_us"]] == faces.t_us[found].tolist()
        assert [len(row["t_us"]) for row in held] == sizes_found.tolist()
        assert np.allclose(np.reshape([at for row in held for at in row["boxes"]], (-1, 4)), faces.boxes[found], atol=0.5 / anchored.STEPS + 1e-6)


def test_paths_are_kept_by_as_few_faces_as_half_a_second_allows() -> None:
    """Against going through each path face by face; the faces move in straight lines, so that none is kept for its place."""
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 60, 40)
    t_us = np.concatenate([np.sort(rng.choice(9_000_000, size, replace=False)) for size in sizes])
    path = np.repeat(np.arange(len(sizes)), sizes)
    boxes = np.array([0.1, 0.1, 0.4, 0.6], np.float32) + 1e-8 * t_us[:, None].astype(np.float32)
    expected = []
    for low, high in itertools.pairwise([0, *np.cumsum(sizes)]):
        at = low
        while at < high:
            expected.append(at)
            within = [row for row in range(at + 1, high) if t_us[row] - t_us[at] <= 500_000]
            at = within[-1] if within else at + 1
    assert np.flatnonzero(anchors.sample(path, t_us, boxes)).tolist() == expected


def test_a_decision_leaves_nothing_to_the_garbage_collector(bench: Bench) -> None:
    """What it leaves in circles is looked for while somebody waits: half a second after a few hundred decisions about a large cluster."""
    verbs = [("cluster_assign", {"cluster_id": bench.cluster(1, 0), "person": "Ana", "create": True}), ("decision_undo", {}), ("decision_redo", {})]
    for operation, parameters in verbs * 2:
        bench.call(ANA, operation, **parameters)
    gc.collect()
    gc.disable()
    try:
        for operation, parameters in verbs:
            bench.call(ANA, operation, **parameters)
        assert gc.collect() < 10
    finally:
        gc.enable()


@pytest.mark.parametrize("kinds", [1, 2, 30])
def test_labels_are_changed_where_they_lie(bench: Bench, kinds: int) -> None:
    """Few sets of values and many, all the same and each its own; other tracks keep theirs."""
    database, run_id = bench.engine.database, 1
    bench.call(ANA, "track_split", track=str(bench.track(1, 4)), at_s=[10.0])
    before = database.rows("SELECT * FROM assignment WHERE run_id = ? ORDER BY track_id, start_us", [run_id])
    chosen = [row for row in before if row["track_id"] % 3 != 2]
    assert len(chosen) > FEW
    for part in (chosen, [row for row in chosen if row["track_id"] != bench.track(1, 4)]):
        cells = {
            "person_id": [None if at % kinds == 1 else 1 + at % kinds for at in range(len(part))],
            "method": [f"m{at % kinds}" for at in range(len(part))],
            "score": [(at % kinds) / 64 for at in range(len(part))],
            "locked": [at % kinds == 1 for at in range(len(part))],
            "rejected": [[1, 2]] * len(part),
        }
        with database.write() as transaction:
            decisions.change_labels(transaction, run_id, [row["track_id"] for row in part], [row["start_us"] for row in part], cells)
        changed = {(row["track_id"], row["start_us"]): {name: cells[name][at] for name in cells} for at, row in enumerate(part)}
        before = [{**row, **changed.get((row["track_id"], row["start_us"]), {})} for row in before]
        assert database.rows("SELECT * FROM assignment WHERE run_id = ? ORDER BY track_id, start_us", [run_id]) == before


def test_a_case_more_than_letters_is_joined(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "CASES", 3)
    test_labels_are_changed_where_they_lie(bench, 30)


def test_two_faces_in_one_frame_are_found() -> None:
    """Against a search by hand."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        count = 40
        table = pa.table(
            {"track_id": np.sort(rng.integers(10, 16, count)), "t_us": np.zeros(count, np.int64)}
            | dict(zip(("x1", "y1"), rng.random((2, count)), strict=True))
        )
        for name, side in (("x2", "x1"), ("y2", "y1")):
            table = table.append_column(name, pa.array(table[side].to_numpy() + 0.4))
        times = np.concatenate(
            [np.sort(rng.choice(30, size, replace=False)) for size in np.unique(table["track_id"].to_numpy(), return_counts=True)[1]]
        )
        table = table.set_column(1, "t_us", pa.array(times))
        rows = table.to_pylist()
        one, other = {10, 11}, {12, 13, 99}

        def touching(a: dict[str, Any], b: dict[str, Any]) -> bool:
            return all(min(np.float32(a[f"{x}2"]), np.float32(b[f"{x}2"])) > max(np.float32(a[f"{x}1"]), np.float32(b[f"{x}1"])) for x in "xy")

        apart = [
            a["t_us"] for a in rows for b in rows if a["track_id"] in one and b["track_id"] in other and a["t_us"] == b["t_us"] and not touching(a, b)
        ]
        found = RunFaces.of(table).apart([Target(track, 0, 99) for track in one], [Target(track, 0, 99) for track in other])
        assert found == min(apart, default=None)
