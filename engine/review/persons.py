"""The verbs of review on people: naming, merging, archiving, aliases, the featured picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import Conflict, NotFound
from engine.review import authority, people
from engine.review.decision import Verb
from engine.review.draft import Draft, Plan

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from store.database import Database


def _row(desk: Desk, person_id: int) -> dict[str, Any]:
    row = desk.person(person_id)
    if row is None or row["erased_at"] is not None:
        raise NotFound(f"There is no person {person_id}.", "`rollcall person list` lists them.")
    if row["merged_into"] is not None:
        raise Conflict(f"Person {person_id} was merged into {desk.called(row['merged_into'])}.", f"Use person {row['merged_into']}.")
    return row


def _draft(row: dict[str, Any], verb: Verb, **parameters: Any) -> Draft:
    return Draft(verb, None, row["show_id"], None, row["person_id"], (), {**parameters, "before": people.before(row)})


def rename(desk: Desk, database: Database, person_id: int, text: str, actor: str) -> Plan:
    """Name somebody. Who was added under that name but never seen is the one now found, and goes into them.

    Raises:
        Conflict: somebody else of the show, who has been seen, is called that.
    """
    row, name = _row(desk, person_id), desk.valid_name(text)
    plan = Plan()
    if row["name"] == name:
        plan.notes.append(f"Person {person_id} is called {name} already.")
        return plan
    for other in desk.find_person(row["show_id"], name):
        found = desk.person(other)
        if other == person_id or found is None or (found["name"] or "").casefold() != name.casefold():
            continue
        if people.episodes_of(database, [other]):
            hint = f"If they are one, `rollcall person merge {person_id} {other}`; else add something that tells them apart."
            raise Conflict(f"Person {other} of this show is called {found['name']!r} already.", hint)
        authority.check_people(database, [other], actor)
        plan.drafts.append(_draft(found, "person_merge", into=person_id))
        plan.notes.append(f"Person {other}, who was added as {found['name']} and never seen, is now person {person_id}.")
    plan.drafts.append(_draft(row, "person_rename", name=name))
    return plan


def merge(desk: Desk, database: Database, person_id: int, into: int, actor: str) -> Plan:
    """One person is another, in every episode; the name and picture of `into` are kept.

    Raises:
        Conflict: they are one already, or of two shows.
        Refused: something locked would show somebody else, and the actor is not a person.
    """
    row, target = _row(desk, person_id), _row(desk, into)
    if person_id == into:
        raise Conflict("That is one person.", "Name two.")
    if row["show_id"] != target["show_id"]:
        raise Conflict("They are of two shows.", "People are kept apart by show.")
    authority.check_people(database, [person_id], actor)
    plan = Plan(also=people.analysed(database, people.episodes_of(database, [person_id, into])))
    if row["name"] is not None and target["name"] is None:
        plan.notes.append(f"{target['person_id']} has no name and takes {row['name']}.")
        plan.drafts.append(_draft(target, "person_rename", name=row["name"]))
    plan.drafts.append(_draft(row, "person_merge", into=into))
    return plan


def archive(desk: Desk, person_id: int, archived: bool) -> Plan:
    """Put somebody aside (crew, crowds): nothing asks about them any more; or back."""
    return Plan([_draft(_row(desk, person_id), "person_archive", archived=archived)])


def alias(desk: Desk, person_id: int, text: str, remove: bool) -> Plan:
    """Another name somebody is found by.

    Raises:
        Conflict: somebody else of the show has that name.
    """
    row, name = _row(desk, person_id), desk.valid_name(text)
    others = [other for other in desk.find_person(row["show_id"], name) if other != person_id]
    if others and not remove:
        raise Conflict(f"{name!r} is {desk.called(others[0])} (person {others[0]}).", "Aliases are unique in a show.")
    return Plan([_draft(row, "person_alias", alias=name, remove=remove)])


def feature(desk: Desk, database: Database, person_id: int, track_id: int) -> Plan:
    """The picture somebody is shown by: the best of one of their tracks.

    Raises:
        NotFound: the track has no picture.
    """
    row = _row(desk, person_id)
    found = database.row("SELECT chip FROM track WHERE track_id = ?", [track_id])
    if found is None or found["chip"] is None:
        raise NotFound(f"Track {track_id} has no picture.", "`rollcall track list --person-id PERSON` lists tracks.")
    return Plan([_draft(row, "person_feature", chip=found["chip"])])
