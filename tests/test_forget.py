"""Forgetting somebody: found in every place before, nowhere after, with everybody else as they were; killed anywhere, it is finished or not begun."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import duckdb
import numpy as np
import pytest

from engine.errors import BadInput, Conflict, NotFound, Refused
from engine.review.scrub import Scrub
from engine.service import Engine
from store import ids
from store.commit_point import COMMIT_POINTS
from store.database import Database
from store.journal import Journal
from tests.desk import Bench, Seen
from tests.forgettable import ALIAS, NAME, OTHER, PAT, SPACE, Workspace
from tests.traces import Looking, traces

GONE, LEFT = 1, 2
"""Person ids: who is forgotten, and who stays."""

FIRST, SECOND = 1, 2
"""Episodes."""

PLACES = {"rows", "vectors", "bytes", "journal", "backups", "artefacts", "media", "exports", "engine.log", "tmp"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Looking, int]:
    """A workspace nobody has open, what is looked for in it, and the batch that says who a track is."""
    home = tmp_path_factory.mktemp("made") / "home"
    workspace = Workspace(home)
    workspace.bench.close()
    return home, workspace.looking(), workspace.right["batch"]


@pytest.fixture
def home(made: tuple[Path, Looking, int], tmp_path: Path) -> Path:
    """A copy of the workspace."""
    return Path(shutil.copytree(made[0], tmp_path / "home"))


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    """Its engine."""
    found = Bench(home)
    yield found
    found.close()


def others(bench: Bench) -> dict[str, Any]:
    """What is somebody else's: labels, totals, vectors, pictures, results of stages."""
    engine = bench.engine
    database = engine.database
    labels = "SELECT run_id, track_id, start_us, end_us, person_id, label_source, level, score FROM assignment WHERE person_id = ? ORDER BY ALL"
    found: dict[str, Any] = {
        "labels": database.rows(labels, [LEFT]),
        "person": database.rows("SELECT * FROM person WHERE person_id = ?", [LEFT]),
        "totals": database.rows("SELECT * FROM screen_time WHERE person_id = ? ORDER BY ALL", [LEFT]),
        "pictures": database.rows("SELECT track_id, chip FROM track WHERE track_id % 100000 = 1 ORDER BY track_id"),
        "posterior": database.rows("SELECT * FROM posterior WHERE person_id = ? ORDER BY ALL", [LEFT]),
    }
    run_ids = [row["run_id"] for row in database.rows("SELECT run_id FROM run ORDER BY run_id")]
    vector_ids, vectors = engine.vectors.of_runs(SPACE, run_ids)
    mine = (vector_ids // ids.VECTORS_PER_TRACK) % ids.TRACKS_PER_RUN == 1
    found["vectors"] = (vector_ids[mine].tolist(), vectors[mine].tolist())
    for run_id in run_ids:
        keys = Workspace.keys(run_id)
        picks = engine.artefacts.table("identify", keys["identify"], "picks")
        rows = np.flatnonzero(picks["track"].to_numpy() == 1)
        found[f"picks {run_id}"] = picks.take(rows).to_pylist()
        found[f"vectors {run_id}"] = engine.artefacts.array("identify", keys["identify"], "vectors")[rows].tolist()
        found[f"pooled {run_id}"] = engine.artefacts.array("identify", keys["identify"], "pooled")[1].tolist()
        dets = set(picks["det"].to_numpy()[rows].tolist())
        found[f"chips {run_id}"] = [row for row in engine.artefacts.table("observe", keys["observe"], "chips").to_pylist() if row["det"] in dets]
        found[f"tracks {run_id}"] = engine.artefacts.table("identify", keys["identify"], "tracks").to_pylist()[1]
    return found


def test_everywhere_before_and_nowhere_after(home: Path, made: tuple[Path, Looking, int]) -> None:
    looking = made[1]
    before = traces(home, looking)
    assert set(before) == PLACES
    assert {"person", "decision", "command", "facebank", "track", "job", "job_event", "export"} - before["rows"] <= {"export"}
    assert len(before["vectors"]) > 1, "an older version holds them too"
    bench = Bench(home)
    answer = bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME, reason=f"{ALIAS} asked")
    rows = bench.engine.database.rows("SELECT person_id, name, aliases, erased_at, featured FROM person WHERE person_id = ?", [GONE])
    called = bench.engine.database.rows("SELECT called FROM called WHERE person_id = ?", [GONE])
    tombstone = bench.call(PAT, "decision_list", limit=1)["rows"][0]
    bench.close()
    assert traces(home, looking) == {}
    assert set(answer["proof"]["before"]) == set(answer["proof"]["after"])
    assert all(count > 0 for count in answer["proof"]["before"].values())
    assert not any(answer["proof"]["after"].values())
    assert NAME not in json.dumps(answer)
    assert (answer["episodes"], answer["tracks"], answer["seconds"], answer["facebank"]) == ([FIRST, SECOND], 4, 38.0, 1)
    assert answer["exports"] == ["notes.txt", "show-e1-segments.parquet", "show-e1-totals.csv", "show-e1-totals.json"]
    assert answer["backups"] == ["library-old.duckdb"]
    assert [path.name for path in (home / "exports").iterdir()] == ["unrelated.txt"]
    assert rows[0]["name"] is None and rows[0]["aliases"] == [] and rows[0]["erased_at"] is not None and rows[0]["featured"] is None
    assert called == [{"called": f"Erased {GONE}"}]
    assert (tombstone["verb"], tombstone["person_id"], tombstone["reason"]) == ("person_forget", GONE, f"Erased {GONE} asked")
    assert not (home / "forgetting.json").exists()
    assert OTHER in (home / "engine.log").read_text()


