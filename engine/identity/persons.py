"""Who each cluster is: somebody known, somebody new, or too poor to tell; and who it was in an earlier run of the same episode."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engine.config import IdentitySettings
from engine.identity.cluster import Clustering
from engine.tables import Episode
from engine.vision.boxes import boxes_of, overlap
from engine.vision.paths import REACH_US, SAME_FACE_IOU, along, lengths

NEW = -1
UNIDENTIFIED = -2

DECISION = pa.schema(
    [
        ("cluster", pa.int32()),
        ("candidate", pa.int32()),  # row in the gallery's people, NEW for an unknown person, UNIDENTIFIED when too poor to tell
        ("probability", pa.float32()),  # that the cluster is that person; of NEW and UNIDENTIFIED, that it is none of the gallery
    ]
)

FLASH = 2
"""A cluster of no more faces than this is nobody yet: hands before a face, and two faces in one while a picture dissolves."""


def decide(episode: Episode, clustering: Clustering, posterior: pa.Table, settings: IdentitySettings) -> pa.Table:
    """Who each cluster is.

    The gallery's person at `accept_probability` or more; else somebody new if a track of the cluster has a face of `person_quality`
    and it is more than a flash; else unidentified.

    Args:
        posterior: POSTERIOR, as `gallery.match` returns it.

    Returns:
        DECISION, a row a cluster, in order.
    """
    clusters = clustering.clusters.num_rows
    label = clustering.label
    best = np.zeros(clusters, np.float32)
    np.maximum.at(best, label, episode.tracks["quality"].to_numpy())
    faces = np.bincount(label, weights=episode.tracks["faces"].to_numpy(), minlength=clusters)
    seen = ((best >= settings.person_quality) & (faces > FLASH)) | _stand_out(episode, clustering, settings)
    candidate = np.where(seen, NEW, UNIDENTIFIED).astype(np.int32)
    probability = np.zeros(clusters, np.float32)
    cluster, who, chance = (posterior[name].to_numpy() for name in ("cluster", "candidate", "probability"))
    probability[cluster[who == -1]] = chance[who == -1]
    accepted = (who >= 0) & (chance >= settings.accept_probability)
    accepted[accepted] = chance[accepted] >= _largest(cluster[accepted], chance[accepted], clusters)[cluster[accepted]]
    candidate[cluster[accepted]], probability[cluster[accepted]] = who[accepted], chance[accepted]
    return pa.table([np.arange(clusters, dtype=np.int32), candidate, probability], schema=DECISION)


def _stand_out(episode: Episode, clustering: Clustering, settings: IdentitySettings) -> NDArray[np.bool_]:
    """(clusters,) those with a track that is surely a face, and surely nobody else's, however poor the picture; found again elsewhere, it need
    not be so sure a face."""
    tracks, member = episode.tracks, clustering.membership
    own = member["cluster"].to_numpy() == clustering.label[member["track"].to_numpy()]
    sure = np.zeros(tracks.num_rows)
    sure[member["track"].to_numpy()[own]] = member["probability"].to_numpy()[own]
    own_face = (tracks["faces"].to_numpy() >= settings.person_faces) & (sure >= settings.person_membership)
    standing: NDArray[np.bool_] = np.bincount(clustering.label[own_face], minlength=clustering.clusters.num_rows) > 1
    standing[clustering.label[own_face & (tracks["score"].to_numpy() >= settings.person_score)]] = True
    return standing


def _largest(cluster: NDArray[np.int32], chance: NDArray[np.float32], clusters: int) -> NDArray[np.float32]:
    largest = np.zeros(clusters, np.float32)
    np.maximum.at(largest, cluster, chance)
    return largest


def carry_over(previous: pa.Table, detections: pa.Table, membership: pa.Table, settings: IdentitySettings) -> dict[int, int]:
    """Who each cluster was in an earlier run of the same episode: the person it shares most face-time with, one to one.

    Face-time is shared while the boxes overlap at IoU 0.5 or more; the earlier path is interpolated between its samples, so the two runs
    may have looked at different times. Cluster and person must share at least `carry_share` of the shorter of both.

    Args:
        previous: faces of the earlier run: person_id, track_id, t_us, x1, y1, x2, y2.
        detections: of the new run, with `track`.
        membership: MEMBERSHIP of the new run; a track counts for its most probable cluster.

    Returns:
        cluster -> person_id.
    """
    cluster_of = _most_probable(membership)
    track = detections["track"].to_numpy()
    ours = np.flatnonzero((track >= 0) & (track < len(cluster_of)))
    if not len(ours) or not previous.num_rows:
        return {}
    cluster = cluster_of[track[ours]]
    time, boxes = detections["t_us"].to_numpy()[ours], boxes_of(detections)[ours]
    people, person = np.unique(previous["person_id"].to_numpy(), return_inverse=True)
    own = lengths(track[ours], time)
    shared = np.zeros((int(cluster.max()) + 1, len(people)))
    theirs = np.zeros(len(people))
    old_track, old_time, old_boxes = previous["track_id"].to_numpy(), previous["t_us"].to_numpy(), boxes_of(previous)
    np.add.at(theirs, person, lengths(old_track, old_time))
    by_time = np.argsort(time, kind="stable")
    order = np.lexsort((old_time, old_track))
    for rows in np.split(order, np.flatnonzero(np.diff(old_track[order])) + 1):
        hit = by_time[slice(*np.searchsorted(time[by_time], [old_time[rows[0]] - 1, old_time[rows[-1]] + 1]))]
        path = along(old_time[rows], old_boxes[rows], time[hit])
        hit = hit[(path.gap_us <= REACH_US) & (overlap(path.boxes, boxes[hit]) >= SAME_FACE_IOU)]
        np.add.at(shared[:, person[rows[0]]], cluster[hit], own[hit])
    mine = np.bincount(cluster, weights=own, minlength=len(shared))
    shared[shared < settings.carry_share * np.minimum(mine[:, None], theirs)] = 0
    pairs = zip(*linear_sum_assignment(shared, maximize=True), strict=True)
    return {int(row): int(people[column]) for row, column in pairs if shared[row, column] > 0}


def _most_probable(membership: pa.Table) -> NDArray[np.int32]:
    """(n,) most probable cluster of each track; ties go to the smaller number."""
    track, cluster, chance = (membership[name].to_numpy() for name in ("track", "cluster", "probability"))
    order = np.lexsort((-cluster, chance))
    best = np.full(int(track.max(initial=-1)) + 1, -1, np.int32)
    best[track[order]] = cluster[order]
    return best
