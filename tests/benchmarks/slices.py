"""The slices: one hard thing each, made anew from seeds, with full truth. Nothing made is committed; it lies in the cache folder.

`python -m tests.benchmarks.slices --work DIR [--set held-out]` makes every clip and prints what is in it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks import slices_camera, slices_faces, slices_people
from tests.benchmarks.film import Truth, film
from tests.benchmarks.framing import Troupe
from tests.benchmarks.material import HALVES, cast
from tests.benchmarks.scene import Composition

VERSION = 1
"""Raised when a slice is made differently: old clips in a cache are then left alone."""

SEEDS: dict[str, tuple[int, ...]] = {"tune": (1, 2, 3), "held-out": (101, 102, 103)}

SLICES: dict[str, Callable[[Troupe], Composition]] = {
    "plain": slices_faces.plain,
    "close_up": slices_faces.close_up,
    "small": slices_faces.small,
    "turned": slices_faces.turned,
    "away": slices_faces.away,
    "sunglasses": slices_faces.sunglasses,
    "masks": slices_faces.masks,
    "hands": slices_faces.hands,
    "motion_blur": slices_faces.motion_blur,
    "dark_noisy": slices_faces.dark_noisy,
    "crowd": slices_people.crowd,
    "split_screen": slices_people.split_screen,
    "insets": slices_people.insets,
    "overlap": slices_people.overlap,
    "look_alikes": slices_people.look_alikes,
    "clothes": slices_people.clothes,
    "reverse": slices_people.reverse,
    "pans_zooms": slices_camera.pans_zooms,
    "dissolves_flashes": slices_camera.dissolves_flashes,
    "variable_rate": slices_camera.variable_rate,
    "late_start": slices_camera.late_start,
    "odd_pixels": slices_camera.odd_pixels,
    "rotated": slices_camera.rotated,
}


@dataclass(frozen=True)
class Clip:
    """A made clip."""

    slice: str
    seed: int
    path: Path
    truth: Truth


def clips(half: str, work: Path, names: list[str] | None = None, seeds: tuple[int, ...] | None = None) -> Iterator[Clip]:
    """The clips of a half, made when they are not there; other seeds than the half's own use the same people."""
    people = cast(half, work)
    for place, (name, build) in enumerate(SLICES.items()):
        if names is not None and name not in names:
            continue
        for seed in seeds or SEEDS[half]:
            composition = build(Troupe(people, np.random.default_rng([seed, place])))
            path, truth = film(composition, seed, work / f"clips-{VERSION}" / half, f"{name}-{seed}")
            yield Clip(name, seed, path, truth)


def main() -> None:
    """Make the clips and say what is in them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=None, help="cache folder; by default a temporary one")
    parser.add_argument("--set", choices=HALVES, default="tune")
    parser.add_argument("--slice", action="append", choices=list(SLICES))
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="rollcall-slices-"))
    for clip in clips(given.set, work, given.slice):
        truth = clip.truth
        shown = ", ".join(f"{person} {truth.seconds(i):.2f} s" for i, person in enumerate(truth.people))
        print(f"{clip.slice}-{clip.seed}: {(truth.end_us - truth.t_us[0]) / 1e6:.2f} s, {len(truth.cuts_us)} cuts; {shown}")


if __name__ == "__main__":
    main()
