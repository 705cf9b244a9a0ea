"""Corrections made elsewhere, applied here: recordings are known by their digest, faces found by the anchors (rule 5)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import BadInput, Refused
from engine.exports.corrections import FORMAT, keys
from engine.exports.ledger import LedgerContent
from engine.review import anchors, authority, naming
from engine.review.decision import Decision
from engine.review.draft import Draft, Plan, Target
from engine.review.rerun import faces_of
from engine.review.targets import Aim, within
from store import catalog, results
from store.database import now

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from engine.review.state import EpisodeState
    from store.database import Database

IMPORTED = "imported"
WEAKER = "propagated:imported"
"""Source of what was not decided by a person, or only spread: it gives way to what a person meant directly, as it did where it was made."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Person(_Part):
    name: str | None = None
    unknown: int | None = None


class _Label(_Part):
    person: _Person | None
    excluded: bool


class _Anchor(_Part):
    part: int = Field(ge=0, le=1000)
    start_us: int
    end_us: int
    path: list[tuple[int, float, float, float, float]]


class Correction(_Part):
    """One of them, as `engine.exports.corrections` writes it."""

    key: Annotated[str, Field(min_length=1, max_length=64)]
    verb: Literal["assign", "exclude", "reject", "split", "merge", "part", "lock", "unlock"]
    level: Literal["frames", "track", "cluster"]
    media_digest: str
    person: _Person | None
    actor: str
    at: str
    direct: bool
    reason: str | None
    labels: list[_Label]
    anchors: list[_Anchor]


class _File(_Part):
    format: str
    corrections: list[Correction]


def read(path: Path) -> list[Correction]:
    """The corrections of a file.

    Raises:
        BadInput: it cannot be read, or is something else.
    """
    hint = f"`rollcall export create --format corrections.json` writes one ({FORMAT})."
    try:
        found = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{path} holds no corrections: {'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}.", hint) from error
    if found.format != FORMAT:
        raise BadInput(f"{path} is of format {found.format!r}, not {FORMAT!r}.", hint)
    return found.corrections


@dataclass
class _Importer:
    """Turns corrections into the drafts of one plan; `left`: why some were left out, and how many."""

    desk: Desk
    database: Database
    actor: str
    create: bool
    plan: Plan = field(default_factory=Plan)
    left: Counter[str] = field(default_factory=Counter)
    _faces: dict[int, tuple[EpisodeState, anchors.Faces]] = field(default_factory=dict)
    _unknown: dict[tuple[int, int], int] = field(default_factory=dict)

    def take(self, one: Correction) -> None:
        """Draft one correction, or count why not."""
        episode = catalog.episode_of_digest(self.database, one.media_digest)
        if episode is None:
            self.left["of recordings that are not in this library"] += 1
            return
        if episode["active_run_id"] is None:
            self.left[f"of episode {episode['episode_id']} ({episode['title']}), which has not been analysed"] += 1
            return
        state, faces = self._seen(episode["episode_id"])
        covers = anchors.covers(Decision(0, 0, now(), self.actor, one.verb, one.level), _paths(one), faces)
        if not covers:
            self.left[f"about faces that the analysis of episode {episode['episode_id']} ({episode['title']}) does not find"] += 1
            return
        covers = sorted(covers, key=lambda cover: (cover.part, cover.track_id, cover.start_us))
        targets = tuple(dict.fromkeys(Target(c.track_id, c.start_us, c.end_us, c.part) for c in covers))
        aim = Aim(state, one.level, targets, within(state, targets))
        try:
            authority.permitted(aim, self.actor, force=False, kept=[])
            if one.verb in ("lock", "unlock") and not authority.is_person(self.actor):
                raise Refused("Locks are a person's.")
            who = self._who(one.person, aim)
        except (Refused, BadInput) as error:
            self.left[f"refused ({error.message})"] += 1
            return
        for level in sorted({c.level for c in covers}):
            # What moves clusters or tells two people apart is about all its sides at once.
            if one.verb in ("split", "merge", "part") and level != covers[0].level:
                continue
            mine = [c for c in covers if c.level == level or one.verb in ("split", "merge", "part")]
            self.plan.drafts.append(self._draft(one, one.level if one.verb in ("merge", "part") else level, aim, who, mine))

    def _draft(self, one: Correction, level: str, aim: Aim, who: int | None, covers: list[Any]) -> Draft:
        state = aim.state
        parameters: dict[str, Any] = {"imported": {"key": one.key, "actor": one.actor, "at": one.at, "reason": one.reason}}
        if one.verb == "merge":
            parameters["forced"] = True
        if one.verb == "lock":
            labels = [one.labels[c.number] if c.number < len(one.labels) else _Label(person=None, excluded=False) for c in covers]
            parameters["labels"] = [{"person_id": self._who(label.person, aim), "excluded": label.excluded} for label in labels]
        source = IMPORTED if one.direct and one.actor.startswith("person:") else WEAKER
        targets = tuple(Target(c.track_id, c.start_us, c.end_us, c.part) for c in covers)
        return Draft(one.verb, level, state.show_id, state.episode_id, who, targets, parameters, source)

    def _seen(self, episode_id: int) -> tuple[EpisodeState, anchors.Faces]:
        if episode_id not in self._faces:
            state = self.desk.state(episode_id)
            found = faces_of(results.faces_of_tracks(self.database, state.run_id), results.track_spans(self.database, state.run_id))
            self._faces[episode_id] = state, found
        return self._faces[episode_id]

    def _who(self, person: _Person | None, aim: Aim) -> int | None:
        """The person meant; an unknown is whoever nameless these faces are here, else somebody new, the same for the whole file."""
        if person is None or (person.name is None and person.unknown is None):
            return None
        show_id = aim.state.show_id
        if person.name is not None:
            return naming.named(self.desk, self.plan, show_id, person.name, create=self.create)
        key = show_id, person.unknown or 0
        if key not in self._unknown:
            here = naming.held_by(aim)
            row = self.desk.person(here) if here is not None else None
            nameless = here is not None and row is not None and row["name"] is None and here not in self._unknown.values()
            self._unknown[key] = here if nameless and here is not None else naming.unnamed(self.plan, show_id)
        return self._unknown[key]


def _paths(one: Correction) -> list[anchors.Path]:
    found = []
    for number, anchor in enumerate(one.anchors):
        path = sorted(anchor.path)
        t_us = np.array([row[0] for row in path], np.int64)
        boxes = np.array([row[1:] for row in path], np.float32).reshape(-1, 4)
        found.append(anchors.Path(number, anchor.part, anchor.start_us, anchor.end_us, t_us, boxes))
    return found


def plan(desk: Desk, database: Database, corrections: list[Correction], actor: str, *, create: bool) -> Plan:
    """Draft corrections in their order; those decided or imported here before are passed over."""
    known = keys(LedgerContent(database))
    work = _Importer(desk, database, actor, create)
    fresh = [one for one in corrections if one.key not in known]
    for one in fresh:
        work.take(one)
    if len(fresh) < len(corrections):
        work.plan.notes.append(f"{len(corrections) - len(fresh)} of {len(corrections)} corrections are decided here already.")
    work.plan.notes += [f"Left out: {count} {why}." for why, count in work.left.most_common()]
    return work.plan
