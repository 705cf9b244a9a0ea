"""How fast rollcall's faces work is, against the obvious loop with the same models, in one run.

    python -m tests.benchmarks.speed [--clip PATH ...] [--repeat 3] [--minutes 5 20]

The two sides take turns (A B A B ...), so that whatever else the machine does weighs on both. Ratios are what to look at; seconds belong to
the machine. `ROLLCALL_MODELS` holds the weights, `ROLLCALL_TEST_MEDIA` the default clips.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.speed_long import episode_stages, looped, memory
from tests.benchmarks.speed_sides import DETECTOR, EMBEDDER, SIZE, THREADS, Agreement, Clip, Cost, ObviousLoop, Ours, agreement, measured
from tests.benchmarks.speed_stages import Stopwatch, decode_alone, decode_and_look, stages

CLIPS = ("composed/grid_panel.mp4", "tv/short_hamilton_clip.mp4", "shots/testvideo.mp4")
PACKAGES = ("av", "insightface", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "scenedetect")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed", description="rollcall against the obvious loop")
    parser.add_argument("--clip", type=Path, nargs="+", help="videos to use instead of the three of ROLLCALL_TEST_MEDIA")
    parser.add_argument("--repeat", type=int, default=3, help="times each side runs on each clip")
    parser.add_argument("--minutes", type=float, nargs="*", default=[5.0, 20.0], help="lengths of the long recordings; none leaves memory out")
    chosen = parser.parse_args(arguments)
    weights = folder("ROLLCALL_MODELS", "the weights")
    clips = chosen.clip or [folder("ROLLCALL_TEST_MEDIA", "the default clips (or use --clip)") / name for name in CLIPS]
    missing = [path for path in (*clips, *(weights / f"{name}.onnx" for name in (DETECTOR, EMBEDDER))) if not path.is_file()]
    if missing:
        sys.exit(f"Not there: {', '.join(map(str, missing))}.")
    print(about())
    with tempfile.TemporaryDirectory(prefix="rollcall-speed-") as scratch:
        models = Path(scratch) / "weights"
        models.mkdir()
        for name in (DETECTOR, EMBEDDER):
            (models / f"{name}.onnx").symlink_to((weights / f"{name}.onnx").resolve())
        if chosen.minutes:
            long_recordings(clips[0], chosen.minutes, Path(scratch), models)
        ours, loop = Ours.open(models), ObviousLoop(Path(scratch) / "insightface", models)
        for path in clips:
            against(Clip.open(path), ours, loop, chosen.repeat)
    long_episode()


def folder(variable: str, what: str) -> Path:
    """The folder a variable names, or the end of the program with a message."""
    value = os.environ.get(variable, "")
    if not value or not Path(value).is_dir():
        sys.exit(f"{variable} must name the folder of {what}; it is {'unset' if not value else 'no folder'}.")
    return Path(value)


def about() -> str:
    """The machine and the versions, a line each."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except ImportError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{cores} cores, {platform.system()} {platform.machine()}, CPU provider, load {os.getloadavg()[0]:.1f} at the start"
    setup = f"{DETECTOR} + {EMBEDDER}, {SIZE} px, {THREADS} threads in a network, decoder threads chosen by FFmpeg"
    return f"machine: {machine}\nversions: Python {platform.python_version()}, {', '.join(versions)}\nsetup: {setup}"


def against(clip: Clip, ours: Ours, loop: ObviousLoop, repeat: int) -> None:
    """Both sides on one clip, in turns; then who found whom, and where our time went."""
    pairs = []
    for _ in range(repeat):
        (mine, tracked), our_cost = measured(lambda: ours.run(clip))
        theirs, their_cost = measured(lambda: loop.run(clip, ours.settings.observe.fps))
        pairs.append((our_cost, their_cost))
    title = f"{clip.path.name}: {clip.seconds:.1f} s, {clip.media.width}x{clip.media.height}, {clip.media.frames} frames, {len(mine)} analysed"
    print(f"\n## {title}, {len(tracked.vectors)} faces embedded\n")
    print_costs(clip, pairs)
    print_agreement(agreement(mine, theirs, clip, ours.detector))
    floors = {"decode alone": costs(partial(decode_alone, ours, clip), repeat)}
    for side in (ours.settings.observe.small_size, SIZE):
        floors[f"decode and one look at {side} px"] = costs(partial(decode_and_look, ours, clip, side), repeat)
    print_stages([stages(ours, clip) for _ in range(repeat)])
    print_floors(floors, statistics.median([mine.wall for mine, _ in pairs]), statistics.median([mine.cpu for mine, _ in pairs]))


