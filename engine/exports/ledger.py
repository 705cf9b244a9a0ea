"""What the ledger is exported from: every decision with names resolved, and the anchors of those that stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.review.decision import Decision, read, voided
from engine.version import VERSION
from store import catalog, decisions
from store.database import Database

FACES = frozenset({"assign", "exclude", "reject", "split", "merge", "part", "lock", "unlock"})
"""Verbs about faces: they have anchors."""


@dataclass(frozen=True)
class LedgerContent:
    """The ledger of a library, or of one episode (episode_id): decisions about its faces, and what took these back or brought them back."""

    database: Database
    episode_id: int | None = None

    @cached_property
    def everything(self) -> dict[int, Decision]:
        """Every decision of the library by id."""
        return {row["decision_id"]: read(row) for row in decisions.everything(self.database)}

    @cached_property
    def gone(self) -> set[int]:
        return voided(self.everything.values())

    @cached_property
    def chosen(self) -> list[Decision]:
        """Decisions asked for, oldest first."""
        if self.episode_id is None:
            return list(self.everything.values())
        mine = {one for one, d in self.everything.items() if d.episode_id == self.episode_id}
        for one, d in self.everything.items():
            if mine.intersection(d.voids):
                mine.add(one)
        return [self.everything[one] for one in sorted(mine)]

    @cached_property
    def names(self) -> dict[int, str]:
        """What everybody is called; whoever is gone with the decision that made them, what they were called in it."""
        made = {d.person_id: d.parameters["name"] for d in self.everything.values() if d.verb == "person_create" and d.parameters.get("name")}
        return {person: str(name) for person, name in made.items() if person is not None} | {row["person_id"]: row["called"] for row in self._people}

    @cached_property
    def named(self) -> dict[int, str]:
        """Those who have a name, by id; whoever was merged into somebody has theirs."""
        return {row["person_id"]: row["name"] for row in self._people if row["name"] is not None}

    @cached_property
    def standing_for(self) -> dict[int, int]:
        """Everybody -> who they are after merges."""
        return {row["person_id"]: row["owner"] for row in self._people}

    @cached_property
    def _people(self) -> list[dict[str, Any]]:
        return catalog.everybody(self.database)

    @cached_property
    def episodes(self) -> dict[int, dict[str, Any]]:
        """Every episode by id."""
        return {row["episode_id"]: row for row in catalog.every_episode(self.database)}

    def anchors(self) -> Iterator[tuple[Decision, list[dict[str, Any]]]]:
        """Standing decisions about faces with their anchors, in their order."""
        wanted = [d for d in self.chosen if d.verb in FACES and d.decision_id not in self.gone and d.episode_id is not None]
        found: dict[int, list[dict[str, Any]]] = {}
        for episode_id in sorted({d.episode_id for d in wanted if d.episode_id is not None}):
            for row in decisions.anchors_of_episode(self.database, episode_id, [d.decision_id for d in wanted]):
                found.setdefault(row["decision_id"], []).append(row)
        for d in wanted:
            if d.decision_id in found:
                yield d, found[d.decision_id]

    @property
    def lineage(self) -> dict[str, Any]:
        return {"rollcall": VERSION, "episode_id": self.episode_id}
