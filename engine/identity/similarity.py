"""Evidence that two tracks are one person: natural log odds at even prior odds, for every pair of an episode.

Poor faces lie (design, "Seeing"): what a pair of faces says is weighted by how far both can be trusted, and a face near everybody is
corrected by how near it is to strangers (the local scaling of CSLS, Conneau et al. 2018, measured on strangers only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.constraints import NO_CONSTRAINTS, Constraints
from engine.identity.context import BLOCK, Pairwise, body_evidence, thread_evidence
from engine.identity.together import Together, seen_together, standing_still
from engine.models.base import Calibration
from engine.tables import Episode

MIXED_TRUST = 0.3
"""A track that does not look like one person is trusted this much of what its quality deserves."""

GOOD = 0.5
"""Trust from which a track can be the core of a cluster."""

STRANGER_LOG_ODDS = -1.0
"""Two good faces with less than this are taken for strangers when hubs are measured."""

OVERRULED = 0.5
"""Share of what two trusted faces say against a pair that clothes and place can make up for."""

OWN_PICTURE = 0.75
"""Share of the most two faces can say for a pair that makes one of them, standing still beside the other, a picture of the same person."""

NEGATIVES_TRIMMED = 0.05
"""Share of the most alike pairs seen together that is left out of the episode's own negatives: mirrors, photos and split screens."""

NEGATIVES_HALF = 20.0
"""How many pairs seen together it takes to believe half of the shift they ask for."""


@dataclass(frozen=True)
class Evidence:
    """Evidence for every pair of n tracks, natural log odds, symmetric with a zero diagonal.

    face: (n, n) float32, already weighted by `trust`. body, thread: (n, n) sparse. together: who was seen apart in the same frames.
    trust: (n,) float32, 0..1, how far a track's embedding can be trusted. shift: log odds taken off every pair of faces because the episode's
    own strangers are more alike than the calibration expects.
    """

    face: NDArray[np.float32]
    body: Pairwise
    thread: Pairwise
    together: Together
    trust: NDArray[np.float32]
    shift: float

    def alike(self) -> NDArray[np.float32]:
        """(n, n) float32: face, clothes and place added up."""
        return self.alike_among(np.arange(len(self.trust)))

    def alike_among(self, tracks: NDArray[np.int64]) -> NDArray[np.float32]:
        """(k, k) the same for some tracks. What speaks for a pair beside the faces cannot overrule faces that can be trusted and speak against it:
        people share clothes and chairs."""
        total = self.face[np.ix_(tracks, tracks)]
        beside = (self.body + self.thread)[tracks][:, tracks].tocoo()
        trusted = self.trust[tracks[beside.row]] * self.trust[tracks[beside.col]]
        total[beside.row, beside.col] += yielding(beside.data, total[beside.row, beside.col], trusted)
        return total

    def faces_among(self, tracks: NDArray[np.int64]) -> NDArray[np.float32]:
        """(k, k) evidence between some tracks whose faces are too poor for anything else to be believed: clothes and place say no more for a pair
        than its faces do."""
        total = self.face[np.ix_(tracks, tracks)]
        beside = (self.body + self.thread)[tracks][:, tracks].tocoo()
        total[beside.row, beside.col] += np.minimum(beside.data, np.maximum(total[beside.row, beside.col], 0))
        return total


def yielding(beside: NDArray[Any], face: NDArray[Any], trusted: NDArray[Any]) -> NDArray[Any]:
    """What clothes and place say (log odds) where the faces are heard first: as far as these are trusted (0..1) and speak against a pair, no more
    than a share of what they say is made up for."""
    capped = np.minimum(beside, OVERRULED * np.abs(face))
    result: NDArray[Any] = np.where((face < 0) & (beside > 0), trusted * capped + (1 - trusted) * beside, beside)
    return result


def trust(quality: NDArray[np.float32], mixed: NDArray[np.bool_], settings: IdentitySettings) -> NDArray[np.float32]:
    """(n,) float32: share of its evidence a face of this quality (0..1) is given; one half at `poor_quality`, rising steeply."""
    ratio = (np.maximum(quality, 0) / settings.poor_quality) ** 4
    result: NDArray[np.float32] = (ratio / (1 + ratio) * np.where(mixed, MIXED_TRUST, 1)).astype(np.float32)
    return result


def evidence(episode: Episode, calibration: Calibration, settings: IdentitySettings, constraints: Constraints = NO_CONSTRAINTS) -> Evidence:
    """Evidence for every pair of tracks of an episode.

    Row i of `episode.tracks` and of `episode.pooled` is track i. Needs 8 bytes a pair (n * n) at its peak, most of the time 4.
    """
    tracks = episode.tracks
    trusted = trust(tracks["quality"].to_numpy(), tracks["mixed"].to_numpy(zero_copy_only=False), settings)
    trusted[np.linalg.norm(episode.pooled, axis=1) < 0.5] = 0
    together = seen_together(episode.detections, tracks.num_rows, settings.together_cost, constraints.waived)
    together = together.without(beside_own_picture(episode, together, trusted, calibration, settings))
    face, shift = face_evidence(episode.pooled, trusted, together, calibration, settings)
    body = body_evidence(episode, face, together, settings)
    return Evidence(face, body, thread_evidence(episode, face, settings), together, trusted, shift)


