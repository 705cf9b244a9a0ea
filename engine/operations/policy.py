"""Who may do what. Enforced in `invoke`, so no surface goes round it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import BadInput, Refused

if TYPE_CHECKING:
    from engine.operations.registry import Operation

_ACTOR = re.compile(r"(person|agent|script):(\w[\w.@ -]{0,63})")


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


def authorise(actor: Actor, op: Operation) -> None:
    """Let the operation pass, or refuse it with the reason.

    Raises:
        Refused: agents neither destroy nor administer.
    """
    if actor.kind == "agent" and op.effect == "destroy":
        raise Refused(f"An agent may not use {op.name}: it removes data for good.", "Ask a person to do it.")
    if actor.kind == "agent" and op.toolset == "admin" and op.effect != "read":
        raise Refused(f"An agent may not use {op.name}: it changes the installation.", "Ask a person to do it.")
