"""Answers to what the machine asks: an item of the queue, suggestions, look-alikes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import BadInput, NotFound, Refused
from engine.review import authority, naming, verbs
from engine.review.agenda import Item, Unit, without
from engine.review.draft import Draft, Plan, targets_of
from engine.review.fold import Piece
from engine.review.state import EpisodeState
from engine.review.targets import Aim, of_pieces

if TYPE_CHECKING:
    from engine.review.desk import Desk

POOR, SMALL_PX, BRIEF_S = 0.35, 40.0, 1.0
"""Quality, height and length under which a face is called poor, small and brief where it is asked about."""


def known(desk: Desk, show_id: int, text: str) -> int:
    """A person of a show by id, name or alias."""
    return naming.known_person(desk, show_id, text)


def accept(
    desk: Desk,
    state: EpisodeState,
    item: Item,
    actor: str,
    person: str | None,
    left_out: Sequence[tuple[int, int | None, int | None]],
    parts: Sequence[tuple[int, int | None, int | None]] = (),
    *,
    create: bool,
    force: bool,
) -> Plan:
    """All of an item, or of those parts of it that hold the tracks named by `parts`, is as proposed, or is one person; what is left out is not.

    What was shown was looked at, track by track; the rest of a cluster follows it as a cluster.

    Raises:
        BadInput: nothing is proposed and nobody is named; or a track left out is not of the item, or is only proposed to be nobody in particular, so
            that nothing is known of who it is.
    """
    spans = {span for one in left_out for span in _spans(item, one)}
    meant = {span for one in parts for span in _spans(item, one)}
    units = [unit for unit in item.units if not parts or meant & {(piece.track_id, piece.start_us, piece.end_us) for piece in unit.pieces}]
    plan = Plan(rev=max(piece.rev for unit in units for piece in unit.pieces))
    who: int | None = None
    for number, unit in enumerate(units):
        kept, out = without(unit, spans)
        if person is None and unit.open_question:
            raise BadInput(f"Nobody is proposed for {unit.seconds:.0f} s of this item.", "Say who it is with --person, or skip it.")
        if person is None and unit.proposed is None and out:
            what = f"Track {out[0].track_id} is proposed to be nobody in particular: leaving it out does not tell who it is."
            raise BadInput(what, f"`rollcall track assign {out[0].track_id} --person NAME`, then take the item anew.")
        if person is None:
            who = unit.proposed
        elif number == 0:
            who = _meant(desk, plan, state, unit, person, create=create)
        if out and unit.proposed is not None:
            _reject(plan, state, out, actor, unit.proposed, force=force)
        _assign(plan, state, kept, actor, who, force=force)
    if not plan.drafts:
        raise NotFound("Everything in this item was left out.", "Skip it instead.")
    return plan


def _meant(desk: Desk, plan: Plan, state: EpisodeState, unit: Unit, person: str, *, create: bool) -> int | None:
    if person.strip().lower() == verbs.NOBODY:
        return None
    return naming.person_for(desk, plan, of_pieces(state, "cluster" if unit.whole_cluster else "track", unit.pieces), person, create=create)


def _spans(item: Item, parsed: tuple[int, int | None, int | None]) -> list[tuple[int, int, int]]:
    """The pieces of an item a reference means."""
    track, start, end = parsed
    found = [
        (piece.track_id, piece.start_us, piece.end_us)
        for unit in item.units
        for piece in unit.pieces
        if piece.track_id == track and (start is None or (piece.start_us, piece.end_us) == (start, end))
    ]
    if not found:
        raise BadInput(f"Track {track} is not in this item.", "Name tracks that it shows.")
    return found


def _assign(plan: Plan, state: EpisodeState, unit: Unit, actor: str, person_id: int | None, *, force: bool) -> None:
    rest = [piece for piece in unit.pieces if piece not in unit.shown]
    for level, pieces in (("cluster", rest), ("track", unit.shown)):
        for one_level, some in _by_level(state, level, pieces):
            aim = authority.permitted(of_pieces(state, one_level, some), actor, force=force, kept=plan.kept)
            _check_rejected(aim, actor, person_id)
            plan.drafts.append(Draft("assign", one_level, state.show_id, state.episode_id, person_id, targets_of(aim.pieces)))


def _check_rejected(aim: Aim, actor: str, person_id: int | None) -> None:
    refused = [piece for piece in aim.pieces if person_id in piece.rejected]
    if refused and not authority.is_person(actor):
        raise Refused(f"Track {refused[0].track_id} was decided not to be that person.", "Ask a person, or leave it out.")


def _reject(plan: Plan, state: EpisodeState, pieces: Sequence[Piece], actor: str, person_id: int, *, force: bool) -> None:
    for level, some in _by_level(state, "track", pieces):
        aim = authority.permitted(of_pieces(state, level, some), actor, force=force, kept=plan.kept)
        plan.drafts.append(Draft("reject", level, state.show_id, state.episode_id, person_id, targets_of(aim.pieces)))


def _by_level(state: EpisodeState, level: str, pieces: Sequence[Piece]) -> list[tuple[str, list[Piece]]]:
    """Pieces of whole tracks at the level meant, pieces of tracks that were cut as frames."""
    whole = [piece for piece in pieces if len(state.pieces[piece.track_id]) == 1]
    cut = [piece for piece in pieces if len(state.pieces[piece.track_id]) > 1]
    return [(name, some) for name, some in ((level, whole), ("frames", cut)) if some]


def take(desk: Desk, state: EpisodeState, rows: Sequence[tuple[int, int, int, float]], actor: str) -> Plan:
    """Suggestions as they are, one decision each.

    Args:
        rows: track_id, start_us, person_id, probability.

    Raises:
        NotFound: there is none.
    """
    if not rows:
        raise NotFound("Nothing of that is suggested.", "`rollcall suggestion list` shows what is.")
    plan = Plan()
    for track_id, start_us, person_id, chance in rows:
        piece = next(piece for piece in state.pieces[track_id] if piece.start_us == start_us)
        plan.rev = max(plan.rev, piece.rev)
        for level, some in _by_level(state, "track", [piece]):
            authority.permitted(of_pieces(state, level, some), actor, force=False, kept=plan.kept)
            source = f"suggested:{chance:.3f}"
            plan.drafts.append(Draft("assign", level, state.show_id, state.episode_id, person_id, targets_of(some), {}, source))
    return plan


def dismiss(aim: Aim, suggested: dict[tuple[int, int], int], actor: str, *, force: bool) -> Plan:
    """These are not whom they are suggested to be.

    Raises:
        NotFound: nothing is suggested for one of them.
    """
    plan = Plan(rev=aim.rev)
    for piece in aim.pieces:
        person_id = suggested.get((piece.track_id, piece.start_us))
        if person_id is None:
            raise NotFound(f"Nothing is suggested for track {piece.track_id}.", "`rollcall suggestion list` shows what is.")
        _reject(plan, aim.state, [piece], actor, person_id, force=force)
    return plan


def spread(desk: Desk, aim: Aim, actor: str, person_id: int, source: str) -> Plan:
    """Look-alikes, each tied to the decision it comes from."""
    return verbs.spread(desk, aim, actor, person_id, source)


def source_for(state: EpisodeState, person_id: int, decision: int | None) -> str:
    """The decision a spread comes from.

    Raises:
        NotFound: none here names the person.
    """
    mine = [
        d
        for d in state.decisions.values()
        if d.decision_id not in state.rules.voided and d.verb in ("assign", "merge") and d.direct and state.rules.person(d.person_id) == person_id
    ]
    chosen = [d for d in mine if decision is None or d.decision_id == decision]
    if not chosen:
        raise NotFound("No standing decision of this episode names that person.", "Label one of their tracks first.")
    return f"propagated:{max(d.decision_id for d in chosen)}"
