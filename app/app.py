"""The terminal screens: starts, wires the screens to the engine, and holds what all of them share."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.app import App
from textual.theme import Theme

from app import compositor, theme
from app.keys import Keys
from app.link import Link, News, State
from app.paint import Ink
from app.pictures import Pictures
from app.screens.base import Key, Place, bindings, keymap
from engine import wire
from engine.errors import RollcallError

PLACES = {
    "library": ("app.screens.library", "Library"),
    "people": ("app.screens.people", "People"),
    "review": ("app.screens.review", "Review"),
    "jobs": ("app.screens.jobs", "Jobs"),
    "health": ("app.screens.health", "Health"),
    "audit": ("app.screens.audit", "Audit"),
    "episode": ("app.screens.episode", "Episode"),
}
"""Screens by name, imported when first gone to: starting fast is a feature."""

TOGETHER_S = 0.15
"""Pictures that come within this time are drawn together."""

RUMOUR_S = 20.0
"""How long it is told that somebody else changed something; after that it goes with the next line drawn at the top."""

Severity = Literal["information", "warning", "error"]


class RollcallApp(App[None]):
    """The app. Screens ask through `link`, draw with `ink`, and are told what happened."""

    TITLE = "rollcall"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Key]] = bindings("everywhere")
    CSS = """
    Screen { background: $background; color: $foreground; }
    Toast { max-width: 64; width: auto; padding: 0 1; background: $panel; }
    ToastRack { padding: 0 1 1 0; }
    """

    def __init__(self, home: Path, actor: str | None = None) -> None:
        compositor.use()
        super().__init__()
        self.home = home
        self.keys = Keys.read(home)
        self.operations = wire.operations()
        self.link = Link(home, actor, self.heard, self.engine_is)
        self.pictures = Pictures(self.link, self._pictures_came)
        self.state: State = "connecting"
        self.trouble = ""
        self.rumour = ""
        self.rumour_ends = 0.0
        self.running = ""
        self.jobs: dict[int, dict[str, Any]] = {}
        self._memory = self._remembered()
        self._wants_pictures = False
        self.ink = Ink(theme.DARK)
        for name, colours in theme.THEMES.items():
            self.register_theme(_toolkit_theme(name, colours))
        self.set_keymap(keymap(self.keys.own))

    def get_default_screen(self) -> Place:
        """The library lies under everything."""
        from app.screens.library import Library

        return Library()

    def on_mount(self) -> None:
        if not gc.isenabled():  # it was held back for a fast start; what was imported is never garbage
            gc.freeze()
            gc.enable()
        self.paint_as(str(self._memory.get("theme", "dark")))
        for fault in self.keys.faults:
            self.say(fault, severity="warning")
        if (last := self._memory.get("place")) and last.get("name") in PLACES and last["name"] != "library":
            self.go(**last)
        self.link.listen()

    def on_unmount(self) -> None:
        self.link.close()

    # where we are

    @property
    def place(self) -> Place | None:
        """The screen in front when it is one of ours and all of it is there."""
        front = self.screen_stack[-1] if self.screen_stack else None
        return front if isinstance(front, Place) and front.composed else None

    def go(self, name: str, **given: Any) -> None:
        """Show a place; those on top of the library are left."""
        from importlib import import_module

        module, screen = PLACES[name]
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != "library":
            self.push_screen(getattr(import_module(module), screen)(**given))

    def remember(self, place: Place) -> None:
        """Note where the operator is, for when the connection breaks."""
        if (found := place.place()) is not None:
            self._memory["place"] = found
            self._write_memory()

    @property
    def _memory_path(self) -> Path:
        return self.home / "screens" / (re.sub(r"[^\w.@-]", "_", self.link.actor) + ".json")

    def _remembered(self) -> dict[str, Any]:
        try:
            found = json.loads(self._memory_path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_memory(self) -> None:
        try:
            self._memory_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._memory_path.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(self._memory))
            partial.replace(self._memory_path)
        except OSError:
            return  # a full disk must not stop anybody from looking; health tells of it

    # the engine

    def heard(self, news: News) -> None:
        """Hand what happened to the screens that are open."""
        for job_id, job in news.jobs.items():
            if job.get("state") in ("done", "failed", "cancelled"):
                self.jobs.pop(job_id, None)
                self._tell_of_end(job)
            elif job.get("state"):
                self.jobs[job_id] = job
        if news.reset:
            self.jobs = {}
        self.running = self._running_word()
        others = [(name, actor) for name, actor in news.changed if actor != self.link.actor]
        if others:
            name, actor = others[-1]
            self.rumour, self.rumour_ends = f"{actor.partition(':')[2]}: {name.replace('_', ' ')}", time.monotonic() + RUMOUR_S
        if any(name.startswith(("person_", "decision_")) for name, _ in news.changed):
            self.pictures.forget_people()
        if (place := self.place) is not None:
            place.heard(news)
            place.chrome()

    def _tell_of_end(self, job: dict[str, Any]) -> None:
        state = job["state"]
        if state == "failed":
            error = job.get("error") or {}
            self.say(f"{error.get('message', '')} {error.get('hint', '')}".strip(), title=f"job {job['job_id']} failed", severity="error")
        elif state == "done":
            self.say(f"Job {job['job_id']} is done.")

    def _running_word(self) -> str:
        if not self.jobs:
            return ""
        shares = [job.get("progress", {}).get("share", 0.0) for job in self.jobs.values()]
        return f"{len(shares)} job{'s' if len(shares) > 1 else ''} {sum(shares) / len(shares):.0%}"

    def engine_is(self, state: State, trouble: str) -> None:
        """The connection came or went."""
        before, self.state = self.state, state
        if trouble and trouble != self.trouble:
            self.say(trouble, title="engine", severity="error")
        self.trouble = trouble
        if (place := self.place) is not None:
            if state == "live" and before == "lost":
                place.reload()
            place.chrome()

    def trouble_word(self) -> str:
        """The state in a word or two."""
        return "connecting" if self.state == "connecting" else "engine away, trying again"

    def _pictures_came(self) -> None:
        """Draw once for all pictures that come at about the same time: every drawing sends all of them."""
        if not self._wants_pictures:
            self._wants_pictures = True
            self.set_timer(TOGETHER_S if self.pictures.waiting else 0.02, self._draw_pictures)

    def _draw_pictures(self) -> None:
        self._wants_pictures = False
        if self.place is not None:
            self.place.pictures_came()

    # telling

    def say(self, text: str, *, title: str = "", severity: Severity = "information") -> None:
        """A toast."""
        self.notify(text, title=title, severity=severity, timeout=4 if severity == "information" else 8, markup=False)

    def complain(self, error: RollcallError) -> None:
        """An error in the words every surface uses."""
        self.notify(str(error), title=error.code.replace("_", " "), severity="error", timeout=10, markup=False)

    def paint_as(self, name: str) -> None:
        """Take a theme."""
        name = name if name in theme.THEMES else "dark"
        self.ink = Ink(theme.THEMES[name], plain=self.no_color)
        self._memory["theme"] = name
        self.theme = f"rollcall-{name}"
        for screen in self.screen_stack:
            for widget in screen.query("*"):
                if hasattr(widget, "redraw"):
                    widget.redraw()

    # everywhere

    def action_do(self, name: str) -> None:
        """Do what works everywhere."""
        action = self.keys.table[name]
        if action.later:
            self.say(action.later, severity="warning")
            return
        if action.operations and not any(operation in self.operations for operation in action.operations):
            self.say(f"This engine has no {action.operations[0].replace('_', ' ')} yet.", severity="warning")
            return
        verb = action.verb
        if verb in PLACES:
            self.go(verb)
        else:
            getattr(self, f"do_{verb}")()

    def do_back(self) -> None:
        if self.place is not None and self.place.closed():
            return
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.say("This is the library; q leaves.")

    def do_theme(self) -> None:
        names = list(theme.THEMES)
        name = names[(names.index(self._memory["theme"]) + 1) % len(names)]
        self.paint_as(name)
        self._write_memory()

    def do_refresh(self) -> None:
        if self.place is not None:
            self.place.reload()
        self.refresh(layout=True)

    def do_quit(self) -> None:
        self.exit()

    def do_help(self) -> None:
        from app.screens.help import Help

        if self.place is not None:
            self.push_screen(Help(self.place))

    def do_palette(self) -> None:
        from app.screens.palette import Palette

        if self.place is not None:
            self.push_screen(Palette(self.place))

    def do_undo(self) -> None:
        from app import verbs

        self.run_worker(verbs.undo(self), group="undo", exit_on_error=False)

    def do_redo(self) -> None:
        from app import verbs

        self.run_worker(verbs.redo(self), group="undo", exit_on_error=False)


def _toolkit_theme(name: str, colours: dict[str, str]) -> Theme:
    return Theme(
        name=f"rollcall-{name}",
        primary=colours["accent"],
        accent=colours["accent"],
        warning=colours["warn"],
        error=colours["bad"],
        success=colours["good"],
        foreground=colours["text"],
        background=colours["background"],
        surface=colours["bar"],
        panel=colours["panel"],
        dark=name != "light",
    )


def run(home: Path, actor: str | None = None) -> int:
    """Show the screens until the operator leaves; returns the exit status."""
    for held in ("COLUMNS", "LINES"):  # exported, by a shell or into a container, they would hold the screens at the size the terminal had then
        os.environ.pop(held, None)
    app = RollcallApp(home, actor)
    app.run()
    if app.return_code:
        sys.stderr.write("The screens ended with an error; the engine and its work go on.\n")
    return app.return_code or 0
