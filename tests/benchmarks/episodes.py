"""Made episodes of an hour that the real identity stages run on: only pictures are not real.

`python -m tests.benchmarks.episodes [--seed N] [--compare CACHE]` makes one and says what is in it; --compare holds the spread of its
embeddings to what `tests.benchmarks.embeddings` measured.

A few dozen people (regulars, guests, and extras nobody asks about) in scenes with recurring framings; tracks end when a face is lost and start
when it is found. Faces are missed, false boxes appear, tracks run from one person into the next, people look alike, turn away and change.
No number here is one of the product's: the curves and limits it uses were fitted on real clips.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import numpy as np

from tests.benchmarks.embeddings import Spread, quantiles
from tests.benchmarks.episode_maker import STEP_US, Maker
from tests.benchmarks.recipe import Made, Recipe


def make(seed: int, recipe: Recipe) -> Made:
    """The episode of a seed."""
    return Maker(seed, recipe).make()


def spread_of(made: Made) -> Spread:
    """Its tracks as `tests.benchmarks.embeddings` measures real ones."""
    tracks = made.episode.tracks
    rows = made.episode.picks["track"].to_numpy().astype(np.int64)
    quality, shot = tracks["quality"].to_numpy(), tracks["shot"].to_numpy().astype(np.int64)
    return Spread(made.episode.pooled, quality, made.main_person(), shot, made.episode.vectors, made.episode.picks["quality"].to_numpy(), rows)


def describe(made: Made) -> str:
    """What is in it, in a few lines."""
    tracks, missed = made.episode.tracks, made.face_track < 0
    cast = made.face_person < made.cast
    quality = tracks["quality"].to_numpy()
    seconds = (tracks["end_us"].to_numpy() - tracks["start_us"].to_numpy()) / 1e6
    mixed = tracks["mixed"].to_numpy(zero_copy_only=False)
    lines = [
        f"{made.episode.shots.num_rows} shots, {tracks.num_rows} tracks, {made.episode.detections.num_rows} faces found",
        f"{len(np.unique(made.face_person))} people of whom {made.cast} cast, {len(made.known)} of them known",
        f"face-seconds {len(cast) * STEP_US / 1e6:.0f}, cast {cast.mean():.1%}; missed {missed.mean():.2%}, of the cast {missed[cast].mean():.2%}",
        f"tracks: good {np.mean(quality >= 0.5):.1%}, poor {np.mean(quality < 0.3):.1%}, flagged mixed {mixed.mean():.2%}, "
        f"nobody {np.mean(made.main_person() < 0):.2%}; seconds a track {quantiles(seconds)}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Make an episode and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", type=Path, help="cache folder with embeddings-*.npz")
    given = parser.parse_args()
    recipe = Recipe.draw(np.random.default_rng([given.seed, 1]))
    print("\n".join(f"{entry.name} {getattr(recipe, entry.name)}" for entry in fields(recipe)))
    made = make(given.seed, recipe)
    print(describe(made))
    sides = {"made": spread_of(made)}
    if given.compare:
        sides |= {path.stem.removeprefix("embeddings-"): Spread.read(path) for path in sorted(given.compare.glob("embeddings-*.npz"))}
    for name, spread in sides.items():
        print(f"\n{name}: cosines at 5, 25, 50, 75, 95 %")
        for kind, values in spread.cosines().items():
            print(f"{kind:22s} {len(values):8d}  {quantiles(values)}")


if __name__ == "__main__":
    main()