def test_everybody_else_stays_as_they_were(bench: Bench) -> None:
    before, keys = others(bench), bench.engine.database.known_keys()
    decided = bench.engine.database.rows("SELECT count(*) AS n FROM decision")[0]["n"]
    bench.call(PAT, "person_forget", person_id=GONE, confirm=str(GONE))
    assert others(bench) == before
    assert bench.engine.database.known_keys() > keys, "a repeated command is still recognised"
    assert bench.engine.database.rows("SELECT count(*) AS n FROM decision")[0]["n"] == decided + 1, "the audit has no hole"
    assert bench.who(FIRST) == [None, OTHER, None]
    assert bench.who(SECOND) == [None, OTHER, None]
    assert bench.engine.database.rows("SELECT * FROM screen_time WHERE person_id = ?", [GONE]) == []
    assert bench.call(PAT, "health_show")["problems"] == []
    assert [row["name"] for row in bench.call(PAT, "person_list")["rows"]] == [OTHER]
    bench.reopen()
    assert others(bench) == before


def test_the_fresh_copy_and_the_journal_make_the_library_again(home: Path, made: tuple[Path, Looking, int]) -> None:
    bench = Bench(home)
    bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)
    bench.call(PAT, "track_assign", tracks=[str(bench.track(FIRST, 0))], person="Cy", create=True)
    content, keys = bench.content(), [line["key"] for line in bench.engine.database.journal.lines()]
    bench.close()
    assert len(keys) == len(set(keys))
    copy = next((home / "backups").iterdir())
    shutil.copyfile(copy, home / "library.duckdb")
    engine = Engine(home)
    anyio.run(engine.recover)
    bench = Bench.__new__(Bench)
    bench.home, bench.engine = home, engine
    assert bench.content() == content
    bench.close()
    assert traces(home, made[1]) == {}


def test_a_library_from_before_forgets_again(home: Path, made: tuple[Path, Looking, int], tmp_path: Path) -> None:
    """Somebody brings back a copy they had kept elsewhere: the journal knows that its owner was forgotten."""
    kept = shutil.copyfile(home / "library.duckdb", tmp_path / "kept.duckdb")
    bench = Bench(home)
    bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)
    bench.close()
    shutil.copyfile(kept, home / "library.duckdb")
    engine = Engine(home)
    anyio.run(engine.recover)
    engine.close()
    assert traces(home, made[1]) == {}


