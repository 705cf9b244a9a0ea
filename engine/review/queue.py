"""What to ask next: sheets ordered by the seconds of error an answer is expected to remove, for each action it takes.

A sheet is one thing to look at, at most 24 faces, with one plain answer: everybody is who is proposed, somebody by name or nobody in particular.
What has to be answered otherwise costs one more action each. Where nothing is likely enough to be proposed ("who is this?"), and where a track looks
like two people, the question stands alone; the others share sheets, most worth first. Whatever somebody looked at is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.review.refit import ITSELF, NOBODY, Belief, Standing

FACES = 24
"""Most faces a sheet shows."""

LIKELY = 0.3
"""A proposal at least this probable is made; below, the question is open."""

PAYS = 6e-4
"""Share of all seconds that an answer otherwise has to settle to be worth its action: what settles less is left out of a sheet, unless the sheet
settles even less for an action. About what an action settles at the end of a review."""

MIXED_SHARE = 0.4
"""Share of a track with two people in it that is expected to carry the wrong label."""

SHOWN = 0.6
"""Faces shown of a cluster, as a multiple of the root of its size."""

STRAY = 0.2
"""Share of the doubt about a membership that is about another person; the rest is about which of two clusters of the same one."""

Kind = Literal["name", "confirm", "suggestion", "mixed"]


@dataclass(frozen=True)
class Unit:
    """What is answered as one: a cluster about which nothing was decided, or a track nobody looked at in one that was decided.

    rows: its targets; shown: those whose faces are shown. proposed: the likeliest person, or NOBODY. chance: that this is right. gain_s: seconds of
    error the answer removes. extra: expected actions beside the sheet's own. confidence: that the labels in force are right, by seconds.
    """

    cluster: int
    rows: NDArray[np.int64]
    shown: NDArray[np.int64]
    proposed: int
    chance: float
    gain_s: float
    extra: float
    seconds: float
    confidence: float
    kind: Kind
    open: bool

    @property
    def alone(self) -> bool:
        """Whether it is a question of its own: it has no proposal to say yes to, or may be two people."""
        return self.kind in ("name", "mixed")

    @property
    def worth(self) -> float:
        """Seconds removed for an action, a sheet's own action shared by the faces on it."""
        return self.gain_s / (self.extra + (1 if self.alone else len(self.shown) / FACES))


@dataclass(frozen=True)
class Sheet:
    """One thing to ask: everything on it is as proposed, each its own person or nobody; or it is one open question.

    at_risk_s: seconds of error the answer is expected to remove. actions: expected cost.
    """

    units: tuple[Unit, ...]
    at_risk_s: float
    actions: float

    @property
    def worth(self) -> float:
        """Seconds of error removed for an action."""
        return self.at_risk_s / self.actions


def units(standing: Standing, belief: Belief, mixed: NDArray[np.bool_]) -> list[Unit]:
    """Everything that can be asked.

    Args:
        mixed: (n,) targets that do not look like one person.
    """
    error, wanted = errors(standing, belief), belief.wanted
    looked = standing.how == ITSELF
    apart = mixed & ~looked
    members = list(_open(standing, apart))
    found = [_cluster(standing, belief, wanted, error, cluster, rows) for cluster, rows in members if len(rows) > 1]
    alone = np.array([rows[0] for _, rows in members if len(rows) == 1], np.int64)
    return found + _tracks(standing, belief, wanted, error, np.concatenate([alone, np.flatnonzero((~standing.open & ~looked) | apart)]), mixed)


def errors(standing: Standing, belief: Belief) -> NDArray[np.float64]:
    """(n,) probability that the label in force is wrong."""
    every, named = np.arange(len(standing.person)), standing.person >= 0
    right = belief.target[every, np.where(named, standing.person, -1)]
    right = np.where(named | ~standing.open, right, belief.target[:, -1] * (1 - belief.wanted[standing.cluster]))
    return np.where(standing.how == ITSELF, 0, 1 - right)


def sheets(found: list[Unit], pays_s: float, key: Callable[[Unit], float] | None = None) -> Iterator[Sheet]:
    """Sheets in order. With a `key` (largest first) units are taken strictly in its order; without, by what is most worth together.

    Args:
        pays_s: seconds an answer otherwise has to settle, `pays`.
    """
    rest = sorted(found, key=lambda unit: -(key(unit) if key else unit.worth))
    while rest:
        page = _fill(rest, pays_s, key is None)
        yield Sheet(tuple(page), sum(unit.gain_s for unit in page), _actions(page))
        taken = {id(unit) for unit in page}
        rest = [unit for unit in rest if id(unit) not in taken]


def pays(standing: Standing) -> float:
    """Seconds an answer otherwise has to settle to be worth its action."""
    return PAYS * float(standing.seconds.sum())


