"""Who may change what: locks, labels people gave, and the newest decision the asker has seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from engine.errors import Conflict, Refused
from engine.review.decision import Decision
from engine.review.fold import Piece
from engine.review.targets import Aim, of_pieces
from store import decisions
from store.database import Database, now

if TYPE_CHECKING:
    from engine.review.desk import Desk

HINT_UNLOCK = "A person can unlock it with `rollcall track unlock`, or say --force."


def is_person(actor: str) -> bool:
    """Whether an actor has a person's authority; a script has an agent's."""
    return actor.startswith("person:")


def check_rev(desk: Desk, aim: Aim, rev: int | None) -> None:
    """Refuse a change by somebody who has not seen the newest decision about its target (rule 11).

    Raises:
        Conflict: says what changed, by whom and when; `alone`: everything that was decided there since is by the same actor.
    """
    if rev is None or aim.rev <= rev:
        return
    newest = aim.state.decisions[aim.rev]
    subject = _named(desk, aim, newest)
    hint = f"Look at it again; its rev is {aim.rev} now."
    touched = aim.state.rules.touched
    since = {touched.get(cover.decision_id, cover.decision_id) for target in aim.targets for cover in aim.state.covering(target.track_id)}
    alone = all(aim.state.decisions[one].actor == newest.actor for one in since if one > rev)
    said = f"{newest.actor} {subject} {ago(newest.logged_at)}."
    raise Conflict(said, hint, rev=aim.rev, by=newest.actor, decision=newest.decision_id, alone=alone)


def _named(desk: Desk, aim: Aim, decision: Decision) -> str:
    if decision.verb in ("assign", "merge") and decision.person_id is not None:
        return f"labelled this {desk.called(decision.person_id)}"
    words = {"undo": "undid a decision about this", "exclude": "said this is not a face", "reject": "rejected a name for this", "lock": "locked this"}
    return words.get(decision.verb, f"decided about this ({decision.verb})")


def ago(moment: datetime) -> str:
    """How long ago, in words."""
    seconds = max(0, round((now() - moment).total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return f"{seconds} s ago"


def permitted(aim: Aim, actor: str, *, force: bool, kept: list[str]) -> Aim:
    """The part of an aim its actor may change; what of a cluster stays as it is, is said in `kept`.

    Raises:
        Refused: nothing of it, or it is a track of its own that is locked or that a person decided.
    """
    person = is_person(actor)
    locked = [piece for piece in aim.pieces if piece.locked and not (person and force)]
    held = {(piece.track_id, piece.start_us) for piece in locked}
    decided = [piece for piece in aim.pieces if not person and piece.label_source == "person" and (piece.track_id, piece.start_us) not in held]
    barred = held | {(piece.track_id, piece.start_us) for piece in decided}
    if not barred:
        return aim
    free = [piece for piece in aim.pieces if (piece.track_id, piece.start_us) not in barred]
    if aim.level != "cluster" or not free:
        worst = (locked or decided)[0]
        if locked:
            raise Refused(f"Track {worst.track_id} is locked.", HINT_UNLOCK, tracks=_tracks(locked))
        raise Refused(
            f"Track {worst.track_id} was decided by a person, and {actor} is not one.", "Ask a person, or leave it.", tracks=_tracks(decided)
        )
    if locked:
        kept.append(f"{_count(locked)} locked and kept as {_verb(locked)}.")
    if decided:
        kept.append(f"{_count(decided)} decided by a person and kept as {_verb(decided)}.")
    return of_pieces(aim.state, aim.level, free, aim.targets[0].part if aim.targets else 0)


def check_people(database: Database, people: Sequence[int], actor: str) -> None:
    """Who is one person decides what every label of them shows: agents leave that as it is where something locked depends on it.

    Raises:
        Refused: a locked track is labelled as one of these people, or was decided not to be one.
    """
    if not is_person(actor) and people and (tracks := decisions.locked_about(database, people)):
        raise Refused(
            f"Track {tracks[0]} is locked, and depends on who is one person.",
            "A person can do this, or unlock it with `rollcall track unlock`.",
            tracks=tracks,
        )


def _tracks(pieces: Sequence[Piece]) -> list[int]:
    return sorted({piece.track_id for piece in pieces})


def _count(pieces: Sequence[Piece]) -> str:
    count = len(_tracks(pieces))
    return f"{count} track{'s are' if count > 1 else ' is'}"


def _verb(pieces: Sequence[Piece]) -> str:
    return "they are" if len(_tracks(pieces)) > 1 else "it is"
