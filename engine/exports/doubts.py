"""What is uncertain in an episode, and why, in words: the tracks whose person is in doubt or not known, those that matter most first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.config import Settings, build
from engine.exports.content import Content
from engine.exports.wording import percent
from engine.totals import account

SMALL_PX = 40
"""Faces less tall than this are called small."""

WORTH_NAMING = 0.02
"""Somebody a face may be with less probability is not named."""


@dataclass(frozen=True)
class Doubt:
    """A piece of a track; `probability` of the person it is taken for (None: nobody), `others` it may be, with theirs; `reasons` in words."""

    piece: dict[str, Any]
    probability: float | None
    others: list[tuple[str, float]]
    reasons: list[str]

    @property
    def seconds(self) -> float:
        return float(self.piece["end_us"] - self.piece["start_us"]) / 1e6

    @property
    def at_risk_s(self) -> float:
        """Seconds expected to be counted for the wrong person, or for nobody."""
        return self.seconds * (1 - (self.probability or 0.0))


def doubts(content: Content) -> list[Doubt]:
    """Unidentified, unsure and mixed tracks, by the seconds they put at risk."""
    settings = build(content.run["settings"])
    claims: dict[int, dict[int, float]] = {}
    for person in content.people:
        for row in account.explain_person(content.database, content.run, person["person_id"])["doubts"]:
            claims.setdefault(row["track_id"], {})[person["person_id"]] = row["probability"]
    found = []
    for piece in content.pieces:
        mine = claims.get(piece["track_id"], {})
        person = piece["person_id"]
        decided = piece["label_source"] != "machine"
        if decided or not (person is None or person in mine or piece["mixed"]):
            continue
        named = [(content.names[p], chance) for p, chance in mine.items() if p != person and chance >= WORTH_NAMING]
        others = sorted(named, key=lambda pair: -pair[1])
        chance = None if person is None else mine.get(person, piece["probability"])
        found.append(Doubt(piece, chance, others[:3], _reasons(piece, others, settings)))
    return sorted(found, key=lambda doubt: (-doubt.at_risk_s, doubt.piece["start_us"]))


def _reasons(piece: dict[str, Any], others: list[tuple[str, float]], settings: Settings) -> list[str]:
    reasons = []
    if piece["mixed"]:
        reasons.append("Its faces do not all look like one person.")
    if piece["quality"] < settings.identity.poor_quality:
        reasons.append("Turned away, blurred, dark or partly hidden.")
    if piece["height_px"] < SMALL_PX:
        reasons.append(f"Small: {round(piece['height_px'])} pixels tall.")
    if piece["faces"] <= 2:
        reasons.append("Seen in one picture only." if piece["faces"] == 1 else "Seen in two pictures only.")
    if others:
        reasons.append(f"{others[0][0]} is possible too ({percent(others[0][1])}).")
    if not reasons and piece["person_id"] is None:
        reasons.append("Resembles nobody known well enough.")
    return reasons or ["Not alike enough to the other faces of this person."]
