"""Weighted average linkage by the nearest-neighbour chain: O(n^2) time, in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6
"""Two averages this close are equal; the chain then turns back, so it always ends."""


def agglomerate(evidence: NDArray[np.float32], weights: NDArray[np.float64], cost: NDArray[np.float16], join: float) -> NDArray[np.int32]:
    """Merge items while the best pair of clusters has more evidence than `join`.

    The evidence between two clusters is the weighted average over their pairs of items, less the largest cost of any such pair: one
    sighting of two clusters side by side is not diluted by the other pairs. Both parts are reducible, so chains of nearest neighbours
    (Benzecri 1982; Murtagh 1983) find the same clusters as always merging the best pair.

    Args:
        evidence: (n, n) symmetric, *sums* of evidence over the pairs of what the items stand for, times the weights of both; overwritten.
        weights: (n,) positive.
        cost: (n, n) symmetric, infinite where joining is forbidden; overwritten.
        join: clusters are merged above this average.

    Returns:
        (n,) cluster of each item, numbered by first item.
    """
    count = len(weights)
    inverse, active = 1 / weights, np.ones(count, bool)
    parent = np.arange(count)
    chain: list[int] = []
    seed = 0
    while True:
        if not chain:
            while seed < count and not active[seed]:
                seed += 1
            if seed == count:
                break
            chain.append(seed)
        top = chain[-1]
        value = evidence[top] * inverse
        value *= inverse[top]
        value -= cost[top]
        value[~active] = -np.inf
        value[top] = -np.inf
        best = int(value.argmax())
        if value[best] <= join:
            active[top] = False
            chain.pop()
        elif len(chain) > 1 and value[chain[-2]] >= value[best] - TIE:
            chain.pop()
            _merge(chain.pop(), top, evidence, inverse, cost, active, parent)
        else:
            chain.append(best)
    return _numbered(parent)


def _merge(
    a: int,
    b: int,
    evidence: NDArray[np.float32],
    inverse: NDArray[np.float64],
    cost: NDArray[np.float16],
    active: NDArray[np.bool_],
    parent: NDArray[np.int64],
) -> None:
    """Put the later of two clusters into the earlier one."""
    keep, gone = min(a, b), max(a, b)
    evidence[keep] += evidence[gone]
    evidence[:, keep] = evidence[keep]
    cost[keep] = np.maximum(cost[keep], cost[gone])
    cost[:, keep] = cost[keep]
    inverse[keep] = 1 / (1 / inverse[keep] + 1 / inverse[gone])
    active[gone] = False
    parent[gone] = keep


def _numbered(parent: NDArray[np.int64]) -> NDArray[np.int32]:
    """Clusters of a forest whose parents come before their children."""
    root = parent.copy()
    for item in range(len(root)):
        root[item] = root[root[item]]
    _, numbers = np.unique(root, return_inverse=True)
    result: NDArray[np.int32] = numbers.astype(np.int32)
    return result
