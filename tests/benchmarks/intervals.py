"""Whether 95 % intervals hold the truth: `python -m tests.benchmarks.intervals --work CACHE [--made 100] [--recut 100] [--first N] [--json FILE]`.

Two hundred labelled episodes: made ones (tests.benchmarks.episodes; the cast known from a facebank) and ones re-cut from the slice suite's clips
(tests.benchmarks.recut). The totals are the product's; a person's interval covers when the true visible seconds are in it. Gaps that the
setting counts as visible are closed in the truth as well: that is what a total is defined to count. A person nobody was found for is not covered.

Each episode is totalled as the machine leaves it, after a part of the review, and after all of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engine.config import Settings
from engine.identity.cluster import cluster
from engine.identity.gallery import Gallery, match
from engine.identity.persons import UNIDENTIFIED, decide
from engine.identity.similarity import evidence
from engine.review.queue import pays, sheets
from engine.tables import Episode
from engine.totals import intervals
from engine.totals.labels import DECIDED, Labels, identity
from engine.totals.screen_time import screen_time
from tests.benchmarks.episode_maker import calibration
from tests.benchmarks.episodes import make
from tests.benchmarks.material import HALVES
from tests.benchmarks.recipe import Recipe
from tests.benchmarks.recut import Recut, Stock, recut
from tests.benchmarks.reviewer import Desk

SIZES = (0.0, 5.0, 15.0, 60.0, float("inf"))
"""Classes of people, by true seconds."""

STAGES = ("machine", "half", "reviewed")

EDGE_S = 0.021
"""The truth of clips is counted in whole frames."""

STRANGER = 1_000_000
"""Keys of clusters that are nobody's of the truth begin here."""

SETTINGS = Settings()


@dataclass(frozen=True)
class Row:
    """One person in one episode at one stage; seconds. low and high NaN: nobody was found for them. looks: share of looks they were found at."""

    source: str
    episode: int
    stage: str
    truth: float
    low: float
    high: float
    estimate: float
    binomial: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low - EDGE_S <= self.truth <= self.high + EDGE_S


def truth_seconds(episode: Episode, visible: intervals.Intervals) -> float:
    """Seconds of stretches with gaps closed as totals close them: inside one shot, up to the setting."""
    total = 0
    for start, end in zip(episode.shots["start_us"].to_pylist(), episode.shots["end_us"].to_pylist(), strict=True):
        inside = intervals.clip(visible, start, end)
        if len(inside):
            total += intervals.length(intervals.close_gaps(inside, round(SETTINGS.totals.gap_s * 1e6)))
    return total / 1e6


def rows(source: str, number: int, stage: str, episode: Episode, visible: dict[int, intervals.Intervals], labels: Labels) -> Iterator[Row]:
    """Every person of the truth."""
    found = {row["person"]: row for row in screen_time(episode, labels, SETTINGS.totals).screen_time.to_pylist()}
    looks = episode.duration_us / episode.step_us
    for person, stretches in sorted(visible.items()):
        truth = truth_seconds(episode, stretches)
        if truth <= 0:
            continue
        row = found.get(person)
        low, high, mean = (row["visual_low_s"], row["visual_high_s"], row["visual_s"]) if row else (float("nan"),) * 3
        share = min(1.0, (mean if row else 0.0) * 1e6 / episode.duration_us)
        binomial = 2 * 1.96 * np.sqrt(share * (1 - share) / looks) * episode.duration_us / 1e6
        yield Row(source, number, stage, truth, low, high, mean, float(binomial))


def made_rows(seed: int) -> list[Row]:
    """A made episode of three minutes."""
    rng = np.random.default_rng([seed, 3])
    recipe = Recipe.draw(
        rng, length_s=180.0, regulars=int(rng.integers(4, 8)), guests=int(rng.integers(2, 5)), extras=8, scenes=int(rng.integers(4, 8)), known=1.0
    )
    made = make(seed, recipe)
    desk = Desk.open(made, SETTINGS.identity)
    visible = {who: made.visible[made.visible[:, 0] == who, 1:] for who in range(made.cast) if (made.visible[:, 0] == who).any()}
    found: list[Row] = []
    for stage in STAGES:
        if stage == "half":
            _answer(desk, 4)
        elif stage == "reviewed":
            _answer(desk, 60)
        found += rows("made", seed, stage, made.episode, visible, desk.labels())
    return found


def _answer(desk: Desk, actions: int) -> None:
    stop = desk.actions + actions
    while desk.actions < stop:
        page = next(sheets(desk.units(), pays(desk.standing())), None)
        if page is None:
            return
        desk.answer(page)


@cache
def _stock(half: str, work: Path) -> Stock:
    return Stock.of(half, work)


