"""The review queue as it is read: items of the last settling, without what was decided, snoozed or put aside since."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from engine.errors import Conflict, NotFound
from engine.review.fold import Piece
from engine.review.state import EpisodeState
from store import questions
from store.database import Database

Span = tuple[int, int, int]
"""track_id, start_us, end_us of a piece."""

HELD = "proposal-"
"""Before the number of a proposal: the item it holds, whatever became of the queue since."""


@dataclass(frozen=True)
class Unit:
    """What is answered as one: its pieces (those whose faces are shown first), the person proposed (None: nobody in particular, or nothing where the
    question is open), how probable, and the other candidates."""

    kind: str
    pieces: tuple[Piece, ...]
    shown: tuple[Piece, ...]
    whole_cluster: bool
    proposed: int | None
    probability: float
    candidates: tuple[dict[str, Any], ...]

    @property
    def open_question(self) -> bool:
        """Whether nothing is proposed that could be said yes to."""
        return self.proposed is None and self.kind in ("name", "mixed")

    @cached_property
    def seconds(self) -> float:
        return sum(piece.end_us - piece.start_us for piece in self.pieces) / 1e6


@dataclass(frozen=True)
class Item:
    """One thing to ask: at most 24 faces, one plain answer. at_risk_s: seconds of error the answer is expected to remove."""

    item: str
    episode_id: int
    at_risk_s: float
    units: tuple[Unit, ...]

    @property
    def kind(self) -> str:
        """That of its units when they are of one kind, else `sheet`."""
        kinds = {unit.kind for unit in self.units}
        return kinds.pop() if len(kinds) == 1 else "sheet"


def items(database: Database, state: EpisodeState, limit: int, answered: Set[tuple[int, int]] = frozenset()) -> list[Item]:
    """The first items left to ask about an episode, best first; without pieces (track_id, start_us) about which the asker's answer waits."""
    snoozed = questions.snoozed(database, state.episode_id) | answered
    found = _joined(database, state, snoozed)[:limit]
    for row in questions.items(database, state.run_id):
        if len(found) >= limit:
            break
        item = _item({**row, "item": json.loads(row["item"])}, state, snoozed)
        found += [item] if item.units else []
    return found


def find(database: Database, state: EpisodeState, item: str) -> Item:
    """An item by its id.

    Raises:
        Conflict: it was answered, or made anew with other faces; its data has the `item`.
    """
    if item.startswith(HELD):
        found = _held(database, state, item)
    else:
        found = next((one for one in items(database, state, questions.MANY) if one.item == item), None)
    if found is None:
        raise Conflict(f"Item {item} is not in the queue any more.", "`rollcall queue next` gives the present one.", item=item)
    return found


def _held(database: Database, state: EpisodeState, item: str) -> Item | None:
    """What is left to decide of the item a proposal holds; None when that is nothing."""
    text = questions.held(database, item.removeprefix(HELD))
    found = _item({"at_risk_s": 0.0, "item": json.loads(text)}, state, set()) if text else None
    return found if found and found.units else None


def episode_of(database: Database, item: str) -> int:
    """The episode an item is about.

    Raises:
        NotFound: there is no such item, or not any more; its data has the `item`.
    """
    found = questions.episode_of_item(database, item)
    if found is None:
        raise NotFound(f"There is no item {item!r} in the queue.", "`rollcall queue next` gives the present one.", item=item)
    return found


def _item(row: dict[str, Any], state: EpisodeState, snoozed: set[tuple[int, int]]) -> Item:
    units = [_unit(unit, state, snoozed) for unit in row["item"]["units"]]
    return Item(row["item"]["id"], state.episode_id, row["at_risk_s"], tuple(unit for unit in units if unit is not None))


def _unit(unit: dict[str, Any], state: EpisodeState, snoozed: set[tuple[int, int]]) -> Unit | None:
    """A unit without the pieces somebody decided since; None when nothing is left to ask."""
    pieces = _open(unit["targets"], state, snoozed, unit["kind"])
    shown = _open(unit["shown"], state, snoozed, unit["kind"])
    if not shown:
        return None
    candidates = tuple({**one, "person_id": state.rules.person(one["person_id"])} for one in unit["candidates"])
    return Unit(unit["kind"], pieces, shown, unit["whole_cluster"], state.rules.person(unit["proposed"]), unit["probability"], candidates)


def _open(spans: list[Span], state: EpisodeState, snoozed: set[tuple[int, int]], kind: str) -> tuple[Piece, ...]:
    """The pieces of some spans that nobody looked at one by one and nobody put off."""
    found = []
    for track_id, start_us, end_us in spans:
        for piece in state.pieces.get(track_id, ()):
            asked = (piece.start_us, piece.end_us) == (start_us, end_us) and (track_id, start_us) not in snoozed
            settled = (piece.level in ("track", "frames") and kind != "mixed") or piece.excluded or piece.locked
            # Two clusters are joined by somebody who knows that the evidence did not join them: it is no news that it speaks against it.
            joined = piece.method == "merge" and kind != "mixed"
            if asked and not settled and not joined and not (kind in ("name", "suggestion") and piece.decision_id is not None):
                found.append(piece)
    return tuple(found)


def _joined(database: Database, state: EpisodeState, snoozed: set[tuple[int, int]]) -> list[Item]:
    """Tracks in which this run joined what decisions made before it hold apart (rule 5): each stretch keeps its label, somebody should look."""
    made = questions.run_made(database, state.run_id)
    found = []
    for track_id in state.cut:
        pieces = state.pieces[track_id]
        if len(pieces) < 2:
            continue
        labels = {(piece.person_id, piece.excluded) for piece in pieces if piece.decision_id is not None}
        old = all(piece.decision_id is None or state.decisions[piece.rev].logged_at < made for piece in pieces)
        if len(labels) > 1 and old and (track_id, pieces[0].start_us) not in snoozed:
            unit = Unit("mixed", pieces, pieces, False, None, 0.0, ())
            found.append(Item(f"joined-{track_id}", state.episode_id, unit.seconds / 2, (unit,)))
    return sorted(found, key=lambda item: -item.at_risk_s)


def without(unit: Unit, left_out: set[Span]) -> tuple[Unit, tuple[Piece, ...]]:
    """A unit without some of its pieces, and those."""
    out = tuple(piece for piece in unit.pieces if (piece.track_id, piece.start_us, piece.end_us) in left_out)
    kept = tuple(piece for piece in unit.pieces if piece not in out)
    return replace(unit, pieces=kept, shown=tuple(piece for piece in unit.shown if piece not in out)), out
