"""Who is meant by a name, and who somebody new is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import BadInput, NotFound
from engine.review import people
from engine.review.draft import Draft, Plan
from engine.review.targets import Aim

if TYPE_CHECKING:
    from engine.review.desk import Desk

NEW = -1
"""Stands for somebody created in the same batch."""


def known_person(desk: Desk, show_id: int, text: str) -> int:
    """A person of a show by id, name or alias.

    Raises:
        NotFound: there is none.
        BadInput: several are called that.
    """
    found = desk.find_person(show_id, text)
    if len(found) > 1:
        raise BadInput(f"{len(found)} people are called {text!r}: {', '.join(map(str, found))}.", "Give the id.")
    if not found:
        raise NotFound(f"Nobody of this show is called {text!r}.", "`rollcall person list` lists everybody; --create makes somebody new.")
    return found[0]


def person_for(desk: Desk, plan: Plan, aim: Aim, text: str, *, create: bool) -> int:
    """The person meant; somebody new is added to the plan.

    A cluster that the machine takes for one unknown person keeps that person, who gets the name: so do their other episodes.
    """
    found = desk.find_person(aim.state.show_id, text)
    if found or not create or text.strip().isdigit():
        return known_person(desk, aim.state.show_id, text)
    name = desk.valid_name(text)
    labels = {piece.person_id for piece in aim.pieces}
    unknown = labels.pop() if aim.level == "cluster" and len(labels) == 1 else None
    row = desk.person(unknown) if unknown is not None else None
    if row is not None and row["name"] is None and unknown is not None:
        plan.notes.append(f"{desk.called(unknown)} gets the name {name!r}, in every episode.")
        plan.drafts.append(Draft("person_rename", None, aim.state.show_id, None, unknown, (), {"name": name, "before": people.before(row)}))
        return unknown
    plan.notes.append(f"{name!r} is somebody new.")
    plan.drafts.append(Draft("person_create", None, aim.state.show_id, None, NEW, (), {"name": name}))
    return NEW


def named(desk: Desk, plan: Plan, show_id: int, text: str, *, create: bool) -> int:
    """The person of a show meant by a name, whatever faces it is about; each somebody new of a plan has a negative number of their own.

    Raises:
        NotFound, BadInput: as `known_person`, or it cannot be a name.
    """
    if desk.find_person(show_id, text) or not create:
        return known_person(desk, show_id, text)
    name, new = desk.valid_name(text), [draft for draft in plan.drafts if draft.verb == "person_create"]
    for draft in new:
        if (draft.parameters["name"] or "").casefold() == name.casefold() and draft.show_id == show_id and draft.person_id is not None:
            return draft.person_id
    return _new(plan, show_id, name)


def unnamed(plan: Plan, show_id: int) -> int:
    """Somebody new without a name."""
    return _new(plan, show_id, None)


def _new(plan: Plan, show_id: int, name: str | None) -> int:
    number = NEW - sum(draft.verb == "person_create" for draft in plan.drafts)
    plan.drafts.append(Draft("person_create", None, show_id, None, number, (), {"name": name}))
    return number


def merged_person(desk: Desk, plan: Plan, one: Aim, into: Aim) -> int:
    """Who two clusters are once they are one: the named one, that of `into` first; else the unknown seen longer; else somebody new (rule 7)."""
    held = [(aim, held_by(aim)) for aim in (into, one)]
    rows = [desk.person(person) if person is not None else None for _, person in held]
    for (_, person), row in zip(held, rows, strict=True):
        if person is not None and row is not None and row["name"] is not None:
            return person
    unknown = [(_seconds(aim), person) for aim, person in held if person is not None]
    if unknown:
        return max(unknown, key=lambda pair: pair[0])[1]
    plan.drafts.append(Draft("person_create", None, into.state.show_id, None, NEW, (), {"name": None}))
    return NEW


def held_by(aim: Aim) -> int | None:
    """Who most of an aim is."""
    held: dict[int, int] = {}
    for piece in aim.pieces:
        if piece.person_id is not None:
            held[piece.person_id] = held.get(piece.person_id, 0) + piece.end_us - piece.start_us
    return max(held, key=lambda person: (held[person], -person)) if held else None


def _seconds(aim: Aim) -> float:
    return sum(piece.seconds for piece in aim.pieces)
