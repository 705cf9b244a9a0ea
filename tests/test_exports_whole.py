"""An export is whole or not there: a writer that fails, a disk that fills, and a process that is killed leave what was there before."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.operations import policy
from engine.operations.exports import SeasonParams, write_export
from engine.operations.registry import Context
from engine.service import Engine
from store import work

FACTS = {"episode_id": None, "run_id": None, "format": "csv"}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    engine = Engine(tmp_path)
    yield Context(engine, policy.Actor.parse("person:tester"), "key")
    engine.close()


def put(text: str) -> object:
    def write(path: Path) -> int:
        path.write_text(text)
        return 1

    return write


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_writer_that_fails_midway_leaves_the_file_of_before(context: Context, fault: BaseException) -> None:
    write_export(context, "export_season", SeasonParams(show="x"), "kept.csv", put("before"), FACTS)

    def fails(path: Path) -> int:
        path.write_text("half of it")
        raise fault

    with pytest.raises(type(fault)):
        write_export(context, "export_season", SeasonParams(show="x"), "kept.csv", fails, FACTS)
    folder = context.engine.exports
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("kept.csv", "before")]
    assert len(work.exports(context.engine.database, None, None, 10)) == 1


def test_file_has_its_name_only_when_it_is_whole(context: Context) -> None:
    target = context.engine.exports / "slow.csv"

    def slow(path: Path) -> int:
        with path.open("w") as file:
            for line in range(100):
                file.write(f"{line}\n")
                assert not target.exists()
        return 100

    assert write_export(context, "export_season", SeasonParams(show="x"), "slow.csv", slow, FACTS).rows == 100
    assert len(target.read_text().splitlines()) == 100


def test_killed_writer_leaves_no_half_file_under_the_name(tmp_path: Path) -> None:
    target = tmp_path / "exports" / "long.csv"
    program = (
        "import sys, time, pathlib; from store.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); print('half', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"half\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert not target.exists()
    assert time.time() - target.parent.stat().st_mtime < 60 and [path.suffix for path in target.parent.iterdir()] == [".tmp"]
