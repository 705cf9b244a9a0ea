"""A made embedding space with the spread of the real one: who a face is, how it is turned, and what all turned faces have in common.

A face seen well is its person's vector as they look in this scene; the further it is turned away (or blurred), the less of that is left and
the more of a direction that turned faces of everybody share. `tests.benchmarks.episodes --compare` holds it to faces measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIMS = 128
COMMON = 0.24
"""How much of what all faces share is in each: strangers then have a mean cosine of .06."""

UNEVEN = 0.022
"""How fast the directions in which people differ lose weight: strangers then spread as widely as real ones do."""

HUBS = 3
"""Ways to be turned away: left, right, and blurred."""

Vectors = NDArray[np.float64]


def unit(vectors: Vectors) -> Vectors:
    """L2-normalised along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Space:
    """people: (p, DIMS) how each looks; hubs: (HUBS, DIMS)."""

    people: Vectors
    hubs: Vectors

    @classmethod
    def make(cls, rng: np.random.Generator, people: int, alike: int, closeness: float) -> Space:
        """`alike` pairs among the people look alike, with a cosine about `closeness`."""
        common = unit(rng.normal(size=DIMS))
        weight = np.exp(-UNEVEN * np.arange(DIMS))
        faces = unit(unit(rng.normal(size=(people, DIMS)) * weight) + COMMON * common)
        pairs = rng.permutation(people)[: 2 * alike].reshape(-1, 2)
        for one, other in pairs:
            near = float(np.clip(closeness + rng.normal() * 0.06, 0, 0.75))
            own = unit(faces[other] - (faces[other] @ faces[one]) * faces[one])
            faces[other] = near * faces[one] + np.sqrt(1 - near**2) * own
        shared = unit(rng.normal(size=DIMS))
        return cls(faces, unit(0.85 * shared + 0.53 * unit(rng.normal(size=(HUBS, DIMS)))))

    def look(self, rng: np.random.Generator, person: int, change: float) -> Vectors:
        """(DIMS,) how a person looks in one scene or episode: hair, light, make-up; cosine with themselves about 1 / sqrt(1 + change^2)."""
        return np.asarray(unit(self.people[person] + change * unit(rng.normal(size=DIMS))))

    def face(self, rng: np.random.Generator, look: Vectors, turned: float, hub: int, own: Vectors) -> Vectors:
        """(DIMS,) one face.

        Args:
            turned: 0 (seen well) .. 1 (a back of a head, or nothing but blur).
            own: (DIMS,) what the faces of one track share beside who they are: light and background.
        """
        noise, stray = 0.16 + 0.25 * turned, float(rng.gamma(2.0, 0.10)) + 0.12 * turned
        mixed = (1 - 0.75 * turned) * look + 1.3 * turned * self.hubs[hub] + noise * own + stray * unit(rng.normal(size=DIMS))
        return np.asarray(unit(mixed))


def quality_of(rng: np.random.Generator, turned: NDArray[np.float64], height_px: float, misjudged: bool) -> NDArray[np.float64]:
    """(n,) what the product would call the quality of faces: turned and small ones are poor, and grain is at times taken for sharpness."""
    size = np.clip((height_px - 20) / 60, 0, 1) ** 0.5
    value = (1.06 - turned) ** 1.1 * (0.35 + 0.65 * size) * np.exp(rng.normal(0, 0.08, len(turned)))
    if misjudged:
        value = np.maximum(value, rng.uniform(0.45, 0.85))
    return np.clip(value, 0.02, 1)
