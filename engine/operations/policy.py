"""Who may do what. Enforced in `invoke` and in the transaction of every change, so no surface goes round it.

People may do everything their targets allow. Agents never destroy nor administer, and are held to the limits of `agents.*`, each by its own name:
which operations, how many changes, how probable a name must be, and whether what they answer takes effect or waits for a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from engine.config import AgentLimits, Config
from engine.errors import BadInput, Refused
from store import audit
from store.database import Transaction, now

if TYPE_CHECKING:
    from engine.operations.registry import Operation
    from engine.review.draft import Draft
    from engine.service import Engine

_ACTOR = re.compile(r"(person|agent|script):(\w[\w.@ -]{0,63})")

NAMING = ("assign", "merge")
"""Decisions that put a person on faces."""

Verdict = Literal["run", "propose"]


@dataclass(frozen=True)
class Actor:
    """Who asks: `person:<operator>`, `agent:<name>` or `script:<name>`."""

    kind: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Actor:
        """Read `kind:name`.

        Raises:
            BadInput: it is neither a person, an agent nor a script.
        """
        match = _ACTOR.fullmatch(text)
        if match is None:
            raise BadInput(f"{text!r} is not an actor.", "Write person:NAME, agent:NAME or script:NAME.")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def limits_of(engine: Engine, actor: Actor) -> AgentLimits:
    """What holds for an agent now; the settings are read afresh, so that a person can rein one in while it works."""
    agents = Config(engine.home).settings.agents
    return agents.limits(agents.per.get(actor.name, {}))


def authorise(engine: Engine, actor: Actor, op: Operation, parameters: dict[str, Any]) -> Verdict:
    """Let an operation run, have it wait for a person, or refuse it with the reason and the next step.

    Raises:
        Refused: the actor may not do this.
    """
    if actor.kind != "agent":
        return "run"
    if op.effect == "destroy":
        raise Refused(f"An agent may not use {op.name}: it removes data for good.", "Ask a person to do it.")
    if op.effect == "read":
        return "run"
    if op.toolset == "admin":
        raise Refused(f"An agent may not use {op.name}: it changes the installation.", "Ask a person to do it.")
    if op.people_only:
        raise Refused(f"An agent may not use {op.name}: it is a person's to decide.", "Ask a person to do it.")
    limits = limits_of(engine, actor)
    if limits.mode == "read":
        raise Refused(f"{actor} may only read here (agents.mode).", "Say what you would change; a person can do it or raise your limits.")
    allowed = [name.strip() for name in limits.allowed.split(",")]
    if not any(fnmatchcase(op.name, pattern) for pattern in allowed if pattern):
        raise Refused(f"{actor} may not use {op.name}: agents.allowed is {limits.allowed!r}.", "Use one of those, or ask a person.")
    if parameters.get("dry_run") is True:
        return "run"
    if limits.mode == "suggest" and op.toolset == "review" and op.name not in ("proposal_add", "queue_skip"):
        if "dry_run" not in op.params.model_fields:
            message = f"{actor} only proposes (agents.mode), and {op.name} cannot wait for a person."
            raise Refused(message, "Ask a person to do it; changes of labels and people can wait.")
        return "propose"
    return "run"


def hold_to_floor(engine: Engine, actor: Actor, drafts: Sequence[Draft], key: str) -> None:
    """Refuse to put a person where the machine holds them for less probable than an agent needs, whichever operation would do it.

    A person the machine has no opinion about (somebody new) counts as improbable; taking somebody away needs no probability.

    Raises:
        Refused: names the least probable track.
    """
    if actor.kind != "agent" or key in engine.database.journal.replaying:
        return
    floor = limits_of(engine, actor).min_probability
    for draft in drafts if floor else ():
        if draft.person_id is None or draft.verb not in NAMING or not draft.targets:
            continue
        tracks = [target.track_id for target in draft.targets]
        least = audit.least_held(engine.database, tracks, draft.person_id, draft.level == "cluster")
        if least is not None and least[1] < floor:
            person = repr(engine.review.called(draft.person_id)) if draft.person_id > 0 else "somebody new"
            message = f"The machine holds {person} for track {least[0]} at {least[1]:.2f}; {actor} needs {floor:g} (agents.min_probability)."
            raise Refused(message, "Propose it to a person with proposal_add, or skip it.")


def spend(engine: Engine, actor: Actor, transaction: Transaction, key: str) -> None:
    """Hold an agent to its budgets, in the transaction of the change, so that two at once cannot both be the last.

    Raises:
        Refused: it has made as many changes as it may.
    """
    if actor.kind != "agent" or key in engine.database.journal.replaying:
        return
    limits = limits_of(engine, actor)
    times = audit.times(transaction, str(actor), max(limits.hour_budget, limits.session_budget))
    hour = [moment for moment in times if moment > now() - timedelta(hours=1)]
    if len(hour) >= limits.hour_budget:
        free_at = 60 if not limits.hour_budget else max(1, round((hour[limits.hour_budget - 1] + timedelta(hours=1) - now()).total_seconds() / 60))
        message = f"{actor} has made {len(hour)} changes within the hour, as many as it may (agents.hour_budget)."
        raise Refused(message, f"Go on in {free_at} minutes, or ask a person to raise it.")
    if _session(times, limits.session_pause_s) >= limits.session_budget:
        message = f"{actor} has made {limits.session_budget} changes in this session, as many as it may (agents.session_budget)."
        raise Refused(message, f"A pause of {limits.session_pause_s / 60:g} minutes begins a new one, or ask a person to raise it.")


def _session(times: list[Any], pause_s: float) -> int:
    """How many changes go back from now without a pause that long; `times` newest first. Reconnecting begins no new session."""
    count, last = 0, now()
    for moment in times:
        if (last - moment).total_seconds() > pause_s:
            break
        count, last = count + 1, moment
    return count
