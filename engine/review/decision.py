"""The words of review: decisions, what they cover, and who wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple

Verb = Literal[
    "assign",  # these faces are a person, or nobody in particular (person_id None)
    "exclude",  # these are no faces
    "reject",  # these faces are not that person
    "split",  # the two parts are two people, and the boundary stays
    "merge",  # part 1 is the same cluster as part 0, and all of it is the person
    "part",  # part 1 leaves its cluster (part 0): two people
    "lock",  # nobody but a person changes these
    "unlock",
    "person_create",
    "person_rename",
    "person_alias",
    "person_merge",
    "person_archive",
    "person_feature",
    "person_forget",  # the person's faces are nobody's, for good; all that told who they were is gone
    "bank_add",
    "bank_remove",
    "undo",  # takes back what it voids; of an undo: redo
]

RANK_OF_LEVEL = {"cluster": 0, "track": 1, "frames": 2}
LABELS = frozenset({"assign", "exclude", "merge", "person_forget"})
"""Verbs that put a label on faces."""


@dataclass(frozen=True)
class Decision:
    """One line of the ledger. Its id is its place in the one order all decisions have (`seq`)."""

    decision_id: int
    batch: int
    logged_at: datetime
    actor: str
    verb: Verb
    level: str | None = None
    show_id: int | None = None
    episode_id: int | None = None
    person_id: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    source: str = "direct"
    voids: tuple[int, ...] = ()

    @property
    def by_person(self) -> bool:
        """Whether a person made it; scripts and agents rank below."""
        return self.actor.startswith("person:")

    @property
    def direct(self) -> bool:
        """Whether its maker meant these very faces, rather than spreading another decision."""
        return not self.source.startswith("propagated")


def read(row: dict[str, Any]) -> Decision:
    """A decision from its row in the store."""
    return Decision(**{**row, "voids": tuple(row["voids"])})


class Cover(NamedTuple):
    """A stretch of a track of one run, half-open microseconds, that a decision covers, at the level it has in this run."""

    decision_id: int
    number: int
    part: int
    track_id: int
    start_us: int
    end_us: int
    level: str


made_cover: Callable[[Iterable[Any]], Cover] = partial(tuple.__new__, Cover)
"""As `Cover._make`, in half the time."""


def strength(decision: Decision, level: str) -> tuple[int, int, int, int]:
    """Precedence of a label (rule 1): who, directness, level, then the newest."""
    return int(decision.by_person), int(decision.direct), RANK_OF_LEVEL[level], decision.decision_id


def voided(decisions: Iterable[Decision]) -> set[int]:
    """Ids of decisions taken back. One that takes back is itself taken back by a later one (redo), so the newest are judged first."""
    gone: set[int] = set()
    for decision in sorted(decisions, key=lambda one: -one.decision_id):
        if decision.decision_id not in gone:
            gone.update(decision.voids)
    return gone


def erased(decisions: Iterable[Decision]) -> frozenset[int]:
    """People who were forgotten; nothing takes that back."""
    return frozenset(person for d in decisions if d.verb == "person_forget" for person in d.parameters["people"])


def touches(decisions: Iterable[Decision]) -> dict[int, int]:
    """decision -> the newest one that took it back or brought it back; decisions nobody touched are left out."""
    newest: dict[int, int] = {}
    for decision in sorted(decisions, key=lambda one: -one.decision_id):
        for one in decision.voids:
            newest[one] = max(newest.get(one, 0), newest.get(decision.decision_id, decision.decision_id))
    return newest
