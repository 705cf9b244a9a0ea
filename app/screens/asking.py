"""What an item of the review queue asks, and the tracks it is about."""

from __future__ import annotations

from typing import Any

from app.paint import clean
from app.pictures import Picture, boxed, scaled

Unit = dict[str, Any]
"""What is answered as one: a cluster or a track, whom it is proposed to be, the faces that stand for it."""


NOBODY = "nobody in particular"


def question(units: list[Unit], unit: Unit) -> str:
    """What is asked, in words."""
    if len(units) > 1:
        return "Is everybody here who the caption says?"
    if unit["kind"] == "mixed":
        return "Is this one person all the time?"
    if unit["proposed"] is None:
        return "Who is this?"
    if unit["kind"] == "disagreement":
        return f"Labelled {clean(unit['label'])}: is it {proposal(unit)} instead?"
    return f"Is this {proposal(unit)}?"


def proposal(unit: Unit) -> str:
    """Whom a yes says it is."""
    proposed = unit["proposed"]
    return "who?" if proposed is None else NOBODY if proposed["person_id"] is None else clean(proposed["person"])


def piece(track: dict[str, Any], ref: str) -> dict[str, Any]:
    """A track, or the stretch of it that a reference names."""
    _, at, stretch = ref.partition("@")
    if at:
        low, _, high = stretch.partition("-")
        track = {**track, "start_us": round(float(low) * 1e6), "end_us": round(float(high) * 1e6)}
        track["boxes"] = [box for box in track["boxes"] if track["start_us"] <= box["t_us"] < track["end_us"]]
    return track


def with_box(frame: Picture, boxes: list[dict[str, Any]], colour: tuple[int, ...]) -> Picture:
    """The frame with the box of the face nearest in time, when there is one near."""
    near = min(boxes, key=lambda box: abs(box["t_us"] - frame.t_us), default=None)
    if near is None or abs(near["t_us"] - frame.t_us) > 250_000:
        return frame
    return boxed(scaled(frame, frame.width, frame.height), [((near["x1"], near["y1"], near["x2"], near["y2"]), colour)])
