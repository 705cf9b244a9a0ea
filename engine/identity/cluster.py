"""Tracks become people, in three passes: trusted tracks are joined, the others are attached where the evidence carries them, and what is left is
joined where poor faces are alike and nothing beside them is needed to say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity import doubt
from engine.identity import membership as member
from engine.identity.constraints import NO_CONSTRAINTS, Constraints
from engine.identity.context import middles
from engine.identity.linkage import agglomerate
from engine.identity.similarity import GOOD, Evidence
from engine.tables import CLUSTER, MEMBERSHIP, Episode

ATTACH = 0.5
"""A poor track is attached to a cluster that is at least this probable, if there is evidence for it beside who is around."""


@dataclass(frozen=True)
class Clustering:
    """clusters: CLUSTER, most seconds first. membership: MEMBERSHIP, by track, most probable first; what a track's rows lack to 1 is the
    probability of a stranger. label: (n,) int32, the most probable cluster of each track."""

    clusters: pa.Table
    membership: pa.Table
    label: NDArray[np.int32]


def cluster(episode: Episode, found: Evidence, settings: IdentitySettings, constraints: Constraints = NO_CONSTRAINTS) -> Clustering:
    """Cluster the tracks of an episode.

    Args:
        found: what `similarity.evidence` says about its pairs, under the same constraints.

    Raises:
        Conflict: the constraints contradict one another.
    """
    count = episode.tracks.num_rows
    group = constraints.groups(count)
    sizes = np.bincount(group, minlength=1)
    core = (found.trust >= GOOD) | (sizes[group] > 1) if count else np.empty(0, bool)
    label = np.full(count, -1, np.int32)
    label[core] = join(found, np.flatnonzero(core), found.alike_among, group, constraints, settings)
    clusters = int(label.max()) + 1 if core.any() else 0
    if clusters:
        middle = middles(episode.tracks)
        odds, share = member.scores(found, label, clusters, middle, constraints, settings)
    else:
        odds = share = np.empty((count, 0))
    label, chance = attach(found, label, odds, share, constraints, settings)
    left = np.flatnonzero(label >= clusters)
    label[left] = clusters + join(found, left, found.faces_among, group, constraints, settings)
    chance = doubt.anchored(label, chance, found.trust * _seconds(episode))
    joined = sizes[group] > 1 if count else core
    chance[joined] = doubt.of_groups(group, chance)[joined]
    return _tables(episode, label, chance, doubt.decided_tracks(group, joined, label, found.trust), settings)


def join(
    found: Evidence,
    chosen: NDArray[np.int64],
    among: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    group: NDArray[np.int32],
    constraints: Constraints,
    settings: IdentitySettings,
) -> NDArray[np.int32]:
    """(len(chosen),) cluster of each chosen track: average linkage over groups that must be one person.

    Args:
        among: evidence between some tracks, (k, k); a fresh array.
    """
    order = chosen[np.argsort(group[chosen], kind="stable")]
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    item = np.full(len(group), -1)
    item[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    if not len(chosen):
        return np.empty(0, np.int32)
    weight = np.maximum(found.trust, member.FLOOR)
    sums = among(order)
    sums *= weight[order, None]
    sums *= weight[order]
    if len(starts) < len(order):
        sums = np.add.reduceat(np.add.reduceat(sums, starts, axis=0), starts, axis=1)
    cost = np.zeros((len(starts), len(starts)), np.float16)
    rows, columns, value = found.together.both_ways()
    known = (item[rows] >= 0) & (item[columns] >= 0)
    np.maximum.at(cost, (item[rows[known]], item[columns[known]]), value[known].astype(np.float16))
    first, second = item[constraints.cannot].T
    known = (first >= 0) & (second >= 0)
    cost[first[known], second[known]] = cost[second[known], first[known]] = np.inf
    label = agglomerate(sums, np.add.reduceat(weight[order].astype(np.float64), starts), cost, settings.join_log_odds)
    result: NDArray[np.int32] = label[item[chosen]]
    return result


def attach(
    found: Evidence,
    label: NDArray[np.int32],
    odds: NDArray[np.float64],
    share: NDArray[np.float64],
    constraints: Constraints,
    settings: IdentitySettings,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Give tracks without a cluster the most probable one, surest first; two seen together are not both given the same.

    Returns:
        (n,) cluster, new numbers for tracks that stay alone; and (n, c + 1) probabilities, the last column for "somebody else".
    """
    label, clusters = label.copy(), odds.shape[1]
    cost = member.apart(found, label, clusters)
    free = np.flatnonzero(label < 0)
    prior = share + np.log(member.known_share((odds - cost)[free], share[free], settings))
    prior[label >= 0] = share[label >= 0] + np.log(1 - settings.stranger_prior)
    chance = member.probabilities(odds - cost, prior)
    rows, columns, value = found.together.both_ways()
    one, other = constraints.cannot.T
    rows, columns = np.concatenate([rows, one, other]), np.concatenate([columns, other, one])
    value = np.concatenate([value, np.full(2 * len(one), np.inf, np.float32)])
    order = np.argsort(rows, kind="stable")
    columns, value, bounds = columns[order], value[order], np.searchsorted(rows[order], np.arange(len(label) + 1))
    alone = clusters
    for track in free[np.argsort(-chance[free].max(axis=1, where=_but_last(clusters), initial=0), kind="stable")]:
        others = slice(bounds[track], bounds[track + 1])
        given = label[columns[others]]
        placed = (given >= 0) & (given < clusters)
        np.maximum.at(cost[track], given[placed], value[others][placed])
        chance[track] = member.probabilities((odds[track] - cost[track])[None], prior[track : track + 1])[0]
        best = int(chance[track, :-1].argmax()) if clusters else 0
        if clusters and chance[track, best] >= ATTACH and odds[track, best] - cost[track, best] > settings.join_log_odds:
            label[track] = best
        else:
            label[track] = alone
            alone += 1
    return label, chance


