"""Who the undecided are, given what people have decided so far: milliseconds, not a new clustering.

Tracks that people named are exemplars of their person. A cluster nobody decided about is compared with them as the identity stage compares
clusters with the facebank: the best agreeing exemplars, weighted by trust, with clothes, place and presence beside the face, and a finite cost for
having been seen together. Memberships stay as the clustering found them, so a track is a person as probable as the clusters it may be of are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.context import middles
from engine.identity.gallery import SHARE_OF_TRACKS
from engine.identity.linkage import agglomerate
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

LEFTOVER = 24
"""Clusters of at most this many tracks may be put together for a question."""

ALIKE = 1.5
"""Log odds above which they are."""

TAKEN_OUT = 0.5
"""Probability that a track taken out of a cluster is nobody the clustering thought of."""

KNOWN_SHARE, KNOWN_SLOPE = 0.01, 0.75
"""Share of all seconds at which a cluster is as likely somebody known as not, whatever its faces say, and what length says: the many
small ones are mostly passers-by."""

WANTED_SHARE = 0.01
"""Share of all seconds with which a cluster of nobody known is as likely to be somebody to name as not, before there are answers."""

WANTED_START = np.array([0.0, 2.0, 2.0, 2.0])
"""What speaks for that before there are answers: nothing by itself; length (log), height of the face (log), being alone in the picture (share)."""

WANTED_SPREAD = np.array([1.5, 1.0, 3.0, 3.0])
"""How far answers may move each of these."""

TEACHES = 0.5
"""How far what answers teach about who is wanted also says that a cluster is somebody known: where nobody is unwanted, leftovers are of the known."""

MATES = 20.0
"""So many faces looked at weigh as much about the rest of their cluster as the clustering does."""

NEWTON_ROUNDS = 6

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

    found: evidence of its pairs. middle (tracks,) seconds; height (tracks,) pixels; alone (tracks,) share of the looks at which no other face was
    found. track, cluster, chance (m,): memberships. machine: how many clusters are not made by people. match (clusters, known
    people + 1): the identity stage's probabilities, the last column for none of the people known. clothes: pairs of tracks, evidence times nearness
    in time, nearness; places: pairs and evidence; apart: pairs and cost.
    """

    found: Evidence
    middle: NDArray[np.float64]
    track: NDArray[np.int64]
    cluster: NDArray[np.int64]
    chance: NDArray[np.float64]
    machine: int
    match: NDArray[np.float64]
    height: NDArray[np.float64]
    alone: NDArray[np.float64]
    clothes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
    places: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
    apart: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

    @classmethod
    def of(cls, episode: Episode, found: Evidence, membership: pa.Table, match: NDArray[np.float64], settings: IdentitySettings) -> Ground:
        """From the results of the identity stage. membership: MEMBERSHIP."""
        track, cluster, chance = (membership[name].to_numpy() for name in ("track", "cluster", "probability"))
        middle, body, thread = middles(episode.tracks), found.body.tocoo(), found.thread.tocoo()
        near = np.exp(-np.abs(middle[body.row] - middle[body.col]) * NEARER / settings.scene_s)
        clothes = (body.row.astype(np.int64), body.col.astype(np.int64), body.data * near, near)
        order = np.argsort(thread.row, kind="stable")
        places = (thread.row[order].astype(np.int64), thread.col[order].astype(np.int64), thread.data[order].astype(np.float64))
        rows, columns, cost = found.together.both_ways()
        apart = (rows.astype(np.int64), columns.astype(np.int64), cost.astype(np.float64))
        return cls(
            found,
            middle,
            track.astype(np.int64),
            cluster.astype(np.int64),
            chance.astype(np.float64),
            int(cluster.max(initial=-1)) + 1,
            match,
            episode.tracks["height_px"].to_numpy().astype(np.float64),
            _alone(episode),
            clothes,
            places,
            apart,
        )

    def following(self, standing: Standing) -> Ground:
        """The same with what people moved between clusters: a track is of the cluster it was put into. One taken out may still be nobody the
        clustering thought of."""
        now = np.full(len(self.middle), -1)
        now[standing.track] = standing.cluster
        own = self.chance >= 0.5
        moved = own & (now[self.track] >= 0) & (now[self.track] != self.cluster)
        out = moved & (now[self.track] >= self.machine)
        cluster, chance = np.where(moved, now[self.track], self.cluster), np.where(out, np.minimum(self.chance, TAKEN_OUT), self.chance)
        more = np.zeros((max(int(standing.cluster.max(initial=-1)) + 1 - len(self.match), 0), self.match.shape[1]))
        more[:, -1] = 1
        return replace(self, cluster=cluster, chance=chance, match=np.concatenate([self.match, more]))


@dataclass(frozen=True)
class Belief:
    """target (n, people + 1): probability that a target is each person, the last column for nobody known. cluster (clusters, people + 1): the
    same for whole clusters. member (n,): that the target is of the person its cluster is mostly of. wanted (clusters,): that a cluster of nobody
    known is somebody to be named."""

    target: NDArray[np.float64]
    cluster: NDArray[np.float64]
    member: NDArray[np.float64]
    wanted: NDArray[np.float64]


