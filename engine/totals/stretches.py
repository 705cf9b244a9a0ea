"""When everybody is visible, from the labels in force: the pieces of tracks of one person, joined inside each shot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.totals import intervals


@dataclass(frozen=True)
class Stretch:
    """A person visible without a break inside one shot; person_id None: faces of nobody identified. `probability` is that of its least sure track."""

    person_id: int | None
    shot: int
    start_us: int
    end_us: int
    probability: float

    @property
    def seconds(self) -> float:
        return (self.end_us - self.start_us) / 1e6


def stretches(pieces: list[dict[str, Any]], gap_us: int) -> list[Stretch]:
    """Every person's stretches in time order; those of one person add up to the most probable figure of their total.

    Args:
        pieces: rows of `store.results.pieces`.
        gap_us: gaps up to this long inside a shot count as visible, except between faces of nobody identified.
    """
    groups: dict[tuple[int | None, int], list[dict[str, Any]]] = defaultdict(list)
    for piece in pieces:
        groups[piece["person_id"], piece["shot"]].append(piece)
    found = []
    for (person_id, shot), rows in groups.items():
        spans = np.array([[row["start_us"], row["end_us"]] for row in rows], np.int64)
        for start, end in intervals.close_gaps(spans, gap_us if person_id is not None else 0).tolist():
            part = [row["probability"] for row in rows if row["start_us"] < end and row["end_us"] > start]
            found.append(Stretch(person_id, shot, start, end, min(part)))
    return sorted(found, key=lambda s: (s.start_us, s.end_us, s.person_id is None, s.person_id or 0))
