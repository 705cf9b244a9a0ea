"""What a right review of the slice suite costs: `python -m tests.benchmarks.review_slices --work CACHE`.

All shots of the clips of one half, in drawn order, are one episode (tests.benchmarks.recut): faces, tracks, clusters and misses are those of the
real pipeline, the truth is that of the clips. Nobody is known beforehand, everybody has a name. Answers, actions and orders are those of
tests.benchmarks.review_cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from engine.config import IdentitySettings
from engine.identity.gallery import Gallery
from tests.benchmarks.material import HALVES
from tests.benchmarks.recipe import NOBODY, Made, Recipe
from tests.benchmarks.recut import Stock, recut
from tests.benchmarks.review_cost import LIMIT, ORDERS, asked, keys
from tests.benchmarks.reviewer import Desk

SHARES = (0.95, 0.98, 0.99)


def whole(stock: Stock, seed: int) -> Made:
    """All shots of a stock as one episode, with the faces to be seen at every step of a shot."""
    one = recut(stock, np.random.default_rng([seed, 6]), len(stock.shots))
    episode, people = one.episode, len(stock.people)
    starts, ends, shot = (episode.tracks[name].to_numpy() for name in ("start_us", "end_us", "shot"))
    of_shot = {int(number): np.flatnonzero(shot == number) for number in np.unique(shot)}
    faces: list[tuple[int, int, int]] = []
    for row in episode.shots.to_pylist():
        mine = of_shot.get(row["shot"], np.empty(0, np.int64))
        for at in range(row["start_us"] + episode.step_us // 2, row["end_us"], episode.step_us):
            held = mine[(starts[mine] <= at) & (at < ends[mine])]
            for person, visible in one.visible.items():
                if ((visible[:, 0] <= at) & (at < visible[:, 1])).any():
                    own = held[one.person[held] == person]
                    faces.append((person, at, int(own[0]) if len(own) else -1))
    face = np.array(faces, np.int64)
    of_detection = one.person[episode.detections["track"].to_numpy()]
    spans = [(person, start, end) for person, visible in one.visible.items() for start, end in visible.tolist()]
    gallery = Gallery(np.empty((0, episode.pooled.shape[1]), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    known = np.empty(0, np.int64)
    return Made(Recipe(), episode, people, people, of_detection, *face.T, np.array(spans, np.int64), gallery, known)


def actions(made: Made, order: str) -> tuple[float, list[float]]:
    """Share right at first, and actions until each of SHARES of the faces is right; infinite when it never is."""
    desk = Desk.open(made, IdentitySettings())
    curve = [(0, desk.correct()[0])]
    for sheet in asked(desk, order, keys(np.random.default_rng(2)).get(order.removesuffix(", sheets"))):
        desk.answer(sheet)
        curve.append((desk.actions, desk.correct()[0]))
        if desk.actions >= LIMIT or curve[-1][1] >= SHARES[-1]:
            break
    return curve[0][1], [next((count for count, right in curve if right >= share), float("inf")) for share in SHARES]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="cache folder of the slice suite")
    parser.add_argument("--seed", type=int, default=1, help="the order of the shots")
    given = parser.parse_args()
    print("| half | minutes | people | tracks | ceiling | right at first | share | " + " | ".join(ORDERS) + " |")
    print("|---" * (7 + len(ORDERS)) + "|")
    for half in HALVES:
        made = whole(Stock.of(half, given.work), given.seed)
        found = {order: actions(made, order) for order in ORDERS}
        ceiling = float((made.face_track >= 0).mean())
        seen = len(np.unique(made.face_person[made.face_person != NOBODY]))
        head = f"{half} | {made.hours * 60:.1f} | {seen} | {made.episode.tracks.num_rows} | {ceiling:.2%} | {found['ours'][0]:.1%}"
        for place, share in enumerate(SHARES):
            print(f"| {head} | {share:.0%} | " + " | ".join(f"{found[order][1][place]:.0f}" for order in ORDERS) + " |", flush=True)


if __name__ == "__main__":
    main()
