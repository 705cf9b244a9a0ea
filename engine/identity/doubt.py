"""What the probabilities of the two passes mean for the memberships that are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.identity.membership import FLOOR

CLEARLY = 1.001
"""A track's own cluster is at least this many times as probable as any other."""


def anchored(label: NDArray[np.int32], chance: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities seen from what a cluster mostly is: were two parts one person, or one cluster two, the smaller part would be the wrong one.

    A track's doubt shrinks by the share of its cluster that it makes up; a track alone in its cluster joins another the less, the larger it
    is beside it.

    Args:
        weight: (n,) how much each track counts.
    """
    every, clusters = np.arange(len(label)), chance.shape[1] - 1
    if not clusters:
        return chance
    chance = chance.copy()
    inside = label < clusters
    total = np.bincount(label[inside], weights=weight[inside], minlength=clusters)
    own = chance[every, np.minimum(label, clusters - 1)]
    alone = ~inside | (own == 0)
    share = np.where(alone, 0, weight / np.maximum(total[np.minimum(label, clusters - 1)], 1e-12))
    chance[:, :-1] *= np.where(alone[:, None], total / np.maximum(total + weight[:, None], 1e-12), (1 - share)[:, None])
    chance[:, -1] *= 1 - share
    kept = np.where(alone, clusters, label)
    chance[every, kept] = 0
    chance[every, kept] = 1 - chance.sum(axis=1)
    return chance


def of_groups(group: NDArray[np.int32], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities averaged over tracks that must be one person; where one of them cannot be, none can."""
    total, possible = np.zeros_like(chance), np.ones(chance.shape, bool)
    np.add.at(total, group, chance)
    np.logical_and.at(possible, group, chance > 0)
    total *= possible
    result: NDArray[np.float64] = total[group] / np.maximum(total.sum(axis=1), 1e-12)[group, None]
    return result


def decided_tracks(group: NDArray[np.int32], joined: NDArray[np.bool_], label: NDArray[np.int32], trust: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tracks people joined that make their cluster what it is: in each cluster, those of the group with the most trust."""
    decided = np.zeros(len(label), bool)
    weight = np.bincount(group, weights=trust + FLOOR, minlength=1)
    heaviest: dict[int, int] = {}
    for track in np.flatnonzero(joined):
        mine, home = int(group[track]), int(label[track])
        if home not in heaviest or weight[mine] > weight[heaviest[home]]:
            heaviest[home] = mine
    for track in np.flatnonzero(joined):
        decided[track] = heaviest[int(label[track])] == group[track]
    return decided


def rows_to_keep(
    label: NDArray[np.int32], chance: NDArray[np.float64], decided: NDArray[np.bool_], keep: float
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """Track, cluster and probability of the memberships to keep, each track's own cluster among them.

    For a track alone in its cluster, being somebody else means being itself. A track keeps its cluster where another is more probable (it
    was not attached for want of evidence, or a decision or the company of others put it there): the doubt is scaled down to that.
    """
    every, clusters = np.arange(len(label)), chance.shape[1] - 1
    others, own = chance[:, :-1].copy(), chance[:, -1].copy()
    if clusters:
        mine = others[every, np.minimum(label, clusters - 1)]
        inside = (label < clusters) & (mine > 0)
        own[inside] = mine[inside]
        others[every[label < clusters], label[label < clusters]] = 0
        others[decided], own[decided] = 0, 1
        scale = np.minimum(1, 1 / np.maximum(others.max(axis=1) * CLEARLY + 1 - own, 1e-12))
        others *= scale[:, None]
        own = 1 - scale * (1 - own)
    more = np.nonzero(others >= keep)
    tracks = np.concatenate([every, more[0]]).astype(np.int32)
    columns = np.concatenate([label.astype(np.int64), more[1]])
    return tracks, columns, np.concatenate([own, others[more]])
