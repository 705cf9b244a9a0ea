"""Average linkage against SciPy's, and what it may never join."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engine.identity.linkage import agglomerate


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a[:, None] == a) == (b[:, None] == b)).all())


def evidence(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(count, count)) * 3
    group = rng.integers(0, 5, count)
    raw = (raw + raw.T) / 2 + np.where(group[:, None] == group, 2.0, -2.0)
    np.fill_diagonal(raw, 0)
    return raw.astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("join", [-1.0, 0.0, 1.5])
def test_equal_weights_agree_with_scipy(seed: int, join: float) -> None:
    table = evidence(seed, 60)
    distance = 100 - table.astype(np.float64)
    np.fill_diagonal(distance, 0)
    expected = fcluster(linkage(squareform(distance), method="average"), 100 - join, criterion="distance")
    found = agglomerate(table.copy(), np.ones(60), np.zeros((60, 60), np.float16), join)
    assert same_partition(found, expected)


def test_a_weight_of_two_is_the_item_twice() -> None:
    table = evidence(3, 30)
    weights = np.random.default_rng(0).integers(1, 4, 30)
    copies = np.repeat(np.arange(30), weights)
    distance = 100 - table[np.ix_(copies, copies)].astype(np.float64)
    distance[copies[:, None] == copies] = 0
    expected = fcluster(linkage(squareform(distance), method="average"), 100.0, criterion="distance")
    found = agglomerate(table * weights * weights[:, None], weights.astype(np.float64), np.zeros((30, 30), np.float16), 0.0)
    assert same_partition(found[copies], expected)


def greedy(table: np.ndarray, cost: np.ndarray, join: float) -> np.ndarray:
    """Always merge the best pair, recomputed from scratch."""
    clusters = [[item] for item in range(len(table))]
    while True:
        scored = [
            (table[np.ix_(a, b)].mean() - cost[np.ix_(a, b)].max(), i, j) for i, a in enumerate(clusters) for j, b in enumerate(clusters) if i < j
        ]
        if not scored or max(scored)[0] <= join:
            break
        _, i, j = max(scored)
        clusters[i] += clusters.pop(j)
    label = np.empty(len(table), int)
    for number, members in enumerate(clusters):
        label[members] = number
    return label


@pytest.mark.parametrize("seed", range(6))
def test_costs_and_bans_are_not_diluted(seed: int) -> None:
    table = evidence(seed, 24)
    rng = np.random.default_rng(seed)
    cost = np.where(rng.random((24, 24)) < 0.05, rng.choice([1.0, 4.0, np.inf], (24, 24)), 0.0)
    cost = np.maximum(cost, cost.T)
    np.fill_diagonal(cost, 0)
    found = agglomerate(table.copy(), np.ones(24), cost.astype(np.float16), 0.0)
    assert same_partition(found, greedy(table.astype(np.float64), cost, 0.0))
    banned = np.argwhere(np.isinf(cost))
    assert all(found[a] != found[b] for a, b in banned)
