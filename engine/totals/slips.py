"""What detection gets wrong about people, whoever they are: seeded draws beside those of labels and ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.config import TotalsSettings
from engine.tables import Episode


def draw_slips(
    episode: Episode, called: NDArray[np.int32], shown: NDArray[np.int32], settings: TotalsSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(people shown, draws) seconds by which detection was wrong about somebody, whoever they are, beside the ends of their tracks.

    Where somebody comes or goes inside a shot, detection is early or late; in any shot a face may be lost or held a little; as seldom as faces
    are missed altogether there is another stretch like this one with no face found in it; and as seldom part of the stretch is not theirs: the box
    stayed when they were gone, or went on to somebody else.

    Args:
        called: (tracks,) position of the person each track is labelled as.
        shown: (n,) positions of the people wanted.
    """
    tracks, shots = episode.tracks, episode.shots
    mine = np.flatnonzero(called >= 0)
    shot, start, end = (tracks[name].to_numpy()[mine] for name in ("shot", "start_us", "end_us"))
    pairs, place = np.unique(np.stack([np.searchsorted(shown, called[mine]), shot]), axis=1, return_inverse=True)
    place, count = place.ravel(), pairs.shape[1]
    length = np.bincount(place, (end - start) / 1e6, count)
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, place, start)
    np.maximum.at(last, place, end)
    inside = (first > shots["start_us"].to_numpy()[pairs[1]]).astype(np.int64) + (last < shots["end_us"].to_numpy()[pairs[1]])
    slips = inside[:, None] + (rng.random((count, settings.draws)) < settings.slip_rate)
    wrong = rng.standard_normal((count, settings.draws)) * settings.slip_s * np.sqrt(slips)
    wrong += np.where(rng.random((count, settings.draws)) < settings.missed_rate, length[:, None], 0)
    other = rng.random((count, settings.draws))
    wrong -= np.where(other < settings.missed_rate, other / max(settings.missed_rate, 1e-12) * length[:, None], 0)
    total = np.zeros((len(shown), settings.draws))
    np.add.at(total, pairs[0], wrong)
    return total
