"""The ledger as undo and the audit look at it: which decisions stand, and the newest of them in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from engine.errors import NotFound, Refused
from engine.review.decision import Decision, read, voided
from store import catalog, decisions
from store.database import Database

KEPT = 2000
"""Newest decisions held in memory; what is asked about older ones is read."""

PAGE = 200


@dataclass(frozen=True)
class Ledger:
    """Every decision as of now. Only those that take others back are held whole: they are few. Never changed in place.

    takers: those, by id. gone: ids of all that were taken back. newest: the last KEPT by id, oldest first.
    """

    database: Database
    takers: dict[int, Decision]
    gone: frozenset[int]
    newest: dict[int, Decision]

    @classmethod
    def load(cls, database: Database) -> Ledger:
        """Read from the store."""
        takers = {row["decision_id"]: read(row) for row in decisions.taking_back(database)}
        rows = decisions.page(database, episode_id=None, actor=None, since=None, before=None, limit=KEPT)
        return cls(database, takers, frozenset(voided(takers.values())), {row["decision_id"]: read(row) for row in reversed(rows)})

    def with_decisions(self, new: Iterable[Decision]) -> Ledger:
        """The ledger after more decisions."""
        added = {d.decision_id: d for d in new}
        newest = self.newest | added
        taking = {one: d for one, d in added.items() if d.voids}
        if len(newest) > 2 * KEPT:
            newest = dict(list(newest.items())[-KEPT:])
        if not taking:
            return replace(self, newest=newest)
        takers = {**self.takers, **taking}
        return replace(self, takers=takers, gone=frozenset(voided(takers.values())), newest=newest)

    @property
    def last(self) -> int:
        """The newest decision's id; 0 when there is none."""
        return next(reversed(self.newest), 0)

    def _held(self, since: int) -> bool:
        """Whether all decisions from an id on are in memory."""
        return len(self.newest) < KEPT or since >= next(iter(self.newest))

    def fixed(self, decision: Decision) -> bool:
        """Whether a decision is about somebody who was forgotten, or takes such a one back: that stays as it is."""
        erased = catalog.erased(self.database)
        taken = self.some(decision.voids) if decision.verb == "undo" and erased else []
        return decision.person_id in erased or any(self.fixed(one) for one in taken)

    def some(self, ids: Iterable[int]) -> list[Decision]:
        """Decisions by id, oldest first."""
        wanted = sorted(set(ids))
        older = [read(row) for row in decisions.some(self.database, [one for one in wanted if one not in self.newest and one not in self.takers])]
        held = [self.newest.get(one) or self.takers[one] for one in wanted if one in self.newest or one in self.takers]
        return sorted([*older, *held], key=lambda d: d.decision_id)

    def after(self, decision_id: int) -> list[Decision]:
        """Standing decisions later than one, oldest first."""
        if self._held(decision_id + 1):
            found = [d for d in self.newest.values() if d.decision_id > decision_id]
        else:
            found = [read(row) for row in decisions.after(self.database, decision_id)]
        return self._standing(found)

    def _standing(self, found: Iterable[Decision]) -> list[Decision]:
        return [d for d in found if d.decision_id not in self.gone]

    def last_batch(self, actor: str, *, undone: bool) -> list[Decision]:
        """An actor's newest batch that stands: a change, or an undo when something undone is to come back.

        Raises:
            NotFound: there is none.
        """
        found = [d for d in reversed(self.newest.values()) if d.actor == actor]
        before = next(iter(self.newest), None)
        while True:
            for d in self._standing(found):
                if (d.verb == "undo") == undone and not (undone and self._is_redo(d)) and not self.fixed(d):
                    return self.chosen(batch=d.batch, decision=None, actor=None, since=None)
            rows = decisions.page(self.database, episode_id=None, actor=actor, since=None, before=before, limit=PAGE) if before else []
            if not rows:
                what = "redo" if undone else "undo"
                raise NotFound(f"{actor} has nothing to {what}.", "`rollcall decision list` shows everything that was decided.")
            found, before = [read(row) for row in rows], rows[-1]["decision_id"]

    def _is_redo(self, decision: Decision) -> bool:
        """Whether an undo takes back an undo."""
        return any(one in self.takers and self.takers[one].verb == "undo" for one in decision.voids)

    def reached(self, going: Iterable[int]) -> set[int]:
        """Decisions whose standing may change: those named, and what they themselves take back."""
        found: set[int] = set()
        queue = list(going)
        while queue:
            one = queue.pop()
            if one not in found:
                found.add(one)
                queue.extend(self.takers[one].voids if one in self.takers else ())
        return found

    def chosen(self, *, batch: int | None, decision: int | None, actor: str | None, since: datetime | None) -> list[Decision]:
        """Standing decisions named by their batch, by id, or by who made them since when.

        Raises:
            NotFound: there are none.
        """
        standing = self._standing(self._named(batch, decision, actor, since))
        found = [d for d in standing if d.verb != "undo" or batch is not None or decision is not None]
        if not found:
            what = f"batch {batch}" if batch is not None else f"decision {decision}" if decision is not None else f"what {actor} decided then"
            raise NotFound(f"Nothing of {what} stands.", "`rollcall decision list` shows everything.")
        if all(self.fixed(d) for d in found):
            raise Refused("That is about somebody who was forgotten: it stays as it is.", "What was forgotten cannot be brought back.")
        return [d for d in found if not self.fixed(d)]

    def _named(self, batch: int | None, decision: int | None, actor: str | None, since: datetime | None) -> list[Decision]:
        # A batch has the id of its first decision.
        first = batch if decision is None else decision
        if actor is None and since is None and first is not None and self._held(first):
            return [d for d in self.newest.values() if batch in (None, d.batch) and decision in (None, d.decision_id)]
        return [read(row) for row in decisions.named(self.database, batch=batch, decision=decision, actor=actor, since=since)]