def _alone(episode: Episode) -> NDArray[np.float64]:
    """(tracks,) share of each track's looks at which it is the only face."""
    track, t_us = episode.detections["track"].to_numpy(), episode.detections["t_us"].to_numpy()
    track, t_us = track[track >= 0], t_us[track >= 0]
    _, look, faces = np.unique(t_us, return_inverse=True, return_counts=True)
    count = episode.tracks.num_rows
    result: NDArray[np.float64] = np.bincount(track, faces[look] == 1, count) / np.maximum(np.bincount(track, minlength=count), 1)
    return result


def refit(ground: Ground, standing: Standing, settings: IdentitySettings) -> Belief:
    """Beliefs about every target."""
    exemplars = _exemplars(ground, standing)
    face = _faces(ground.found, exemplars)
    context = _context(ground, standing)
    bank = _bank(ground, standing.people, settings)
    kinds = _kinds(ground, standing)
    taught = _taught(ground, standing, kinds)
    wanted = 1 / (1 + np.exp(-kinds @ taught))
    newcomers = 1 / (1 + np.exp(KNOWN_SLOPE * (kinds[:, 1] + np.log(WANTED_SHARE / KNOWN_SHARE)) + TEACHES * kinds @ (taught - WANTED_START)))
    newcomers[ground.machine :] = TAKEN_OUT
    cluster = _clusters(ground, standing, face, context, bank, newcomers, settings)
    target, member = _targets(ground, standing, cluster, _direct(ground, standing, face, bank, settings) + context)
    return Belief(target, cluster, member, wanted)


def grouped(ground: Ground, standing: Standing) -> tuple[Ground, Standing]:
    """The same with leftovers put together: small clusters nobody decided about that are likely one person, by place, clothes and faces.

    The clustering attaches poor tracks to good ones only; among themselves they are worth a question together.
    """
    clusters = len(ground.match)
    size = np.bincount(standing.cluster, minlength=clusters)
    touched = np.bincount(standing.cluster, ~standing.open, clusters) > 0
    left = (size <= LEFTOVER) & ~touched & (np.arange(clusters) < ground.machine)
    rows = np.flatnonzero(left[standing.cluster] & (standing.person == NOBODY))
    if len(rows) < 2:
        return ground, standing
    track = standing.track[rows]
    units, unit = np.unique(standing.cluster[rows], return_inverse=True)
    place = np.full(len(ground.middle), -1)
    place[track] = unit
    sums = np.zeros((len(units), len(units)), np.float32)
    np.add.at(sums, (unit[:, None], unit[None]), ground.found.face[np.ix_(track, track)])
    for part in (ground.found.body, ground.found.thread):
        among = part[track][:, track].tocoo()
        np.add.at(sums, (unit[among.row], unit[among.col]), among.data)
    cost = np.zeros(sums.shape, np.float16)
    first, second, value = ground.found.together.both_ways()
    known = (place[first] >= 0) & (place[second] >= 0)
    np.maximum.at(cost, (place[first[known]], place[second[known]]), value[known].astype(np.float16))
    np.fill_diagonal(sums, 0)
    weight = np.bincount(unit).astype(np.float64)
    group = agglomerate(sums, weight, cost, ALIKE)
    leader = np.full(int(group.max()) + 1, -1)
    leader[group[::-1]] = units[::-1]
    into = np.arange(clusters)
    into[units] = leader[group]
    return replace(ground, cluster=into[ground.cluster]), replace(standing, cluster=into[standing.cluster])


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
    person = np.full(tracks, people)
    person[standing.track] = np.where(standing.person >= 0, standing.person, people)
    row, column, value, near = ground.clothes
    key = row * (people + 1) + person[column]
    total, count = (np.bincount(key, weight, tracks * (people + 1)).reshape(tracks, people + 1)[:, :people] for weight in (value, near))
    result = total / np.maximum(count, 1e-3)
    place, apart = np.zeros((tracks, people + 1)), np.zeros((tracks, people + 1))
    for into, (row, column, value) in ((place, ground.places), (apart, ground.apart)):
        np.maximum.at(into.ravel(), row * (people + 1) + person[column], value)
    return result + (place - apart)[:, :people]


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
    newcomers: NDArray[np.float64],
    settings: IdentitySettings,
) -> NDArray[np.float64]:
    """(clusters, people + 1) who each cluster is; certain where it was decided. newcomers: (clusters,) that it is nobody known, whatever its faces
    say."""
    people, clusters = standing.people, len(bank)
    weight = ground.found.trust[standing.track].astype(np.float64) + 1e-3
    # Somebody without exemplars is known from the facebank alone.
    value = np.where(np.isnan(face).all(axis=0), -np.inf, np.nan_to_num(face) + context)[standing.track]
    around = np.zeros((clusters, people))
    np.add.at(around, standing.cluster, _presence(ground, standing, settings)[standing.track] * weight[:, None])
    around /= np.maximum(np.bincount(standing.cluster, weight, clusters), 1e-9)[:, None]
    odds = np.full((clusters, people), -np.inf)
    order = np.argsort(standing.cluster, kind="stable")
    bounds = np.searchsorted(standing.cluster[order], np.arange(clusters + 1))
    size = np.diff(bounds)
    alone = order[bounds[:-1][size == 1]]
    odds[standing.cluster[alone]] = value[alone]
    for cluster in np.flatnonzero(size > 1):
        rows = order[bounds[cluster] : bounds[cluster + 1]]
        odds[cluster] = _of_best(value[rows], weight[rows])
    odds = np.maximum(odds, bank)
    refused = np.zeros((clusters, people), bool)
    np.logical_or.at(refused, standing.cluster, standing.rejected)
    odds[refused] = -np.inf
    # The prior is the mean of who is around and of everybody alike: people turn up where they were not before.
    logits = odds + np.log((1 - newcomers)[:, None] * (0.5 * around + 0.5 / max(people, 1)))
    logits = np.column_stack([logits, np.log(newcomers)])
    result: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    result /= result.sum(axis=1, keepdims=True)
    result[size == 0] = np.eye(1, people + 1, people)
    with_cluster = np.flatnonzero(standing.how == WITH_CLUSTER)
    result[standing.cluster[with_cluster]] = 0
    result[standing.cluster[with_cluster], np.where(standing.person[with_cluster] >= 0, standing.person[with_cluster], people)] = 1
    result /= np.maximum(result.sum(axis=1, keepdims=True), 1e-9)
    return result


