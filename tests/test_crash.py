"""kill -9 of the engine or of a worker, at each named commit point and at random moments: the next command goes on from there, and the
library ends up equal, by content, to one that was never disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import Conflict
from engine.wire import Client
from store.commit_point import COMMIT_POINTS
from tests import contents
from tools.demo.compose import write_episode
from tools.demo.shots import EPISODE

SETTINGS = {"models.profile": "embedded", "observe.segment_s": "2", "observe.fps": "3", "track.picks": "2"}
FLAGS = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
RANDOM_KILLS = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds: three shots of three people, in several segments."""
    shots = tuple(shot for shot in EPISODE if shot.name in ("dark, reverse", "red, again", "left, again"))
    return write_episode(tmp_path_factory.mktemp("clip"), shots, seed=5)


def run(home: Path, clip: Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`rollcall run`, as a user would."""
    command = [sys.executable, "-m", "tools.cli", "--home", str(home), "run", str(clip), "--json", *FLAGS]
    return subprocess.run(command, env={**os.environ, **(environ or {})}, capture_output=True, text=True, check=False, timeout=200)


def finish(home: Path, clip: Path) -> dict[str, list[tuple[object, ...]]]:
    """Let the next command finish the work, end the engine and read the library."""
    done = run(home, clip)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"episode_id", "run_id"}
    Client(home).stop()
    return contents.library(home)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, list[tuple[object, ...]]]:
    """The library of a run nobody disturbed."""
    library = finish(tmp_path_factory.mktemp("undisturbed"), clip)
    assert len(library["track"]) >= 3
    assert len(library["screen_time"]) >= 3
    assert len(library["segment"]) >= 2
    return library


def compare(library: dict[str, list[tuple[object, ...]]], undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    """Table by table, so that a difference names its table."""
    assert set(library) == set(undisturbed)
    for table, rows in undisturbed.items():
        assert library[table] == rows, table


ANALYSIS_POINTS = [point for point in COMMIT_POINTS if not point.startswith(("journal", "command", "forget", "library"))]


@pytest.mark.slow
@pytest.mark.parametrize("point", ANALYSIS_POINTS)
def test_kill_at_each_commit_point(point: str, tmp_path: Path, clip: Path, undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    """The process that passes the point first dies there, whichever it is; the command under way outlives it and finishes the work."""
    home, died = tmp_path / "home", tmp_path / "died"
    survived = run(home, clip, {"ROLLCALL_CRASH_AT": point, "ROLLCALL_CRASH_ONCE": str(died)})
    assert died.exists(), f"{point} was never passed"
    assert survived.returncode == 0, survived.stderr
    Client(home).stop()
    compare(contents.library(home), undisturbed)


@pytest.mark.parametrize("point", ["journal.appended", "command.committed"])
def test_kill_while_a_change_is_made(point: str, tmp_path: Path) -> None:
    """The client repeats the change under the same key: it is made once, whether the engine died before or after its commit."""
    home, died = tmp_path / "home", tmp_path / "died"
    environ = {**os.environ, "ROLLCALL_CRASH_AT": point, "ROLLCALL_CRASH_ONCE": str(died)}
    command = [sys.executable, "-m", "tools.cli", "--home", str(home), "show", "add", "First", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=100)
    assert died.exists()
    assert json.loads(done.stdout)["slug"] == "first", done.stderr
    client = Client(home, "person:tester")
    assert len(client.call("show_list")["rows"]) == 1
    assert client.call("health_show")["problems"] == []
    client.stop()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_at_random_moments(tmp_path: Path, clip: Path, undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    """Engine and workers in turn, at seeded moments of running analyses, at least ten times; each command finishes by itself."""
    moments, kills = random.Random(7), 0
    for attempt in range(10):
        home = tmp_path / str(attempt)
        command = [sys.executable, "-m", "tools.cli", "--home", str(home), "run", str(clip), "--json", *FLAGS]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            for _ in range(3):
                kills += _kill_one(Client(home, "person:tester"), running, moments, worker=kills % 2 == 1)
            out, err = running.communicate(timeout=200)
        assert running.returncode == 0, err
        assert set(json.loads(out)) == {"episode_id", "run_id"}
        Client(home).stop()
        compare(contents.library(home), undisturbed)
        if kills >= RANDOM_KILLS:
            return
    raise AssertionError(f"only {kills} kills met a running analysis")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_acknowledged_decision_is_lost_to_kills(tmp_path: Path, clip: Path) -> None:
    """People decide while analyses run under one new setting after the other and the engine is killed: whatever was answered is there, and true."""
    home, moments = tmp_path / "home", random.Random(11)
    assert run(home, clip).returncode == 0
    client = Client(home, "person:tester")
    acknowledged: dict[int, str] = {}
    kills = 0
    for attempt in range(3):
        command = [sys.executable, "-m", "tools.cli", "--home", str(home), "run", str(clip), "--json", *FLAGS, "--set", f"track.picks={3 + attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            for number in range(3):
                try:
                    rows = client.call("track_list", {"episode": "1"})["rows"]
                    name = f"P{attempt}{number}"
                    done = client.call("track_assign", {"tracks": [moments.choice(rows)["ref"]], "person": name, "create": True})
                except Conflict:
                    continue  # the run was replaced between looking and deciding; nothing was promised
                acknowledged[done["batch"]] = name
                kills += _kill_one(client, running, moments, worker=False)
            _, err = running.communicate(timeout=200)
        assert running.returncode == 0, err
    assert kills >= 3, f"only {kills} kills met a running analysis"
    listed = {row["batch"]: row for row in client.call("decision_list", {"limit": 1000})["rows"] if row["verb"] == "assign"}
    assert set(acknowledged) <= set(listed)
    assert all(listed[batch]["stands"] for batch in acknowledged)
    lost = {row["decision_id"] for row in client.call("decision_lost", {"episode": "1"})["rows"]}
    newest: dict[str, str] = {}
    for row in client.call("track_list", {"episode": "1"})["rows"]:
        newest[row["ref"]] = row["person"]
    shown = set(newest.values())
    last = max(acknowledged)
    assert acknowledged[last] in shown or listed[last]["decision_id"] in lost
    assert client.call("health_show")["problems"] == []
    client.stop()


def _kill_one(client: Client, running: subprocess.Popen[str], moments: random.Random, *, worker: bool) -> int:
    """Wait for a running job, then some more, and SIGKILL the engine or one of its workers; 0 when the command has ended before."""
    while running.poll() is None:
        answer = client.ping()
        children = _children(int(answer["pid"])) if answer else []
        if answer and children:
            time.sleep(moments.random() * 1.5)
            with contextlib.suppress(ProcessLookupError):
                os.kill(children[-1] if worker else int(answer["pid"]), signal.SIGKILL)
                return 1
        time.sleep(0.05)
    return 0


def _children(pid: int) -> list[int]:
    """Processes an engine has started: its workers, which live while a job runs."""
    try:
        found = [Path(path).read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for part in found for child in part]
