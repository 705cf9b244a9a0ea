"""How anchors are kept, in the library and in the journal: the faces of a decision as two columns of records, one for anchors, one for samples.

A decision about a cluster of two thousand tracks is about some ten thousand faces, and every one of them is written twice before it is answered.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANCHOR = np.dtype([("start_us", "<i8"), ("end_us", "<i8"), ("number", "<i4"), ("part", "<i4"), ("faces", "<i4")])
"""A stretch of time with its place among the decision's anchors and how many samples its path has."""

FACE, FAR = (np.dtype([("after_us", after), ("box", "<i2", 4)]) for after in ("<i4", "<i8"))
"""A sample: microseconds after the one before it, after the anchor's start for the first; x1 y1 x2 y2 in steps. FAR where half an hour or more lies
between two of a path: all that were in between were forgotten."""

STEPS = 20_000
"""Boxes are kept in steps of this part of the picture: a tenth of a pixel of 1920. They may lie outside of it by half its size."""

_MARKS = {b"\x01": FACE, b"\x02": FAR}
"""Cells begin with one of these, and their samples are such; older ones are JSON."""

_DECIMAL_STEPS = 100_000
"""The steps of boxes that were kept as decimal numbers."""

_PLAIN = ("decision_id", "number", "part", "episode_id", "start_us", "end_us")

Row = dict[str, Any]
"""One anchor: `_PLAIN`, t_us and boxes (x1 y1 x2 y2 for each t_us, normalised)."""


def steps(boxes: NDArray[np.float32]) -> NDArray[np.int16]:
    """Boxes, normalised, as they are kept."""
    held = np.iinfo(np.int16)
    return np.clip(np.rint(boxes.astype(np.float64) * STEPS), held.min, held.max).astype(np.int16)


@dataclass(frozen=True)
class Pack:
    """The anchors of a decision: (anchors,) ANCHOR and (samples,) FACE or FAR, the samples of all paths in a row."""

    decision_id: int
    episode_id: int
    anchors: NDArray[Any]
    faces: NDArray[Any]

    @cached_property
    def cell(self) -> bytes:
        """As the library keeps it: a mark, how many anchors, the anchors, the samples."""
        mark = next(mark for mark, kind in _MARKS.items() if kind == self.faces.dtype)
        return b"".join((mark, len(self.anchors).to_bytes(4, "little"), self.anchors.tobytes(), self.faces.tobytes()))

    def facts(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {"decision_id": self.decision_id, "episode_id": self.episode_id, "faces": base64.b64encode(self.cell).decode()}


def pack(
    decision_id: int,
    episode_id: int,
    stretches: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
    faces: NDArray[np.int64],
    t_us: NDArray[np.int64],
    boxes: NDArray[np.int16],
) -> Pack:
    """The anchors of a decision.

    Args:
        stretches: (anchors,) each: number, part, start_us, end_us; faces: (anchors,) samples of each; t_us (n,), boxes (n, 4) in steps: of all, in a
            row.
    """
    anchors = np.empty(len(faces), ANCHOR)
    for name, values in zip(("number", "part", "start_us", "end_us"), stretches, strict=True):
        anchors[name] = values
    anchors["faces"] = faces
    after = np.diff(t_us, prepend=0)
    begins = (np.cumsum(faces) - faces)[faces > 0]
    after[begins] = t_us[begins] - anchors["start_us"][faces > 0]
    samples = np.empty(len(t_us), FACE if (np.abs(after) <= np.iinfo("<i4").max).all() else FAR)
    samples["after_us"], samples["box"] = after, boxes
    return Pack(decision_id, episode_id, anchors, samples)


def repacked(rows: Iterable[Row]) -> list[Pack]:
    """Anchors by decision."""
    by_decision: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_decision[row["decision_id"]].append(row)
    found = []
    for decision, mine in by_decision.items():
        number, part, start, end = (np.array([row[name] for row in mine], np.int64) for name in ("number", "part", "start_us", "end_us"))
        faces = np.array([len(row["t_us"]) for row in mine], np.int64)
        t_us = np.fromiter(chain.from_iterable(row["t_us"] for row in mine), np.int64)
        boxes = np.fromiter(chain.from_iterable(row["boxes"] for row in mine), np.float32).reshape(-1, 4)
        found.append(pack(decision, mine[0]["episode_id"], (number, part, start, end), faces, t_us, steps(boxes)))
    return found


def joined(packs: Sequence[Pack]) -> list[dict[str, Any]]:
    """The anchors of several decisions for the journal."""
    return [one.facts() for one in packs]


def rows(decision_id: int, episode_id: int, cell: bytes) -> list[Row]:
    """The anchors in a cell of the library."""
    kind = _MARKS.get(cell[:1])
    if kind is None:
        return unpacked(json.loads(cell))
    anchors = np.frombuffer(cell, ANCHOR, int.from_bytes(cell[1:5], "little"), 5)
    faces = np.frombuffer(cell, kind, offset=5 + anchors.nbytes)
    boxes = (faces["box"] / STEPS).tolist()
    after, found, low = faces["after_us"].tolist(), [], 0
    for start, end, number, part, length in anchors.tolist():
        high = low + length
        t_us = list(accumulate(after[low:high], initial=start))[1:]
        plain = (decision_id, number, part, episode_id, start, end)
        found.append({**dict(zip(_PLAIN, plain, strict=True)), "t_us": t_us, "boxes": list(chain.from_iterable(boxes[low:high]))})
        low = high
    return found


def unpacked(anchors: Any) -> list[Row]:
    """Anchors as the journal holds them: packs; in older ones packs of decimal numbers, one for each decision or for all, or rows."""
    if isinstance(anchors, list):
        return [row for one in anchors for row in (unpacked(one) if "faces" in one else [one])]
    if not anchors:
        return []
    if isinstance(anchors["faces"], str):
        return rows(anchors["decision_id"], anchors["episode_id"], base64.b64decode(anchors["faces"]))
    return _decimal(anchors)


def _decimal(anchors: dict[str, list[Any]]) -> list[Row]:
    """Anchors from columns of decimal numbers, each less the one before it."""
    ends = [0, *accumulate(anchors["faces"])]
    found = []
    for place, values in enumerate(zip(*(anchors[name] for name in _PLAIN), strict=True)):
        low, high = ends[place], ends[place + 1]
        corners = [list(accumulate(anchors["boxes"][4 * low + side : 4 * high : 4])) for side in range(4)]
        boxes = [corner / _DECIMAL_STEPS for corner in chain.from_iterable(zip(*corners, strict=True))]
        found.append({**dict(zip(_PLAIN, values, strict=True)), "t_us": list(accumulate(anchors["t_us"][low:high])), "boxes": boxes})
    return found
