"""The small client of the engine: standard library only, so that a command line or a screen starts at once."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

from engine.errors import EngineUnavailable, from_dict
from engine.platform import engine_environment, operator, owned, socket_path

START_TIMEOUT_S = 60.0
SPEC_PATH = Path(__file__).parent / "spec.json"


def operations() -> dict[str, dict[str, Any]]:
    """Every operation by name, from the generated spec."""
    return {op["name"]: op for op in json.loads(SPEC_PATH.read_text())["operations"]}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        if not (owned(self._path.parent) and owned(self._path)):
            raise EngineUnavailable(f"{self._path} belongs to another user.", "Remove it, or use another workspace.")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Talks to the engine of one workspace, starting it when none runs."""

    def __init__(self, home: Path, actor: str | None = None) -> None:
        self.home = home
        self.actor = actor or operator()
        self._path = socket_path(home)
        self._checked = False

    def call(self, name: str, parameters: dict[str, Any] | None = None, *, idem_key: str | None = None) -> dict[str, Any]:
        """Run an operation; a connection lost on the way is tried again under the same key, so nothing is done twice.

        Raises:
            RollcallError: what the operation raised, or EngineUnavailable.
        """
        body = {"parameters": parameters or {}, "actor": self.actor, "idem_key": idem_key or uuid.uuid4().hex}
        for attempt in (1, 2, 3):
            self.ensure_running()
            try:
                answer = self._request("POST", f"/op/{name}", body)
            except (OSError, http.client.HTTPException) as error:
                self._checked = False
                if attempt == 3:
                    raise EngineUnavailable(f"The engine went away while it worked on {name} ({error}).", "Run the command again.") from error
                time.sleep(0.2 * attempt)
                continue
            if "error" in answer:
                raise from_dict(answer["error"])
            result: dict[str, Any] = answer["result"]
            return result
        raise AssertionError("unreachable")

    def events(self, after: int | None = None) -> Generator[dict[str, Any], None, None]:
        """Events as they happen; the first is `hello` with the current sequence number. Ends when the engine does."""
        self.ensure_running()
        connection = _UnixConnection(self._path, timeout=None)
        try:
            connection.request("GET", "/events" + (f"?after={after}" if after is not None else ""))
            response = connection.getresponse()
            while line := response.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def ping(self) -> dict[str, Any] | None:
        """Who answers on the socket; None when nobody does."""
        try:
            return self._request("GET", "/ping", None, timeout=10)
        except (OSError, http.client.HTTPException):
            return None

    def environment_differs(self) -> list[str]:
        """ROLLCALL_ variables set here that the running engine was started without, or with other values: it does not see ours."""
        running = (self.ping() or {}).get("environment", {})
        return [f"{name}={value}" for name, value in engine_environment().items() if running.get(name) != value]

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End the engine and wait until it has let the library go; False when none ran."""
        answer = self.ping()
        if answer is None:
            return False
        self._request("POST", "/stop", {})
        deadline = time.monotonic() + timeout_s
        while not _released(self.home):
            if time.monotonic() > deadline:
                raise EngineUnavailable(
                    f"The engine (process {answer['pid']}) does not end.", f"See {self.home / 'engine.log'}, or kill it: nothing is lost."
                )
            time.sleep(0.02)
        self._checked = False
        return True

    def ensure_running(self) -> None:
        """Start the engine when none runs.

        Raises:
            EngineUnavailable: it cannot be started, or one of another version runs.
        """
        if self._checked:
            return
        answer = self.ping() or self._start()
        if answer["spec"] != hashlib.sha256(SPEC_PATH.read_bytes()).hexdigest()[:16]:
            message = f"An engine of another version ({answer['version']}, process {answer['pid']}) runs for {self.home}."
            raise EngineUnavailable(message, "End it with `rollcall engine stop`; its jobs go on with the new one.")
        self._checked = True

    def forget_check(self) -> None:
        """Look again whether an engine runs before the next call: the one we knew went away."""
        self._checked = False

    def _request(self, method: str, path: str, body: dict[str, Any] | None, timeout: float | None = None) -> dict[str, Any]:
        connection = _UnixConnection(self._path, timeout)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read() or b"null")
            return answer
        finally:
            connection.close()

    def _start(self) -> dict[str, Any]:
        """Start a detached engine and wait for its first answer. Of several clients one starts it, holding a lock on the workspace's folder; should
        engines be started by other means at the same time, the library's lock lets one live.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + START_TIMEOUT_S
        engine: int | None = None
        folder = os.open(self.home, os.O_RDONLY)
        try:
            while time.monotonic() < deadline:
                answer = self.ping()
                if answer is not None:
                    return answer
                if engine is None and _locked(folder) and self.ping() is None:
                    engine = self._spawn()
                    deadline = time.monotonic() + START_TIMEOUT_S
                if engine is not None:
                    ended, status = os.waitpid(engine, os.WNOHANG)
                    if ended:
                        return self._another(os.waitstatus_to_exitcode(status))
                time.sleep(0.02)
        finally:
            os.close(folder)
        raise EngineUnavailable(f"The engine did not answer within {START_TIMEOUT_S:.0f} s.", f"See {self.home / 'engine.log'}.")

    def _spawn(self) -> int:
        """Start an engine in a session of its own, so that it outlives this terminal; returns its process id.

        `-P`: nothing is imported from the folder the user happens to be in.
        """
        log = str(self.home / "engine.log")
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        command = [sys.executable, "-P", "-m", "tools.serve", "--home", str(self.home)]
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=files, setsid=True)

    def _another(self, status: int) -> dict[str, Any]:
        """The engine we started has ended: one that was started at the same time may have won.

        Raises:
            RollcallError: none did; why ours could not start.
        """
        for _ in range(50):
            if answer := self.ping():
                return answer
            time.sleep(0.1)
        reason = self.home / "engine.error.json"
        if reason.exists():
            raise from_dict(json.loads(reason.read_text()))
        raise EngineUnavailable(f"The engine ended at once (exit status {status}).", f"See {self.home / 'engine.log'}.")


def _locked(file: int) -> bool:
    """Take the lock of an open file or folder; False when another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _released(home: Path) -> bool:
    """Whether nobody owns the library: its lock can be taken. The process itself may linger until its parent has taken note."""
    try:
        with (home / "library.lock").open("r") as file:
            return _locked(file.fileno())
    except FileNotFoundError:
        return True
