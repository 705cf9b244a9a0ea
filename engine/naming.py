"""What the name of a video file says of the episode in it: `My.Show.S01E02.The.Party.1080p.mkv`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLACES = (
    re.compile(r"(?<![a-z0-9])s(?P<season>\d{1,4})[ ._-]*e(?P<number>\d{1,4})(?!\d)", re.IGNORECASE),
    re.compile(r"(?<![a-z0-9])season[ ._-]*(?P<season>\d{1,4})[ ._-]*(?:episode|ep)[ ._-]*(?P<number>\d{1,4})(?!\d)", re.IGNORECASE),
    re.compile(r"(?<![a-z0-9])(?P<season>\d{1,2})x(?P<number>\d{2,3})(?!\d)", re.IGNORECASE),
)
_TECHNICAL = re.compile(
    r"(?<![a-z0-9])(?:\d{3,4}[pi]|4k|uhd|hdtv|web(?:-?dl|-?rip)?|blu-?ray|bdrip|dvd(?:rip)?"
    r"|[xh][ .]?26[45]|hevc|av1|prores|proxy|aac|ac3)(?![a-z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Named:
    """season, number: None where the name does not say. title: None where it says nothing but the place."""

    season: int | None
    number: int | None
    title: str | None


def read_name(stem: str) -> Named:
    """Read a file's name without its suffix: S01E02, `Season 1 Episode 2` or 1x02, then a title up to the first technical word."""
    place = next((found for pattern in _PLACES if (found := pattern.search(stem))), None)
    rest = stem[place.end() :] if place else stem
    technical = _TECHNICAL.search(rest)
    words = re.sub(r"[\s._]+", " ", rest[: technical.start()] if technical else rest)
    title = words.strip(" -–—[](){}") or None
    return Named(int(place["season"]), int(place["number"]), title) if place else Named(None, None, title)
