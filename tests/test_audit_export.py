"""The audit as files, and corrections that another library takes over."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, Refused
from tests.desk import Bench, Seen

PAT, QUI, AGENT = "person:pat", "person:qui", "agent:bot"
MACHINE = [Seen(0, 10, 0), Seen(20, 30, 0), Seen(40, 50, 1), Seen(60, 70, 2), Seen(80, 90, 3), Seen(80, 90, 4, column=2)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "one")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "other")
    yield made
    made.close()


def reviewed(bench: Bench) -> int:
    """An episode with a decision of every kind about faces, one of them taken back."""
    episode = bench.episode()
    bench.run(episode, MACHINE)
    ref = {k: str(bench.track(episode, k)) for k in range(6)}
    bench.call(PAT, "cluster_assign", cluster_id=bench.cluster(episode, 0), person="Ana", create=True, reason='seen in "credits", twice')
    bench.call(PAT, "track_assign", tracks=[ref[1]], person="Bea", create=True)
    bench.call(PAT, "track_assign", tracks=[f"{ref[2]}@42-45"], person="Cy", create=True)
    bench.call(PAT, "track_reject", tracks=[ref[3]], person="Ana")
    bench.call(PAT, "cluster_merge", cluster_id=bench.cluster(episode, 3), into_cluster_id=bench.cluster(episode, 2))
    bench.call(PAT, "track_exclude", tracks=[ref[5]])
    bench.call(PAT, "track_lock", tracks=[ref[1]])
    wrong = bench.call(QUI, "track_assign", tracks=[ref[4]], person="Dee", create=True)
    bench.call(QUI, "decision_undo", batch=wrong["batch"])
    return episode


def exported(bench: Bench, kind: str, **given: Any) -> Path:
    return Path(bench.call(PAT, "export_create", format=kind, **given)["path"])


def test_the_audit_holds_every_decision_with_names_and_what_stands(bench: Bench) -> None:
    episode = reviewed(bench)
    listed = {row["decision_id"]: row for row in bench.call(PAT, "decision_list", limit=1000)["rows"]}
    lines = [json.loads(line) for line in exported(bench, "audit.jsonl").read_text().splitlines()]
    assert [line["decision_id"] for line in lines] == sorted(listed)
    for line in lines:
        row = listed[line["decision_id"]]
        assert {name: line[name] for name in ("batch", "actor", "verb", "reason", "source", "stands", "voids", "logged_at")} == {
            name: row[name] for name in ("batch", "actor", "verb", "reason", "source", "stands", "voids", "logged_at")
        }
    named = [(line["verb"], line["person"], line["stands"]) for line in lines if line["verb"] in ("assign", "reject")]
    assert named == [
        ("assign", "Ana", True),
        ("assign", "Bea", True),
        ("assign", "Cy", True),
        ("reject", "Ana", True),
        ("assign", "Dee", False),
    ]
    (undo,) = (line for line in lines if line["verb"] == "undo")
    assert all(undo["decision_id"] in line["voided_by"] for line in lines if line["decision_id"] in undo["voids"])
    with exported(bench, "audit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["decision_id"]) for row in rows] == sorted(listed)
    assert [row["stands"] == "true" for row in rows] == [line["stands"] for line in lines]
    assert 'seen in "credits", twice' in [row["reason"] for row in rows]
    assert [json.loads(row["parameters"]) for row in rows] == [line["parameters"] for line in lines]
    elsewhere = bench.episode()
    assert exported(bench, "audit.csv", episode=str(elsewhere)).read_text().count("\n") == 1
    mine = [json.loads(line) for line in exported(bench, "audit.jsonl", episode=str(episode)).read_text().splitlines()]
    assert {line["verb"] for line in mine} >= {"assign", "merge", "undo"} and all(line["episode_id"] in (episode, None) for line in mine)


def test_only_decisions_can_be_exported_without_an_episode(bench: Bench) -> None:
    with pytest.raises(BadInput, match="about one episode"):
        bench.call(PAT, "export_create", format="html")
    with pytest.raises(BadInput, match="holds decisions"):
        bench.call(PAT, "export_create", format="audit.csv", table="totals")


def test_corrections_name_no_id_of_the_library_they_come_from(bench: Bench) -> None:
    reviewed(bench)
    found = json.loads(exported(bench, "corrections.json").read_text())
    told = [(one["verb"], one["level"], (one["person"] or {}).get("name")) for one in found["corrections"]]
    assert told == [
        ("assign", "cluster", "Ana"),
        ("assign", "track", "Bea"),
        ("assign", "frames", "Cy"),
        ("reject", "track", "Ana"),
        ("merge", "cluster", None),
        ("exclude", "track", None),
        ("lock", "track", None),
    ]
    first = found["corrections"][0]
    assert first["media_digest"] == "d0" and found["episodes"]["d0"]["show"] == "show"
    assert [(a["start_us"], a["end_us"]) for a in first["anchors"]] == [(0, 10_000_000), (20_000_000, 30_000_000)]
    times, boxes = MACHINE[0].faces()
    at = {int(t): box for t, box in zip(times, boxes, strict=True)}
    path = first["anchors"][0]["path"]
    assert all(row[1:] == pytest.approx(at[row[0]].tolist(), abs=1e-4) for row in path)
    assert max(b[0] - a[0] for a, b in itertools.pairwise(path)) <= 500_000
    assert not {"decision_id", "episode_id", "person_id", "track_id", "cluster_id"} & set(first)


def test_another_library_takes_corrections_over_once_and_gives_them_back(bench: Bench, other: Bench) -> None:
    theirs = reviewed(bench)
    path = exported(bench, "corrections.json")
    mine = other.episode()
    other.run(mine, MACHINE)
    before = other.content()
    told = other.call(PAT, "corrections_import", path=str(path), dry_run=True)
    assert told["tracks"] > 0 and other.content() == before
    done = other.call(PAT, "corrections_import", path=str(path))
    assert [row[:3] + row[4:] for row in other.labels(mine)] == [row[:3] + row[4:] for row in bench.labels(theirs)]
    assert [name for name in other.who(mine) if name in ("Ana", "Bea", "Cy", "not a face")] == ["Ana", "Bea", "Cy", "not a face"]
    merged = {row["person_id"] for row in other.engine.database.rows("SELECT person_id FROM assignment WHERE track_id % 100000 IN (3, 4)")}
    assert len(merged) == 1 and None not in merged
    assert {row["source"] for row in other.call(PAT, "decision_list", limit=1000)["rows"] if row["verb"] == "assign"} == {"imported"}
    with pytest.raises(Refused, match="locked"):
        other.call(PAT, "track_assign", tracks=[str(other.track(mine, 1))], person="Ana")
    rejected = other.engine.database.rows("SELECT rejected FROM assignment WHERE track_id % 100000 = 3")
    assert [other.engine.review.called(person) for row in rejected for person in row["rejected"]] == ["Ana"]
    again = other.call(PAT, "corrections_import", path=str(path))
    assert again["batch"] is None and again["decisions"] == []
    other.call(PAT, "decision_undo", batch=done["batch"])
    assert other.content() == before
    back = bench.call(PAT, "corrections_import", path=str(path))
    assert back["batch"] is None and "7 of 7 corrections are decided here already" in back["notes"][0]


def test_corrections_find_their_faces_in_another_analysis(bench: Bench, other: Bench) -> None:
    reviewed(bench)
    path = exported(bench, "corrections.json")
    mine = other.episode()
    seen = [Seen(0, 4, 9), Seen(4, 10, 8), Seen(20, 30, 7, step_us=300_000), Seen(40, 50, 6), Seen(80, 90, 5, column=2)]
    other.run(mine, seen)
    done = other.call(PAT, "corrections_import", path=str(path))
    assert [(row[1], row[2], row[3]) for row in other.labels(mine)] == [
        (0.0, 4.0, "Ana"),
        (4.0, 10.0, "Ana"),
        (20.0, 30.0, "Bea"),
        (40.0, 42.0, None),
        (42.0, 45.0, "Cy"),
        (45.0, 50.0, None),
        (80.0, 90.0, "not a face"),
    ]
    assert any("does not find" in note for note in done["notes"])
    other.reopen()
    assert other.who(mine)[:3] == ["Ana", "Ana", "Bea"]


def test_unknown_recordings_and_other_files_are_told(bench: Bench, other: Bench, tmp_path: Path) -> None:
    reviewed(bench)
    path = exported(bench, "corrections.json")
    nothing = other.call(PAT, "corrections_import", path=str(path))
    assert nothing["batch"] is None and nothing["notes"] == ["Left out: 7 of recordings that are not in this library."]
    other.episode()
    waiting = other.call(PAT, "corrections_import", path=str(path))
    assert "has not been analysed" in waiting["notes"][0]
    for text in ("{}", "no json", '{"format": "something else", "corrections": []}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadInput, match=r"bad\.json"):
            other.call(PAT, "corrections_import", path=str(tmp_path / "bad.json"))
    with pytest.raises(Refused):
        other.call(AGENT, "corrections_import", path=str(path))
