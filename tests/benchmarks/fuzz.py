"""Fuzz: damaged copies of three clips, each added, looked into and analysed as a user would.

`python -m tests.benchmarks.fuzz [--inputs 500] [--seed N] [--engines 2] [--json FILE]` (`just fuzz`). Each input has to end in a result or in an
error with a sentence; the engine must not die, and nothing may take longer than LIMIT_S.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import RollcallError
from engine.wire import Client
from tests import clips
from tests.benchmarks.drills import asked, tell
from tests.footage import write

LIMIT_S = 30.0
SETTINGS = {"models.profile": "embedded", "observe.fps": 3, "track.picks": 2}
FRAMES = 24

Damage = Callable[[bytearray, random.Random], bytearray]


def three_clips(folder: Path) -> list[Path]:
    """A second of a few faces in three containers and codecs, with sound; written anew, so that they are the same everywhere."""
    pictures = [clips.framing(430 + 4 * n, 190, 640, 320, 240) for n in range(FRAMES)]
    return [
        write(folder / "h264.mp4", pictures, range(FRAMES), sound_s=1.0),
        write(folder / "mpeg4.mkv", pictures, range(FRAMES), codec="mpeg4", sound_s=1.0),
        write(folder / "mpeg2.ts", pictures, range(FRAMES), codec="mpeg2video"),
    ]


def _flip(data: bytearray, moments: random.Random, start: int, end: int, most: int) -> bytearray:
    for _ in range(round(2 ** moments.uniform(0, math.log2(most)))):
        data[moments.randrange(start, end)] ^= 1 << moments.randrange(8)
    return data


def anywhere(data: bytearray, moments: random.Random) -> bytearray:
    """Bits of the whole file, from one to thousands."""
    return _flip(data, moments, 0, len(data), 4096)


def heads(data: bytearray, moments: random.Random) -> bytearray:
    """Bits of the first bytes, where containers say what they are."""
    return _flip(data, moments, 0, min(512, len(data)), 64)


def tails(data: bytearray, moments: random.Random) -> bytearray:
    """Bits of the last bytes, where MP4 keeps its index."""
    return _flip(data, moments, max(0, len(data) - 2500), len(data), 256)


def cut(data: bytearray, moments: random.Random) -> bytearray:
    """The end is missing."""
    return data[: moments.randrange(len(data))]


def both(data: bytearray, moments: random.Random) -> bytearray:
    """The end is missing, and bits of the rest are wrong."""
    part = data[: moments.randrange(1, len(data))]
    return _flip(part, moments, 0, len(part), 4096)


DAMAGES: list[Damage] = [anywhere, heads, tails, cut, both]


@dataclass
class Outcome:
    """What became of one input: `result`, or the code of an error; its sentence; how long it took."""

    name: str
    damage: str
    ended: str
    said: str
    seconds: float


@dataclass
class Figures:
    """What happened."""

    seed: int
    inputs: int = 0
    engines_died: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    by_damage: dict[str, dict[str, int]] = field(default_factory=dict)
    slowest_s: float = 0.0
    slow: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    sentences: dict[str, int] = field(default_factory=dict)

    def clean(self) -> bool:
        """Whether no engine died, nothing hung, every error was explained, and nothing failed where nobody looks."""
        return not (self.engines_died or self.slow or self.unexplained or self.unsettled)


class Fuzzer:
    """Takes inputs through one engine."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder / f"engine-{number}"
        self.folder.mkdir()
        self.client = Client(self.folder / "home", "script:fuzz")
        self.died = 0

    def start(self, whole: Path) -> None:
        """Start the engine and its workers on a clip that is whole."""
        self._use(whole)

    def take(self, name: str, suffix: str, damage: str, data: bytes) -> Outcome:
        """One input, the way a user takes it: added, a few frames looked at, analysed."""
        path = self.folder / f"{name}{suffix}"
        path.write_bytes(data)
        before, began = self._engine(), time.monotonic()
        try:
            ended, said = "result", self._use(path)
        except RollcallError as error:
            ended, said = error.code, str(error)
        seconds = time.monotonic() - began
        self.died += self._engine() != before
        path.unlink()
        return Outcome(name, damage, ended, said.replace(str(path), "FILE"), seconds)

    def _engine(self) -> int:
        self.client.ensure_running()
        return int((self.client.ping() or {"pid": 0})["pid"])

    def _use(self, path: Path) -> str:
        """
        Raises:
            RollcallError: it cannot be used, and why.
        """
        added = self.client.call("episode_add", {"path": str(path)})
        episode = str(added["episode_id"])
        self.client.call("frame_strip", {"episode": episode, "from_s": 0, "to_s": min(1e6, added["duration_s"]), "count": 3, "width": 64})
        job = self.client.call("episode_analyse", {"episode": episode, "settings": SETTINGS})
        done = self.client.call("job_wait", {"job_id": job["job_id"]})
        if done["state"] != "done":
            error: dict[str, Any] = done["error"]
            raise _told(error)
        self.client.call("totals_show", {"episode": episode})
        return " ".join(added["warnings"])

    def stop(self) -> list[str]:
        """End the engine; returns what its log tells of totals that could not be made."""
        self.client.stop()
        return [line for line in (self.client.home / "engine.log").read_text().splitlines() if "could not be settled" in line]


