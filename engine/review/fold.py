"""The fold: from the decisions that stand and what the machine said of a track to the labels in force. Pure.

Rules 1 to 4, 7 and 8 of review live here. A track's labels depend on the decisions that cover it alone, so the fold goes track by track, and keeping
the result up to date means folding again the tracks a change covers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from engine.review.decision import LABELS, Cover, Decision, strength


@dataclass(frozen=True)
class MachineTrack:
    """What the machine said of a track: its cluster and person (None: unidentified)."""

    track_id: int
    start_us: int
    end_us: int
    cluster_id: int
    person_id: int | None
    method: str
    score: float
    threshold: float


class Piece(NamedTuple):
    """The label in force for a stretch of a track. `rejected`: people decided not to be here."""

    track_id: int
    start_us: int
    end_us: int
    cluster_id: int
    person_id: int | None
    excluded: bool
    label_source: str
    level: str
    method: str
    score: float
    threshold: float
    locked: bool
    decision_id: int | None
    rev: int
    rejected: frozenset[int] = frozenset()

    @property
    def seconds(self) -> float:
        return (self.end_us - self.start_us) / 1e6


class Verdict(NamedTuple):
    """The label some standing decisions give. None where the machine's own word of the track holds: its cluster; its method, score and threshold."""

    cluster_id: int | None
    person_id: int | None
    excluded: bool
    label_source: str
    level: str
    method: str | None
    score: float | None
    threshold: float | None
    locked: bool
    decision_id: int | None
    rejected: frozenset[int]


made_piece: Callable[[Iterable[Any]], Piece] = partial(tuple.__new__, Piece)
"""As `Piece._make`, in half the time."""


@dataclass(frozen=True)
class Rulebook:
    """What a fold needs beside covers: every decision by id, those taken back, the newest that touched what one decided (itself, undo, redo), who
    stands for whom after merges of people, the cluster each decision that moves faces moves them to, and who was forgotten."""

    decisions: Mapping[int, Decision]
    voided: Collection[int]
    touched: Mapping[int, int]
    merged: Mapping[int, int]
    moves_to: Mapping[int, int]
    erased: Collection[int] = frozenset()
    verdicts: dict[Any, Verdict] = field(default_factory=dict, compare=False, repr=False)
    """What was judged under these rules already: the tracks of a cluster share their decisions, so most of them are one case."""

    def person(self, person_id: int | None) -> int | None:
        """Who a person is after merges; nobody, when they were forgotten."""
        while person_id is not None and person_id in self.merged:
            person_id = self.merged[person_id]
        return None if person_id in self.erased else person_id


def fold_track(track: MachineTrack, covers: Sequence[Cover], rules: Rulebook) -> tuple[Piece, ...]:
    """The pieces of a track, in time order; they fill it without a gap.

    Args:
        covers: of all decisions, also those taken back: they count for `rev` alone.
    """
    if not covers:
        return (_machine(track, track.start_us, track.end_us, rules),)
    gone, touched, start_us, end_us = rules.voided, rules.touched, track.start_us, track.end_us
    standing: list[Cover] = []
    case: list[Any] = [track.person_id]
    whole, rev = True, 0
    for cover in covers:
        decision, _, part, _, start, end, level = cover
        newest = touched.get(decision, decision)
        if newest > rev and start < end_us and end > start_us:
            rev = newest
        if decision not in gone:
            whole = whole and start <= start_us and end >= end_us
            standing.append(cover)
            case.append((decision, level, part))
    if whole:
        return (_piece(track, start_us, end_us, standing, tuple(case), rev, rules),)
    cuts = {at for cover in standing for at in (cover.start_us, cover.end_us) if track.start_us < at < track.end_us}
    kept = {at for cover in standing if rules.decisions[cover.decision_id].verb == "split" for at in (cover.start_us, cover.end_us)}
    pieces: list[Piece] = []
    for start, end in itertools.pairwise([track.start_us, *sorted(cuts), track.end_us]):
        mine = [c for c in standing if c.start_us <= start and c.end_us >= end]
        case = [track.person_id, *[(c.decision_id, c.level, c.part) for c in mine]]
        piece = _piece(track, start, end, mine, tuple(case), _rev(start, end, covers, rules), rules)
        if pieces and start not in kept and _same(pieces[-1], piece):
            before = pieces.pop()
            piece = piece._replace(start_us=before.start_us, rev=max(before.rev, piece.rev))
        pieces.append(piece)
    return tuple(pieces)


