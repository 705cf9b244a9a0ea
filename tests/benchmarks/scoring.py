"""Holding a result to the truth: counts that add up over compositions, and the measures made of them.

Faces are matched frame by frame and one to one (Hungarian on IoU). Truth faces that do not count (too small, mostly hidden) are of no
account: a detection on one is neither right nor wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engine.vision.boxes import boxes_of, iou
from tests.benchmarks.film import Truth
from tests.benchmarks.running import Result

FOUND_IOU = 0.5
SAME_FACE_IOU = 0.3
"""Overlap at which a detection says who a track shows; boxes of detectors differ more in shape than faces are apart."""

CLOCK_US = 1500
"""Analysed times and truth times are the same clock; containers round to a millisecond."""

EDGE_S = 0.021
"""Truth is counted in whole frames: an interval that misses it by half a frame covers it."""

CLOSE = 0.05
BINS = 10


@dataclass
class Score:
    """Sums over compositions (`+=` adds them up); lists have one entry a person, a composition, or a (probability, right, seconds) triple."""

    truth_faces: int = 0
    found_faces: int = 0
    seen_faces: int = 0
    detections: int = 0
    right_detections: int = 0
    track_faces: float = 0
    pure_faces: float = 0
    fragments: list[int] = field(default_factory=list)
    cluster_s: float = 0
    pure_s: float = 0
    clusters_each: list[int] = field(default_factory=list)
    right: int = 0
    split: int = 0
    wrong: int = 0
    unknown: int = 0
    errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    all_close: list[bool] = field(default_factory=list)
    ghost_s: float = 0
    cuts: int = 0
    cuts_found: int = 0
    cuts_extra: int = 0
    chances: list[tuple[float, bool, float]] = field(default_factory=list)
    off_clock: int = 0

    def add(self, other: Score) -> None:
        """Take in another score."""
        for entry in fields(self):
            setattr(self, entry.name, getattr(self, entry.name) + getattr(other, entry.name))


@dataclass(frozen=True)
class _Matched:
    """For each detection, the truth face it is on (row, -1 none) and whether it was looked at; for each truth face looked at, its detection."""

    face_of: NDArray[np.int64]
    found: NDArray[np.bool_]
    frame: NDArray[np.int64]
    looked: NDArray[np.int64]


def score(result: Result, truth: Truth) -> Score:
    """Everything that can be said of one composition."""
    total = Score()
    matched = _match(result, truth, total)
    _detection(result, truth, matched, total)
    person_of = _tracks(result, truth, matched, total)
    _clusters(result, truth, person_of, total)
    _people(result, truth, matched, person_of, total)
    _cuts(result, truth, total)
    return total


def truth_of_tracks(result: Result, truth: Truth) -> NDArray[np.int64]:
    """(tracks,) the truth person most faces of each track show, -1 for none."""
    total = Score()
    return _tracks(result, truth, _match(result, truth, total), total)


def _match(result: Result, truth: Truth, total: Score) -> _Matched:
    """Detections and truth faces frame by frame."""
    detections = result.episode.detections
    looked = _frame_of(truth, result.looked_us)
    total.off_clock += int((np.abs(truth.t_us[looked] - result.looked_us) > CLOCK_US).sum())
    frame, boxes = _frame_of(truth, detections["t_us"].to_numpy()), boxes_of(detections)
    tracked = detections["track"].to_numpy() >= 0
    face_of = np.full(len(frame), -1, np.int64)
    overlap_of = np.zeros(len(frame))
    for at in looked:
        mine, theirs = np.flatnonzero(frame == at), np.flatnonzero(truth.frame == at)
        if len(mine) and len(theirs):
            overlap = iou(boxes[mine], truth.box[theirs].astype(np.float32))
            # A tracked detection is preferred where two lie on one face.
            rows, columns = linear_sum_assignment(overlap + 0.01 * tracked[mine, None], maximize=True)
            good = overlap[rows, columns] >= SAME_FACE_IOU
            face_of[mine[rows[good]]] = theirs[columns[good]]
            overlap_of[mine[rows[good]]] = overlap[rows[good], columns[good]]
    return _Matched(face_of, overlap_of >= FOUND_IOU, frame, looked)


def _frame_of(truth: Truth, t_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The truth frame nearest to each time."""
    after = np.clip(np.searchsorted(truth.t_us, t_us), 1, len(truth.t_us) - 1)
    nearer = np.abs(truth.t_us[after - 1] - t_us) <= np.abs(truth.t_us[after] - t_us)
    return (after - nearer).astype(np.int64)


def _detection(result: Result, truth: Truth, matched: _Matched, total: Score) -> None:
    """Recall of all detections (seen) and of tracked ones (found); precision of tracked ones."""
    tracked = result.episode.detections["track"].to_numpy() >= 0
    wanted = np.flatnonzero(truth.counts & np.isin(truth.frame, matched.looked))
    total.truth_faces += len(wanted)
    total.seen_faces += int(np.isin(wanted, matched.face_of[matched.found]).sum())
    total.found_faces += int(np.isin(wanted, matched.face_of[matched.found & tracked]).sum())
    aside = (matched.face_of >= 0) & ~truth.counts[np.maximum(matched.face_of, 0)] if len(truth.counts) else np.zeros(len(tracked), bool)
    total.detections += int((tracked & ~aside).sum())
    total.right_detections += int((tracked & ~aside & matched.found).sum())


