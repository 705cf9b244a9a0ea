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
import threading
import time
from pathlib import Path

import pytest

from engine.errors import RollcallError
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


ANALYSIS_POINTS = [point for point in COMMIT_POINTS if not point.startswith(("journal", "command"))]


@pytest.mark.slow
@pytest.mark.parametrize("point", ANALYSIS_POINTS)
def test_kill_at_each_commit_point(point: str, tmp_path: Path, clip: Path, undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    """The process that passes the point dies there, whichever it is; with the point still armed the job may even be given up."""
    interrupted = run(tmp_path, clip, {"ROLLCALL_CRASH_AT": point})
    log = (tmp_path / "engine.log").read_text()
    died = "replaced" in log or interrupted.returncode != 0 or log.count("process ") > 1
    assert died, f"{point} was never passed: {log}"
    Client(tmp_path).stop()
    compare(finish(tmp_path, clip), undisturbed)


@pytest.mark.slow
def test_kill_at_random_moments(tmp_path: Path, clip: Path, undisturbed: dict[str, list[tuple[object, ...]]]) -> None:
    """Engine and workers in turn, ten times, at seeded moments of the analysis."""
    moments = random.Random(7)
    client = Client(tmp_path)
    for kill in range(RANDOM_KILLS):
        worker = threading.Thread(target=run, args=(tmp_path, clip), daemon=True)
        worker.start()
        time.sleep(0.4 + moments.random() * 2.0)
        answer = client.ping()
        if answer is not None:
            _kill(int(answer["pid"]), workers=kill % 2 == 1)
        with contextlib.suppress(RollcallError):
            for job in client.call("job_list", {"state": "running"})["rows"]:
                client.call("job_cancel", {"job_id": job["job_id"]})
        worker.join(60)
    client.stop()
    compare(finish(tmp_path, clip), undisturbed)


def _kill(engine: int, *, workers: bool) -> None:
    """SIGKILL the engine, or its worker processes."""
    children = Path(f"/proc/{engine}/task/{engine}/children").read_text().split() if workers else []
    for pid in [int(child) for child in children] or [engine]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
