"""What the seconds would be if the doubtful things were otherwise: seeded draws of labels and of the ends of tracks.

A draw decides, for the whole episode at once, who each cluster is (so that a cluster is wrong as a whole), which cluster each track
belongs to, and where its ends really were. An end lies anywhere between two looks; where the face was hard to see it is less certain still;
at a cut it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.config import TotalsSettings
from engine.tables import Episode
from engine.totals.labels import NOBODY, Labels, rounded

END_FACES = 2
"""Faces at an end of a track whose scores say how certain the end is."""


@dataclass(frozen=True)
class Edges:
    """The 2n starts and ends of n tracks in time order, for every draw.

    at: (2n, draws) float64 seconds, ascending in every draw. shot: (2n,) int32. start, end: (n,) row of each track's start and end.
    """

    at: NDArray[np.float64]
    shot: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def draw_edges(episode: Episode, settings: TotalsSettings, rng: np.random.Generator) -> Edges:
    """Where the tracks began and ended, in every draw."""
    tracks, shots = episode.tracks, episode.shots
    count, shot = tracks.num_rows, tracks["shot"].to_numpy()
    first, last = shots["start_us"].to_numpy()[shot] / 1e6, shots["end_us"].to_numpy()[shot] / 1e6
    start, end = tracks["start_us"].to_numpy() / 1e6, tracks["end_us"].to_numpy() / 1e6
    width = episode.step_us / 2e6 * looseness(episode, settings)
    width[0, start <= first] = 0
    width[1, end >= last] = 0
    nominal = np.concatenate([start, end])
    order = np.lexsort((np.repeat([0, 1], count), nominal))
    at = rng.random((2 * count, settings.draws))
    at *= 2
    at -= 1
    at *= width.ravel()[order, None]
    at += nominal[order, None]
    np.clip(at, np.concatenate([first, first])[order, None], np.concatenate([last, last])[order, None], out=at)
    # Ends that changed places meet half way: both running extremes are ascending, and so is their mean.
    at = (np.maximum.accumulate(at, axis=0) + np.minimum.accumulate(at[::-1], axis=0)[::-1]) / 2
    place = np.empty(2 * count, np.int64)
    place[order] = np.arange(2 * count)
    return Edges(at, np.concatenate([shot, shot])[order], place[:count], place[count:])


def looseness(episode: Episode, settings: TotalsSettings) -> NDArray[np.float64]:
    """(2, n) how many half steps each start and each end is uncertain by: `end_steps`, and more where the faces there scored low."""
    track = episode.detections["track"].to_numpy()
    order = np.lexsort((episode.detections["t_us"].to_numpy(), track))
    order = order[track[order] >= 0]
    score, track = episode.detections["score"].to_numpy()[order].astype(np.float64), track[order]
    count = episode.tracks.num_rows
    bounds = np.searchsorted(track, np.arange(count + 1))
    total = np.concatenate([[0], np.cumsum(score)])
    faces = np.minimum(np.diff(bounds), END_FACES)
    sums = np.stack([total[bounds[:-1] + faces] - total[bounds[:-1]], total[bounds[1:]] - total[bounds[1:] - faces]])
    mean = np.where(faces > 0, sums / np.maximum(faces, 1), settings.firm_score)
    doubt = np.maximum(0, settings.firm_score - mean) / settings.firm_score
    result: NDArray[np.float64] = settings.end_steps * (1 + settings.loose_end * doubt)
    return result


@dataclass(frozen=True)
class Chance:
    """Numbers behind the labels of a draw. track (n, draws), cluster (c, draws): uniform. odd (people + 1, draws): by how much what speaks for each
    person is off, as a factor of their chances; 1 for nobody, who is last."""

    track: NDArray[np.float32]
    cluster: NDArray[np.float32]
    odd: NDArray[np.float32]


def draw_chance(tracks: int, labels: Labels, settings: TotalsSettings, rng: np.random.Generator) -> Chance:
    """The numbers that decide, in every draw, who each cluster is and where each track belongs."""
    clusters = len(labels.people_of()[0])
    # The curve behind all matches of an episode is off in one direction, and a cluster is a part of another as a whole: such doubts are partly one.
    share, alone = np.sqrt(settings.shared_doubt), np.sqrt(1 - settings.shared_doubt)
    common, group = rng.standard_normal(settings.draws), rng.standard_normal((clusters + 1, settings.draws))
    own = labels.clusters_of(tracks)[0][:, 0]
    track, cluster = rng.standard_normal((tracks, settings.draws)), rng.standard_normal((clusters, settings.draws))
    odd = np.exp(settings.odd_looks * rng.standard_normal((len(labels.people) + 1, settings.draws)))
    odd[NOBODY] = 1
    uniform = [ndtr(share * group[own] + alone * track), ndtr(share * common + alone * cluster)]
    return Chance(*(numbers.astype(np.float32) for numbers in (*uniform, odd)))


def draw_expected(tracks: int, labels: Labels, chance: Chance, sure: float) -> NDArray[np.int32]:
    """(tracks, draws) whose each track is by the probabilities as they stand: a position in `labels.people`, or NOBODY.

    Args:
        sure: memberships at least this probable are taken as certain.
    """
    clusters, member = labels.clusters_of(tracks)
    cluster = _choose(clusters, rounded(member, sure), chance.track)
    return _people(cluster, _choose(*_known_first(*labels.people_of()), chance.cluster), tracks, labels)


def draw_doubtful(tracks: int, labels: Labels, chance: Chance, settings: TotalsSettings) -> NDArray[np.int32]:
    """(tracks, draws) whose each track may be, as `draw_expected`, with all that is doubtful about the probabilities.

    One by one they say too little: what seems likely mostly is so, and what seems unlikely is not (`firm`). But where they are wrong they are so
    about all of somebody at once, who has other hair, is seen from the side or wears what everybody wears (`odd_looks`).
    """
    clusters, member = labels.clusters_of(tracks)
    label = np.append(labels.label_of_cluster(), np.int32(NOBODY))
    cluster = _choose(clusters, member, chance.track, settings.firm, chance.odd[label], clusters[:, 0])
    people, who = _known_first(*labels.people_of())
    return _people(cluster, _choose(people, who, chance.cluster, settings.firm, chance.odd, label[:-1]), tracks, labels)


def _people(cluster: NDArray[np.int32], person: NDArray[np.int32], tracks: int, labels: Labels) -> NDArray[np.int32]:
    """(tracks, draws) the person of each track's cluster, or whom people decided."""
    person_of = np.concatenate([person, np.full((1, person.shape[1]), NOBODY, np.int32)])
    chosen = np.take_along_axis(person_of, cluster, axis=0) if len(cluster) else cluster
    decided, fixed = labels.decided_people(tracks)
    chosen[decided] = fixed[decided, None]
    return chosen


