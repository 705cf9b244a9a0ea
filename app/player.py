"""Opening a clip in the operator's own player: the one they set, or what their desktop opens films with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What to run (nothing: there is no player here) and what to tell the operator."""

    command: list[str]
    words: str


def plan(path: str, play: list[str], environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Plan:
    """How to show a clip; `play` is the operator's own command for it, empty when they set none."""
    name = path.rsplit("/", 1)[-1]
    if play:
        return Plan(play, f"{name} is opened by {play[0]}.")
    if environment.get("SSH_CONNECTION"):
        host = environment["SSH_CONNECTION"].split()[2] if len(environment["SSH_CONNECTION"].split()) == 4 else "this machine"
        return Plan(
            [], f"Over SSH no player can be opened: fetch the clip with scp {host}:{path} . (the path is in the clipboard), or set screens.player."
        )
    opener = "open" if platform == "darwin" else "xdg-open" if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") else ""
    if not opener or shutil.which(opener) is None:
        return Plan([], f"There is no desktop here to open a player on: the clip is {path} (in the clipboard); screens.player sets a player.")
    return Plan([opener, path], f"{name} is opened.")


def start(command: list[str]) -> str:
    """Run a player beside the screens, with nothing of its own on the terminal; returns what was wrong, in words."""
    try:
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        os.posix_spawnp(command[0], command, os.environ, file_actions=nothing, setsid=True)
    except OSError as error:
        return f"{command[0]} did not start ({error.strerror}); screens.player sets which player is used."
    return ""
