"""Torture: people decide and analyses run while the engine and its workers are killed, the disk fills up and files are torn.

`python -m tests.benchmarks.torture [--minutes 30] [--seed N] [--json FILE]` (`just torture`). Every decision an editor was told of has to stand at
the end, every one that was refused must not. Full disks need a small file system of their own, which only root can mount.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.wire import Client
from tests.benchmarks.drills import asked, tell
from tests.benchmarks.torture_blows import BLOWS, Disk, Engine, mounted
from tests.benchmarks.torture_people import SETTINGS, Analyst, Editor
from tools.demo.compose import write_episode
from tools.demo.shots import EPISODE

SHOTS = ("dark, reverse", "red, again", "left, again")
EDITORS = 3
PAUSE_S = (1.0, 10.0)
"""Shortest and longest time between two blows."""

CALM_SHARE, CALM_S = 0.08, 60.0
"""Share of the pauses that are long enough for an analysis to come to its end."""

RECOVERED_SHARE = 0.8
"""Share of the blows that wait until somebody had an answer since the one before; the others hit an engine that is just starting."""

PATIENCE_S = 180.0
"""An editor or a job that gets no answer for this long, once the blows have ended, hangs."""


@dataclass
class Figures:
    """What happened."""

    seed: int
    minutes: float
    full_disk: bool
    blows: dict[str, int]
    engines: int
    analyses: dict[str, int]
    acknowledged: int
    undone: int
    standing: int
    lost: list[int]
    twice: list[str]
    refused: int
    refused_standing: list[str]
    answers: int
    slowest_answer_s: float
    mended: list[str]
    problems: list[str]
    hung: list[str]
    errors: dict[str, int] = field(default_factory=dict)

    def clean(self) -> bool:
        """Whether nothing was lost, nothing came back that was refused, nothing hung and nothing is wrong with the library."""
        return not (self.lost or self.twice or self.refused_standing or self.problems or self.hung)


@contextlib.contextmanager
def _library(folder: Path, small: bool) -> Iterator[Disk]:
    """A workspace with an analysed episode, on a small file system where that can be had."""
    with mounted(folder / "disk", small) as disk:
        clip = write_episode(folder, tuple(shot for shot in EPISODE if shot.name in SHOTS), seed=5)
        disk.home.mkdir(mode=0o700)
        (disk.home / "config.toml").write_text("[engine]\nfree_space_floor_mb = 0\n")
        client = Client(disk.home, "person:ana")
        added = client.call("episode_add", {"path": str(clip)})
        job = client.call("episode_analyse", {"episode": str(added["episode_id"]), "settings": SETTINGS})
        assert client.call("job_wait", {"job_id": job["job_id"]})["state"] == "done"
        yield disk


def torture(folder: Path, minutes: float, seed: int, *, least: int = 0, small: bool = True, say: bool = False) -> Figures:
    """Run the drill in a folder for some minutes, and until so many blows were struck; returns what happened."""
    moments = random.Random(seed)
    with _library(folder, small) as disk:
        stop, blows, engine = threading.Event(), Counter[str](), Engine(disk.home)
        people = [Editor(disk.home, f"person:p{n}", moments.randrange(1 << 30), stop) for n in range(EDITORS - 1)]
        people.append(Editor(disk.home, "agent:bot", moments.randrange(1 << 30), stop))
        analyst = Analyst(disk.home, moments.randrange(1 << 30), stop)
        crew = [*people, analyst]
        for one in crew:
            one.start()
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end or sum(blows.values()) < least:
            time.sleep(CALM_S if moments.random() < CALM_SHARE else moments.uniform(*PAUSE_S))
            if moments.random() < RECOVERED_SHARE:
                _wait_for_an_answer(people, end)
            name = moments.choice([name for name, blow in BLOWS.items() if disk.small or not blow.needs_small_disk])
            blows[name if BLOWS[name].strike(engine, disk, moments) else f"{name} (nothing to hit)"] += 1
            if say:
                sys.stderr.write(f"{(end - time.monotonic()) / 60:5.1f} min left  {name:20} {sum(len(one.made) for one in people)} decisions\n")
        stop.set()
        disk.free()
        for one in crew:
            one.join(PATIENCE_S)
        hung = [one.name for one in crew if one.is_alive()]
        figures = _figures(disk, people, analyst, hung)
        figures.seed, figures.minutes, figures.blows = seed, minutes, dict(sorted(blows.items()))
        figures.engines = engine.starts()
        return figures


def _wait_for_an_answer(people: list[Editor], end: float) -> None:
    """Let the engine come back to work: on a busy machine it would hardly ever, were it hit again at once."""
    before = sum(one.answers for one in people)
    until = min(end, time.monotonic() + PATIENCE_S)
    while sum(one.answers for one in people) == before and time.monotonic() < until:
        time.sleep(0.1)


def _figures(disk: Disk, people: list[Editor], analyst: Analyst, hung: list[str]) -> Figures:
    """Hold what everybody was told against the library as the next engine finds it."""
    client = Client(disk.home, "person:judge")
    if not hung:
        client.stop()
    listed = _decisions(client)
    verbs: dict[int, list[dict[str, Any]]] = {}
    for row in listed:
        verbs.setdefault(row["batch"], []).append(row)
    undone = {batch for one in people for batch in one.undone}
    made = {batch: name for one in people for batch, name in one.made.items()}
    standing = {batch for batch, rows in verbs.items() if all(row["stands"] for row in rows)}
    called = Counter(row["reason"] for row in listed if row["verb"] == "assign")
    problems = client.call("health_show", {"thorough": True})["problems"]
    client.stop()
    from store import repair

    return Figures(
        seed=0,
        minutes=0.0,
        full_disk=disk.small,
        blows={},
        engines=0,
        analyses=dict(analyst.ended),
        acknowledged=len(made),
        undone=len(undone),
        standing=len(standing & set(made)),
        lost=sorted({batch for batch in made if batch not in undone and batch not in standing} | {batch for batch in undone if batch in standing}),
        twice=sorted(name for name in made.values() if called[name] > 1),
        refused=sum(len(one.refused) for one in people),
        refused_standing=sorted(name for one in people for name in one.refused if called[name]),
        answers=sum(one.answers for one in people),
        slowest_answer_s=round(max((one.slowest_s for one in people), default=0.0), 2),
        mended=repair.notes(disk.home),
        problems=problems,
        hung=hung,
        errors=dict(sum((one.errors for one in people), Counter[str]())),
    )


def _decisions(client: Client) -> list[dict[str, Any]]:
    """Every decision there is."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.call("decision_list", {"limit": 1000, "cursor": cursor})
        found += page["rows"]
        if (cursor := page["next_cursor"]) is None:
            return found


def main() -> None:
    """The drill from the command line; the exit status tells whether anything was lost."""
    parser = argparse.ArgumentParser(prog="torture", description="Kills, full disks and torn files while people decide and analyses run.")
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = asked(parser)
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        figures = torture(Path(folder), arguments.minutes, arguments.seed, say=True)
    tell(figures, arguments.json)


if __name__ == "__main__":
    main()