def _actions(page: list[Unit]) -> float:
    return 1 + sum(unit.extra for unit in page)


def _fill(ordered: list[Unit], pays_s: float, choosy: bool) -> list[Unit]:
    """The first units in order that fit on a sheet; of those, where allowed, only what pays or makes the sheet worth more."""
    if ordered[0].alone:
        return ordered[:1]
    page: list[Unit] = []
    faces = 0
    for unit in ordered:
        if unit.alone:
            continue
        if faces + len(unit.shown) <= FACES:
            page.append(unit)
            faces += len(unit.shown)
        elif not choosy:
            break
        if faces == FACES:
            break
    while choosy:
        least = min(sum(unit.gain_s for unit in page) / _actions(page), pays_s)
        kept = [unit for unit in page if unit.gain_s > least * unit.extra] or page[:1]
        if len(kept) == len(page):
            break
        page = kept
    return page


def _open(standing: Standing, apart: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The targets of each cluster about which nothing was decided."""
    rows = np.flatnonzero(standing.open & ~apart)
    order = rows[np.argsort(standing.cluster[rows], kind="stable")]
    edges = np.flatnonzero(np.diff(standing.cluster[order])) + 1
    for part in np.split(order, edges):
        if len(part):
            yield int(standing.cluster[part[0]]), part


def _cluster(
    standing: Standing, belief: Belief, wanted: NDArray[np.float64], error: NDArray[np.float64], cluster: int, rows: NDArray[np.int64]
) -> Unit:
    seconds, stray = standing.seconds[rows], STRAY * (1 - belief.member[rows])
    faces = _worth_showing(seconds, stray)
    seen = np.zeros(len(rows), bool)
    seen[faces] = True
    chances = (seconds + 1e-3) @ belief.target[rows] / (seconds + 1e-3).sum()
    chances[-1] *= 1 - wanted[cluster]
    best = int(chances.argmax())
    gain = float((seconds * np.maximum(error[rows] - np.where(seen, 0, stray), 0)).sum())
    chance = float(chances[best])
    confidence = 1 - float((seconds * error[rows]).sum()) / max(float(seconds.sum()), 1e-9)
    proposed = best if best < standing.people else NOBODY
    labels = standing.person[rows]
    kind: Kind = "confirm" if (labels >= 0).any() else "suggestion" if chance >= LIKELY else "name"
    extra = float(stray[seen].sum()) + (0 if kind == "name" else 1 - chance)
    return Unit(cluster, rows, rows[faces], proposed, chance, gain, extra, float(seconds.sum()), confidence, kind, open=True)


def _worth_showing(seconds: NDArray[np.float64], stray: NDArray[np.float64]) -> NDArray[np.int64]:
    """The faces that stand for a cluster: about the root of its size, half of them those that say who it is, half those that may be others."""
    count = min(FACES, int(np.ceil(SHOWN * np.sqrt(len(seconds)))))
    worth = seconds * (1 - stray)
    sure = np.argsort(-worth, kind="stable")[: (count + 1) // 2]
    doubt = seconds * stray
    doubt[sure] = -1
    return np.concatenate([sure, np.argsort(-doubt, kind="stable")[: count - len(sure)]])


def _tracks(
    standing: Standing,
    belief: Belief,
    wanted: NDArray[np.float64],
    error: NDArray[np.float64],
    rows: NDArray[np.int64],
    mixed: NDArray[np.bool_],
) -> list[Unit]:
    """Single tracks: those alone in their cluster, those in decided clusters that nobody looked at, and those with two people in them."""
    single = standing.open[rows]
    chances = belief.target[rows].copy()
    chances[:, -1] *= np.where(single, 1 - wanted[standing.cluster[rows]], 1)
    best = chances.argmax(axis=1)
    chance, seconds, wrong = chances[np.arange(len(rows)), best], standing.seconds[rows], error[rows]
    two = mixed[rows]
    gain = np.where(two, np.maximum(seconds * wrong, MIXED_SHARE * seconds), seconds * wrong)
    proposed = np.where(best < standing.people, best, NOBODY)
    named = standing.person[rows] >= 0
    kind = np.where(two, "mixed", np.where(~single | named, "confirm", np.where(chance >= LIKELY, "suggestion", "name")))
    extra = np.where(two, 1.0, np.where(kind == "name", 0.0, 1 - chance))
    columns = (standing.cluster[rows], proposed, chance, gain, extra, seconds, 1 - wrong, kind, single & ~two)
    return [
        Unit(cluster, rows[k : k + 1], rows[k : k + 1], who, sure, worth, more, length, right, what, free)
        for k, (cluster, who, sure, worth, more, length, right, what, free) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
    ]
