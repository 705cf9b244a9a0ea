"""`rollcall doctor`: everything that can be wrong with an installation or a library, and what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import RollcallError
from engine.wire import Client
from tools.render import colour

Finding = dict[str, Any]
MARKS = {"ok": ("ok   ", "32"), "note": ("note ", "33"), "wrong": ("WRONG", "31")}


def _finding(state: str, what: str, found: str, todo: str = "") -> Finding:
    return {"state": state, "what": what, "found": found, "todo": todo}


def _python() -> Finding:
    return _finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _imports() -> Finding:
    missing = [name for name in ("av", "cv2", "dlib", "duckdb", "insightface", "lancedb", "scenedetect") if importlib.util.find_spec(name) is None]
    if missing:
        return _finding("wrong", "packages", f"missing: {', '.join(missing)}", "Install rollcall again with `uv sync`.")
    return _finding("ok", "packages", "all there")


def _logout() -> Finding:
    """systemd may kill what a user left running when they log out; a tmux or a job would go with it."""
    if shutil.which("loginctl") is None:
        return _finding("ok", "logout", "user processes live on")
    answer = subprocess.run(["loginctl", "show-user", "--property=Linger"], capture_output=True, text=True, check=False)
    conf = Path("/etc/systemd/logind.conf")
    kills = conf.exists() and any(line.strip().lower() == "killuserprocesses=yes" for line in conf.read_text().splitlines())
    if kills and "Linger=yes" not in answer.stdout:
        return _finding("note", "logout", "logging out kills the engine and its jobs", "Run `loginctl enable-linger`.")
    return _finding("ok", "logout", "user processes live on")


def _engine(client: Client) -> list[Finding]:
    """What the engine says of itself: library, disk, models."""
    health = client.call("health_show", {"thorough": True})
    chosen = health["models"]
    found = [
        _finding("ok", "engine", f"version {health['version']}, process {health['pid']}"),
        _finding("ok", "onnxruntime", f"this build offers {', '.join(health['providers'])}"),
        _finding("ok", "library", f"{health['home']}: {health['episodes']} episodes, {health['people']} people"),
        _finding("ok" if not chosen.get("better") else "note", "models", chosen["why"], chosen.get("better", "")),
    ]
    found += [_finding("note", "library", note) for note in health["notes"]]
    return found + [_finding("wrong", "library", problem) for problem in health["problems"]]


def examine(client: Client) -> list[Finding]:
    """All findings, each with `state` (ok, note, wrong), `what`, `found` and `todo`."""
    checks: list[Callable[[], Finding]] = [_python, _imports, _logout]
    findings = [check() for check in checks]
    try:
        findings += _engine(client)
    except RollcallError as error:
        findings.append(_finding("wrong", "engine", error.message, error.hint))
    return findings


def text(findings: list[Finding]) -> str:
    """The findings for a person."""
    lines = []
    for finding in findings:
        mark, code = MARKS[finding["state"]]
        lines.append(f"{colour(mark, code, sys.stdout)} {finding['what']:<12} {finding['found']}")
        if finding["todo"]:
            lines.append(f"{'':19}{finding['todo']}")
    return "\n".join(lines)
