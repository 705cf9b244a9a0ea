"""How right rollcall is, hard case by hard case: `python -m tests.benchmarks.accuracy [--profile P] [--slice NAME] [--work DIR]`.

Runs the real pipeline in this process on every clip of `tests.benchmarks.slices` (made when they are not in the cache folder) and prints a
table. ROLLCALL_TEST_MEDIA names the folder of real clips, ROLLCALL_MODELS that of the weights (also needed to find the faces of the
sources, whatever profile is measured).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Settings, build
from engine.models.load import choose, load
from engine.models.store import Models
from tests.benchmarks import stage
from tests.benchmarks.material import HALVES, folder_of
from tests.benchmarks.running import analyse
from tests.benchmarks.scoring import Score, calibration_error, score
from tests.benchmarks.slices import SLICES, Clip, clips

STAGE = "stage"

COLUMNS = {
    "recall": "truth faces looked at that a tracked detection is on (IoU 0.5)",
    "seen": "the same for all detections kept, tracked or not",
    "precision": "tracked detections that are on a face",
    "purity": "faces of a track that are its person's",
    "frag": "tracks a person and shot",
    "clust": "seconds of clusters that are their person's",
    "each": "people found for one person shown",
    "right": "share of face-seconds under the right person",
    "split": "... under a second id of the right person",
    "wrong": "... under somebody else",
    "unkn": "... missed or unidentified",
    "med": "median error of a person's seconds",
    "worst": "worst error",
    "all5": "compositions with every person within 5 %",
    "cover": "95 % intervals that hold the truth",
    "ece": "calibration error of memberships",
    "ghost": "seconds of people who are nobody shown",
    "cuts": "hard cuts found / shown + found where none is",
}


def summary(total: Score) -> dict[str, Any]:
    """The measures of COLUMNS; shares are 0..1."""
    faces = max(total.truth_faces, 1)
    return {
        "recall": total.found_faces / faces,
        "seen": total.seen_faces / faces,
        "precision": total.right_detections / max(total.detections, 1),
        "purity": total.pure_faces / max(total.track_faces, 1),
        "frag": float(np.mean(total.fragments or [0])),
        "clust": total.pure_s / max(total.cluster_s, 1e-9),
        "each": float(np.mean(total.clusters_each or [0])),
        "right": total.right / faces,
        "split": total.split / faces,
        "wrong": total.wrong / faces,
        "unkn": total.unknown / faces,
        "med": float(np.median(total.errors or [0])),
        "worst": max(total.errors, default=0.0),
        "all5": float(np.mean(total.all_close or [False])),
        "cover": float(np.mean(total.covered or [False])),
        "ece": calibration_error(total.chances),
        "ghost": total.ghost_s,
        "cuts": f"{total.cuts_found}/{total.cuts}+{total.cuts_extra}",
    }


def line(name: str, found: dict[str, Any]) -> str:
    """A row of the table."""
    cells = []
    for column in COLUMNS:
        value = found[column]
        if column in ("frag", "each", "ghost"):
            cells.append(f"{value:.2f}")
        elif isinstance(value, str):
            cells.append(value)
        else:
            cells.append("-" if np.isnan(value) else f"{100 * value:.1f}")
    return "| " + " | ".join([name.ljust(18), *(cell.rjust(len(column)) for cell, column in zip(cells, COLUMNS, strict=True))]) + " |"


def header() -> str:
    """The head of the table (markdown)."""
    return "| " + " | ".join(["slice".ljust(18), *COLUMNS]) + " |\n|" + "---|" * (len(COLUMNS) + 1)


def chosen(given: argparse.Namespace, work: Path) -> Iterator[Clip]:
    """The clips asked for."""
    names = [name for name in given.slice or [*SLICES, STAGE] if name != STAGE]
    seeds = tuple(int(seed) for seed in given.seeds.split(",")) if given.seeds else None
    if names:
        yield from clips(given.set, work, names, seeds)
    if STAGE in (given.slice or [STAGE]) and (given.slice or given.set == "tune"):
        yield Clip(STAGE, 0, folder_of("ROLLCALL_TEST_MEDIA") / stage.CLIP, stage.truth())


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", choices=["auto", "insightface", "open", "embedded"], default="insightface")
    parser.add_argument("--detector", help="another detector than the profile's best, by name (det_500m)")
    parser.add_argument("--slice", action="append", choices=[*SLICES, STAGE])
    parser.add_argument("--set", choices=HALVES, default="tune", help="other people and other seeds")
    parser.add_argument("--seeds", help="numbers with commas between, in place of the set's own")
    parser.add_argument("--work", type=Path, help="cache folder; by default a temporary one")
    parser.add_argument("--json", type=Path, help="write every measure here")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="a setting other than its default")
    parser.add_argument("--each", action="store_true", help="a row for every composition too")
    return parser.parse_args()


def main() -> None:
    """Measure, and print."""
    given = arguments()
    work = given.work or Path(tempfile.mkdtemp(prefix="rollcall-slices-"))
    settings: Settings = build(dict(item.split("=", 1) for item in given.setting))
    choice, installed = choose(given.profile, folder_of("ROLLCALL_MODELS")), Models(folder_of("ROLLCALL_MODELS")).installed()
    if given.detector:
        choice = replace(choice, detector=installed[given.detector])
    models = load(choice, "cpu", 2)
    total, started = Score(), time.monotonic()
    by_slice: dict[str, Score] = {}
    rows: dict[str, dict[str, Any]] = {}
    print(f"{given.profile}: {models.detector.name} and {models.embedder.name}, set {given.set}\n")
    print(header(), flush=True)
    for clip in chosen(given, work):
        one = score(analyse(clip.path, models, settings), clip.truth)
        name = f"{clip.slice}-{clip.seed}"
        rows[name] = summary(one)
        if given.each:
            print(line(name, rows[name]), flush=True)
        if one.off_clock:
            print(f"{name}: {one.off_clock} analysed times are not times of the truth", flush=True)
        by_slice.setdefault(clip.slice, Score()).add(one)
        if clip.slice != STAGE or given.slice == [STAGE]:
            total.add(one)
    for name, part in by_slice.items():
        print(line(name, summary(part)))
    print(line("all made clips", summary(total)))
    print(f"\n{len(rows)} compositions, {time.monotonic() - started:.0f} s")
    if given.json:
        table = {name: summary(part) for name, part in by_slice.items()}
        given.json.write_text(json.dumps({"overall": summary(total), "slices": table, "compositions": rows}, indent=1))


if __name__ == "__main__":
    main()