def costs(work: Callable[[], object], repeat: int) -> list[Cost]:
    """What some work cost each time."""
    return [measured(work)[1] for _ in range(repeat)]


def spread(values: list[float]) -> str:
    """Smallest and median."""
    return f"{min(values):.2f} / {statistics.median(values):.2f}"


def print_costs(clip: Clip, pairs: list[tuple[Cost, Cost]]) -> None:
    """Seconds of both sides and their ratios."""
    print("| | rollcall, min / median | obvious loop, min / median | ratio of medians | ratio in each turn |\n|---|---|---|---|---|")
    for name in ("wall", "cpu"):
        mine, theirs = ([getattr(pair[side], name) for pair in pairs] for side in (0, 1))
        turns = ", ".join(f"{b / a:.2f}" for a, b in zip(mine, theirs, strict=True))
        ratio = statistics.median(theirs) / statistics.median(mine)
        print(f"| {name} s | {spread(mine)} | {spread(theirs)} | {ratio:.2f} | {turns} |")
    factors = [f"{statistics.median([pair[side].wall for pair in pairs]) / clip.seconds:.3f}" for side in (0, 1)]
    print(f"| wall as a share of the clip's length | {factors[0]} | {factors[1]} | | |")


def print_agreement(found: Agreement) -> None:
    """Whose faces the other side has."""
    if not found.theirs and not found.ours:
        print("\nno faces on either side")
        return
    share, sure = (count / max(1, found.theirs) for count in (found.found, found.found_sure))
    print(f"\nfound of the loop's {found.theirs} faces: {found.found} ({share:.1%}); with a score of 0.5 too: {found.found_sure} ({sure:.1%})")
    held = (found.by_theirs + found.by_enlarged) / max(1, found.ours)
    extra = f"{found.by_theirs} matched by the loop, {found.by_enlarged} more by a look at {2 * SIZE} px"
    print(f"precision of our {found.ours} faces: {held:.1%} ({extra}, {found.ours - found.by_theirs - found.by_enlarged} by neither)")
    if found.times_differ:
        print(f"WARNING: {found.times_differ} analysed times are not the same on both sides")


def print_stages(watches: list[Stopwatch]) -> None:
    """Seconds (median of the runs) and share of every stage, the parts of a stage below it."""
    names = sorted({name for watch in watches for name in watch.seconds})
    seconds = {name: statistics.median([watch.seconds[name] for watch in watches]) for name in names}
    total, calls = sum(seconds.values()), watches[-1].calls
    print("\n| stage | wall s | share | calls |\n|---|---|---|---|")
    for head in sorted({name.split(":")[0] for name in names}, key=lambda head: -sum(seconds[n] for n in names if n.split(":")[0] == head)):
        inner = [name for name in names if name.split(":")[0] == head]
        whole = sum(seconds[name] for name in inner)
        print(f"| {head} | {whole:.2f} | {whole / total:.0%} | {calls[head]} |")
        if len(inner) > 1:
            for name in inner:
                label = name.split(": ")[1] if ":" in name else "itself"
                print(f"| - {label} | {seconds[name]:.2f} | {seconds[name] / total:.0%} | {calls[name]} |")


def print_floors(floors: dict[str, list[Cost]], wall: float, cpu: float) -> None:
    """What nothing cleverer could go below, and how far above it we are (medians)."""
    print("\n| floor | wall s, min / median | cpu s, min / median | rollcall / floor, wall | cpu |\n|---|---|---|---|---|")
    for name, each in floors.items():
        walls, cpus = [cost.wall for cost in each], [cost.cpu for cost in each]
        above = f"{wall / statistics.median(walls):.2f} | {cpu / statistics.median(cpus):.2f}"
        print(f"| {name} | {spread(walls)} | {spread(cpus)} | {above} |", flush=True)


def long_recordings(clip: Path, minutes: list[float], scratch: Path, models: Path) -> None:
    """Peak memory by length of recording."""
    print(f"\n## Peak memory on {clip.name} looped\n\n| minutes | segments | after the first | after all segments | after identify | identify |")
    print("|---|---|---|---|---|---|")
    for length in minutes:
        found = memory(looped(clip, length, scratch / f"{length:g}.mp4"), models)
        peaks = " | ".join(f"{found[name]:.0f} MB" for name in ("first_mb", "segments_mb", "identify_mb"))
        print(f"| {found['minutes']:.1f} | {found['segments']} | {peaks} | {found['identify']} |", flush=True)


def long_episode() -> None:
    """Cost of the episode stages."""
    tracks, costs = episode_stages()
    print(f"\n## Episode stages at {tracks} made-up tracks\n\n| stage | wall s | cpu s |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} |")


if __name__ == "__main__":
    main()