@dataclass(frozen=True, eq=False)
class Trail:
    """The covers of a track when each is about the whole of it. One trail, with the covers of any of them, is shared by all tracks that one decision
    after another covered together: what the decisions make of one of them they make of all that the machine took for the same person."""

    covers: tuple[Cover, ...]

    def on(self, track: MachineTrack) -> tuple[Cover, ...]:
        """The covers as those of one track."""
        return tuple(cover._replace(track_id=track.track_id, start_us=track.start_us, end_us=track.end_us) for cover in self.covers)


FRESH = Trail(())
"""Of tracks no decision covers."""


def follow(
    trails: dict[int, Trail | None],
    cut: dict[int, tuple[Cover, ...]],
    tracks: Mapping[int, MachineTrack],
    covers: Iterable[Cover],
    known: Mapping[int, Decision],
) -> None:
    """Add covers, in their order, to the trails of their tracks. None: of a track that was covered in part, or by a lock, which pins a label of its
    own on each track; its covers are in `cut`."""
    made: dict[tuple[Trail, int, int, str], Trail | None] = {}
    for cover in covers:
        decision, _, part, track_id, start, end, level = cover
        trail, track = trails.get(track_id, FRESH), tracks[track_id]
        if trail is None:
            cut[track_id] = (*cut[track_id], cover)
            continue
        case = (trail, decision, part, level)
        longer = made.get(case)
        if longer is None and known[decision].verb != "lock":
            longer = made[case] = Trail((*trail.covers, cover))
        if start > track.start_us or end < track.end_us:
            longer = None
        if longer is None:
            cut[track_id] = (*trail.on(track), cover)
        trails[track_id] = longer


def fold_tracks(
    wanted: Iterable[int],
    tracks: Mapping[int, MachineTrack],
    cut: Mapping[int, Sequence[Cover]],
    trails: Mapping[int, Trail | None],
    rules: Rulebook,
) -> Iterator[tuple[int, tuple[Piece, ...]]]:
    """(track, pieces) of some tracks, as `fold_track` gives them; those that share a trail are judged together."""
    judged: dict[tuple[Trail, int | None], tuple[Verdict, int, tuple[Any, ...] | None]] = {}
    for track_id in wanted:
        track, trail = tracks[track_id], trails.get(track_id, FRESH)
        if trail is None:
            yield track_id, fold_track(track, cut[track_id], rules)
            continue
        case = (trail, track.person_id)
        found = judged.get(case)
        if found is None:
            found = judged[case] = _judged(track.person_id, trail, rules)
        verdict, rev, shared = found
        if shared is None:
            piece = _judged_piece(track, track.start_us, track.end_us, verdict, rev)
        else:
            cluster = track.cluster_id if verdict.cluster_id is None else verdict.cluster_id
            piece = made_piece((track_id, track.start_us, track.end_us, cluster, *shared))
        yield track_id, (piece,)


def _judged(machine: int | None, trail: Trail, rules: Rulebook) -> tuple[Verdict, int, tuple[Any, ...] | None]:
    """The label and the rev of tracks with that trail; the fields after the cluster that all their pieces have, unless the machine's word stands."""
    standing = [cover for cover in trail.covers if cover.decision_id not in rules.voided]
    rev = max((rules.touched.get(cover.decision_id, cover.decision_id) for cover in trail.covers), default=0)
    verdict = _verdict(machine, standing, rules)
    return verdict, rev, None if verdict.method is None or verdict.score is None else (*verdict[1:-1], rev, verdict.rejected)


def _machine(track: MachineTrack, start_us: int, end_us: int, rules: Rulebook) -> Piece:
    """A stretch as the machine labelled its track."""
    person, said = rules.person(track.person_id), (track.method, track.score, track.threshold)
    return Piece(track.track_id, start_us, end_us, track.cluster_id, person, False, "machine", "machine", *said, False, None, 0)


def _same(one: Piece, other: Piece) -> bool:
    """Whether two neighbours are one piece: the same label for the same reason."""
    return one._replace(start_us=0, end_us=0, rev=0) == other._replace(start_us=0, end_us=0, rev=0)


def _rev(start_us: int, end_us: int, covers: Sequence[Cover], rules: Rulebook) -> int:
    """The newest decision that touches a stretch."""
    touched = rules.touched
    return max([touched.get(c.decision_id, c.decision_id) for c in covers if c.start_us < end_us and c.end_us > start_us], default=0)


def _piece(track: MachineTrack, start_us: int, end_us: int, covers: list[Cover], case: tuple[Any, ...], rev: int, rules: Rulebook) -> Piece:
    """The label of a stretch that all of `covers` cover whole; `case`: whom the machine takes it for, and decision, level and part of each cover."""
    verdict = rules.verdicts.get(case)
    if verdict is None:
        verdict = _verdict(track.person_id, covers, rules)
        if all(rules.decisions[cover.decision_id].verb != "lock" for cover in covers):  # which of its labels a lock means, the case does not tell
            rules.verdicts[case] = verdict
    return _judged_piece(track, start_us, end_us, verdict, rev)