def _tracks(result: Result, truth: Truth, matched: _Matched, total: Score) -> NDArray[np.int64]:
    """(tracks,) the truth person most faces of each track show, -1 for none; purity and fragments."""
    track = result.episode.detections["track"].to_numpy()
    person = np.full(result.episode.tracks.num_rows, -1, np.int64)
    pieces: Counter[tuple[int, int]] = Counter()
    for number in range(len(person)):
        faces = np.flatnonzero(track == number)
        shown = Counter(int(truth.person[row]) if row >= 0 else -1 for row in matched.face_of[faces])
        person[number], most = shown.most_common(1)[0] if shown else (-1, 0)
        total.track_faces += len(faces)
        total.pure_faces += most if person[number] >= 0 else 0
        if person[number] >= 0:
            pieces[int(np.median(truth.shot[matched.frame[faces]])), int(person[number])] += 1
    total.fragments += list(pieces.values())
    return person


def _clusters(result: Result, truth: Truth, person_of: NDArray[np.int64], total: Score) -> None:
    """Purity by seconds, clusters a person, and how probable memberships turned out."""
    tracks = result.episode.tracks
    seconds = (tracks["end_us"].to_numpy() - tracks["start_us"].to_numpy()) / 1e6
    label, named = result.clustering.label, result.labels.called(tracks.num_rows) >= 0
    person_of_cluster: dict[int, int] = {}
    for number in np.unique(label):
        weight = np.bincount(person_of[label == number] + 1, seconds[label == number], minlength=len(truth.people) + 1)
        person_of_cluster[int(number)] = int(weight.argmax()) - 1
        total.cluster_s += float(weight.sum())
        total.pure_s += float(weight[1:].max(initial=0))
    owners = Counter(person_of_cluster[int(number)] for number in np.unique(label[named]))
    total.clusters_each += [owners[person] for person in range(len(truth.people)) if owners[person]]
    membership = result.clustering.membership
    for track, cluster, chance in zip(*(membership[name].to_pylist() for name in ("track", "cluster", "probability")), strict=True):
        others = (label == cluster) & (np.arange(len(label)) != track)
        if others.any() and person_of[track] >= 0:
            weight = np.bincount(person_of[others] + 1, seconds[others], minlength=len(truth.people) + 1)
            total.chances.append((chance, int(weight.argmax()) - 1 == int(person_of[track]), float(seconds[track])))


def _people(result: Result, truth: Truth, matched: _Matched, person_of: NDArray[np.int64], total: Score) -> None:
    """Which person found is which person shown; their seconds; and what became of every face looked at."""
    track = result.episode.detections["track"].to_numpy()
    called = np.append(result.labels.called(result.episode.tracks.num_rows), -1)[track]
    rows = result.totals.screen_time.to_pylist()
    place = {int(key): n for n, key in enumerate(result.labels.people)}
    shared = np.zeros((len(result.labels.people), len(truth.people)))
    on = (called >= 0) & (matched.face_of >= 0)
    counted = on & truth.counts[np.maximum(matched.face_of, 0)]
    np.add.at(shared, (called[on], truth.person[matched.face_of[on]]), 1)
    pairs = {int(a): int(b) for a, b in zip(*linear_sum_assignment(shared, maximize=True), strict=True) if shared[a, b]}
    wanted = np.flatnonzero(truth.counts & np.isin(truth.frame, matched.looked))
    main = np.where(shared.any(axis=1), shared.argmax(axis=1), -1)
    got = dict(zip(matched.face_of[counted].tolist(), called[counted].tolist(), strict=True))
    for row in wanted.tolist():
        who = got.get(row)
        if who is None:
            total.unknown += 1
        elif pairs.get(who) == truth.person[row]:
            total.right += 1
        elif who not in pairs and main[who] == truth.person[row]:
            total.split += 1
        else:
            total.wrong += 1
    found = {pairs[place[row["person"]]]: row for row in rows if place[row["person"]] in pairs}
    total.ghost_s += sum(row["visual_s"] for row in rows if main[place[row["person"]]] < 0)
    errors = []
    for person in range(len(truth.people)):
        shown_s, row = truth.seconds(person), found.get(person)
        if shown_s:
            errors.append(abs(row["visual_s"] - shown_s) / shown_s if row else 1.0)
            total.covered.append(bool(row and row["visual_low_s"] - EDGE_S <= shown_s <= row["visual_high_s"] + EDGE_S))
    total.errors += errors
    total.all_close.append(all(error <= CLOSE for error in errors))


def _cuts(result: Result, truth: Truth, total: Score) -> None:
    """Hard cuts found within two frames of their place."""
    near = np.abs(result.cuts_us[:, None] - truth.cuts_us[None]) <= 81_000 if len(truth.cuts_us) else np.zeros((len(result.cuts_us), 0), bool)
    total.cuts += len(truth.cuts_us)
    total.cuts_found += int(near.any(axis=0).sum())
    total.cuts_extra += int((~near.any(axis=1)).sum())


def calibration_error(chances: list[tuple[float, bool, float]]) -> float:
    """Expected calibration error: how far probabilities are from how often they are right, over ten bins, weighted by seconds."""
    if not chances:
        return float("nan")
    chance, right, seconds = (np.array(column, np.float64) for column in zip(*chances, strict=True))
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    weight, hits, sure = (np.bincount(place, value * seconds, BINS) for value in (np.ones(len(place)), right, chance))
    return float(np.abs(hits - sure).sum() / max(weight.sum(), 1e-9))
