"""How fast rollcall's faces work is, against the obvious loop with the same models, in one run.

    python -m tests.benchmarks.speed [--clip PATH ...] [--repeat 3] [--profile-minutes 2] [--minutes 10 30 60]

The sides take turns (A B C D A B ...), so that whatever else the machine does weighs on all. Ratios are what to look at; seconds belong to
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

from tests.benchmarks.speed_long import analysed, enlarged, episode_stages, looped
from tests.benchmarks.speed_sides import (
    BESIDE,
    DETECTOR,
    EMBEDDER,
    LOOPS,
    SIZE,
    THREADS,
    Agreement,
    Clip,
    Cost,
    Found,
    ObviousLoop,
    Ours,
    agreement,
    measured,
)
from tests.benchmarks.speed_stages import Stopwatch, decode_alone, decode_and_look, stages

CLIPS = ("composed/grid_panel.mp4", "tv/short_hamilton_clip.mp4", "shots/testvideo.mp4")
PACKAGES = ("av", "insightface", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "scenedetect")
PROFILE_MODELS = {"insightface": (DETECTOR, EMBEDDER), "open": ("yunet_n_640_640", EMBEDDER), "embedded": ()}
"""Weights of each profile that are not installed with the packages."""

OURS = "rollcall"
Costs = dict[str, list[Cost]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed", description="rollcall against the obvious loop")
    parser.add_argument("--clip", type=Path, nargs="+", help="videos to use instead of the three of ROLLCALL_TEST_MEDIA")
    parser.add_argument("--repeat", type=int, default=3, help="times each side runs on each clip")
    parser.add_argument("--profile-minutes", type=float, default=2.0, help="length of the recording every profile analyses; 0 leaves this out")
    parser.add_argument("--minutes", type=float, nargs="*", default=[10.0, 30.0, 60.0], help="lengths for memory; none leaves it out")
    chosen = parser.parse_args(arguments)
    weights = folder("ROLLCALL_MODELS", "the weights")
    clips = chosen.clip or [folder("ROLLCALL_TEST_MEDIA", "the default clips (or use --clip)") / name for name in CLIPS]
    missing = [path for path in (*clips, *(weights / f"{name}.onnx" for name in (DETECTOR, EMBEDDER))) if not path.is_file()]
    if missing:
        sys.exit(f"Not there: {', '.join(map(str, missing))}.")
    print(about())
    with tempfile.TemporaryDirectory(prefix="rollcall-speed-") as name:
        scratch = Path(name)
        models = linked(weights, scratch / "weights", (DETECTOR, EMBEDDER))
        ours = Ours.open(models)
        loops = [ObviousLoop(scratch / f"insightface-{n}", models, options) for n, options in enumerate(LOOPS)]
        every = [against(Clip.open(path), ours, loops, chosen.repeat) for path in clips]
        print("\n## All clips together (sums of the medians)\n")
        print_costs({side: [added([middle(costs[side]) for costs in every])] for side in every[0]})
        if chosen.profile_minutes:
            profiles(clips[0], chosen.profile_minutes, weights, scratch)
        if chosen.minutes:
            long_recordings(clips[0], chosen.minutes, scratch, models)
    long_episode()


def linked(weights: Path, place: Path, names: Sequence[str]) -> Path:
    """A folder that holds only some weights."""
    place.mkdir()
    for name in names:
        (place / f"{name}.onnx").symlink_to((weights / f"{name}.onnx").resolve())
    return place


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
    machine = f"{cores} cores, {platform.system()} {platform.machine()}, CPU provider, {load()} at the start"
    threads = f"worker of {THREADS} threads: {BESIDE} in the detector, 1 in the decoder beside it, {THREADS} faces embedded at once; no spinning"
    setup = f"{DETECTOR} + {EMBEDDER}, {SIZE} px, {threads}"
    return f"machine: {machine}\nversions: Python {platform.python_version()}, {', '.join(versions)}\nsetup: {setup}"


def load() -> str:
    """How busy the machine is with everything."""
    return f"load {os.getloadavg()[0]:.1f}"


def against(clip: Clip, ours: Ours, loops: list[ObviousLoop], repeat: int) -> Costs:
    """All sides on one clip, in turns; then who found whom, and where our time went."""
    spent: Costs = {side: [] for side in (OURS, *(loop.options.name for loop in loops))}
    theirs: Found = {}
    for _ in range(repeat):
        (mine, tracked), cost = measured(lambda: ours.run(clip))
        spent[OURS].append(cost)
        for loop in loops:
            theirs, cost = measured(partial(loop.run, clip, ours.settings.observe.fps))
            spent[loop.options.name].append(cost)
    title = f"{clip.path.name}: {clip.seconds:.1f} s, {clip.media.width}x{clip.media.height}, {clip.media.frames} frames, {len(mine)} analysed"
    print(f"\n## {title}, {len(tracked.vectors)} faces embedded ({load()})\n")
    print_costs(spent)
    own = middle(spent[OURS])
    print(f"\nof the clip's length: {own.wall / clip.seconds:.3f} in wall seconds, {own.cpu / clip.seconds:.3f} of a processor")
    print_agreement(agreement(mine, theirs, clip, ours.detector))
    floors = {"decode everything": costs(partial(decode_alone, ours, clip, every_frame=True), repeat)}
    floors["decode what is needed"] = costs(partial(decode_alone, ours, clip, every_frame=False), repeat)
    for side in (ours.settings.observe.small_size, SIZE):
        floors[f"... and one look at {side} px"] = costs(partial(decode_and_look, ours, clip, side), repeat)
    print_stages([stages(ours, clip) for _ in range(repeat)])
    print_floors(floors, own)
    return spent


def middle(each: list[Cost]) -> Cost:
    """Median wall and median processor seconds."""
    return Cost(statistics.median([cost.wall for cost in each]), statistics.median([cost.cpu for cost in each]))


def added(each: list[Cost]) -> Cost:
    """Sums."""
    return Cost(sum(cost.wall for cost in each), sum(cost.cpu for cost in each))


def costs(work: Callable[[], object], repeat: int) -> list[Cost]:
    """What some work cost each time."""
    return [measured(work)[1] for _ in range(repeat)]


def spread(values: list[float]) -> str:
    """Smallest and median."""
    return f"{min(values):.2f} / {statistics.median(values):.2f}"


def print_costs(spent: Costs) -> None:
    """Seconds of all sides, and how many times ours the others took, medians and turn by turn."""
    print("| | cpu s, min / median | wall s, min / median | cpu, times ours | wall, times ours | cpu in each turn |\n|---|---|---|---|---|---|")
    mine = middle(spent[OURS])
    for side, each in spent.items():
        here = middle(each)
        turns = ", ".join(f"{theirs.cpu / own.cpu:.2f}" for own, theirs in zip(spent[OURS], each, strict=True))
        columns = [
            spread([cost.cpu for cost in each]),
            spread([cost.wall for cost in each]),
            f"{here.cpu / mine.cpu:.2f}",
            f"{here.wall / mine.wall:.2f}",
        ]
        print(f"| {side if side == OURS else f'loop, {side}'} | {' | '.join(columns)} | {turns} |", flush=True)


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
    print("\n| stage | cpu s | share | calls |\n|---|---|---|---|")
    for head in sorted({name.split(":")[0] for name in names}, key=lambda head: -sum(seconds[n] for n in names if n.split(":")[0] == head)):
        inner = [name for name in names if name.split(":")[0] == head]
        whole = sum(seconds[name] for name in inner)
        print(f"| {head} | {whole:.2f} | {whole / total:.0%} | {calls[head]} |")
        if len(inner) > 1:
            for name in inner:
                label = name.split(": ")[1] if ":" in name else "itself"
                print(f"| - {label} | {seconds[name]:.2f} | {seconds[name] / total:.0%} | {calls[name]} |")


def print_floors(floors: Costs, mine: Cost) -> None:
    """What nothing cleverer could go below, and how far above it we are (medians)."""
    print("\n| floor | wall s, min / median | cpu s, min / median | rollcall / floor, wall | cpu |\n|---|---|---|---|---|")
    for name, each in floors.items():
        above = f"{mine.wall / middle(each).wall:.2f} | {mine.cpu / middle(each).cpu:.2f}"
        print(f"| {name} | {spread([cost.wall for cost in each])} | {spread([cost.cpu for cost in each])} | {above} |", flush=True)


def profiles(clip: Path, minutes: float, weights: Path, scratch: Path) -> None:
    """What a run of `rollcall run` takes with each profile, on a recording and on the same in 1080p; start of engine and worker included."""
    print(f"\n## `rollcall run` on {clip.name} looped to about {minutes:g} minutes, shares of its length\n")
    print("| profile | picture | wall | cpu of engine and worker | engine, peak | worker, peak |\n|---|---|---|---|---|---|")
    plain = looped(clip, minutes, scratch / "plain.mp4")
    larger = looped(enlarged(clip, scratch / "one-1080p.mp4"), minutes, scratch / "1080p.mp4")
    for profile, names in PROFILE_MODELS.items():
        models = linked(weights, scratch / f"weights-{profile}", names)
        for picture, video in (("as it is", plain), ("1920x1080", larger)):
            found = analysed(video, models, scratch / f"{profile}-{video.stem}", "--set", f"models.profile={profile}")
            shares = f"{found.wall / 60 / found.minutes:.3f} | {found.cpu / 60 / found.minutes:.3f}"
            print(f"| {profile} | {picture} | {shares} | {found.engine_mb:.0f} MB | {found.worker_mb:.0f} MB |", flush=True)


def long_recordings(clip: Path, minutes: list[float], scratch: Path, models: Path) -> None:
    """Peak memory by length of recording."""
    print(f"\n## Peak memory on {clip.name} looped\n\n| minutes | engine | worker | wall / length | cpu / length |\n|---|---|---|---|---|")
    for length in minutes:
        found = analysed(looped(clip, length, scratch / f"{length:g}.mp4"), models, scratch / f"long-{length:g}")
        shares = f"{found.wall / 60 / found.minutes:.3f} | {found.cpu / 60 / found.minutes:.3f}"
        print(f"| {found.minutes:.1f} | {found.engine_mb:.0f} MB | {found.worker_mb:.0f} MB | {shares} |", flush=True)


def long_episode() -> None:
    """Cost of the episode stages."""
    tracks, costs = episode_stages()
    print(f"\n## Episode stages at {tracks} made-up tracks\n\n| stage | wall s | cpu s |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} |")


if __name__ == "__main__":
    main()