def _known_first(people: NDArray[np.int32], chances: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The people of each cluster, those likely in most clusters first, nobody last: a low number is somebody well known everywhere."""
    mass = np.append(np.bincount(people.ravel() + 1, chances.ravel())[1:], -1.0)
    order = np.argsort(-mass[people], axis=1, kind="stable")
    return np.take_along_axis(people, order, axis=1), np.take_along_axis(chances, order, axis=1)


def _choose(
    values: NDArray[np.int32],
    chances: NDArray[np.float64],
    uniform: NDArray[np.float32],
    firm: float = 1.0,
    odd: NDArray[np.float32] | None = None,
    usual: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """(n, draws): value r of each row with probability chances[:, r], -1 with what is left.

    Args:
        firm: power of the chances.
        odd: (values + 1, draws) factor of each value's chance in each draw, but for the `usual` (n,) value of a row.
    """
    rest = np.maximum(1 - chances.sum(axis=1), 0)
    share = (np.concatenate([chances, rest[:, None]], axis=1) ** firm).astype(np.float32)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)

    def weight(rank: int) -> NDArray[np.float32]:
        plain = share[:, rank, None]
        return plain if odd is None else np.where((values[:, rank] == usual)[:, None], plain, plain * odd[values[:, rank]])

    chosen = np.full(uniform.shape, -1, np.int32)
    before = np.zeros(uniform.shape, np.float32)
    at = uniform * sum((weight(rank) for rank in range(values.shape[1])), share[:, -1, None])
    for rank in range(values.shape[1]):
        after = before + weight(rank)
        np.copyto(chosen, values[:, rank, None], where=(at >= before) & (at < after))
        before = after
    return chosen
