"""Colours of people, the same in every export of an episode: most seen first, then round again."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """`hex` is #RRGGBB, told apart by colour-blind people and readable on light and dark; `marker` is the nearest colour editing programs know."""

    hex: str
    marker: str


COLOURS = (
    Colour("#3b82d6", "BLUE"),
    Colour("#e0823d", "ORANGE"),
    Colour("#2fa37a", "GREEN"),
    Colour("#c95fa8", "MAGENTA"),
    Colour("#b8992b", "YELLOW"),
    Colour("#7c6bd6", "PURPLE"),
    Colour("#2ba7bd", "CYAN"),
    Colour("#d6564f", "RED"),
)
NOBODY = Colour("#8a9099", "WHITE")
"""Faces of nobody identified."""


def colours(people: list[int]) -> dict[int | None, Colour]:
    """A colour for each person, in the order given, and one for nobody."""
    return {None: NOBODY, **{person: COLOURS[n % len(COLOURS)] for n, person in enumerate(people)}}