def _but_last(clusters: int) -> NDArray[np.bool_]:
    """Selects all columns but the last of `clusters + 1`."""
    return np.arange(clusters + 1) < clusters


def _seconds(episode: Episode) -> NDArray[np.float64]:
    result: NDArray[np.float64] = (episode.tracks["end_us"].to_numpy() - episode.tracks["start_us"].to_numpy()) / 1e6
    return result


def _tables(
    episode: Episode, label: NDArray[np.int32], chance: NDArray[np.float64], decided: NDArray[np.bool_], settings: IdentitySettings
) -> Clustering:
    """Memberships worth keeping, and the clusters they make."""
    tracks, columns, values = doubt.rows_to_keep(label, chance, decided, settings.keep_probability)
    order = np.lexsort((columns, -values, tracks))
    tracks, columns, values = tracks[order], columns[order], values[order]
    seconds = _seconds(episode)
    used, first, place = np.unique(label, return_index=True, return_inverse=True)
    held = np.bincount(place, weights=seconds, minlength=len(used))
    rank = np.empty(len(used), np.int32)
    rank[np.lexsort((first, -held))] = np.arange(len(used))
    number = np.full(int(columns.max(initial=-1)) + 1, -1, np.int32)
    number[used] = rank
    label = rank[place]
    there = number[columns] >= 0
    membership = pa.table([tracks[there], number[columns[there]], values[there].astype(np.float32)], schema=MEMBERSHIP)
    parts = [
        np.arange(len(used), dtype=np.int32),
        np.bincount(label, minlength=len(used)).astype(np.int32),
        np.bincount(label, weights=seconds, minlength=len(used)),
        cohesion(episode, label, len(used)),
    ]
    return Clustering(pa.table(parts, schema=CLUSTER), membership, label)


def cohesion(episode: Episode, label: NDArray[np.int32], clusters: int) -> NDArray[np.float32]:
    """(clusters,) mean cosine between the tracks of each cluster, weighted by quality; of one track, of its faces with one another."""
    weight = np.maximum(episode.tracks["quality"].to_numpy().astype(np.float64), 1e-3)
    sums = np.zeros((clusters, episode.pooled.shape[1]))
    np.add.at(sums, label, episode.pooled * weight[:, None])
    total, squares = np.bincount(label, weights=weight, minlength=clusters), np.bincount(label, weights=weight**2, minlength=clusters)
    own = np.bincount(label, weights=weight**2 * (np.linalg.norm(episode.pooled, axis=1) > 0.5), minlength=clusters)
    pairs = total**2 - squares
    single = np.bincount(label, weights=1 - episode.tracks["spread"].to_numpy(), minlength=clusters)
    several = np.bincount(label, minlength=clusters) > 1
    mean = ((sums**2).sum(axis=1) - own) / np.where(several, pairs, 1)
    return np.where(several, mean, single).astype(np.float32)