def _of_best(value: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(people,) log odds of one cluster, over those of its tracks most like each person that hold a share of its weight."""
    order = np.argsort(-value, axis=0, kind="stable")
    share = weight[order]
    before = np.cumsum(share, axis=0) - share
    share = np.minimum(share, np.maximum(SHARE_OF_TRACKS * weight.sum() - before, 0))
    kept = np.where(share > 0, np.take_along_axis(value, order, axis=0), 0)
    result: NDArray[np.float64] = (kept * share).sum(axis=0) / share.sum(axis=0)
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
    _like_the_looked_at(total, standing)
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


def _like_the_looked_at(total: NDArray[np.float64], standing: Standing) -> None:
    """Where a face shown of a cluster was somebody else, the rest of the cluster is less surely whom the cluster was decided to be."""
    looked, rest = np.flatnonzero(standing.how == ITSELF), np.flatnonzero(standing.how == WITH_CLUSTER)
    count = np.zeros((int(standing.cluster.max(initial=-1)) + 1, total.shape[1]))
    np.add.at(count, (standing.cluster[looked], np.where(standing.person[looked] >= 0, standing.person[looked], standing.people)), 1)
    seen, track = count[standing.cluster[rest]], standing.track[rest]
    total[track] = (MATES * total[track] + seen) / (MATES + seen.sum(axis=1, keepdims=True))


def share_of(standing: Standing, clusters: int) -> NDArray[np.float64]:
    """(clusters,) log share of all seconds that each cluster has."""
    held = np.bincount(standing.cluster, standing.seconds, clusters)
    result: NDArray[np.float64] = np.log(np.maximum(held, 0.1) / max(float(held.sum()), 1.0))
    return result


def _kinds(ground: Ground, standing: Standing) -> NDArray[np.float64]:
    """(clusters, 4) what is to be seen of a cluster whoever it is: one, how long it is seen (log), how large (log), how often alone."""
    clusters = len(ground.match)
    held = np.bincount(standing.cluster, standing.seconds, clusters)
    height, alone = (
        np.bincount(standing.cluster, standing.seconds * of[standing.track], clusters) / np.maximum(held, 1e-9)
        for of in (np.log(ground.height), ground.alone)
    )
    there = held > 0
    usual = float(np.median(height[there])) if there.any() else 0.0
    return np.column_stack([np.ones(clusters), share_of(standing, clusters) - np.log(WANTED_SHARE), height - usual, alone])


def _taught(ground: Ground, standing: Standing, kinds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) weights of a logistic curve over `_kinds`: that a cluster of nobody known is somebody to be named.

    Taught by clusters decided to be nobody, and by the largest cluster of everybody who was not known before.
    """
    decided = ~standing.open
    answered: dict[int, float] = {}
    for person in np.unique(standing.person[decided]):
        mine = standing.cluster[decided & (standing.person == person)]
        if person < 0:
            answered |= {int(one): 0.0 for one in np.unique(mine)}
        elif person >= ground.match.shape[1] - 1:
            answered[int(np.bincount(mine, standing.seconds[decided & (standing.person == person)]).argmax())] = 1.0
    weight = WANTED_START
    rows = np.array(sorted(answered), np.int64)
    said = np.array([answered[int(row)] for row in rows])
    for _ in range(NEWTON_ROUNDS if len(rows) else 0):
        value = 1 / (1 + np.exp(-kinds[rows] @ weight))
        gradient = kinds[rows].T @ (said - value) - (weight - WANTED_START) / WANTED_SPREAD**2
        curvature = (kinds[rows] * (value * (1 - value))[:, None]).T @ kinds[rows] + np.diag(1 / WANTED_SPREAD**2)
        weight = weight + np.clip(np.linalg.solve(curvature, gradient), -1, 1)
    return weight
