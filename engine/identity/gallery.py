"""Clusters against the faces of people known from elsewhere: several exemplars must agree, and "none of them" is an answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import IdentitySettings
from engine.identity.cluster import Clustering
from engine.identity.rivals import settle
from engine.identity.similarity import Evidence, trust
from engine.models.base import Calibration
from engine.tables import POSTERIOR, Episode

SHARE_OF_TRACKS = 0.5
"""A cluster's score for a person is the mean of this share of its tracks, those most like them: people turn away."""

ONE_OF = 0.5
"""Evidence of k agreeing exemplars counts as k / (k + this): one lucky neighbour is worth two thirds."""


@dataclass(frozen=True)
class Gallery:
    """Exemplars of people of the same show, named or not.

    vectors: (m, d) float32, L2-normalised. person: (m,) int32, 0 .. people - 1. quality: (m,) float32, 0..1.
    """

    vectors: NDArray[np.float32]
    person: NDArray[np.int32]
    quality: NDArray[np.float32]

    @property
    def people(self) -> int:
        """How many people there are."""
        return int(self.person.max(initial=-1)) + 1


def match(
    episode: Episode, clustering: Clustering, found: Evidence, gallery: Gallery, calibration: Calibration, settings: IdentitySettings
) -> pa.Table:
    """Who of the gallery each cluster is.

    The evidence for a person is calibrated like that of two tracks, from the mean cosine of the best few exemplars, weighted by the trust in
    both sides; people who fit equally well share the probability. Two clusters seen together are not both the same person.

    Returns:
        POSTERIOR, by cluster, most probable first; every cluster has a row for "none of them" (candidate -1, similarity null).
    """
    clusters, people = clustering.clusters.num_rows, gallery.people
    similarity, weight = scores(episode, clustering, found.trust, gallery, settings)
    odds = calibration.slope * similarity + calibration.intercept - found.shift
    odds = np.clip(odds, -settings.face_limit, settings.face_limit) * weight
    prior = np.log((1 - settings.unknown_prior) / people) if people else 0.0
    logits = np.concatenate([odds + prior, np.full((clusters, 1), np.log(settings.unknown_prior))], axis=1)
    logits[:, :-1][weight <= 0] = -np.inf
    belief = settle(logits, *_rivals(found, clustering))
    cluster, candidate = np.nonzero((belief >= settings.keep_probability) | (np.arange(people + 1) == people))
    probability = belief[cluster, candidate]
    order = np.lexsort((candidate, -probability, cluster))
    cluster, candidate, probability = cluster[order], candidate[order], probability[order]
    none = candidate == people
    closeness = np.concatenate([similarity, np.zeros((clusters, 1))], axis=1)[cluster, candidate]
    parts = [
        pa.array(cluster, pa.int32()),
        pa.array(np.where(none, -1, candidate), pa.int32()),
        pa.array(probability, pa.float32()),
        pa.array(closeness.astype(np.float32), pa.float32(), mask=none),
    ]
    return pa.table(parts, schema=POSTERIOR)


def scores(
    episode: Episode, clustering: Clustering, trusted: NDArray[np.float32], gallery: Gallery, settings: IdentitySettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(clusters, people) cosine of each cluster with each person, and (clusters, people) how far it can be trusted, 0..1."""
    clusters, people = clustering.clusters.num_rows, gallery.people
    faces = trust(gallery.quality, np.zeros(len(gallery.quality), bool), settings)
    near = np.zeros((episode.tracks.num_rows, people))
    faith = np.zeros((episode.tracks.num_rows, people))
    for person in range(people):
        rows = np.flatnonzero((gallery.person == person) & (faces > 0))
        few = min(settings.exemplars, len(rows))
        if not few:
            continue
        cosine = episode.pooled @ gallery.vectors[rows].T
        best = np.argpartition(-cosine, few - 1, axis=1)[:, :few]
        weight = faces[rows][best]
        near[:, person] = (np.take_along_axis(cosine, best, axis=1) * weight).sum(axis=1) / weight.sum(axis=1)
        faith[:, person] = weight.mean(axis=1) * few / (few + ONE_OF) * (settings.exemplars + ONE_OF) / settings.exemplars
    similarity, weight_of = np.zeros((clusters, people)), np.zeros((clusters, people))
    order = np.argsort(clustering.label, kind="stable")
    bounds = np.searchsorted(clustering.label[order], np.arange(clusters + 1))
    for cluster in range(clusters):
        rows = order[bounds[cluster] : bounds[cluster + 1]]
        rows = rows[trusted[rows] > 0]
        if people and len(rows):
            similarity[cluster], weight_of[cluster] = _of_tracks(near[rows], trusted[rows].astype(np.float64), faith[rows])
    return similarity, weight_of


def _of_tracks(
    near: NDArray[np.float64], trusted: NDArray[np.float64], faith: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score and trust of one cluster for each person: over the most alike tracks that together hold a share of the cluster's trust."""
    order = np.argsort(-near, axis=0, kind="stable")
    weight = trusted[order]
    before = np.cumsum(weight, axis=0) - weight
    weight = np.minimum(weight, np.maximum(SHARE_OF_TRACKS * trusted.sum() - before, 0))
    total = weight.sum(axis=0)
    similarity = (np.take_along_axis(near, order, axis=0) * weight).sum(axis=0) / total
    trust_in = (trusted[order] * np.take_along_axis(faith, order, axis=0) * weight).sum(axis=0) / total
    return similarity, trust_in


def _rivals(found: Evidence, clustering: Clustering) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of clusters seen together, each once, with the largest cost of any pair of their tracks."""
    together, label = found.together, clustering.label.astype(np.int64)
    pair = np.sort(np.stack([label[together.first], label[together.second]], axis=1), axis=1)
    different = pair[:, 0] != pair[:, 1]
    pair, cost = pair[different], together.cost[different].astype(np.float64)
    clusters = clustering.clusters.num_rows
    key, where = np.unique(pair @ np.array([clusters, 1]), return_inverse=True)
    largest = np.zeros(len(key))
    np.maximum.at(largest, where, cost)
    return key // clusters, key % clusters, largest