def beside_own_picture(
    episode: Episode, together: Together, trusted: NDArray[np.float32], calibration: Calibration, settings: IdentitySettings
) -> NDArray[np.bool_]:
    """(k,) pairs seen together that are a person and a picture of the same person: two trusted faces nearly as alike as faces can be, one of
    which does not move."""
    first, second = together.first, together.second
    cosine = np.einsum("nd,nd->n", episode.pooled[first], episode.pooled[second])
    alike = calibration.slope * cosine + calibration.intercept >= OWN_PICTURE * settings.face_limit
    still = standing_still(episode.detections, episode.tracks.num_rows)
    result: NDArray[np.bool_] = alike & (trusted[first] >= GOOD) & (trusted[second] >= GOOD) & (still[first] | still[second])
    return result


def face_evidence(
    pooled: NDArray[np.float32], trusted: NDArray[np.float32], together: Together, calibration: Calibration, settings: IdentitySettings
) -> tuple[NDArray[np.float32], float]:
    """Log odds of all pairs of faces, and the shift the episode's own negatives asked for.

    Args:
        pooled: (n, d) L2-normalised embeddings, zeros where there is none.
        trusted: (n,) share of its evidence each is given.
    """
    face: NDArray[np.float32] = pooled @ pooled.T
    excess = hub_excess(face, trusted, together, calibration, settings)
    shift = negatives_shift(face[together.first, together.second], trusted, together, calibration)
    for start in range(0, len(face), BLOCK):
        block = face[start : start + BLOCK]
        block -= np.maximum(excess[start : start + BLOCK, None], excess)
        block *= calibration.slope
        block += calibration.intercept - shift
        np.clip(block, -settings.face_limit, settings.face_limit, out=block)
        block *= trusted[start : start + BLOCK, None]
        block *= trusted
    np.fill_diagonal(face, 0)
    return face, shift


def hub_excess(
    cosine: NDArray[np.float32], trusted: NDArray[np.float32], together: Together, calibration: Calibration, settings: IdentitySettings
) -> NDArray[np.float32]:
    """(n,) cosine by which each face is nearer to strangers than good faces usually are, for the part of it that is not trusted.

    Strangers of a face are the good faces seen together with it, and those clearly somebody else than the good face most like it.
    """
    good = np.flatnonzero(trusted >= GOOD)
    near = np.full(len(cosine), np.nan, np.float32)
    if len(good) < 2:
        return np.zeros(len(cosine), np.float32)
    limit = (STRANGER_LOG_ODDS - calibration.intercept) / calibration.slope
    rows, columns, _ = together.both_ways()
    position = np.full(len(cosine), -1)
    position[good] = np.arange(len(good))
    rows, columns = rows[position[columns] >= 0], position[columns[position[columns] >= 0]]
    for start in range(0, len(cosine), BLOCK):
        block = cosine[start : start + BLOCK][:, good]
        here = (rows >= start) & (rows < start + BLOCK)
        apart = np.zeros(block.shape, bool)
        apart[rows[here] - start, columns[here]] = True
        own = position[start : start + len(block)]
        itself = np.flatnonzero(own >= 0)
        candidates = np.where(apart, -2, block)
        candidates[itself, own[itself]] = -2
        strangers = apart | (cosine[good[candidates.argmax(axis=1)]][:, good] < limit)
        strangers[itself, own[itself]] = False
        near[start : start + len(block)] = _mean_of_largest(np.where(strangers, block, np.nan), settings.hub_neighbours)
    usual = min(float(np.nanmedian(near[good])), limit) if np.isfinite(near[good]).any() else limit
    result: NDArray[np.float32] = (np.nan_to_num(np.maximum(near - usual, 0)) * (1 - trusted)).astype(np.float32)
    return result


def _mean_of_largest(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Mean of the `count` largest of each row that are not NaN (fewer if there are fewer); NaN for a row of nothing but NaN."""
    count = min(count, values.shape[1])
    largest = -np.partition(np.where(np.isnan(values), np.inf, -values), count - 1, axis=1)[:, :count]
    real = np.isfinite(largest)
    total = np.where(real, largest, 0).sum(axis=1)
    result: NDArray[np.float32] = np.where(real.any(axis=1), total / np.maximum(real.sum(axis=1), 1), np.nan).astype(np.float32)
    return result


def negatives_shift(cosine: NDArray[np.float32], trusted: NDArray[np.float32], together: Together, calibration: Calibration) -> float:
    """Log odds to take off, so that the episode's known strangers agree with the calibration; never negative.

    Under a right calibration the likelihood ratio of strangers averages 1. Pairs are weighted by trust, and the most alike are left out.

    Args:
        cosine: (k,) of the pairs in `together`.
    """
    weight = trusted[together.first] * trusted[together.second]
    order = np.argsort(cosine, kind="stable")
    order = order[: len(order) - int(np.ceil(len(order) * NEGATIVES_TRIMMED))]
    total = float(weight[order].sum())
    if total <= 0:
        return 0.0
    ratio = np.exp(calibration.slope * cosine[order].astype(np.float64) + calibration.intercept)
    average = float((ratio * weight[order]).sum()) / total
    return max(0.0, float(np.log(max(average, 1e-12)))) * total / (total + NEGATIVES_HALF)
