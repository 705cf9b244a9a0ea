"""What people decided about pairs of tracks, as the clustering sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.errors import Conflict

Pairs = NDArray[np.int32]
"""(k, 2) int32 track numbers; order inside a pair and repeats do not matter."""


def _no_pairs() -> Pairs:
    return np.empty((0, 2), np.int32)


@dataclass(frozen=True)
class Constraints:
    """Pairs of tracks under a decision.

    `must` are one person whatever the score, `cannot` are never joined, and for `waived` pairs being seen together counts for nothing
    (a mirror, a photo, a split screen).
    """

    must: Pairs = field(default_factory=_no_pairs)
    cannot: Pairs = field(default_factory=_no_pairs)
    waived: Pairs = field(default_factory=_no_pairs)

    def groups(self, tracks: int) -> NDArray[np.int32]:
        """(tracks,) int32: tracks that must be one person, directly or through others, share a number.

        Raises:
            Conflict: a pair that cannot be one person is joined by others that must be.
        """
        joined = coo_array((np.ones(len(self.must), np.int8), (self.must[:, 0], self.must[:, 1])), shape=(tracks, tracks))
        _, group = connected_components(joined, directed=False)
        clash = self.cannot[group[self.cannot[:, 0]] == group[self.cannot[:, 1]]]
        if len(clash):
            first, second = (int(track) for track in clash[0])
            raise Conflict(
                f"Tracks {first} and {second} were decided to be two people, and one person through others.",
                "Undo one of the decisions that join them.",
                tracks=[first, second],
            )
        result: NDArray[np.int32] = group.astype(np.int32)
        return result


NO_CONSTRAINTS = Constraints()