def test_who_may_and_what_must_be_said(bench: Bench, home: Path) -> None:
    with pytest.raises(Refused):
        bench.call("agent:bot", "person_forget", person_id=GONE, confirm=NAME)
    with pytest.raises(Refused):
        bench.call("script:cron", "person_forget", person_id=GONE, confirm=NAME)
    for said in (None, "Bea Stone", ""):
        with pytest.raises(BadInput, match="cannot be taken back"):
            bench.call(PAT, "person_forget", person_id=GONE, confirm=said)
    bench.engine.database.checkpoint()
    files = {path: hashlib.sha256(path.read_bytes()).digest() for path in home.rglob("*") if path.is_file() and not path.name.startswith("library.")}
    listed = bench.call(PAT, "person_forget", person_id=GONE, dry_run=True)
    assert (listed["dry_run"], listed["called"], listed["tracks"], listed["pictures"], listed["facebank"]) == (True, NAME, 4, 13, 1)
    assert listed["backups"] == ["library-old.duckdb"] and len(listed["exports"]) == 4 and listed["proof"] is None
    assert files == {path: hashlib.sha256(path.read_bytes()).digest() for path in files}
    with bench.engine.database.write() as transaction:
        transaction.insert("job", job_id=2, kind="analyse", parameters={}, state="queued", actor=PAT, created_at="2026-01-01", attempts=0)
    with pytest.raises(Conflict, match="being analysed"):
        bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)
    assert bench.engine.database.rows("SELECT name FROM person WHERE person_id = ?", [GONE]) == [{"name": NAME}]


def test_the_same_command_twice_is_done_once(bench: Bench) -> None:
    first = bench.call(PAT, "person_forget", key="k", person_id=GONE, confirm=NAME)
    assert bench.call(PAT, "person_forget", key="k", person_id=GONE, confirm=NAME) == first
    with pytest.raises(NotFound):
        bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)


def test_undo_brings_nothing_back(home: Path, made: tuple[Path, Looking, int]) -> None:
    bench = Bench(home)
    answer = bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)
    for wanted in ({"batch": made[2]}, {"decision": answer["decision"]}):
        with pytest.raises(Refused, match="forgotten"):
            bench.call(PAT, "decision_undo", **wanted)
    bench.call(PAT, "decision_undo", by=PAT)
    assert bench.who(FIRST) == [None, OTHER, None]
    assert bench.who(SECOND) == [None, OTHER, None], "the machine's own label of somebody else stays"
    with pytest.raises(NotFound):
        bench.call(PAT, "track_assign", tracks=[str(bench.track(FIRST, 0))], person=NAME)
    redone = bench.call(PAT, "decision_redo")
    assert redone["batch"]
    # A cluster decision may not take the tombstone along; tracks can be labelled again one by one.
    bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(FIRST, 0), person="Cy", create=True, override=True)
    assert answer["decision"] not in {one for row in bench.call(PAT, "decision_list")["rows"] for one in row["voids"]}
    bench.close()
    assert traces(home, made[1]) == {}


def test_a_later_analysis_does_not_bring_back_a_label_that_was_overruled(bench: Bench) -> None:
    """The second episode's last track was called somebody else before it got its right name: that must not be what is left."""
    bench.call(PAT, "person_forget", person_id=GONE, confirm=NAME)
    bench.run(SECOND, [Seen(0, 8, 0, None), Seen(10, 30, 1, LEFT, 1), Seen(40, 50, 2, None, 3)])
    assert bench.who(SECOND) == [None, OTHER, None]
    assert bench.call(PAT, "decision_lost", episode=str(SECOND))["rows"] == []
    bench.run(FIRST, [Seen(0, 10, 0, None), Seen(12, 20, 1, None, 1), Seen(30, 40, 0, None, 2)])
    assert bench.who(FIRST) == [None, OTHER, None], "a decision about somebody else is found again"