def recut_rows(number: int, work: Path) -> list[Row]:
    """A re-cut episode of some forty shots; people are named by whom most of each cluster is, as a first look would."""
    rng = np.random.default_rng([number, 5])
    one = recut(_stock(HALVES[number % 2], work), rng, int(rng.integers(25, 60)))
    episode, curve = one.episode, calibration()
    found = evidence(episode, curve, SETTINGS.identity)
    clustering = cluster(episode, found, SETTINGS.identity)
    nobody = Gallery(np.empty((0, episode.pooled.shape[1]), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    posterior = match(episode, clustering, found, nobody, curve, SETTINGS.identity)
    decisions = decide(episode, clustering, posterior, SETTINGS.identity)
    who = _named(one, clustering.label, decisions)
    table = identity(decisions, posterior, who, np.empty(0, np.int64))
    result: list[Row] = []
    order = rng.permutation(episode.tracks.num_rows)
    for stage, share in zip(STAGES, (0.0, 0.5, 1.0), strict=True):
        looked = np.sort(order[: round(share * len(order))])
        key = [int(p) if p >= 0 else None for p in one.person[looked]]
        decided = pa.table([pa.array(looked, pa.int32()), pa.array(key, pa.int64())], schema=DECIDED)
        result += rows("recut", number, stage, episode, one.visible, Labels(clustering.membership, table, decided))
    return result


def _named(one: Recut, label: NDArray[np.int32], decisions: pa.Table) -> dict[int, int | None]:
    """cluster -> person of the truth, one cluster a person; other clusters are strangers, or too poor to be anybody."""
    tracks = one.episode.tracks
    seconds = (tracks["end_us"].to_numpy() - tracks["start_us"].to_numpy()) / 1e6
    shared = np.zeros((int(label.max(initial=-1)) + 1, int(one.person.max(initial=0)) + 1))
    known = one.person >= 0
    np.add.at(shared, (label[known], one.person[known]), seconds[known])
    poor = decisions["candidate"].to_numpy() == UNIDENTIFIED
    shared[poor] = 0
    pairs = {int(a): int(b) for a, b in zip(*linear_sum_assignment(shared, maximize=True), strict=True) if shared[a, b] > 0}
    return {number: None if poor[number] else pairs.get(number, STRANGER + number) for number in range(len(shared))}


def table(found: list[Row]) -> str:
    """Coverage by source, stage and size; widths beside the binomial's."""
    lines = [
        "| source | stage | people | covered | "
        + " | ".join(f"{low:.0f}-{high:.0f} s" for low, high in pairwise(SIZES))
        + " | not found | too low | too high | width | of truth | binomial | error |",
        "|" + "---|" * (len(SIZES) + 10),
    ]
    for source in ("made", "recut", "all"):
        for stage in STAGES:
            mine = [row for row in found if row.stage == stage and source in ("all", row.source)]
            if mine:
                lines.append(_line(source, stage, mine))
    return "\n".join(lines)


def _line(source: str, stage: str, mine: list[Row]) -> str:
    there = [row for row in mine if not np.isnan(row.low)]
    cells = [source, stage, str(len(mine)), f"{np.mean([row.covered for row in mine]):.1%}"]
    for low, high in pairwise(SIZES):
        part = [row.covered for row in mine if low <= row.truth < high]
        cells.append(f"{np.mean(part):.1%} of {len(part)}" if part else "-")
    cells.append(f"{1 - len(there) / len(mine):.1%}")
    cells.append(f"{np.mean([row.high + EDGE_S < row.truth for row in there]):.1%}")
    cells.append(f"{np.mean([row.low - EDGE_S > row.truth for row in there]):.1%}")
    cells.append(f"{np.median([row.high - row.low for row in there]):.2f} s")
    cells.append(f"{np.median([(row.high - row.low) / row.truth for row in there]):.1%}")
    cells.append(f"{np.median([row.binomial for row in there]):.2f} s")
    cells.append(f"{np.median([abs(row.estimate - row.truth) / row.truth for row in there]):.1%}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, help="cache folder of the slice suite")
    parser.add_argument("--made", type=int, default=100)
    parser.add_argument("--recut", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first episode of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every row here")
    parser.add_argument("--read", type=Path, nargs="+", help="print what earlier runs wrote, measuring nothing")
    given = parser.parse_args()
    if given.read:
        print(table([Row(**row) for path in given.read for row in json.loads(path.read_text())]))
        return
    if given.recut:
        for half in HALVES:
            _stock(half, given.work)
    found: list[Row] = []
    with ProcessPoolExecutor(given.workers) as pool:
        for part in pool.map(made_rows, range(1001 + given.first, 1001 + given.first + given.made), chunksize=5):
            found += part
        for part in pool.map(partial(recut_rows, work=given.work), range(given.first, given.first + given.recut), chunksize=5):
            found += part
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in found]))


if __name__ == "__main__":
    main()
