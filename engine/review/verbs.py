"""The verbs of review on faces: each turns an aim into the drafts of a batch, or says why not. Nothing is written here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import BadInput, Conflict, NotFound, Refused
from engine.review import authority, naming
from engine.review.decision import RANK_OF_LEVEL
from engine.review.draft import Draft, Plan, Target, targets_of
from engine.review.fold import Piece
from engine.review.targets import Aim, of_pieces, reference, seconds
from store import results

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from store.database import Database

MOST_APART = 500
"""Most tracks of a cluster that can be taken apart at once."""

NOBODY = "unknown"
"""Said instead of a name: these faces are nobody in particular."""


def assign(desk: Desk, aim: Aim, actor: str, person: str, *, create: bool, override: bool, force: bool, source: str = "direct") -> Plan:
    """These faces are that person.

    Raises:
        Refused: they are locked, a person decided them, or a person rejected that name for them.
        NotFound: nobody is called that, and nobody is to be created.
    """
    plan = Plan(rev=aim.rev)
    aim = authority.permitted(aim, actor, force=force, kept=plan.kept)
    who = None if person.strip().lower() == NOBODY else naming.person_for(desk, plan, aim, person, create=create)
    refused = [piece for piece in aim.pieces if who is not None and who in piece.rejected]
    if refused and not authority.is_person(actor):
        raise Refused(f"Track {refused[0].track_id} was decided not to be {desk.called(who)}.", "Ask a person, or give another name.")
    if refused:
        plan.notes.append(f"This overrules the rejection of {desk.called(who)} for {tracks(refused)}.")
    return _label(desk, plan, aim, actor, Draft("assign", person_id=who, source=source), override=override)


def exclude(desk: Desk, aim: Aim, actor: str, *, override: bool, force: bool) -> Plan:
    """These are no faces."""
    plan = Plan(rev=aim.rev)
    aim = authority.permitted(aim, actor, force=force, kept=plan.kept)
    return _label(desk, plan, aim, actor, Draft("exclude"), override=override)


def _label(desk: Desk, plan: Plan, aim: Aim, actor: str, label: Draft, *, override: bool) -> Plan:
    """Put a label on an aim; what was decided more closely by the same authority keeps its own, unless overridden (rule 1)."""
    narrower = [piece for piece in aim.pieces if _narrower(piece, aim, actor) and not _says(piece, label)]
    voids: set[int] = set()
    reissued: list[Piece] = []
    if narrower and override:
        for piece in narrower:
            if piece.decision_id is not None and _lies_within(piece.decision_id, aim) and not aim.state.fixed(piece.decision_id):
                voids.add(piece.decision_id)
            else:
                reissued.append(piece)
    elif narrower:
        names = Counter(desk.label(piece) for piece in narrower)
        said = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in names.most_common(3))
        plan.kept.append(f"{tracks(narrower)} {'keep their' if len(narrower) > 1 else 'keeps its'} own label: {said}. Override to change that too.")
    plan.drafts.append(_about(aim, label, tuple(sorted(voids))))
    for level in sorted({piece.level for piece in reissued}):
        plan.drafts.append(_about(of_pieces(aim.state, level, [p for p in reissued if p.level == level]), label))
    return plan


def _about(aim: Aim, label: Draft, voids: tuple[int, ...] = ()) -> Draft:
    """A draft about the faces of an aim."""
    state = aim.state
    targets = aim.targets if aim.level == "cluster" else targets_of(aim.pieces)
    return Draft(label.verb, aim.level, state.show_id, state.episode_id, label.person_id, targets, label.parameters, label.source, voids)


def _narrower(piece: Piece, aim: Aim, actor: str) -> bool:
    """Whether a piece was decided more closely than this aim, with the same authority."""
    if piece.decision_id is None or piece.level not in RANK_OF_LEVEL:
        return False
    same = (piece.label_source == "person") == authority.is_person(actor)
    return same and RANK_OF_LEVEL[piece.level] > RANK_OF_LEVEL[aim.level]


def _says(piece: Piece, label: Draft) -> bool:
    return (piece.person_id, piece.excluded) == (label.person_id, label.verb == "exclude")


def _lies_within(decision_id: int, aim: Aim) -> bool:
    """Whether all that a decision covers is in the aim."""
    inside = {target.track_id: target for target in aim.targets}
    mine = aim.state.spread.get(decision_id, ())
    return all(c.track_id in inside and inside[c.track_id].start_us <= c.start_us and c.end_us <= inside[c.track_id].end_us for c in mine)


def reject(desk: Desk, aim: Aim, actor: str, person: str, *, force: bool) -> Plan:
    """These faces are not that person: never assigned or proposed again by the machine."""
    plan = Plan(rev=aim.rev)
    aim = authority.permitted(aim, actor, force=force, kept=plan.kept)
    who = naming.known_person(desk, aim.state.show_id, person)
    plan.drafts.append(_about(aim, Draft("reject", person_id=who)))
    return plan


def split_at(desk: Desk, aim: Aim, actor: str, at_us: Sequence[int], *, force: bool) -> Plan:
    """Cut one track at some times; no later run joins across.

    Raises:
        BadInput: a time is not inside the track, or would leave a side without a face.
    """
    target = _one_track(aim)
    bounds = [target.start_us, *sorted(set(at_us)), target.end_us]
    if len(bounds) < 3 or bounds[1] <= target.start_us or bounds[-2] >= target.end_us:
        text = f"Track {target.track_id} lasts from {seconds(target.start_us)} to {seconds(target.end_us)} s."
        raise BadInput(text, "Give a time inside it.")
    return _split(desk, aim, actor, [Target(target.track_id, a, b, part) for part, (a, b) in enumerate(itertools.pairwise(bounds))], force)


def split_faces(desk: Desk, database: Database, aim: Aim, actor: str, detections: Sequence[int], *, force: bool) -> Plan:
    """Cut one track between the faces picked and those that were not.

    Raises:
        BadInput: a face is not of the track, or all are picked.
    """
    target = _one_track(aim)
    faces = results.faces_of_track(database, aim.state.run_id, target.track_id)
    times = np.array([face["t_us"] for face in faces], np.int64)
    picked = np.isin([face["detection_id"] for face in faces], list(detections))
    if picked.sum() != len(set(detections)):
        strange = sorted(set(detections) - {face["detection_id"] for face in faces})
        raise BadInput(f"Faces {strange} are not of track {target.track_id}.", f"`rollcall track show {target.track_id}` lists its faces.")
    changes = np.flatnonzero(np.diff(picked))
    if not len(changes):
        raise BadInput("All faces of the track were picked, or none.", "Pick those of one person.")
    middle = ((times[changes] + times[changes + 1]) // 2).tolist()
    bounds = [target.start_us, *middle, target.end_us]
    parts = [int(picked[0]), *(int(picked[change + 1]) for change in changes)]
    stretches = [Target(target.track_id, a, b, part) for a, b, part in zip(bounds, bounds[1:], parts, strict=False)]
    return _split(desk, aim, actor, stretches, force)


def _one_track(aim: Aim) -> Target:
    if len(aim.targets) != 1 or aim.level != "track":
        raise BadInput("A split is about one whole track.", "Name one, without a stretch.")
    return aim.targets[0]


def _split(desk: Desk, aim: Aim, actor: str, stretches: list[Target], force: bool) -> Plan:
    plan = Plan(rev=aim.rev)
    authority.permitted(aim, actor, force=force, kept=plan.kept)
    _, faces = desk.faces(aim.state.run_id).shown(stretches)
    for stretch, count in zip(stretches, faces, strict=True):
        if not count:
            raise BadInput(
                f"There is no face between {seconds(stretch.start_us)} and {seconds(stretch.end_us)} s.", "Cut where faces are on both sides."
            )
    state = aim.state
    plan.notes.append("The stretches are " + ", ".join(reference(one.track_id, (one.start_us, one.end_us)) for one in stretches) + ".")
    plan.drafts.append(Draft("split", "frames", state.show_id, state.episode_id, None, tuple(stretches)))
    return plan


def take_out(aim: Aim, chosen: Aim, actor: str, *, force: bool) -> Plan:
    """Split a cluster: the chosen tracks are not the person the others are.

    Args:
        aim: the whole cluster; chosen: part 1, members of it.

    Raises:
        BadInput: a track chosen is not a member, or all are.
    """
    plan = Plan(rev=max(aim.rev, chosen.rev))
    members = {(piece.track_id, piece.start_us) for piece in aim.pieces}
    strange = [piece for piece in chosen.pieces if not any(p.track_id == piece.track_id for p in aim.pieces)]
    if strange:
        raise BadInput(f"Track {strange[0].track_id} is not in that cluster.", "`rollcall cluster show` lists its tracks.")
    chosen = authority.permitted(chosen, actor, force=force, kept=plan.kept)
    out = {(piece.track_id, piece.start_us) for piece in chosen.pieces}
    rest = [piece for piece in aim.pieces if (piece.track_id, piece.start_us) in members - out]
    if not rest:
        raise BadInput("All of the cluster was chosen.", "Leave at least one track in it.")
    state = aim.state
    both = (*targets_of(rest, 0), *targets_of(chosen.pieces, 1))
    plan.drafts.append(Draft("part", "cluster", state.show_id, state.episode_id, None, both))
    held = Counter[int]()
    for piece in rest:
        if piece.person_id is not None:
            held[piece.person_id] += piece.end_us - piece.start_us
    for person, _ in held.most_common(1):
        plan.drafts.append(Draft("reject", "cluster", state.show_id, state.episode_id, person, targets_of(chosen.pieces)))
    return plan


def take_apart(aim: Aim, actor: str, *, force: bool) -> Plan:
    """A cluster shows many people: every track of it becomes a cluster of its own, but for the longest, which stays.

    Nothing is said about who they are, nor that no two are one person.

    Raises:
        BadInput: it has one track, or too many.
    """
    plan = Plan(rev=aim.rev)
    aim = authority.permitted(aim, actor, force=force, kept=plan.kept)
    held = Counter[int]()
    for piece in aim.pieces:
        held[piece.track_id] += piece.end_us - piece.start_us
    if not 1 < len(held) <= MOST_APART:
        raise BadInput(f"The cluster has {tracks(aim.pieces)}; 2 to {MOST_APART} can be taken apart.", "Name the tracks that are somebody else.")
    longest = max(held, key=lambda track: (held[track], -track))
    state = aim.state
    for track in sorted(held.keys() - {longest}):
        mine = targets_of([piece for piece in aim.pieces if piece.track_id == track], 1)
        plan.drafts.append(Draft("part", "cluster", state.show_id, state.episode_id, None, mine))
    return plan


def merge(desk: Desk, one: Aim, into: Aim, actor: str, *, force: bool) -> Plan:
    """Cluster `one` (part 1) is the same person as `into` (part 0).

    Raises:
        Conflict: both are seen in one frame, apart, and it is not forced.
    """
    plan = Plan(rev=max(one.rev, into.rev))
    state = into.state
    if one.state.episode_id != state.episode_id:
        raise BadInput("The clusters are of two episodes.", "Merge the people with person_merge.")
    if {target.track_id for target in one.targets} & {target.track_id for target in into.targets} and one.pieces == into.pieces:
        raise BadInput("A cluster cannot be merged with itself.", "Name two.")
    one = authority.permitted(one, actor, force=force, kept=plan.kept)
    into = authority.permitted(into, actor, force=force, kept=plan.kept)
    at = desk.faces(state.run_id).apart(one.targets, into.targets)
    if at is not None and not force:
        raise Conflict(
            f"Both are in one frame at {seconds(at)} s, apart.", "They are two people, unless it is a mirror or a photo: then say --force."
        )
    who = naming.merged_person(desk, plan, one, into)
    plan.drafts.append(
        Draft(
            "merge",
            "cluster",
            state.show_id,
            state.episode_id,
            who,
            (*targets_of(into.pieces, 0), *targets_of(one.pieces, 1)),
            {"forced": at is not None},
        )
    )
    return plan


def lock(aim: Aim, actor: str, *, locked: bool) -> Plan:
    """Only a person changes these from now on; or anybody may again.

    Raises:
        Refused: the actor is not a person.
    """
    if not authority.is_person(actor):
        raise Refused(f"{actor} may not lock or unlock: that is a person's.", "Ask a person.")
    state = aim.state
    targets = tuple(Target(p.track_id, p.start_us, p.end_us) for p in aim.pieces)
    labels = [{"person_id": piece.person_id, "excluded": piece.excluded} for piece in aim.pieces]
    parameters = {"labels": labels} if locked else {}
    level = "frames" if any(len(state.pieces[target.track_id]) > 1 for target in targets) else aim.level
    draft = Draft("lock" if locked else "unlock", level, state.show_id, state.episode_id, None, targets, parameters)
    return Plan([draft], rev=aim.rev)


def spread(desk: Desk, aim: Aim, actor: str, person_id: int, source: str) -> Plan:
    """One decision for each target, with what it comes from (rule 9).

    Raises:
        NotFound: nothing is left to label.
    """
    plan = Plan(rev=aim.rev)
    free = [piece for piece in aim.pieces if piece.decision_id is None and not piece.locked and person_id not in piece.rejected]
    if skipped := len(aim.pieces) - len(free):
        plan.kept.append(f"{skipped} of {len(aim.pieces)} were decided, locked or rejected meanwhile and stay as they are.")
    if not free:
        raise NotFound("None of these tracks is undecided.", "List the suggestions again.")
    for piece in free:
        whole = of_pieces(aim.state, "track" if len(aim.state.pieces[piece.track_id]) == 1 else "frames", [piece])
        plan.drafts.append(_about(whole, Draft("assign", person_id=person_id, source=source)))
    return plan


def tracks(pieces: Sequence[Piece]) -> str:
    """How many tracks, in words."""
    count = len({piece.track_id for piece in pieces})
    return f"{count} track{'s' if count > 1 else ''}"
