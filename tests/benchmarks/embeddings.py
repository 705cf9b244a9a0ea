"""How alike the faces of tracks are in the real embedding space: `python -m tests.benchmarks.embeddings --work CACHE [--set tune]`.

Looks at the clips of the slice suite with det_500m and mobilefacenet, and at the stage clip, and keeps the embedded faces with who they are in
CACHE/embeddings-SET.npz, which `tests.benchmarks.episodes --compare` reads.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from tests.benchmarks import stage
from tests.benchmarks.material import HALVES, folder_of
from tests.benchmarks.recut import Stock, face_models
from tests.benchmarks.running import analyse
from tests.benchmarks.scoring import truth_of_tracks

GOOD, POOR = 0.5, 0.3
"""Quality from which a track is good here, and up to which it is poor."""

BINS = np.linspace(-0.4, 1.0, 29)


@dataclass(frozen=True)
class Spread:
    """Tracks of many compositions: pooled (n, d), quality (n,), person (n,) -1 for nobody, place (n,) the composition and shot they are of,
    and the embedded faces: vectors (m, d), face_quality (m,), track (m,)."""

    pooled: NDArray[np.float32]
    quality: NDArray[np.float32]
    person: NDArray[np.int64]
    place: NDArray[np.int64]
    vectors: NDArray[np.float32]
    face_quality: NDArray[np.float32]
    track: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write to an .npz file."""
        np.savez_compressed(path, **vars(self))

    @classmethod
    def read(cls, path: Path) -> Spread:
        """Read what `save` wrote."""
        with np.load(path) as found:
            return cls(**{name: found[name] for name in found.files})

    def cosines(self) -> dict[str, NDArray[np.float32]]:
        """Cosines of the pairs of tracks, by who and how good they are; those of one person in one shot and in others apart."""
        cosine = self.pooled @ self.pooled.T
        first, second = np.triu_indices(len(self.pooled), 1)
        known = (self.person[first] >= 0) & (self.person[second] >= 0)
        first, second = first[known], second[known]
        value, same = cosine[first, second], self.person[first] == self.person[second]
        low, high = np.minimum(self.quality[first], self.quality[second]), np.maximum(self.quality[first], self.quality[second])
        kinds = {"good": low >= GOOD, "mixed": (low < POOR) & (high >= GOOD), "poor": high < POOR}
        near = self.place[first] == self.place[second]
        found = {f"strangers, {kind}": value[which & ~same] for kind, which in kinds.items()}
        found |= {f"one person, {kind}": value[which & same & ~near] for kind, which in kinds.items()}
        return found | {"faces of a track": self._within()}

    def _within(self) -> NDArray[np.float32]:
        """Cosine of each embedded face with its track."""
        result: NDArray[np.float32] = np.einsum("nd,nd->n", self.vectors, self.pooled[self.track])
        return result


def quantiles(values: NDArray[np.float32]) -> str:
    """5, 25, 50, 75 and 95 per cent of some cosines."""
    return " ".join(f"{value:5.2f}" for value in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])) if len(values) else "    -" * 5


def measured(half: str, work: Path) -> Spread:
    """The tracks of a half's clips, and with the tuning half those of the stage clip, where most faces are poor."""
    stock = Stock.of(half, work)
    found = list(zip(stock.episodes, stock.persons, stock.truths, strict=True))
    if half == "tune":
        result = analyse(folder_of("ROLLCALL_TEST_MEDIA") / stage.CLIP, face_models(), Settings())
        found.append((result.episode, truth_of_tracks(result, stage.truth()), stage.truth()))
    names = sorted({name for _, _, truth in found for name in truth.people})
    parts: list[Spread] = []
    tracks = place = 0
    for episode, who, truth in found:
        person = np.array([names.index(truth.people[one]) if one >= 0 else -1 for one in who], np.int64)
        rows = episode.picks["track"].to_numpy().astype(np.int64) + tracks
        quality = episode.tracks["quality"].to_numpy().astype(np.float32)
        shot = episode.tracks["shot"].to_numpy() + place
        parts.append(Spread(episode.pooled, quality, person, shot, episode.vectors, episode.picks["quality"].to_numpy(), rows))
        tracks, place = tracks + len(quality), place + episode.shots.num_rows
    return Spread(*(np.concatenate([getattr(part, name) for part in parts]) for name in Spread.__dataclass_fields__))


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="cache folder of the slice suite")
    parser.add_argument("--set", choices=HALVES, default="tune")
    given = parser.parse_args()
    spread = measured(given.set, given.work)
    spread.save(given.work / f"embeddings-{given.set}.npz")
    print(f"{len(spread.quality)} tracks of {len(set(spread.person.tolist()) - {-1})} people; quality {quantiles(spread.quality)}")
    for name, values in spread.cosines().items():
        print(f"{name:22s} {len(values):7d}  {quantiles(values)}")


if __name__ == "__main__":
    main()
