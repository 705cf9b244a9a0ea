"""HTML: one page a producer can open anywhere. No script, nothing loaded from outside, pictures in the page."""

from __future__ import annotations

import base64
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from engine import config
from engine.exports import wording
from engine.exports.content import Content
from engine.exports.doubts import Doubt, doubts
from engine.totals import intervals
from engine.totals.stretches import Stretch

MOST_PEOPLE = 24
"""Shown with timeline and pictures; the others are in a table that opens."""

MOST_IN_MATRIX = 14
MOST_PICTURES = 6
MOST_DOUBTS = 24


def write(path: Path, content: Content) -> int:
    """Write the page; returns the number of people on it."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_template().stream(**_page(content)))
    return len(content.people)


@cache
def _template() -> jinja2.Template:
    files = resources.files("engine.exports")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(lasting=wording.length, clock=wording.clock, exact=wording.exact_clock, percent=wording.percent)
    environment.globals["css"] = (files / "report.css").read_text(encoding="utf-8")
    environment.globals["interval"] = wording.interval
    return environment.from_string((files / "report.html.jinja").read_text(encoding="utf-8"))


def _page(content: Content) -> dict[str, Any]:
    """Everything the template says."""
    duration = max(content.episode["duration_s"], 1e-6)
    full = max((row["visual_high_s"] for row in content.people), default=0.0) or 1.0
    people = [_person(content, row, duration, full) for row in content.people]
    unsure = doubts(content)
    nobody = [s for s in content.stretches if s.person_id is None]
    return {
        "content": content,
        "label": content.label,
        "duration": duration,
        "people": people[:MOST_PEOPLE],
        "more": people[MOST_PEOPLE:],
        "known": sum(row["kind"] == "known" for row in content.people),
        "occupied": _union_s(content.stretches),
        "unidentified_s": content.run["unidentified_s"],
        "nobody": _spans(nobody, duration),
        "shots": [round(shot["start_us"] / 1e4 / duration, 3) for shot in content.shots[1:]],
        "shot_count": len(content.shots),
        "marks": [(at, round(100 * at / duration, 3)) for at in wording.marks(duration)],
        "matrix": _matrix(content),
        "doubts": [_doubt(content, doubt) for doubt in unsure[:MOST_DOUBTS]],
        "doubts_left": unsure[MOST_DOUBTS:],
        "models": content.run["models"],
        "changed": _changed(content.run["settings"]),
        "settings": content.run["settings"],
        "lineage": content.lineage,
    }


def _person(content: Content, row: dict[str, Any], duration: float, full: float) -> dict[str, Any]:
    mine = [s for s in content.stretches if s.person_id == row["person_id"]]
    pieces = [piece for piece in content.pieces if piece["person_id"] == row["person_id"]]
    return {
        **row,
        "colour": content.colours[row["person_id"]].hex,
        "share": row["visual_s"] / duration,
        "bar": [round(100 * row[name] / full, 2) for name in ("visual_low_s", "visual_s", "visual_high_s")],
        "first_s": row["first_us"] / 1e6,
        "last_s": row["last_us"] / 1e6,
        "pictures": _pictures(content, pieces),
        "spans": _spans(mine, duration),
        "longest": max((s.seconds for s in mine), default=0.0),
    }


def _pictures(content: Content, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best pictures of a person, each from a shot of its own while there are such."""
    ranked = sorted((piece for piece in pieces if piece["chip"]), key=lambda piece: (-piece["quality"] * piece["probability"], piece["start_us"]))
    shots: set[int] = set()
    first = [piece for piece in ranked if not (piece["shot"] in shots or shots.add(piece["shot"]))]  # type: ignore[func-returns-value]
    found = [{"at": piece["start_us"] / 1e6, "src": _inline(content, piece["chip"])} for piece in first[:MOST_PICTURES]]
    return [picture for picture in found if picture["src"]]


def _inline(content: Content, chip: str | None) -> str:
    """A picture as a data address; empty when there is none."""
    path = content.media.path(chip) if chip else None
    if path is None or not path.is_file():
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _spans(stretches: list[Stretch], duration: float) -> list[dict[str, Any]]:
    """Places on the time axis, in hundredths of its length."""
    return [
        {
            "x": round(s.start_us / 1e4 / duration, 3),
            "width": round((s.end_us - s.start_us) / 1e4 / duration, 3),
            "start": s.start_us / 1e6,
            "end": s.end_us / 1e6,
            "shot": s.shot + 1,
            "probability": s.probability,
        }
        for s in stretches
    ]


def _union_s(stretches: list[Stretch]) -> float:
    """Seconds in which somebody is visible."""
    spans = np.array([[s.start_us, s.end_us] for s in stretches], np.int64).reshape(-1, 2)
    return intervals.length(spans) / 1e6


def _matrix(content: Content) -> dict[str, Any]:
    """Seconds together, a row and a column for each person; on the diagonal the seconds alone."""
    people = content.people[:MOST_IN_MATRIX]
    seconds = {(row["person_a"], row["person_b"]): row["seconds"] for row in content.pairs}
    most = max(seconds.values(), default=0.0) or 1.0
    rows = []
    for mine in people:
        cells = []
        for theirs in people:
            a, b = sorted((mine["person_id"], theirs["person_id"]))
            value = mine["solo_s"] if a == b else seconds.get((a, b), 0.0)
            cells.append({"seconds": value, "alone": a == b, "shade": 0 if a == b or value < 0.05 else round(12 + 58 * value / most)})
        rows.append({"name": mine["name"], "colour": content.colours[mine["person_id"]].hex, "cells": cells})
    return {"rows": rows, "left": len(content.people) - len(people)}


def _doubt(content: Content, doubt: Doubt) -> dict[str, Any]:
    piece = doubt.piece
    return {
        "track_id": piece["track_id"],
        "src": _inline(content, piece["chip"]),
        "person": content.names[piece["person_id"]] if piece["person_id"] is not None else None,
        "colour": content.colours[piece["person_id"]].hex,
        "probability": doubt.probability,
        "others": doubt.others,
        "start": piece["start_us"] / 1e6,
        "seconds": doubt.seconds,
        "shot": piece["shot"] + 1,
        "reasons": doubt.reasons,
    }


def _changed(settings: dict[str, Any]) -> list[tuple[str, Any, Any, str]]:
    """(name, value, default, meaning) of settings that were not the defaults."""
    known = [name for name in config.names() if name in settings]
    described = [(name, settings[name], *config.describe(name)) for name in known]
    return [row for row in described if row[1] != row[2]]