def test_two_analyses_a_cut_track_and_a_namesake(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    episode = bench.episode()
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 1, column=1)])
    older = bench.track(episode, 0)
    bench.run(episode, [Seen(0, 10, 0), Seen(20, 30, 1, column=1)])
    ann = bench.person("Ann")
    namesake = bench.person("Ann", slug="another")
    elsewhere = bench.episode(slug="another")
    bench.run(elsewhere, [Seen(0, 5, 0)])
    bench.person("Ann Lee")
    bench.call(PAT, "track_assign", tracks=[f"{bench.track(episode, 0)}@0-4"], person=str(ann))
    bench.call(PAT, "track_assign", tracks=[f"{bench.track(episode, 0)}@4-10"], person="Ann Lee", reason="ann is Ann Lee here")
    bench.call(PAT, "track_assign", tracks=[str(bench.track(elsewhere, 0))], person="Ann")
    answer = bench.call(PAT, "person_forget", person_id=ann, confirm="ANN")
    database = bench.engine.database
    assert bench.labels(episode) == [
        (0, 0.0, 4.0, None, "person"),
        (0, 4.0, 10.0, "Ann Lee", "person"),
        (1, 20.0, 30.0, None, "machine"),
    ]
    in_older = database.rows("SELECT start_us, end_us, person_id, method FROM assignment WHERE track_id = ? ORDER BY start_us", [older])
    assert (in_older[0]["start_us"], in_older[0]["person_id"], in_older[0]["method"]) == (0, None, "person_forget")
    assert {row["name"] for row in database.rows("SELECT name FROM person WHERE name IS NOT NULL")} == {"Ann", "Ann Lee"}
    assert bench.who(elsewhere) == ["Ann"]
    lines = [line["parameters"] for line in database.journal.lines() if line["operation"] == "track_assign"]
    assert [line["person"] for line in lines] == [str(ann), "Ann Lee", "Ann"], "what was said of a namesake stays"
    assert lines[1]["reason"] == f"Erased {ann} is Ann Lee here"
    assert any(str(namesake) in sentence for sentence in answer["kept"])
    assert not any(answer["proof"]["after"].values())
    bench.close()


def test_those_merged_into_somebody_go_with_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    episode = bench.episode()
    one, other = bench.person("Dora Vale"), bench.person("Dorothea Vale")
    bench.run(episode, [Seen(0, 10, 0, one), Seen(20, 30, 1, other, column=1)])
    merged = bench.call(PAT, "person_merge", person_id=one, into_person_id=other)
    answer = bench.call(PAT, "person_forget", person_id=other, confirm="dorothea vale")
    assert answer["people"] == [one, other]
    assert bench.who(episode) == [None, None]
    with pytest.raises(Refused):
        bench.call(PAT, "decision_undo", batch=merged["batch"])
    bench.close()
    assert traces(tmp_path / "home", Looking(["Dora Vale", "Dorothea Vale"], [], set())) == {}


POINTS = [point for point in COMMIT_POINTS if point.startswith(("forget", "journal", "command", "library"))]
QUICK = ("forget.marked", "library.swapped")
FORGET = """
import sys, pathlib
from tests.desk import Bench
bench = Bench(pathlib.Path(sys.argv[1]))
bench.call('person:pat', 'person_forget', key='k', person_id=1, confirm='1')
"""


@pytest.mark.parametrize("point", [point if point in QUICK else pytest.param(point, marks=pytest.mark.slow) for point in POINTS])
def test_killed_at_each_commit_point_it_is_finished_by_the_next_engine(point: str, home: Path, made: tuple[Path, Looking, int]) -> None:
    environ = {**os.environ, "ROLLCALL_CRASH_AT": point, "PYTHONPATH": str(Path(__file__).parent.parent)}
    died = subprocess.run([sys.executable, "-c", FORGET, str(home)], env=environ, check=False, capture_output=True, timeout=200)
    assert died.returncode == -signal.SIGKILL, died.stderr
    engine = Engine(home)
    anyio.run(engine.recover)
    bench = Bench.__new__(Bench)
    bench.home, bench.engine = home, engine
    assert bench.who(FIRST) == [None, OTHER, None]
    assert bench.who(SECOND) == [None, OTHER, None]
    answer = bench.call(PAT, "person_forget", key="k", person_id=GONE, confirm=NAME)
    assert not any(answer["proof"]["after"].values())
    assert all(count > 0 for count in answer["proof"]["before"].values())
    assert bench.call(PAT, "health_show")["problems"] == []
    assert len(engine.database.rows("SELECT 1 FROM decision WHERE verb = 'person_forget'")) == 1
    bench.close()
    assert traces(home, made[1]) == {}
    assert not (home / "forgetting.json").exists()


