"""How probable it is that a track belongs to each cluster, or to somebody else.

The faces of one track share pose and light, and so do many tracks of a cluster: evidence is averaged over a cluster, never added up, so
a track counts once. Who is around at the time is the prior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.constraints import Constraints
from engine.identity.context import BLOCK
from engine.identity.similarity import Evidence, yielding

ELSEWHERE = 0.05
"""Presence every cluster is given at any time, as a share of one track that is there."""

NEARER = 3.0
"""Presence and clothes count for e times less when they are a scene's length divided by this further off."""

EXPECTED_TRACKS = 10.0
"""How many tracks of the episode weigh as much as the expected share of strangers."""

EM_ROUNDS = 20

FLOOR = 1e-3
"""Smallest weight of a track, so that clusters of nothing but poor faces can be averaged."""


def scores(
    found: Evidence, label: NDArray[np.int32], clusters: int, middle: NDArray[np.float64], constraints: Constraints, settings: IdentitySettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evidence and prior of every track for every cluster.

    Args:
        label: (n,) cluster of each track, -1 for none; a track is never evidence for itself.
        clusters: number of clusters, c.
        middle: (n,) time of each track, seconds.

    Returns:
        (n, c) log odds that the track is of the cluster's person, -inf where it is alone in it or a decision forbids it, without what was
        seen together (`apart`); and (n, c) log share of each cluster among those it may be, at most 1 in all and less in a crowd.
    """
    members = np.argsort(label, kind="stable")
    members = members[label[members] >= 0]
    starts = np.searchsorted(label[members], np.arange(clusters))
    weight = np.maximum(found.trust, FLOOR).astype(np.float64)
    total = np.add.reduceat(weight[members], starts)
    trusted = np.add.reduceat(weight[members] ** 2, starts) / total
    odds = np.empty((len(label), clusters))
    presence = np.empty((len(label), clusters))
    for start in range(0, len(label), BLOCK):
        rows = slice(start, start + BLOCK)
        own = np.zeros((len(label[rows]), clusters))
        here = np.flatnonzero(label[rows] >= 0)
        own[here, label[rows][here]] = 1
        weights = total - own * weight[rows, None]
        face = np.add.reduceat(found.face[rows][:, members] * weight[members], starts, axis=1)
        near = np.exp(-np.abs(middle[rows, None] - middle[members]) * NEARER / settings.scene_s)
        body = found.body[rows].toarray()[:, members]
        compared = np.add.reduceat((body != 0) * near, starts, axis=1)
        faces = face / np.maximum(weights, FLOOR)
        beside = np.add.reduceat(body * near, starts, axis=1) / np.maximum(compared, FLOOR)
        beside += np.maximum.reduceat(found.thread[rows].toarray()[:, members], starts, axis=1)
        beside = yielding(beside, faces, found.trust[rows, None] * trusted)
        odds[rows] = np.where(weights > FLOOR / 2, faces + beside, -np.inf)
        presence[rows] = np.add.reduceat(near, starts, axis=1) - own + ELSEWHERE
    for first, second in (constraints.cannot.T, constraints.cannot.T[::-1]):
        known = label[second] >= 0
        odds[first[known], label[second[known]]] = -np.inf
    presence[~np.isfinite(odds)] = 0
    presence *= np.exp(-apart(found, label, clusters))  # who is seen beside a track is not around to be it
    around = np.minimum(presence, 1).sum(axis=1)
    share = presence / np.maximum(presence.sum(axis=1, keepdims=True), 1e-12) * np.minimum(1, around / crowd(found, label))[:, None]
    with np.errstate(divide="ignore"):
        return odds, np.log(share)


def known_share(odds: NDArray[np.float64], share: NDArray[np.float64], settings: IdentitySettings) -> float:
    """Share of the tracks to be attached that are of some cluster: what is expected, corrected by what the tracks themselves show.

    Expectation maximisation with a Beta prior; on a stage before an audience most poor faces are strangers, in a kitchen few are.

    Args:
        odds, share: of these tracks, what was seen together taken off the odds.
    """
    known = 1 - settings.stranger_prior
    for _ in range(EM_ROUNDS):
        attached = 1 - probabilities(odds, share + np.log(known))[:, -1]
        known = (EXPECTED_TRACKS * (1 - settings.stranger_prior) + float(attached.sum())) / (EXPECTED_TRACKS + len(odds))
    return known


def crowd(found: Evidence, label: NDArray[np.int32]) -> NDArray[np.float64]:
    """(n,) how many tracks without a cluster are seen at once with each such track, itself included; 1 for tracks with a cluster.

    Each of those around can be only one of them: where there are more faces than people around, most are strangers."""
    rows, columns, _ = found.together.both_ways()
    free = (label[rows] < 0) & (label[columns] < 0)
    result: NDArray[np.float64] = 1.0 + np.bincount(rows[free], minlength=len(label)).astype(np.float64)
    return result


def apart(found: Evidence, label: NDArray[np.int32], clusters: int) -> NDArray[np.float64]:
    """(n, c) largest cost between each track and a track of each cluster, for being seen together."""
    cost = np.zeros((len(label), clusters))
    rows, columns, value = found.together.both_ways()
    known = label[columns] >= 0
    np.maximum.at(cost, (rows[known], label[columns[known]]), value[known])
    return cost


def probabilities(odds: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, c + 1): probability of each cluster, and in the last column of somebody in none of them."""
    stranger = np.log(1 - np.exp(prior).sum(axis=1, keepdims=True))
    logits = np.concatenate([odds + prior, stranger], axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = np.exp(logits)
    result /= result.sum(axis=1, keepdims=True)
    return result