def _told(error: dict[str, Any]) -> RollcallError:
    from engine.errors import from_dict

    return from_dict(error)


def inputs(count: int, seed: int, originals: list[Path]) -> list[tuple[str, str, str, bytes]]:
    """(name, suffix, damage, bytes) of each input: every clip and every damage in turn."""
    moments, made = random.Random(seed), []
    whole = [path.read_bytes() for path in originals]
    for number in range(count):
        clip, damage = number % len(originals), DAMAGES[number // len(originals) % len(DAMAGES)]
        data = damage(bytearray(whole[clip]), moments)
        made.append((f"{number:04}-{originals[clip].stem}", originals[clip].suffix, damage.__name__, bytes(data)))
    return made


def fuzz(folder: Path, count: int, seed: int, engines: int = 1, *, say: bool = False) -> Figures:
    """Take so many inputs through so many engines; returns what happened."""
    originals = three_clips(folder)
    waiting = iter(inputs(count, seed, originals))
    fuzzers = [Fuzzer(folder, number) for number in range(engines)]
    outcomes: list[Outcome] = []
    failures: list[BaseException] = []
    turn = threading.Lock()

    def work(fuzzer: Fuzzer) -> None:
        try:
            fuzzer.start(originals[0])
            while True:
                with turn:
                    one = next(waiting, None)
                if one is None:
                    return
                outcome = fuzzer.take(*one)
                with turn:
                    outcomes.append(outcome)
                    if say:
                        sys.stderr.write(
                            f"{len(outcomes):4} {outcome.name} {outcome.damage:9} {outcome.seconds:5.1f} s {outcome.ended}: {outcome.said}\n"
                        )
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the threads
            failures.append(error)

    threads = [threading.Thread(target=work, args=(fuzzer,)) for fuzzer in fuzzers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unsettled = [line for fuzzer in fuzzers for line in fuzzer.stop()]
    if failures:
        raise failures[0]
    return replace(_figures(seed, outcomes, sum(fuzzer.died for fuzzer in fuzzers)), unsettled=unsettled)


def _figures(seed: int, outcomes: list[Outcome], died: int) -> Figures:
    by_damage: dict[str, Counter[str]] = {}
    for one in outcomes:
        by_damage.setdefault(one.damage, Counter())[one.ended] += 1
    return Figures(
        seed=seed,
        inputs=len(outcomes),
        engines_died=died,
        outcomes=dict(Counter(one.ended for one in outcomes).most_common()),
        by_damage={damage: dict(found) for damage, found in by_damage.items()},
        slowest_s=round(max(one.seconds for one in outcomes), 2),
        slow=[f"{one.name} {one.damage}: {one.seconds:.1f} s, {one.ended} {one.said}" for one in outcomes if one.seconds > LIMIT_S],
        unexplained=[f"{one.name} {one.damage}: {one.ended} {one.said}" for one in outcomes if one.ended in ("error", "worker_failed")],
        sentences=dict(Counter(one.said for one in outcomes if one.ended != "result").most_common(30)),
    )


def main() -> None:
    """The fuzzer from the command line; the exit status tells whether all was well."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Damaged copies of three clips, each added and analysed.")
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--engines", type=int, default=2)
    arguments = asked(parser)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        figures = fuzz(Path(folder), arguments.inputs, arguments.seed, arguments.engines, say=True)
    tell(figures, arguments.json)


if __name__ == "__main__":
    main()