def test_killed_before_the_marker_nothing_was_begun(home: Path, made: tuple[Path, Looking, int]) -> None:
    script = "import os; os.fsync = lambda handle: os.kill(os.getpid(), 9)\n" + FORGET
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    before = traces(home, made[1])
    died = subprocess.run([sys.executable, "-c", script, str(home)], env=environ, check=False, capture_output=True, timeout=200)
    assert died.returncode == -signal.SIGKILL, died.stderr
    engine = Engine(home)
    anyio.run(engine.recover)
    assert engine.database.rows("SELECT name FROM person WHERE person_id = ?", [GONE]) == [{"name": NAME}]
    engine.close()
    after = traces(home, made[1])
    # Starting checkpoints the log of the library, and sweeps what killed processes left in `tmp`.
    assert {place: after.get(place) for place in PLACES - {"bytes", "tmp"}} == {place: before[place] for place in PLACES - {"bytes", "tmp"}}


def test_readers_wait_while_the_library_is_rewritten_and_never_see_the_old_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "home", 256)
    with database.write() as transaction:
        transaction.execute("INSERT INTO counter SELECT 'n' || i, i FROM range(20000) t(i)")
    stop, wrong, counted = threading.Event(), [], [0]

    def read() -> None:
        while not stop.is_set():
            rows = database.rows("SELECT count(*) AS n, max(last) AS last FROM counter")
            if rows[0]["n"] != 20000:
                wrong.append(rows)
            counted[0] += 1

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    copies = tmp_path / "copy.duckdb"
    for turn in range(5):
        database.rewrite(lambda fresh: Path(shutil.copyfile(fresh, copies)).touch())
        with database.write() as transaction:
            transaction.execute("UPDATE counter SET last = ? WHERE name = 'n1'", [turn])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == [] and counted[0] > 0
    assert database.rows("SELECT last FROM counter WHERE name = 'n1'") == [{"last": 4}]
    database.close()
    with duckdb.connect(str(tmp_path / "home" / "library.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT last FROM counter WHERE name = 'n1'").fetchall() == [(4,)]
    with duckdb.connect(str(copies), read_only=True) as connection:
        assert connection.execute("SELECT last FROM counter WHERE name = 'n1'").fetchall() == [(3,)]


def test_a_rewritten_journal_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(3):
        journal.append({"key": str(number), "operation": "x", "parameters": {"name": "Ann"}})
    journal.rewrite(lambda line: {**line, "parameters": {}})
    journal.append({"key": "3", "operation": "x"})
    assert [line["key"] for line in journal.lines()] == ["0", "1", "2", "3"]
    assert [line["key"] for line in journal.pending({"1"})] == ["0", "2", "3"]
    assert b"Ann" not in journal.path.read_bytes()
    journal.close()


def test_scrubbing_is_about_whole_words_and_leaves_longer_names() -> None:
    scrub = Scrub(frozenset({7}), "Erased 7", ("Ann", "Zoë"), kept=("Ann Lee",), pictures=frozenset({"a" * 64 + ".jpg"}))
    assert scrub.text("ANN met Ann Lee, Anna and zoë") == "Erased 7 met Ann Lee, Anna and Erased 7"
    assert scrub.value({"person_id": 7, "name": "Somebody", "role": "x", "person": None}) == {
        "person_id": 7,
        "name": "Erased 7",
        "role": None,
        "person": None,
    }
    assert scrub.value({"people": [{"person_id": 7, "name": "Ann", "before_s": 1.0}, {"person_id": 8, "name": "Ann Lee", "before_s": 2.0}]}) == {
        "people": [{"person_id": 8, "name": "Ann Lee", "before_s": 2.0}]
    }
    assert scrub.value(["a" * 64 + ".jpg", "b" * 64 + ".jpg"]) == [None, "b" * 64 + ".jpg"]
    line = b'named Ann and Zo\\u00eb, not "Ann Lee"\n'
    assert scrub.masked(line) == b'named *** and ********, not "Ann Lee"\n'
    assert len(scrub.masked("Zoë".encode())) == len("Zoë".encode())
