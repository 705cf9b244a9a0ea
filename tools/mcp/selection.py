"""Which operations a server offers as tools: toolsets, single names, read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import BadInput

Spec = dict[str, dict[str, Any]]

REVIEW = (
    "queue_next",
    "queue_accept",
    "queue_skip",
    "track_show",
    "track_list",
    "cluster_show",
    "cluster_assign",
    "cluster_reject",
    "track_assign",
    "track_reject",
    "track_exclude",
    "track_split",
    "suggestion_list",
    "suggestion_accept",
    "decision_list",
    "decision_undo",
    "person_list",
    "episode_list",
    "totals_show",
    "export_create",
)
"""The default toolset: what relabelling an episode from end to end takes, and nothing more, since every definition costs context."""

_OF_OPERATIONS = {"review": "curation", "totals": "curation", "jobs": "catalog"}
"""Toolsets of the registry whose operations are found under another name here; the others keep theirs."""

TOOLSETS = ("review", "curation", "catalog", "voice", "export", "live", "admin")
"""`curation` holds the operations of review and totals that the default set leaves out."""


@dataclass(frozen=True)
class Selection:
    """What is offered: toolsets by name (`all` for every one), further tools by name, and whether writing is left out."""

    toolsets: tuple[str, ...] = ("review",)
    tools: tuple[str, ...] = ()
    read_only: bool = False

    @classmethod
    def parse(cls, toolsets: str | None, tools: str | None, read_only: bool) -> Selection:
        """From comma-separated names; tools named without toolsets are offered alone."""
        named = _names(tools)
        return cls(_names(toolsets) or (() if named else ("review",)), named, read_only)

    def of(self, spec: Spec) -> list[dict[str, Any]]:
        """The operations offered, those of the default toolset first and in its order.

        Raises:
            BadInput: a toolset or a tool has no such name.
        """
        if unknown := [name for name in self.toolsets if name not in (*TOOLSETS, "all")]:
            raise BadInput(f"There is no toolset {unknown[0]!r}.", f"There are: all, {', '.join(TOOLSETS)}.")
        if unknown := [name for name in self.tools if name not in offered(spec)]:
            raise BadInput(f"There is no tool {unknown[0]!r}.", "`rollcall mcp --list --toolsets all` lists them.")
        chosen = [name for name in offered(spec) if name in self.tools or "all" in self.toolsets or toolset(spec[name]) in self.toolsets]
        return [spec[name] for name in chosen if not self.read_only or spec[name]["effect"] == "read"]


def offered(spec: Spec) -> list[str]:
    """Names of the operations an agent may have at all: not what the policy refuses them whatever the settings (what removes data for good, what is
    people's to decide, what changes the installation), nor pictures as text."""
    names = [name for name, op in spec.items() if not _peoples(op) and name not in PICTURES]
    return sorted(names, key=lambda name: (REVIEW.index(name) if name in REVIEW else len(REVIEW), name))


def _peoples(op: dict[str, Any]) -> bool:
    return bool(op["people_only"]) or op["effect"] == "destroy" or (op["effect"] == "write" and op["toolset"] == "admin")


PICTURES = ("picture_list", "picture_read", "track_frame", "frame_read", "frame_strip", "export_read")
"""Operations that answer with the bytes of a file: they serve pictures and resources, and would only fill a context as text."""


def toolset(op: dict[str, Any]) -> str:
    """The toolset an operation belongs to."""
    return "review" if op["name"] in REVIEW else _OF_OPERATIONS.get(op["toolset"], op["toolset"])


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
