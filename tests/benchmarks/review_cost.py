"""What a right episode costs: `python -m tests.benchmarks.review_cost [--seeds 101-109] [--picture FILE.svg] [--json FILE]`.

A simulated reviewer answers truthfully (tests.benchmarks.reviewer) on made episodes of an hour (tests.benchmarks.episodes) until 99 % of the truth's
face-seconds carry the right label. An action is one thing shown, at most 24 faces, answered as a whole; everything on it that has to be answered
otherwise is one more. Orders compared:

- ours: `engine.review.queue.sheets`;
- least sure first, largest first, random: one cluster or track at a time, with the same verbs, the look-alikes of whoever was just decided
  accepted on a sheet;
- the same three on sheets: our sheets, with leftovers put together as ours are, filled in their order.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from engine.config import IdentitySettings
from engine.review.queue import FACES, Sheet, Unit, pays, sheets
from tests.benchmarks.episodes import make
from tests.benchmarks.recipe import Recipe
from tests.benchmarks.reviewer import Desk
from tests.benchmarks.svg import Curve, chart

TARGET = 0.99
LIMIT = 150
"""Actions after which a review is given up."""
SURE = 0.8
"""Look-alikes at least this probable are shown to be accepted after a decision."""

ORDERS = ("ours", "least sure", "largest", "random", "least sure, sheets", "largest, sheets", "random, sheets")
RIVALS = ORDERS[1:4]


@dataclass(frozen=True)
class Outcome:
    """One order on one episode. curve: (actions, share right of all, share right of the cast's) after every answer."""

    seed: int
    order: str
    hours: float
    known: str
    tracks: int
    ceiling: float
    curve: list[tuple[int, float, float]]
    ms: float

    def at(self, share: float) -> float:
        """Actions an hour until this share is right; infinite when it never is."""
        return next((actions / self.hours for actions, right, _ in self.curve if right >= share), float("inf"))


def keys(rng: np.random.Generator) -> dict[str, Callable[[Unit], float]]:
    """What each rival looks at first: the greatest."""
    return {"least sure": lambda unit: -unit.confidence, "largest": lambda unit: unit.seconds, "random": lambda _unit: float(rng.random())}


def asked(desk: Desk, order: str, key: Callable[[Unit], float] | None) -> Iterator[Sheet]:
    """The sheets an order shows, each after the one before was answered."""
    together = key is None or order.endswith("sheets")
    pays_s = pays(desk.standing())
    found = desk.units(together)
    while found:
        if key is None:
            yield next(sheets(found, pays_s))
        else:
            # Whom nobody was asked about comes before a second look at what is decided, but for who looks at doubt alone.
            undecided = [unit for unit in found if unit.open or order.startswith("least")] or found
            if together:
                yield next(sheets(undecided, pays_s, key))
            else:
                chosen = max(undecided, key=key)
                yield Sheet((chosen,), chosen.gain_s, 1 + chosen.extra)
        if not together and (desk.person[chosen.rows] < 0).all() and (desk.how[chosen.rows] > 0).all():
            # Nobody was named: nothing is known better than before.
            found = [unit for unit in found if unit is not chosen]
            continue
        found = desk.units(together)
        if not together:
            person = desk.person[chosen.rows[0]]
            alike = [unit for unit in found if unit.open and unit.proposed == person >= 0 and unit.chance >= SURE]
            page = next(sheets(alike, pays_s, lambda unit: unit.chance), None)
            if page is not None and len(page.units) > 1:
                yield page
                found = desk.units(together)


@lru_cache(maxsize=1)
def opened(seed: int) -> Desk:
    """An episode before its review; the same for every order."""
    return Desk.open(make(seed, Recipe.draw(np.random.default_rng([seed, 1]))), IdentitySettings())


def review(seed: int, order: str) -> Outcome:
    """Review one episode in one order."""
    desk = deepcopy(opened(seed))
    made = desk.made
    key = keys(np.random.default_rng([seed, 2])).get(order.removesuffix(", sheets"))
    curve = [(0, *desk.correct())]
    started = time.perf_counter()
    for sheet in asked(desk, order, key):
        assert sum(len(unit.shown) for unit in sheet.units) <= FACES
        desk.answer(sheet)
        curve.append((desk.actions, *desk.correct()))
        if desk.actions >= LIMIT or curve[-1][1] >= TARGET:
            break
    spent = time.perf_counter() - started
    known = f"{len(made.known)}/{made.cast}"
    return Outcome(seed, order, made.hours, known, len(desk.track), desk.ceiling()[0], curve, 1e3 * spent / max(len(curve) - 1, 1))


def table(outcomes: list[Outcome]) -> str:
    """Actions an hour to 95, 98 and 99 % for each episode and order, and the medians."""
    seeds = sorted({one.seed for one in outcomes})
    orders = [order for order in ORDERS if any(one.order == order for one in outcomes)]
    by = {(one.seed, one.order): one for one in outcomes}
    lines = ["| episode | known | tracks | ceiling | right at first | " + " | ".join(orders) + " |", "|---" * (5 + len(orders)) + "|"]
    for seed in seeds:
        one = by[seed, orders[0]]
        cells = [f"{by[seed, order].at(TARGET):.0f}" if (seed, order) in by else "-" for order in orders]
        lines.append(f"| {seed} | {one.known} | {one.tracks} | {one.ceiling:.2%} | {one.curve[0][1]:.1%} | " + " | ".join(cells) + " |")
    for share in (0.95, 0.98, 0.99):
        cells = [f"{np.median([by[seed, order].at(share) for seed in seeds if (seed, order) in by]):.0f}" for order in orders]
        lines.append(f"| **median to {share:.0%}** | | | | | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(outcomes: list[Outcome]) -> str:
    """Ours against the best rival, and against the goal."""
    lines = []
    by: dict[str, list[float]] = {}
    for one in sorted(outcomes, key=lambda one: one.seed):
        by.setdefault(one.order, []).append(one.at(TARGET))
    ours = np.array(by["ours"])
    for name, group in (("one at a time", RIVALS), ("on our sheets", ORDERS[4:])):
        there = [order for order in group if order in by]
        if not there:
            continue
        best = min(there, key=lambda order: float(np.median(by[order])))
        saved = 1 - float(np.median(ours)) / float(np.median(by[best]))
        each = 1 - ours / np.min([by[order] for order in there], axis=0)
        lines.append(
            f"{name}: best rival {best}, median {np.median(by[best]):.0f}; ours {np.median(ours):.0f} an hour, {saved:.0%} fewer "
            f"(against the best rival of each episode, median {np.median(each):.0%} fewer)"
        )
    return "\n".join(lines)


def against(outcomes: list[Outcome]) -> str:
    """Ours against each rival to 95, 98 and 99 %, on the sets both were measured on; a review that was given up counts as LIMIT in the means."""
    by = {(one.order, one.seed): one for one in outcomes}
    lines = ["| rival | sets | to | ours, median | rival, median | fewer, of the medians | fewer, median of the sets | ours, mean | rival, mean |"]
    lines.append("|---" * 9 + "|")
    for order in ORDERS[1:]:
        seeds = sorted(one.seed for one in outcomes if one.order == order and ("ours", one.seed) in by)
        for share in (0.95, 0.98, 0.99) if seeds else ():
            ours, rival = (np.array([min(by[name, seed].at(share), LIMIT) for seed in seeds]) for name in ("ours", order))
            fewer = f"{1 - np.median(ours) / np.median(rival):.0%} | {np.median(1 - ours / rival):.0%}"
            medians = f"{np.median(ours):.0f} | {np.median(rival):.0f}"
            lines.append(f"| {order} | {len(seeds)} | {share:.0%} | {medians} | {fewer} | {ours.mean():.0f} | {rival.mean():.0f} |")
    return "\n".join(lines)


def picture(outcomes: list[Outcome]) -> str:
    """SVG: share right against actions an hour, the median of the episodes at each number of actions, for orders measured on all of them."""
    steps = np.arange(0, 161)
    curves = []
    seeds = len({one.seed for one in outcomes})
    for order in ORDERS:
        lines = [_along(one, steps) for one in outcomes if one.order == order]
        if len(lines) == seeds:
            curves.append(Curve(order, steps.astype(float).tolist(), np.median(lines, axis=0).tolist()))
    return chart("Right face-seconds against actions (median of the episodes)", "actions an hour", "share right", curves, (0.6, 1.0), TARGET)


def _along(one: Outcome, steps: np.ndarray) -> np.ndarray:
    actions, right = np.array([row[0] for row in one.curve]) / one.hours, np.array([row[1] for row in one.curve])
    return np.asarray(right[np.searchsorted(actions, steps, side="right") - 1])


def seeds_of(text: str) -> list[int]:
    """`101-103,7` as numbers."""
    parts = [part.split("-") for part in text.split(",")]
    return [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="101-109")
    parser.add_argument("--order", action="append", choices=ORDERS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--picture", type=Path, help="write the curves here (SVG)")
    parser.add_argument("--json", type=Path, help="write every curve here")
    parser.add_argument("--read", type=Path, nargs="+", help="print what earlier runs wrote, measuring nothing")
    given = parser.parse_args()
    if given.read:
        outcomes = [Outcome(**one) for path in given.read for one in json.loads(path.read_text())]
    else:
        with ProcessPoolExecutor(given.workers) as pool:
            orders = given.order or ORDERS
            outcomes = list(pool.map(review, *zip(*product(seeds_of(given.seeds), orders), strict=True), chunksize=len(orders)))
    print(table(outcomes) + "\n")
    if "ours" in {one.order for one in outcomes}:
        print(verdict(outcomes) + "\n\n" + against(outcomes) + "\n")
    print(f"an answer and the next sheet in {np.median([one.ms for one in outcomes]):.0f} ms (median)")
    if given.picture:
        given.picture.write_text(picture(outcomes))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in outcomes]))


if __name__ == "__main__":
    main()
