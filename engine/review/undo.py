"""Taking back and bringing back: both append, nothing is removed from the ledger (rule 10)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from engine.errors import BadInput, Conflict, NotFound, Refused
from engine.review import authority, people
from engine.review.decision import Cover, Decision, erased, read, voided
from engine.review.draft import Draft, Plan
from store import decisions

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from store.database import Database


class Ledger:
    """The whole ledger, and what of it stands."""

    def __init__(self, database: Database) -> None:
        self.decisions = {row["decision_id"]: read(row) for row in decisions.everything(database)}
        self.gone = voided(self.decisions.values())
        self._erased = erased(self.decisions.values())

    def fixed(self, decision: Decision) -> bool:
        """Whether a decision is about somebody who was forgotten, or takes such a one back: that stays as it is."""
        taken = [self.decisions[one] for one in decision.voids if one in self.decisions] if decision.verb == "undo" else []
        return decision.person_id in self._erased or any(self.fixed(one) for one in taken)

    def standing(self) -> list[Decision]:
        """Decisions that stand, oldest first."""
        return [d for d in self.decisions.values() if d.decision_id not in self.gone]

    def last_batch(self, actor: str, *, undone: bool) -> list[Decision]:
        """An actor's newest batch that stands: a change, or an undo when something undone is to come back."""
        mine = [d for d in self.standing() if d.actor == actor and (d.verb == "undo") == undone and not (undone and self._is_redo(d))]
        mine = [d for d in mine if not self.fixed(d)]
        if not mine:
            raise NotFound(f"{actor} has nothing to {'redo' if undone else 'undo'}.", "`rollcall decision list` shows everything that was decided.")
        newest = max(d.batch for d in mine)
        return [d for d in mine if d.batch == newest]

    def _is_redo(self, decision: Decision) -> bool:
        """Whether an undo takes back an undo."""
        return any(self.decisions[one].verb == "undo" for one in decision.voids)

    def chosen(self, *, batch: int | None, decision: int | None, actor: str | None, since: datetime | None) -> list[Decision]:
        """Standing decisions named by their batch, by id, or by who made them since when.

        Raises:
            NotFound: there are none.
        """
        found = [
            d
            for d in self.standing()
            if (batch is None or d.batch == batch)
            and (decision is None or d.decision_id == decision)
            and (actor is None or d.actor == actor)
            and (since is None or d.logged_at >= since)
            and (d.verb != "undo" or batch is not None or decision is not None)
        ]
        if not found:
            what = f"batch {batch}" if batch is not None else f"decision {decision}" if decision is not None else f"what {actor} decided then"
            raise NotFound(f"Nothing of {what} stands.", "`rollcall decision list` shows everything.")
        if all(self.fixed(d) for d in found):
            raise Refused("That is about somebody who was forgotten: it stays as it is.", "What was forgotten cannot be brought back.")
        return [d for d in found if not self.fixed(d)]


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
    touched = [ledger.decisions[one] for one in _reached(ledger, going)]
    episodes = {d.episode_id for d in touched if d.episode_id is not None} | people.episodes_touched(database, touched)
    return Plan([Draft("undo", voids=tuple(sorted(going)))], also=people.analysed(database, episodes))


def _reached(ledger: Ledger, going: Iterable[int]) -> set[int]:
    """Decisions whose standing may change: those named, and what they themselves take back."""
    found: set[int] = set()
    queue = list(going)
    while queue:
        one = queue.pop()
        if one not in found and one in ledger.decisions:
            found.add(one)
            queue.extend(ledger.decisions[one].voids)
    return found


def _check_authority(desk: Desk, database: Database, ledger: Ledger, chosen: list[Decision], actor: str) -> None:
    if authority.is_person(actor):
        return
    foreign = next((d for d in chosen if d.actor != actor), None)
    if foreign is not None:
        raise Refused(f"Decision {foreign.decision_id} is {foreign.actor}'s.", "An agent takes back its own decisions only; ask a person.")
    reached = _reached(ledger, {d.decision_id for d in chosen})
    for episode in sorted(people.analysed(database, {d.episode_id for one in reached if (d := ledger.decisions[one]).episode_id is not None})):
        state = desk.state(episode)
        for track, covers in state.covers.items():
            if any(c.decision_id in reached for c in covers) and any(piece.locked for piece in state.pieces[track]):
                raise Refused(f"Track {track} is locked.", authority.HINT_UNLOCK, tracks=[track])


def dependents_of(database: Database, ledger: Ledger, chosen: list[Decision]) -> list[Decision]:
    """Standing decisions that build on some: on a person one created, on a split one made, or spread from one. Dependents of these too."""
    found: dict[int, Decision] = {}
    queue = list(chosen)
    going = {d.decision_id for d in chosen}
    standing = [d for d in ledger.standing() if d.verb != "undo" and not ledger.fixed(d)]
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
    rows = decisions.anchors_of_episode(database, episode_id).select(["decision_id", "number", "part", "start_us", "end_us"]).to_pylist()
    for row in rows:
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