def _judged_piece(track: MachineTrack, start_us: int, end_us: int, verdict: Verdict, rev: int) -> Piece:
    """A stretch with the label that decisions make of it, the machine's where they leave it."""
    cluster, person, excluded, source, level, method, score, threshold, locked, decision, refused = verdict
    cells = (
        track.track_id,
        start_us,
        end_us,
        track.cluster_id if cluster is None else cluster,
        person,
        excluded,
        source,
        level,
        track.method if method is None else method,
        track.score if score is None else score,
        track.threshold if threshold is None else threshold,
        locked,
        decision,
        rev,
        refused,
    )
    return made_piece(cells)


def _verdict(machine: int | None, covers: list[Cover], rules: Rulebook) -> Verdict:
    """What decisions that stand make of faces the machine took for somebody."""
    active = [(rules.decisions[cover.decision_id], cover) for cover in covers]
    rejects = [decision for decision, _ in active if decision.verb == "reject"]
    held = [
        (strength(decision, cover.level), decision, cover)
        for decision, cover in active
        if decision.verb in LABELS and not (rejects and _rejected(decision, rejects, rules))
    ]
    lock = max((decision for decision, _ in active if decision.verb in ("lock", "unlock")), key=lambda d: d.decision_id, default=None)
    locked = lock is not None and lock.verb == "lock"
    winner = max(held, key=lambda one: one[0], default=None)
    if winner is not None:
        label = _labelled(winner[1], winner[2].level, rules)
    elif lock is not None and locked:
        label = _pinned(lock, next(c for d, c in active if d is lock), rules)
    else:
        label = _MACHINE | {"person_id": rules.person(machine)}
    refused = frozenset(
        person
        for reject in rejects
        if (person := rules.person(reject.person_id)) is not None and not (winner is not None and _overruled(reject, winner[1], rules))
    )
    if winner is None and label["person_id"] in refused:
        label |= {"person_id": None, "method": "rejected"}
    return Verdict(cluster_id=_cluster(active, rules), locked=locked, rejected=refused, **label)


_MACHINE: dict[str, Any] = {
    "excluded": False,
    "label_source": "machine",
    "level": "machine",
    "method": None,
    "score": None,
    "threshold": None,
    "decision_id": None,
}
"""The label of faces nobody decided about."""


def _rejected(label: Decision, rejects: list[Decision], rules: Rulebook) -> bool:
    """Whether a label is one that was rejected with at least its maker's authority, later; a person's later label overrules (rule 3)."""
    person = rules.person(label.person_id)
    return person is not None and any(
        rules.person(reject.person_id) == person and (reject.by_person, reject.decision_id) > (label.by_person, label.decision_id)
        for reject in rejects
    )


def _overruled(reject: Decision, label: Decision, rules: Rulebook) -> bool:
    """Whether the label in force says what was rejected."""
    return label.verb != "exclude" and rules.person(label.person_id) == rules.person(reject.person_id)


def _labelled(decision: Decision, level: str, rules: Rulebook) -> dict[str, Any]:
    """What a decision makes of a piece."""
    excluded = decision.verb == "exclude"
    person, method = None if excluded else rules.person(decision.person_id), decision.verb if decision.direct else decision.source
    return {"person_id": person, "excluded": excluded, "method": method, **_decided(decision, level)}


def _pinned(lock: Decision, cover: Cover, rules: Rulebook) -> dict[str, Any]:
    """What a lock makes of a piece: it is as it was then, and the machine does not change it (rule 2)."""
    pinned = lock.parameters["labels"][cover.number]
    return {"person_id": rules.person(pinned["person_id"]), "excluded": pinned["excluded"], "method": "lock", **_decided(lock, cover.level)}


def _decided(decision: Decision, level: str) -> dict[str, Any]:
    source = decision.actor.partition(":")[0]
    return {"label_source": source, "level": level, "score": 1.0, "threshold": 0.0, "decision_id": decision.decision_id}


def _cluster(active: list[tuple[Decision, Cover]], rules: Rulebook) -> int | None:
    """The cluster a stretch belongs to after merges and splits of clusters, in their order; None: the machine's."""
    cluster = None
    if rules.moves_to:
        for decision, cover in sorted(active, key=lambda one: one[0].decision_id):
            if cover.part == 1 and decision.decision_id in rules.moves_to:
                cluster = rules.moves_to[decision.decision_id]
    return cluster
