"""What an item of the review queue asks, and the tracks it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import verbs
from app.paint import BAR, Line, clean, clock, fit, meter, percent, right, runs, span, spread, wrap
from app.pictures import Picture, boxed, read, scaled
from app.widgets.player import RATE

if TYPE_CHECKING:
    from app.app import RollcallApp

MOST = 64
"""Frames of a stretch that is played."""

MARGIN_US = 300_000
"""Played before and after a track."""

NOBODY = "nobody in particular"

Unit = dict[str, Any]
"""What is answered as one: a cluster or a track, whom it is proposed to be, the faces that stand for it."""

Item = dict[str, Any]
"""An item of the queue: `item` is its id, `asked` its units."""


def same_question(one: Item, other: Item) -> bool:
    """Whether two items show the same faces and propose the same people: who answered the one has answered the other."""

    def asked(item: Item) -> list[tuple[list[str], bool, int | None]]:
        return [(unit["shown"], unit["proposed"] is None, (unit["proposed"] or {}).get("person_id")) for unit in item["asked"]]

    return one["episode_id"] == other["episode_id"] and asked(one) == asked(other)


def follower(items: list[Item], gone: Item | None) -> Item | None:
    """What is shown in place of an item that left the queue: the same question, else what shows a face of it, else the first."""
    if gone is None:
        return items[0] if items else None
    shown = {ref for unit in gone["asked"] for ref in unit["shown"]}
    akin = (item for item in items if any(ref in shown for unit in item["asked"] for ref in unit["shown"]))
    return next((item for item in items if same_question(item, gone)), None) or next(akin, None) or (items[0] if items else None)


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


async def stretch(app: RollcallApp, episode: str, track: dict[str, Any], width: int) -> list[Picture] | None:
    """The frames a track is in, and a little around them, with a box around the face; None when the operator was told why there are none."""
    low, high = max(0, track["start_us"] - MARGIN_US), track["end_us"] + MARGIN_US
    count = max(2, min(MOST, round((high - low) / 1e6 * RATE)))
    given = {"from_s": low / 1e6, "to_s": high / 1e6, "count": count, "width": width, "form": "rgb"}
    answer = await verbs.asked(app, "frame_strip", episode=episode, **given)
    if answer is None:
        return None
    colour = tuple(bytes.fromhex(app.ink.colours["accent"][1:]))
    return [with_box(read(frame), track["boxes"], colour) for frame in answer["frames"]]


def with_box(frame: Picture, boxes: list[dict[str, Any]], colour: tuple[int, ...]) -> Picture:
    """The frame with the box of the face nearest in time, when there is one near."""
    near = min(boxes, key=lambda box: abs(box["t_us"] - frame.t_us), default=None)
    if near is None or abs(near["t_us"] - frame.t_us) > 250_000:
        return frame
    return boxed(scaled(frame, frame.width, frame.height), [((near["x1"], near["y1"], near["x2"], near["y2"]), colour)])


def heading(item: Item, units: list[Unit], unit: Unit, left: str, notice: str, width: int) -> list[Line]:
    """What is asked, what the answer settles or what there is to notice, how much is left; below it why."""
    seconds = sum(one["seconds"] for one in units)
    risk = item["at_risk_s"] * seconds / max(0.001, item["settles_s"])
    beside = (notice, "accent") if notice else (f"settles {span(seconds)}, {risk:.1f} s of error", "dim")
    asked = question(units, unit)
    gap = max(1, width - len(asked) - len(left) - len(beside[0]) - 2)
    badges = "  ".join(clean(badge) for badge in unit["badges"])
    why = wrap(clean(unit["why"]), max(10, width - len(badges) - 3))
    first: Line = [(asked, "title"), ("  ", "text"), beside, (" " * gap, "text"), (left, "faint")]
    return [first, [(why[0] if why else "", "dim"), ("   " + badges, "accent")], *([(line, "dim")] for line in why[1:2])]


def chances(unit: Unit, candidates: list[dict[str, Any]], room: int) -> list[Line]:
    """Who it may be, with the keys that say so."""
    lines: list[Line] = []
    for n, row in enumerate(candidates, 1):
        name = (fit(clean(row["person"]), room - 6), "strong")
        lines.append([(f"{n} ", "key", f"screen.do('review.candidate', {n})"), name, (right(percent(row["probability"]), 6), "dim")])
        lines.append([("  ", "text"), (meter(row["probability"], room), "soft")])
    others = sum(row["probability"] for row in unit["candidates"] if row["person_id"] is None)
    if others >= 0.005:
        lines.append([("  ", "text"), (fit("nobody known", room - 6), "dim"), (right(percent(others), 6), "dim")])
    return lines


def answers(unit: Unit, marked: int, faces: int, *, possible: bool, known: bool) -> list[tuple[str, str]]:
    """Keys and what they say. possible: whether there is something to say yes to; known: whether somebody is proposed who has a name."""
    keys = [("y", "yes" + (", but not the marked" if marked else ""))] if possible else []
    keys += [("a", "somebody else, a new name"), ("0", f"not {proposal(unit)}" if known else NOBODY)]
    if faces > 1:
        keys.append(("m", f"{marked} of {faces} marked" if marked else "mark one that is wrong"))
    if unit["kind"] == "mixed":
        keys.append(("s", "cut it in two"))
    return [*keys, ("space", "play it"), ("tab", "later")]


def when(tracks: dict[str, dict[str, Any]], current: str | None, unit: Unit | None, length_us: float, width: int) -> list[Line]:
    """Where in an episode the faces are; the current one stands out."""
    cells, inks = ["─"] * width, ["faint"] * width
    for ref, track in sorted(tracks.items(), key=lambda pair: pair[0] == current):
        a, b = spread(track["start_us"], track["end_us"], 0, length_us, width)
        cells[a:b], inks[a:b] = [BAR] * (b - a), ["accent" if ref == current else "soft"] * (b - a)
    now = tracks.get(current or "")
    where = f"{clock(now['start_us'])} to {clock(now['end_us'])}, shot {now['shot'] + 1}" if now else ""
    stands = f", stands for {unit['tracks']} tracks" if unit and unit["tracks"] > len(unit["shown"]) else ""
    return [runs(cells, inks), [(where + stands, "dim")]]
