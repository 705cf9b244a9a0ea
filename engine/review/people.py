"""People as decisions made them: created, named, merged, archived; recomputed from the ledger, so that undo gives back what was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from engine.errors import BadInput
from engine.review.decision import Decision, voided
from store import catalog, facebank, results
from store.database import Database, Transaction

VERBS = frozenset({"person_create", "person_rename", "person_alias", "person_merge", "person_archive", "person_feature"})

FIELDS = ("name", "aliases", "merged_into", "archived", "featured")
"""Columns of a person that decisions change."""

UNNAMED: dict[str, Any] = {"name": None, "aliases": [], "merged_into": None, "archived": False, "featured": None}


LONGEST_NAME = 200


def valid_name(text: str) -> str:
    """A name somebody may have, without the space around it.

    Raises:
        BadInput: it is empty, too long, or one of those kept for unknowns.
    """
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(f"{name[:40]!r} cannot be a name.", f"Give 1 to {LONGEST_NAME} printable characters.")
    if re.fullmatch(r"unknown( \d+)?", name, re.IGNORECASE):
        raise BadInput(f"{name!r} cannot be a name: it is kept for people nobody has named.", "Give another.")
    return name


def find(database: Database, show_id: int, text: str) -> list[int]:
    """People of a show by id, else by name, else by alias; case does not matter. Those merged into others are found as these."""
    rows = database.known(("person",), "SELECT person_id, name, aliases, merged_into FROM person WHERE show_id = ? AND erased_at IS NULL", [show_id])
    wanted, into = text.casefold(), {row["person_id"]: row["merged_into"] for row in rows}
    unknown = re.fullmatch(r"(?:unknown )?(\d{1,16})", wanted)
    found = [row["person_id"] for row in rows if unknown and row["person_id"] == int(unknown[1])]
    found = found or [row["person_id"] for row in rows if (row["name"] or "").casefold() == wanted]
    found = found or [row["person_id"] for row in rows if wanted in [alias.casefold() for alias in row["aliases"]]]
    return sorted({_merged(person, into) for person in found})


def _merged(person_id: int, into: dict[int, int | None]) -> int:
    while (further := into.get(person_id)) is not None:
        person_id = further
    return person_id


def create(transaction: Transaction, show_id: int, name: str | None) -> int:
    """A new person; returns the id."""
    return catalog.add_person(transaction, show_id, name)


def analysed(database: Database, episodes: set[int]) -> set[int]:
    """Those episodes that have labels."""
    return {episode_id for episode_id in episodes if results.active_run(database, episode_id) is not None}


def episodes_of(database: Database, people: Iterable[int]) -> set[int]:
    """Episodes in whose active run somebody is labelled, by people or by the machine."""
    wanted = ", ".join(str(person) for person in sorted(people)) or "NULL"
    found = database.rows(
        f"""SELECT DISTINCT e.episode_id FROM episode e WHERE active_run_id IN (
              SELECT run_id FROM assignment WHERE person_id IN ({wanted}) UNION SELECT run_id FROM machine_label WHERE person_id IN ({wanted}))"""
    )
    return {row["episode_id"] for row in found}


def episodes_touched(database: Database, decisions: Iterable[Decision]) -> set[int]:
    """Episodes whose labels follow decisions about people: merges alone."""
    merged = {person for d in decisions if d.verb == "person_merge" for person in (d.person_id, d.parameters["into"]) if person is not None}
    return episodes_of(database, merged) if merged else set()


def before(row: dict[str, Any]) -> dict[str, Any]:
    """What a person was before decisions: kept in the first one about them."""
    return {name: row[name] for name in FIELDS}


def fold(ledger: Sequence[Decision], person_id: int, gone: set[int]) -> dict[str, Any] | None:
    """A person's columns from the decisions about people; None: not there.

    Args:
        ledger: oldest first.
    """
    mine = [d for d in ledger if d.person_id == person_id and d.verb in VERBS]
    first = mine[0]
    if first.verb == "person_create":
        state: dict[str, Any] = {**UNNAMED, "name": first.parameters.get("name")}
        if first.decision_id in gone:
            return None
    else:
        state = dict(first.parameters["before"])
    for d in mine:
        if d.decision_id in gone:
            continue
        if d.verb == "person_rename":
            old = state["name"]
            aliases = [*state["aliases"], old] if old and old != d.parameters["name"] and old not in state["aliases"] else state["aliases"]
            state = {**state, "name": d.parameters["name"], "aliases": aliases}
        elif d.verb == "person_alias":
            rest = [alias for alias in state["aliases"] if alias != d.parameters["alias"]]
            state = {**state, "aliases": rest if d.parameters.get("remove") else [*rest, d.parameters["alias"]]}
        elif d.verb == "person_merge":
            state = {**state, "merged_into": d.parameters["into"]}
        elif d.verb == "person_archive":
            state = {**state, "archived": d.parameters["archived"]}
        elif d.verb == "person_feature":
            state = {**state, "featured": d.parameters["chip"]}
    return state


def refresh(transaction: Transaction, ledger: Sequence[Decision], new: Iterable[Decision]) -> None:
    """Bring the rows of the people that new decisions, or what they take back, are about up to date."""
    by_id = {d.decision_id: d for d in ledger}
    touched, queue = set(), list(new)
    while queue:
        d = queue.pop()
        if d.person_id is not None and d.verb in VERBS:
            touched.add(d.person_id)
        if d.verb == "bank_add" or d.verb == "bank_remove":
            touched.add(-1)
        queue.extend(by_id[one] for one in d.voids if one in by_id)
    gone = voided(ledger)
    for person_id in sorted(touched - {-1}):
        _write(transaction, person_id, fold(ledger, person_id, gone), ledger)
    if -1 in touched:
        _refresh_bank(transaction, ledger, gone)


def _write(transaction: Transaction, person_id: int, state: dict[str, Any] | None, ledger: Sequence[Decision]) -> None:
    there = transaction.rows("SELECT erased_at FROM person WHERE person_id = ?", [person_id])
    if there and there[0]["erased_at"] is not None:
        return  # forgotten: what the ledger still holds about them brings nothing back
    if state is None:
        # Somebody the machine has found elsewhere since, by the faces of a decision that is now taken back, stays as an unknown.
        if transaction.rows("SELECT 1 FROM machine_label WHERE person_id = ? LIMIT 1", [person_id]):
            state = UNNAMED
        else:
            transaction.execute("DELETE FROM person WHERE person_id = ?", [person_id])
            return
    if not there:
        created = next(d for d in ledger if d.person_id == person_id and d.verb in VERBS)
        transaction.insert("person", person_id=person_id, show_id=created.show_id, name=None, aliases=[], created_at=created.logged_at)
    columns = ", ".join(f"{name} = ?" for name in FIELDS)
    transaction.execute(f"UPDATE person SET {columns} WHERE person_id = ?", [*(state[name] for name in FIELDS), person_id])


def _refresh_bank(transaction: Transaction, ledger: Sequence[Decision], gone: set[int]) -> None:
    """A face is in the bank while the decision that put it in stands and none that took it out does."""
    added = [d.decision_id for d in ledger if d.verb == "bank_add" and d.decision_id not in gone]
    removed = [d.parameters["entry_id"] for d in ledger if d.verb == "bank_remove" and d.decision_id not in gone]
    facebank.refresh(transaction, added, removed)
