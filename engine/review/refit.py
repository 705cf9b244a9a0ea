"""Who the undecided are, given what people have decided so far: milliseconds, not a new clustering.

Tracks that people named are exemplars of their person. A cluster nobody decided about is compared with them as the identity stage compares
clusters with the facebank: the best agreeing exemplars, weighted by trust, with clothes, place and presence beside the face, and a finite cost for
having been seen together. Memberships stay as the clustering found them, so a track is a person as probable as the clusters it may be of are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.context import middles
from engine.identity.gallery import SHARE_OF_TRACKS
from engine.identity.membership import ELSEWHERE, NEARER
from engine.identity.similarity import Evidence
from engine.tables import Episode

NOBODY = -1
"""No person: unidentified, or decided to be nobody who is asked about."""

MACHINE, WITH_CLUSTER, ITSELF = 0, 1, 2
"""How a label came: from the machine, from a decision about a cluster without the face being looked at, from a decision that looked at it."""

EXEMPLARS = 48
"""Most tracks of one person that are compared with the others, spread over the episode."""

AGREEING = 5
"""So many of them have to agree."""

OPINION = 1.0
"""Weight of a second opinion about the same faces."""

UNFORESEEN = 1e-3
"""Least probability of a person the clustering did not think of."""

BIN_S = 5.0
"""Who is around is counted in steps of this."""


@dataclass(frozen=True)
class Standing:
    """What is in force for n targets: tracks, or the stretches of tracks that were split.

    track (n,) row in the episode's tracks. cluster (n,) int32. person (n,) position among the people, NOBODY for none. how (n,) MACHINE,
    WITH_CLUSTER or ITSELF. rejected (n, people) bool: people decided not to be here. people: how many people there are.
    """

    track: NDArray[np.int64]
    seconds: NDArray[np.float64]
    cluster: NDArray[np.int64]
    person: NDArray[np.int64]
    how: NDArray[np.int8]
    rejected: NDArray[np.bool_]
    people: int

    @property
    def open(self) -> NDArray[np.bool_]:
        """(n,) nothing was decided."""
        result: NDArray[np.bool_] = self.how == MACHINE
        return result


@dataclass(frozen=True)
class Ground:
    """What does not change while an episode is reviewed.

    found: evidence of its pairs. middle (tracks,) seconds. track, cluster, chance (m,): memberships. match (clusters, known people + 1): the
    identity stage's probabilities, the last column for none of the people known.
    """

    found: Evidence
    middle: NDArray[np.float64]
    track: NDArray[np.int64]
    cluster: NDArray[np.int64]
    chance: NDArray[np.float64]
    match: NDArray[np.float64]

    @classmethod
    def of(cls, episode: Episode, found: Evidence, membership: object, match: NDArray[np.float64]) -> Ground:
        """From the results of the identity stage. membership: MEMBERSHIP."""
        track, cluster, chance = (membership[name].to_numpy() for name in ("track", "cluster", "probability"))  # type: ignore[index]
        return cls(found, middles(episode.tracks), track.astype(np.int64), cluster.astype(np.int64), chance.astype(np.float64), match)


@dataclass(frozen=True)
class Belief:
    """target (n, people + 1): probability that a target is each person, the last column for nobody known. cluster (clusters, people + 1): the
    same for whole clusters. member (n,): that the target is of the person its cluster is mostly of."""

    target: NDArray[np.float64]
    cluster: NDArray[np.float64]
    member: NDArray[np.float64]


def refit(ground: Ground, standing: Standing, settings: IdentitySettings, newcomers: float = 0.5) -> Belief:
    """Beliefs about every target.

    Args:
        newcomers: share of the clusters not decided yet that are expected to be nobody known so far.
    """
    exemplars = _exemplars(ground, standing)
    face = _faces(ground.found, exemplars)
    context = _context(ground, standing)
    bank = _bank(ground, standing.people, settings)
    cluster = _clusters(ground, standing, face, context, bank, settings, newcomers)
    target, member = _targets(ground, standing, cluster, _direct(ground, standing, face, bank, settings) + context)
    return Belief(target, cluster, member)


def _exemplars(ground: Ground, standing: Standing) -> list[NDArray[np.int64]]:
    """Tracks that stand for each person: decided, well seen, spread over the episode."""
    worth = ground.found.trust[standing.track] * np.where(standing.how == ITSELF, 1.0, 0.7) * (standing.how != MACHINE)
    found = []
    for person in range(standing.people):
        mine = np.flatnonzero((standing.person == person) & (worth > 0.05))
        looked = mine[standing.how[mine] == ITSELF]
        mine = looked if len(looked) >= AGREEING else mine
        if len(mine) > EXEMPLARS:
            when = ground.middle[standing.track[mine]]
            part = np.minimum(((when - when.min()) / max(float(np.ptp(when)), 1e-9) * EXEMPLARS).astype(np.int64), EXEMPLARS - 1)
            order = np.lexsort((-worth[mine], part))
            mine = mine[order[np.concatenate([[True], np.diff(part[order]) != 0])]]
        found.append(np.unique(standing.track[mine]))
    return found


def _faces(found: Evidence, exemplars: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(tracks, people) mean log odds of the best few exemplars of each person."""
    result = np.full((len(found.trust), len(exemplars)), np.nan)
    for person, rows in enumerate(exemplars):
        few = min(AGREEING, len(rows))
        if few:
            near = found.face[:, rows]
            result[:, person] = np.partition(near, len(rows) - few, axis=1)[:, len(rows) - few :].mean(axis=1)
    return result


