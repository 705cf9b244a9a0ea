"""What the workspace no longer needs goes, and nothing else: pictures, stage results, what killed processes left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import upkeep
from engine.service import Engine
from engine.wire import Client
from store import work
from store.database import now

OLD = time.time() - 7200


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.close()


def aged(path: Path, at: float = OLD) -> Path:
    os.utime(path, (at, at))
    return path


def artefact(engine: Engine, key: str, at: float = OLD) -> Path:
    engine.artefacts.write("observe", key * 32, tables={}, arrays={}, meta={"x": 1})
    return aged(engine.artefacts.path("observe", key * 32), at)


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_half_written_files_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    folder = tmp_path / "artefacts" / "observe" / "ab"
    dead, living = folder / f".abc.{dead_process()}.tmp", folder / f".abd.{os.getpid()}.tmp"
    for path in (dead, living, tmp_path / "tmp" / "job-x", tmp_path / "exports" / ".bundle-y"):
        path.mkdir(parents=True)
        (path / "part").write_bytes(b"12345")
    (tmp_path / "exports" / ".a.csv.123.tmp").write_bytes(b"half")
    (tmp_path / "exports" / "whole.csv").write_bytes(b"whole")
    found = upkeep.leftovers(tmp_path, 0)
    assert sorted(waste.path.name for waste in found) == sorted([dead.name, "job-x", ".bundle-y", ".a.csv.123.tmp"])
    assert sum(waste.bytes for waste in found) == 3 * 5 + 4
    assert upkeep.leftovers(tmp_path, 3600) == [waste for waste in found if waste.path == dead], "young files may be in use"
    upkeep.remove(found)
    assert living.is_dir() and (tmp_path / "exports" / "whole.csv").exists()
    assert upkeep.leftovers(tmp_path, 0) == []


def test_pictures_somebody_refers_to_stay(engine: Engine) -> None:
    names = {use: engine.media.put(use.encode()) for use in ("track", "facebank", "featured", "decision", "nobody", "young")}
    for use, name in names.items():
        aged(engine.media.path(name), time.time() if use == "young" else OLD)
    with engine.database.write() as t:
        track = {name: 0 for name in ("track_id", "run_id", "episode_id", "shot", "start_us", "end_us", "faces", "score", "height_px", "quality")}
        t.insert("track", **track, spread=0, mixed=False, best_detection_id=0, chip=names["track"])
        ids = {name: 1 for name in ("entry_id", "show_id", "person_id", "decision_id")}
        t.insert("facebank", **ids, space="s", vector=[], quality=0, chip=names["facebank"], origin="", active=True, added_at=now())
        t.insert("person", person_id=1, show_id=1, aliases=[], created_at=now(), featured=names["featured"])
        decision = {"decision_id": 1, "batch": 1, "logged_at": now(), "actor": "person:a", "verb": "feature", "source": "direct", "idem_key": "k"}
        t.insert("decision", **decision, voids=[], parameters={"chip": names["decision"]})
    assert [waste.path.name for waste in upkeep.unused_pictures(engine)] == [names["nobody"]]


def test_storing_a_picture_again_makes_it_young(engine: Engine) -> None:
    path = aged(engine.media.path(engine.media.put(b"picture")))
    engine.media.put(b"picture")
    assert path.stat().st_mtime > OLD + 3600 and upkeep.unused_pictures(engine) == []


def test_stage_results_stay_while_a_run_or_a_job_may_use_them(engine: Engine) -> None:
    used, free = artefact(engine, "a"), artefact(engine, "b")
    stages = {"identify": "i", "segments": [["a" * 32, "t"]]}
    with engine.database.write() as t:
        facts = {"run_id": 1, "episode_id": 1, "key": "k", "state": "committed", "created_at": now(), "step_us": 1, "space": "s"}
        t.insert("run", **facts, settings={}, models={}, stages=stages, unidentified_s=0.0)
        job = work.add_job(t, "analyse", 1, {}, "person:tester")
        t.execute("UPDATE job SET created_at = created_at - INTERVAL 3 HOUR WHERE job_id = ?", [job])
    assert upkeep.unused_artefacts(engine) == [], "made after the job was asked for: it may go on from it"
    before = artefact(engine, "c", OLD - 7200)
    assert [waste.path for waste in upkeep.unused_artefacts(engine)] == [before]
    work.end_job(engine.database, job, "done")
    assert {waste.path for waste in upkeep.unused_artefacts(engine)} == {free, before}
    found = upkeep.unused_artefacts(engine)
    assert engine.artefacts.take("observe", before.name)
    upkeep.remove(found)
    assert used.is_dir() and before.is_dir() and not free.exists(), "taken up after it was found"
    assert not engine.artefacts.take("observe", free.name)


def test_purge_says_what_it_would_remove_and_then_removes_it(client: Client) -> None:
    client.call("show_list")
    folder = client.home / "media" / "ab"
    folder.mkdir(parents=True)
    aged_picture = folder / ("ab" * 32 + ".jpg")
    aged_picture.write_bytes(b"x" * 1000)
    aged(aged_picture)
    looked = client.call("store_purge", {"dry_run": True})
    assert looked["rows"] == [{"kind": "picture", "count": 1, "bytes": 1000}] and aged_picture.exists()
    before = client.call("health_show")["sizes"]
    assert before["media"] == 1000 and before["library"] > 0
    assert client.call("store_purge")["bytes"] == 1000
    assert not aged_picture.exists() and client.call("health_show")["sizes"]["media"] == 0
    assert client.call("store_purge")["rows"] == []


def test_engine_sweeps_what_a_killed_one_left(client: Client) -> None:
    left = [client.home / "tmp" / "job-dead", client.home / "artefacts" / "track" / "ab" / f".ab.{dead_process()}.tmp"]
    for path in left:
        path.mkdir(parents=True)
    client.call("show_list")
    assert not any(path.exists() for path in left)
