"""Holding a result to the truth of a made episode: which person found is which person shown, and how far their seconds are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SAME_FACE_IOU = 0.3
TOLERANCE = 0.10
"""Share of the truth a person's seconds may be off by."""


@dataclass(frozen=True)
class FaceTruth:
    """Every visible face of every frame: frame number (n,), person (n,) as a row of the people, box (n, 4) normalised xyxy."""

    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    box: NDArray[np.float64]


def votes(found: list[dict[str, Any]], truth: FaceTruth, fps: float, people: list[int], shown: int) -> NDArray[np.int64]:
    """(people found, people shown) how many faces of each found person lie on a face of each shown one.

    Args:
        found: faces with `person_id`, `t_us`, `x1`, `y1`, `x2`, `y2`.
        people: ids of the people found, in the order of the rows.
    """
    counts = np.zeros((len(people), shown), np.int64)
    row_of = {person: row for row, person in enumerate(people)}
    for face in found:
        at = np.flatnonzero(truth.frame == round(face["t_us"] * fps / 1e6))
        if len(at):
            overlap = _iou(np.array([face[side] for side in ("x1", "y1", "x2", "y2")]), truth.box[at])
            best = int(overlap.argmax())
            if overlap[best] >= SAME_FACE_IOU:
                counts[row_of[face["person_id"]], truth.person[at[best]]] += 1
    return counts


def _iou(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    ratio: NDArray[np.float64] = shared / np.maximum(areas - shared, 1e-12)
    return ratio


def compare(totals: dict[str, Any], found: list[dict[str, Any]], truth: dict[str, Any]) -> dict[str, Any]:
    """Totals beside truth.

    Args:
        totals: result of `totals_show`.
        found: all faces of its tracks, see `votes`.
        truth: what `compose` wrote.

    Returns:
        `people`: one row a person shown, with the person found whose faces theirs are (null when nobody was found for them) and the error as a
        share of the truth; `extra`: people found who are nobody shown; `worst_error`, `ok`.
    """
    names = [person["id"] for person in truth["people"]]
    faces = truth["faces"]
    known = FaceTruth(
        np.array(faces["frame"]),
        np.array([names.index(person) if isinstance(person, str) else person for person in faces["person"]]),
        np.array(faces["box"]),
    )
    people = totals["people"]
    counts = votes(found, known, truth["fps"], [person["person_id"] for person in people], len(names))
    pairs = {int(b): people[a] for a, b in zip(*linear_sum_assignment(-counts), strict=True) if counts[a, b]}
    rows = [_row(shown, pairs.get(n)) for n, shown in enumerate(truth["people"])]
    taken = {row["person_id"] for row in rows}
    extra = [person for person in people if person["person_id"] not in taken]
    worst = max((abs(row["error"]) for row in rows), default=0.0)
    return {"people": rows, "extra": extra, "worst_error": worst, "ok": worst <= TOLERANCE and not extra}


def _row(shown: dict[str, Any], found: dict[str, Any] | None) -> dict[str, Any]:
    truth_s = shown["visible_seconds"]
    row = {"truth_name": shown["name"], "truth_s": truth_s}
    if found is None:
        return {**row, "person_id": None, "name": None, "visual_s": 0.0, "visual_low_s": 0.0, "visual_high_s": 0.0, "error": -1.0}
    kept = {name: found[name] for name in ("person_id", "name", "visual_s", "visual_low_s", "visual_high_s")}
    return {**row, **kept, "error": (found["visual_s"] - truth_s) / truth_s}
