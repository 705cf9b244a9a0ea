"""`rollcall` as a user types it, on real (made) episodes with the embedded models: shapes scripts rely on, resuming, people across episodes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.wire import Client
from tools.demo.compose import write_episode
from tools.demo.shots import EPISODE

FIRST = tuple(shot for shot in EPISODE if shot.name in ("red, close", "dark, reverse", "red, again", "dark and red"))
SECOND = tuple(shot for shot in EPISODE if shot.name in ("left, again", "pan from dark to red", "lamp"))
EMBEDDED = ("--set", "models.profile=embedded")


class Rollcall:
    """The command line in a workspace of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tools.cli", "--home", str(self.home), *arguments]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests run in the background are deaf to ctrl-C, and so would this be
        )

    def __call__(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """(stdout, stderr) of a command that must end with `status`."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=200)
        assert process.returncode == status, err
        return out, err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json")[0])


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, dict[str, Any]]]:
    """Two episodes of one show with their truths: red shirt and dark shirt are in both, the left seat only in the second."""
    made = []
    for name, shots in (("one", FIRST), ("two", SECOND)):
        video = write_episode(tmp_path_factory.mktemp(name), shots, seed=3)
        made.append((video, json.loads(video.with_suffix(".json").read_text())))
    return made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, episodes: list[tuple[Path, dict[str, Any]]]) -> Any:
    """A workspace in which the first episode was analysed."""
    rollcall = Rollcall(tmp_path_factory.mktemp("library"))
    rollcall("show", "add", "The table")
    rollcall("run", str(episodes[0][0]), "--show", "the-table", "--season", "1", "--number", "1", *EMBEDDED)
    yield rollcall
    rollcall("engine", "stop")


def seconds(truth: dict[str, Any]) -> list[float]:
    """Visible seconds of the people of a truth, most first; people with none are left out."""
    return sorted((person["visible_seconds"] for person in truth["people"] if person["visible_seconds"] > 0), reverse=True)


def test_totals_are_those_of_the_truth(library: Rollcall, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    totals = library.json("totals", "show", "the-table-s01e01")
    assert totals["episode"]["title"] == "demo_episode"
    found = [person["visual_s"] for person in totals["people"]]
    assert found == pytest.approx(seconds(episodes[0][1]), rel=0.05)
    for person in totals["people"]:
        assert person["kind"] == "unknown"
        assert person["visual_low_s"] <= person["visual_s"] <= person["visual_high_s"]
        assert {"person_id", "name", "solo_s", "tracks", "faces"} <= set(person)
    (together,) = totals["co_presence"]
    (pair,) = [pair for pair in episodes[0][1]["pairs"] if pair["seconds"] > 0]
    assert together["seconds"] == pytest.approx(pair["seconds"], rel=0.05)


def test_second_run_does_nothing_and_says_so(library: Rollcall, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    out, err = library("run", str(episodes[0][0]), "--json", *EMBEDDED)
    assert json.loads(out) == {"episode_id": 1, "run_id": 1}
    assert "nothing to do" in err
    job = library.json("job", "list", "--limit", "1")["rows"][0]
    stages = library.json("job", "show", str(job["job_id"]))["stages"]
    assert {line["status"] for line in stages} == {"cached"}


def test_changed_tracking_threshold_decodes_nothing(library: Rollcall, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    before = library.json("totals", "show", "1")["people"]
    library("run", str(episodes[0][0]), "--json", "--set", "track.picks=2", *EMBEDDED)
    job = library.json("job", "list", "--limit", "1")["rows"][0]
    status = {line["stage"]: line["status"] for line in library.json("job", "show", str(job["job_id"]))["stages"]}
    assert status == {"observe": "cached", "track": "computed", "identify": "computed", "totals": "computed", "load": "computed"}
    after = library.json("totals", "show", "1")["people"]
    assert [person["person_id"] for person in after] == [person["person_id"] for person in before]
    assert len(library.json("episode", "show", "1")["runs"]) == 2
    library("run", str(episodes[0][0]), "--json", *EMBEDDED)
    assert library.json("episode", "show", "1")["active_run_id"] == 1


def test_tracks_are_paged_by_cursor(library: Rollcall) -> None:
    whole = library.json("track", "list", "--episode", "1")["rows"]
    rows, cursor = [], None
    while True:
        page = library.json("track", "list", "--episode", "1", "--limit", "2", *(["--cursor", cursor] if cursor else []))
        rows += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert rows == whole
    assert len(whole) >= 5
    assert {"track_id", "person_id", "start_us", "end_us", "shot"} <= set(whole[0])


def test_picture_of_a_track_is_a_jpeg(library: Rollcall) -> None:
    track = library.json("track", "list", "--episode", "1")["rows"][0]
    shown = library.json("track", "show", str(track["track_id"]))
    assert Path(shown["picture"]).read_bytes()[:3] == b"\xff\xd8\xff"
    assert len(shown["boxes"]) == track["faces"]


def test_explanation_adds_up(library: Rollcall) -> None:
    person = library.json("totals", "show", "1")["people"][0]
    explained = library.json("totals", "explain", "1", str(person["person_id"]))
    assert sum(stretch["seconds"] for stretch in explained["stretches"]) == pytest.approx(explained["most_probable_s"])
    assert explained["most_probable_s"] + explained["expectation_minus_most_probable_s"] == pytest.approx(person["visual_s"])
    assert len(explained["tracks"]) == person["tracks"]


def test_exports_hold_the_totals(library: Rollcall) -> None:
    people = library.json("totals", "show", "1")["people"]
    row = library.json("export", "create", "1", "--format", "parquet")
    table = pq.read_table(row["path"])
    assert table["visual_s"].to_pylist() == [person["visual_s"] for person in people]
    assert json.loads(table.schema.metadata[b"rollcall"])["run"]["models"]["detector"] == "dlib_hog"
    assert library.json("export", "create", "1", "--format", "csv", "--table", "segments")["rows"] == sum(person["tracks"] for person in people)
    out, err = library("export", "create", "1", "--name", "../escape.csv", status=2)
    assert not out and "escape" in err
    assert not (library.home / "escape.csv").exists()


def test_person_learnt_in_one_episode_is_found_in_the_next(library: Rollcall, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    """And unknowns keep their ids: an unknown of the first episode is the same unknown in the second."""
    first = library.json("totals", "show", "1")["people"]
    named, other = first[0]["person_id"], first[1]["person_id"]
    library("person", "rename", str(named), "Red")
    library("engine", "stop")
    shutil.rmtree(library.home / "vectors")  # an index that can be lost: it is made again from what the runs left
    library("run", str(episodes[1][0]), "--show", "the-table", "--season", "1", "--number", "2", *EMBEDDED)
    second = library.json("totals", "show", "the-table-s01e02")["people"]
    by_id = {person["person_id"]: person for person in second}
    assert {named, other} < set(by_id)
    assert (by_id[named]["name"], by_id[named]["kind"]) == ("Red", "known")
    assert by_id[other]["kind"] == "unknown"
    assert len(second) == 3
    truth = {person["id"]: person["visible_seconds"] for person in episodes[1][1]["people"]}
    assert by_id[named]["visual_s"] == pytest.approx(truth["red_shirt"], rel=0.1)
    assert by_id[other]["visual_s"] == pytest.approx(truth["dark_shirt"], rel=0.1)
    presence = library.json("person", "show", str(named))["presence"]
    assert [row["episode_id"] for row in presence] == [1, 2]


def test_letting_go_of_a_run_leaves_it_running(tmp_path: Path, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    rollcall = Rollcall(tmp_path)
    running = rollcall.start("run", str(episodes[0][0]), *EMBEDDED, "--set", "observe.fps=25")
    assert running.stderr is not None
    while "observe" not in (line := running.stderr.readline()):
        assert line, "it ended before it told of its progress"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=100)
    assert running.returncode == 130
    assert "rollcall job wait 1" in err
    assert rollcall.json("job", "wait", "1")["state"] == "done"
    assert len(rollcall.json("totals", "show", "1")["people"]) == 2
    rollcall("engine", "stop")


def test_cancelled_job_goes_on_where_it_stopped(tmp_path: Path, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    rollcall = Rollcall(tmp_path)
    client = Client(tmp_path, "person:tester")
    added = client.call("episode_add", {"path": str(episodes[0][0])})
    settings = {"models.profile": "embedded", "observe.segment_s": 2.0}
    job = client.call("episode_analyse", {"episode": str(added["episode_id"]), "settings": settings})
    while not any(line["stage"] == "observe" for line in client.call("job_show", {"job_id": job["job_id"]})["stages"]):
        time.sleep(0.05)
    assert rollcall.json("job", "cancel", str(job["job_id"]))["state"] == "cancelled"
    assert "cancelled" in rollcall("job", "wait", str(job["job_id"]), status=130)[1]
    rollcall("job", "retry", str(job["job_id"]))
    done = rollcall.json("job", "wait", str(job["job_id"]))
    assert done["state"] == "done"
    assert [line["status"] for line in done["stages"] if line["stage"] == "observe" and line["segment"] == 0][-1] == "cached"
    rollcall("engine", "stop")


def test_file_that_went_away_or_changed_is_named_and_nothing_is_lost(tmp_path: Path, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    rollcall = Rollcall(tmp_path / "home")
    video = tmp_path / "clip.mp4"
    video.write_bytes(episodes[1][0].read_bytes())
    rollcall("episode", "add", str(video))
    video.write_bytes(video.read_bytes() + b"more")
    rollcall("episode", "analyse", "1", *EMBEDDED)
    assert "not the file that was added" in rollcall("job", "wait", "1", status=2)[1]
    video.unlink()
    rollcall("job", "retry", "1")
    assert "not there any more" in rollcall("job", "wait", "1", status=2)[1]
    video.write_bytes(episodes[1][0].read_bytes())
    rollcall("job", "retry", "1")
    rollcall("job", "wait", "1")
    assert len(rollcall.json("totals", "show", "1")["people"]) == 3
    rollcall("engine", "stop")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "/nowhere/clip.mp4"), "/nowhere/clip.mp4"),
        (("run", __file__), "not a video"),
        (("totals", "show", "7"), "no episode"),
        (("episode", "add", __file__, "--show", "nowhere"), "no show"),
        (("track", "list", "--episode", "1", "--cursor", "x"), "cursor"),
        (("config", "show", "--nonsense"), "nonsense"),
    ],
)
def test_bad_input_names_the_thing_and_the_next_step(library: Rollcall, arguments: tuple[str, ...], words: str) -> None:
    out, err = library(*arguments, status=2)
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_removed_episode_takes_its_unknowns_with_it_and_leaves_the_file(tmp_path: Path, episodes: list[tuple[Path, dict[str, Any]]]) -> None:
    rollcall = Rollcall(tmp_path)
    rollcall("run", str(episodes[1][0]), *EMBEDDED)
    assert len(rollcall.json("person", "list")["rows"]) == 3
    rollcall("episode", "remove", "1")
    assert rollcall.json("person", "list")["rows"] == []
    health = rollcall.json("health", "show")
    assert (health["problems"], health["artefact_bytes"], health["sizes"]["media"]) == ([], 0, 0)
    assert episodes[1][0].exists()
    rollcall("engine", "stop")
