"""Taking back and bringing back: both append, nothing is removed from the ledger (rule 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import BadInput, Conflict, Refused
from engine.review import authority, people
from engine.review.decision import Cover, Decision
from engine.review.draft import Draft, Plan
from store import decisions

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from engine.review.ledger import Ledger
    from store.database import Database


def undo(desk: Desk, database: Database, ledger: Ledger, chosen: list[Decision], actor: str, *, with_dependents: bool) -> Plan:
    """Take decisions back.

    Raises:
        Conflict: others build on them, and they are not to go along.
        Refused: they are somebody else's, or about something locked, and the actor is not a person.
    """
    _check_authority(desk, database, ledger, chosen, actor)
    going = {d.decision_id for d in chosen}
    dependents = dependents_of(database, ledger, chosen)
    if dependents and not with_dependents:
        listed = "; ".join(f"{d.decision_id} ({describe(desk, d)})" for d in dependents[:10])
        more = f" and {len(dependents) - 10} more" if len(dependents) > 10 else ""
        raise Conflict(
            f"{len(dependents)} later decision{'s build' if len(dependents) > 1 else ' builds'} on this: {listed}{more}.",
            "Say --with-dependents to take them along.",
            dependents=[d.decision_id for d in dependents],
        )
    if dependents:
        _check_authority(desk, database, ledger, dependents, actor)
    going |= {d.decision_id for d in dependents}
    return _plan(database, ledger, going)


def redo(desk: Desk, database: Database, ledger: Ledger, chosen: list[Decision], actor: str) -> Plan:
    """Bring back what undos took back.

    Raises:
        BadInput: the chosen are not undos.
    """
    undos = [d for d in chosen if d.verb == "undo"]
    if not undos:
        raise BadInput(f"Decision {chosen[0].decision_id} is not an undo.", "Name the undo whose work is to come back.")
    _check_authority(desk, database, ledger, undos, actor)
    return _plan(database, ledger, {d.decision_id for d in undos})


def _plan(database: Database, ledger: Ledger, going: set[int]) -> Plan:
    """One decision that takes these back, and the episodes it is about."""
    touched = ledger.some(ledger.reached(going))
    episodes = {d.episode_id for d in touched if d.episode_id is not None} | people.episodes_touched(database, touched)
    return Plan([Draft("undo", voids=tuple(sorted(going)))], also=people.analysed(database, episodes))


def _check_authority(desk: Desk, database: Database, ledger: Ledger, chosen: list[Decision], actor: str) -> None:
    if authority.is_person(actor):
        return
    foreign = next((d for d in chosen if d.actor != actor), None)
    if foreign is not None:
        raise Refused(f"Decision {foreign.decision_id} is {foreign.actor}'s.", "An agent takes back its own decisions only; ask a person.")
    reached = ledger.reached(d.decision_id for d in chosen)
    merges = [d for d in ledger.some(reached) if d.verb == "person_merge"]
    authority.check_people(database, sorted({one for d in merges for one in (d.person_id, d.parameters["into"]) if one is not None}), actor)
    for episode in sorted(people.analysed(database, {d.episode_id for d in ledger.some(reached) if d.episode_id is not None})):
        state = desk.state(episode)
        for track in sorted({cover.track_id for one in reached for cover in state.spread.get(one, ())}):
            if any(piece.locked for piece in state.pieces[track]):
                raise Refused(f"Track {track} is locked.", authority.HINT_UNLOCK, tracks=[track])


def dependents_of(database: Database, ledger: Ledger, chosen: list[Decision]) -> list[Decision]:
    """Standing decisions that build on some: on a person one created, on a split one made, or spread from one. Dependents of these too."""
    found: dict[int, Decision] = {}
    queue = list(chosen)
    going = {d.decision_id for d in chosen}
    standing = [d for d in ledger.after(chosen[0].decision_id) if d.verb != "undo" and not ledger.fixed(d)]
    bounds: dict[int, dict[int, list[Cover]]] = {}
    while queue:
        source = queue.pop()
        for d in standing:
            if d.decision_id > source.decision_id and d.decision_id not in going and _builds_on(database, d, source, bounds):
                found[d.decision_id] = d
                going.add(d.decision_id)
                queue.append(d)
    return [found[one] for one in sorted(found)]


def _builds_on(database: Database, later: Decision, source: Decision, bounds: dict[int, dict[int, list[Cover]]]) -> bool:
    if later.source == f"propagated:{source.decision_id}":
        return True
    if source.verb == "person_create":
        labels = [label["person_id"] for label in later.parameters.get("labels", [])]
        return source.person_id in (later.person_id, later.parameters.get("into"), *labels)
    if source.verb == "split" and later.level == "frames" and later.verb != "split" and later.episode_id == source.episode_id:
        if source.episode_id is not None and source.episode_id not in bounds:
            bounds[source.episode_id] = _anchor_bounds(database, source.episode_id)
        mine = bounds.get(source.episode_id or 0, {})
        edges = {at for cover in mine.get(source.decision_id, []) for at in (cover.start_us, cover.end_us)}
        return any(cover.start_us in edges or cover.end_us in edges for cover in mine.get(later.decision_id, []))
    return False


def _anchor_bounds(database: Database, episode_id: int) -> dict[int, list[Cover]]:
    """Stretches of all anchors of an episode, by decision."""
    found: dict[int, list[Cover]] = {}
    for row in decisions.anchors_of_episode(database, episode_id):
        cover = Cover(row["decision_id"], row["number"], row["part"], 0, row["start_us"], row["end_us"], "frames")
        found.setdefault(row["decision_id"], []).append(cover)
    return found


def describe(desk: Desk, decision: Decision) -> str:
    """A decision in a few words."""
    who = desk.called(decision.person_id) if decision.person_id is not None else decision.parameters.get("name") or ""
    words = {
        "assign": f"labelled {who or 'unknown'}",
        "exclude": "not a face",
        "reject": f"not {who}",
        "split": "split a track",
        "part": "took tracks out of a cluster",
        "merge": f"merged clusters as {who}",
        "lock": "locked",
        "unlock": "unlocked",
        "person_create": f"new person {decision.parameters.get('name') or ''}".strip(),
        "person_rename": f"renamed to {decision.parameters.get('name')}",
        "person_merge": f"merged {who} into {desk.called(decision.parameters.get('into'))}",
        "person_forget": f"forgot {who}",
        "bank_add": f"face of {who} into the bank",
        "bank_remove": "face out of the bank",
        "undo": f"took back {', '.join(map(str, decision.voids[:5]))}",
    }
    return words.get(decision.verb, decision.verb.replace("_", " "))
