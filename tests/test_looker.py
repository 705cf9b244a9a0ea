"""Looks at media files in processes of their own: what hangs or crashes there is an error with the file's name, and the next look is answered."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.config import ObserveSettings
from engine.errors import BadMedia, NotFound
from engine.looker import Looker
from engine.sources import file
from engine.sources.ahead import CHUNK
from engine.sources.probe import probe
from engine.tables import SegmentWindow
from tests.footage import scene, write


@pytest.fixture
def looker(tmp_path: Path) -> Iterator[Looker]:
    (tmp_path / "config.toml").write_text("[engine]\nmedia_wait_s = 20\n")
    made = Looker(tmp_path)
    yield made
    made.rest()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write(tmp_path / "film.mp4", [scene(i) for i in range(20)], range(20))


def _process(looker: Looker) -> int:
    """The one that waits for the next look."""
    [process] = looker._idle
    return process.pid


def test_look_tells_what_the_probe_tells(looker: Looker, film: Path, tmp_path: Path) -> None:
    media = looker.probe(film)
    assert media == probe(film)
    [first, last] = looker.stills(film, media, [0, 760_000], 64, None, "rgb")
    assert (first["t_us"], last["t_us"], first["width"], first["height"]) == (0, 760_000, 64, 36)
    [beyond] = looker.stills(film, media, [90_000_000], 64, None, "rgb")
    assert beyond["t_us"] < media.duration_us
    with pytest.raises(NotFound, match=r"There is no file .*gone\.mp4"):
        looker.probe(tmp_path / "gone.mp4")


def test_look_that_hangs_is_given_up_and_the_next_is_answered(looker: Looker, film: Path, tmp_path: Path) -> None:
    looker.probe(film)
    stopped = _process(looker)
    os.kill(stopped, signal.SIGSTOP)
    (tmp_path / "config.toml").write_text("[engine]\nmedia_wait_s = 0.5\n")
    began = time.monotonic()
    with pytest.raises(BadMedia, match=r"Looking at .*film\.mp4 was given up after"):
        looker.probe(film)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)
    waiting = looker._take()
    os.kill(waiting.pid, signal.SIGSTOP)
    looker._idle.append(waiting)
    with pytest.raises(BadMedia, match="was given up"):
        looker.stills(film, probe(film), [0] * 100_000, 64, None, "rgb")  # more than a pipe holds
    (tmp_path / "config.toml").write_text("[engine]\nmedia_wait_s = 20\n")
    assert looker.probe(film).frames == 20


def test_look_whose_process_was_killed_is_made_again_and_one_that_crashes_again_is_an_error(looker: Looker, film: Path) -> None:
    looker.probe(film)
    os.kill(_process(looker), signal.SIGKILL)
    assert looker.probe(film).frames == 20
    stop = threading.Event()

    def kill_all() -> None:
        while not stop.wait(0.005):
            with suppress(OSError):  # threads and processes come and go
                for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
                    for pid in child.read_text().split():
                        os.kill(int(pid), signal.SIGSEGV)

    looker.rest()  # a process that waits would have answered before it is killed
    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(BadMedia, match=r"film\.mp4 makes the decoder crash \(SIGSEGV\)"):
            looker.probe(film)
    finally:
        stop.set()
        killer.join()
    assert looker.probe(film).frames == 20


def test_decoder_that_does_not_go_on_is_given_up(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media, decoded, release = probe(film), file._decoded, threading.Event()

    def stuck(*arguments: Any) -> Generator[tuple[Any, int], None, None]:
        for number, found in enumerate(decoded(*arguments)):
            if number == 5:
                release.wait(60)
            yield found

    monkeypatch.setattr(file, "_decoded", stuck)
    window = SegmentWindow(0, 0, media.duration_us, media.duration_us)
    seen = 0
    with pytest.raises(BadMedia, match=r"Decoding .*film\.mp4 was given up: there was no new frame for 8 s"):
        for _ in file.read(film, media, window, ObserveSettings(every_frame=True), wait_s=8):
            seen += 1
    release.set()
    assert seen == CHUNK  # those made when it got stuck were not yet handed over
