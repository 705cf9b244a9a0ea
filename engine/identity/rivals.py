"""One person is not two clusters seen together: belief propagation between rivals.

Sum-product message passing (Pearl 1988; Kschischang et al. 2001) on the graph of clusters seen together. It is exact for pairs and trees, and
unlike a one-to-one assignment it leaves two clusters that fit a person equally well both in doubt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 30
DAMPING = 0.5
"""Share of the last message kept: loops then settle."""


def settle(logits: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64], cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of who each cluster is.

    Args:
        logits: (c, p + 1) log evidence plus prior; the last column, "none of them", has no rivalry.
        first, second: (k,) clusters seen together, each pair once.
        cost: (k,) log odds against both being the same person.

    Returns:
        (c, p + 1), each row adding up to 1.
    """
    edges = len(first)
    source, target = np.concatenate([first, second]), np.concatenate([second, first])
    back = np.concatenate([np.arange(edges, 2 * edges), np.arange(edges)])
    factor = 1 - np.exp(-np.concatenate([cost, cost]))[:, None]
    message = np.zeros((2 * edges, logits.shape[1]))
    for _ in range(ROUNDS if edges else 0):
        cavity = _softmax(_with(logits, target, message)[source] - message[back])
        fresh = np.log1p(-np.minimum(cavity * factor, 1 - 1e-12))
        fresh[:, -1] = 0
        message = DAMPING * message + (1 - DAMPING) * fresh
    return _softmax(_with(logits, target, message))


def _with(logits: NDArray[np.float64], target: NDArray[np.int64], message: NDArray[np.float64]) -> NDArray[np.float64]:
    total = logits.copy()
    np.add.at(total, target, message)
    return total


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    value = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = value / value.sum(axis=1, keepdims=True)
    return result