def _bank(ground: Ground, people: int, settings: IdentitySettings) -> NDArray[np.float64]:
    """(clusters, people) log odds from the facebank, -inf for people it does not have."""
    known = ground.match.shape[1] - 1
    result = np.full((len(ground.match), people), -np.inf)
    if known:
        unknown = np.maximum(ground.match[:, -1:], 1e-6)
        share = settings.unknown_prior * known / (1 - settings.unknown_prior)
        result[:, :known] = np.log(np.maximum(ground.match[:, :-1], 1e-6) / unknown * share)
    return result


def _direct(
    ground: Ground, standing: Standing, face: NDArray[np.float64], bank: NDArray[np.float64], settings: IdentitySettings
) -> NDArray[np.float64]:
    """(tracks, people) log odds of the face with each person's exemplars; of people without, what the facebank says of the track's cluster."""
    own = np.zeros(len(face), np.int64)
    own[standing.track] = standing.cluster
    return np.where(np.isnan(face), np.maximum(bank[own], -settings.face_limit), face)


def _context(ground: Ground, standing: Standing) -> NDArray[np.float64]:
    """(tracks, people) log odds from clothes and place, less the cost of having been seen together; and who is around."""
    tracks, people = len(ground.middle), standing.people
    person = np.full(tracks, NOBODY)
    decided = standing.how != MACHINE
    person[standing.track[decided]] = standing.person[decided]
    body, thread = ground.found.body.tocoo(), ground.found.thread.tocoo()
    keep = person[body.col] >= 0
    row, owner, value = body.row[keep], person[body.col[keep]], body.data[keep]
    near = np.exp(-np.abs(ground.middle[row] - ground.middle[body.col[keep]]) * NEARER / 90.0)
    key = row * people + owner
    total = np.bincount(key, value * near, tracks * people)
    count = np.bincount(key, near, tracks * people)
    result = (total / np.maximum(count, 1e-3)).reshape(tracks, people)
    keep = person[thread.col] >= 0
    place = np.zeros((tracks, people))
    np.maximum.at(place, (thread.row[keep], person[thread.col[keep]]), thread.data[keep])
    rows, columns, cost = ground.found.together.both_ways()
    keep = person[columns] >= 0
    apart = np.zeros((tracks, people))
    np.maximum.at(apart, (rows[keep], person[columns[keep]]), cost[keep])
    return result + place - apart


def _presence(ground: Ground, standing: Standing, settings: IdentitySettings) -> NDArray[np.float64]:
    """(tracks, people) share of each person among those around at the time."""
    place = (ground.middle / BIN_S).astype(np.int64)
    bins = int(place.max(initial=0)) + 1
    there = standing.person >= 0
    count = np.zeros((bins, standing.people))
    np.add.at(count, (place[standing.track[there]], standing.person[there]), 1)
    reach = np.exp(-np.abs(np.arange(bins)[:, None] - np.arange(bins)) * BIN_S * NEARER / settings.scene_s)
    around = (reach @ count)[place] + ELSEWHERE
    result: NDArray[np.float64] = around / around.sum(axis=1, keepdims=True)
    return result


