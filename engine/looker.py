"""The engine's side of looks at media files: a few processes of their own, each given up when it crashes or takes too long."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.config import Config
from engine.errors import BadMedia, from_dict
from engine.sources.probe import MediaInfo

AT_ONCE = 2
BYTES_PER_SECOND = 10e6
"""Looks may take longer at long files: a second more for this much, as a slow network drive gives it."""

CHUNK = 1 << 20

Message = dict[str, Any]


class Looker:
    """Looks at media files for the engine, on whatever thread asks; processes are kept for the next look until `rest`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._idle: list[subprocess.Popen[bytes]] = []
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()

    def probe(self, path: Path) -> MediaInfo:
        """What a video file is.

        Raises:
            NotFound: no such file.
            BadMedia: it is not a video that can be decoded, or looking at it crashed or took too long.
        """
        return MediaInfo.from_dict(self._look({"kind": "probe", "path": str(path)})["media"])

    def stills(self, path: Path, media: MediaInfo, times_us: list[int], width: int, box: list[float] | None, form: str) -> list[Message]:
        """The frames on screen at some times (rising, microseconds): t_us, width, height, form, data.

        Raises:
            NotFound, BadMedia: as of `probe`.
        """
        found: list[Message] = []
        task = {"kind": "stills", "path": str(path), "media": media.as_dict(), "times_us": times_us, "width": width, "box": box, "form": form}
        self._look(task, lambda message: found.append(message["still"]))
        return found

    def frame(self, path: Path, media: MediaInfo, t_us: int, long_side: int) -> Message | None:
        """The first frame from a time on as RGB: width, height, data; None when there is none.

        Raises:
            NotFound, BadMedia: as of `probe`.
        """
        task = {"kind": "frame", "path": str(path), "media": media.as_dict(), "t_us": t_us, "long_side": long_side}
        found: Message | None = self._look(task)["still"]
        return found

    def rest(self) -> None:
        """End the processes nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            _end(process)

    def _look(self, task: Message, on_message: Callable[[Message], None] = lambda message: None) -> Message:
        path, size = Path(task["path"]), 0
        with suppress(OSError):
            size = path.stat().st_size
        limit_s = Config(self._home).settings.engine.media_wait_s + size / BYTES_PER_SECOND
        with self._room:
            try:
                answer = self._answer(task, time.monotonic() + limit_s, on_message)
            except TimeoutError:
                hint = "Check that the disk it is on answers and that it plays in a video player; engine.media_wait_s gives it longer."
                raise BadMedia(f"Looking at {path} was given up after {limit_s:.0f} s.", hint) from None
            except EOFError as error:
                hint = "Convert it with another program, for instance ffmpeg; engine.log in the workspace tells more."
                raise BadMedia(f"{path} makes the decoder crash ({error}).", hint) from None
        if "error" in answer:
            raise from_dict(answer["error"])
        done: Message = answer["done"]
        return done

    def _answer(self, task: Message, deadline: float, on_message: Callable[[Message], None]) -> Message:
        """Have a process look. One that dies may have been killed by others; twice it is the file's fault.

        Raises:
            TimeoutError: there was no answer by the deadline.
            EOFError: two processes died of it; why.
        """
        for attempt in (1, 2):
            process, told = self._take(), False

            def tell(message: Message) -> None:
                nonlocal told
                told = True
                on_message(message)

            try:
                answer = _ask(process, task, deadline, tell)
            except EOFError:
                _end(process)
                if attempt == 2 or told:
                    status = process.returncode
                    raise EOFError(signal.Signals(-status).name if status < 0 else f"exit status {status}") from None
            except BaseException:  # whatever it was, a process in the middle of a look is of no more use
                _end(process)
                raise
            else:
                with self._lock:
                    self._idle.append(process)
                return answer
        raise AssertionError("unreachable")

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.poll() is None:
                    return process
                _end(process)
        command = [sys.executable, "-P", "-m", "engine.worker"]
        with (self._home / "engine.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)


def _ask(process: subprocess.Popen[bytes], task: Message, deadline: float, on_message: Callable[[Message], None]) -> Message:
    """Give a process a task and read its answer.

    Raises:
        TimeoutError: there was none by the deadline.
        EOFError: the process ended.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise EOFError from error
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            while b"\n" not in rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                part = os.read(process.stdout.fileno(), CHUNK)
                if not part:
                    raise EOFError
                rest += part
            line, rest = rest.split(b"\n", 1)
            message: Message = json.loads(line)
            if "done" in message or "error" in message:
                return message
            on_message(message)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, however it is, and close its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
