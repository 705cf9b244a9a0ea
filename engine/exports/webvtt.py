"""WebVTT: a subtitle track that says who is on screen, a cue for every stretch with the same people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from engine.exports.content import Content
from engine.totals.stretches import Stretch


def write(path: Path, content: Content) -> int:
    """Write the cues; returns their number. Faces of nobody identified are left out."""
    order = {row["person_id"]: n for n, row in enumerate(content.people)}
    cues = list(cast(content.shown))
    lines = ["WEBVTT", "", "NOTE", escaped(f"Who is on screen: {content.label}"), ""]
    for start, end, people in cues:
        names = ", ".join(escaped(content.names[person]) for person in sorted(people, key=lambda p: (order.get(p, len(order)), p)))
        lines += [f"{clock(start)} --> {clock(end)}", names, ""]
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    return len(cues)


def cast(stretches: list[Stretch]) -> Iterator[tuple[int, int, frozenset[int]]]:
    """(start, end, people) of every longest time in which the same people are visible; times in microseconds, whole milliseconds."""
    changes: dict[int, Counter[int]] = defaultdict(Counter)
    for s in stretches:
        if s.person_id is not None:
            changes[_milliseconds(s.start_us)][s.person_id] += 1
            changes[_milliseconds(s.end_us)][s.person_id] -= 1
    inside: Counter[int] = Counter()
    since, before = 0, frozenset[int]()
    for at in sorted(changes):
        inside.update(changes[at])
        now = frozenset(person for person, count in inside.items() if count)
        if now != before:
            if before:
                yield since, at, before
            since, before = at, now


def _milliseconds(t_us: int) -> int:
    return round(t_us / 1000) * 1000


def clock(t_us: int) -> str:
    """hh:mm:ss.mmm"""
    milliseconds = round(t_us / 1000)
    return f"{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"


def escaped(text: str) -> str:
    """Text as a cue or a note can hold it: one line, no markup, no arrow."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
