"""CMX 3600 EDL: a reel of every stretch somebody is visible, person after person, most seen first.

Source times count from the first picture of the file as 00:00:00:00, record times go on without a break. Timecode never drops frames.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from engine.errors import BadInput
from engine.exports.content import Content

RATES = tuple(Fraction(rate) for rate in (24, 25, 30, 50, 60)) + tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60))
"""Frames a second timecode can count."""

MOST_EVENTS = 999
"""An event's number has three digits."""


def write(path: Path, content: Content) -> int:
    """Write the events; returns their number.

    Raises:
        BadInput: there are more stretches than an EDL can hold.
    """
    order = {row["person_id"]: n for n, row in enumerate(content.people)}
    events = sorted(content.shown, key=lambda s: (order.get(s.person_id, len(order)), s.start_us))
    if len(events) > MOST_EVENTS:
        raise BadInput(
            f"An EDL holds {MOST_EVENTS} events; {content.label} has {len(events)}.", "Ask for one person with --person, or for --format otio."
        )
    rate = timecode_rate(content.rate)
    first = content.info.first_frame_us
    record = 0
    lines = [f"TITLE: {_line(content.label)}", "FCM: NON-DROP FRAME", ""]
    for number, stretch in enumerate(events, 1):
        start = round((stretch.start_us - first) * rate / 1_000_000)
        length = max(1, round((stretch.end_us - first) * rate / 1_000_000) - start)
        times = [timecode(at, rate) for at in (start, start + length, record, record + length)]
        lines.append(f"{number:03d}  AX       V     C        {' '.join(times)}")
        lines.append(f"* FROM CLIP NAME: {_line(content.file_name)}")
        lines.append(f"* LOC: {times[2]} {content.colours[stretch.person_id].marker:<7} {_line(content.names[stretch.person_id])}")
        record += length
    path.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
    return len(events)


def timecode_rate(rate: Fraction) -> Fraction:
    """The rate timecode counts in: the video's own where it can, else one whose frames fall together with the video's, else 25."""
    near = [known for known in RATES if abs(rate / known - 1) < Fraction(1, 5000)]
    ratios = [(max(rate / known, known / rate), known) for known in RATES]
    whole = [(ratio, known) for ratio, known in ratios if abs(ratio / round(ratio) - 1) < Fraction(1, 5000)]
    return near[0] if near else min(whole)[1] if whole else Fraction(25)


def timecode(frame: int, rate: Fraction) -> str:
    """hh:mm:ss:ff of a frame, none dropped."""
    base = round(rate)
    seconds, frames = divmod(frame, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _line(text: str) -> str:
    return " ".join(text.split())