def _clusters(
    ground: Ground,
    standing: Standing,
    face: NDArray[np.float64],
    context: NDArray[np.float64],
    bank: NDArray[np.float64],
    settings: IdentitySettings,
    newcomers: float,
) -> NDArray[np.float64]:
    """(clusters, people + 1) who each cluster is; certain where it was decided."""
    people, clusters = standing.people, len(bank)
    weight = ground.found.trust[standing.track].astype(np.float64) + 1e-3
    presence = _presence(ground, standing, settings) if people else np.zeros((len(weight), 0))
    result = np.zeros((clusters, people + 1))
    order = np.argsort(standing.cluster, kind="stable")
    bounds = np.searchsorted(standing.cluster[order], np.arange(clusters + 1))
    for cluster in range(clusters):
        rows = order[bounds[cluster] : bounds[cluster + 1]]
        if not len(rows):
            result[cluster, -1] = 1
            continue
        decided = rows[standing.how[rows] == WITH_CLUSTER]
        if len(decided):
            result[cluster, int(standing.person[decided[0]]) if standing.person[decided[0]] >= 0 else -1] = 1
            continue
        rows = rows[standing.open[rows]] if standing.open[rows].any() else rows
        track = standing.track[rows]
        odds = _of_best(face[track], context[track], weight[rows])
        odds = np.maximum(odds, bank[cluster])
        # The prior is the mean of who is around and of everybody alike: people turn up where they were not before.
        around = 0.5 * (weight[rows] @ presence[track]) / weight[rows].sum() + 0.5 / max(people, 1)
        logits = np.append(odds + np.log((1 - newcomers) * around), np.log(newcomers))
        logits[:-1][standing.rejected[rows].any(axis=0)] = -np.inf
        value = np.exp(logits - logits.max())
        result[cluster] = value / value.sum()
    return result


def _of_best(face: NDArray[np.float64], context: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(people,) log odds of one cluster, over those of its tracks most like each person that hold a share of its weight."""
    known = ~np.isnan(face[0])
    result = np.full(face.shape[1], -np.inf)
    value = (np.nan_to_num(face) + context)[:, known]
    order = np.argsort(-value, axis=0, kind="stable")
    share = weight[order]
    before = np.cumsum(share, axis=0) - share
    share = np.minimum(share, np.maximum(SHARE_OF_TRACKS * weight.sum() - before, 0))
    result[known] = (np.take_along_axis(value, order, axis=0) * share).sum(axis=0) / share.sum(axis=0)
    return result


def _targets(
    ground: Ground, standing: Standing, cluster: NDArray[np.float64], odds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beliefs about targets from those about clusters, certain where people looked; and how surely each belongs to its cluster."""
    tracks = len(ground.middle)
    total = np.zeros((tracks, cluster.shape[1]))
    np.add.at(total, ground.track, ground.chance[:, None] * cluster[ground.cluster])
    held = np.zeros(tracks)
    np.add.at(held, ground.track, ground.chance)
    total[:, -1] += 1 - np.minimum(held, 1)
    if standing.people:
        # What the clustering made of the faces knows most of this already: only how much more like somebody else they are is new.
        logits = np.log(np.maximum(total, UNFORESEEN))
        logits[:, :-1] += OPINION * odds
        value = np.exp(logits - logits.max(axis=1, keepdims=True))
        total = value / value.sum(axis=1, keepdims=True)
    target = total[standing.track]
    target[:, :-1][standing.rejected] = 0
    target /= np.maximum(target.sum(axis=1, keepdims=True), 1e-9)
    home = np.zeros((tracks, len(cluster)))
    home[ground.track, ground.cluster] = ground.chance
    member = home[standing.track, standing.cluster]
    looked = standing.how == ITSELF
    target[looked] = 0
    target[looked, np.where(standing.person[looked] >= 0, standing.person[looked], -1)] = 1
    member[looked] = 1
    return target, member
