"""How anchors are kept, in the library and in the journal: the faces of a batch's decisions as columns of whole numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

STEPS = 100_000
"""Boxes are kept in steps of this part of the picture."""

_PLAIN = ("decision_id", "number", "part", "episode_id", "start_us", "end_us")

Packed = dict[str, list[int]]
"""Columns: those of `_PLAIN`; `faces`, how many samples each path has; `t_us` and `boxes` (x1 y1 x2 y2, in steps), the samples of all paths in a row,
each less the one before it, but the first of a path. Empty when there are no anchors."""

Row = dict[str, Any]
"""One anchor: `_PLAIN`, t_us and boxes (x1 y1 x2 y2 for each t_us, normalised)."""


def pack(
    decision_id: int,
    episode_id: int,
    parts: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    faces: NDArray[np.int64],
    t_us: NDArray[np.int64],
    boxes: NDArray[np.float32],
) -> Packed:
    """The anchors of a decision.

    Args:
        parts, starts, ends, faces: (anchors,) of each; t_us (n,), boxes (n, 4): the samples of all, in a row.
    """
    count = len(parts)
    first = (np.cumsum(faces) - faces)[faces > 0]
    corners = np.rint(boxes.astype(np.float64) * STEPS).astype(np.int64)
    return {
        "decision_id": [decision_id] * count,
        "number": list(range(count)),
        "part": list(parts),
        "episode_id": [episode_id] * count,
        "start_us": list(starts),
        "end_us": list(ends),
        "faces": faces.tolist(),
        "t_us": _less(t_us[:, None], first).ravel().tolist(),
        "boxes": _less(corners, first).ravel().tolist(),
    }


def _less(values: Any, first: Any) -> Any:
    """Each row less the one before it, but for the `first` of each path."""
    found = np.diff(values, axis=0, prepend=0)
    found[first] = values[first]
    return found


def repacked(rows: Iterable[Row]) -> list[Packed]:
    """Anchors by decision."""
    by_decision: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_decision[row["decision_id"]].append(row)
    found = []
    for decision, mine in by_decision.items():
        parts, starts, ends = zip(*((row["part"], row["start_us"], row["end_us"]) for row in mine), strict=True)
        faces = np.array([len(row["t_us"]) for row in mine], np.int64)
        t_us = np.fromiter(chain.from_iterable(row["t_us"] for row in mine), np.int64)
        boxes = np.fromiter(chain.from_iterable(row["boxes"] for row in mine), np.float32).reshape(-1, 4)
        numbers = [row["number"] for row in mine]
        found.append({**pack(decision, mine[0]["episode_id"], parts, starts, ends, faces, t_us, boxes), "number": numbers})
    return found


def joined(packs: Sequence[Packed]) -> Packed:
    """The anchors of several decisions as one."""
    if len(packs) < 2:
        return packs[0] if packs else {}
    return {name: list(chain.from_iterable(one[name] for one in packs)) for name in packs[0]}


def encoded(pack: Packed) -> bytes:
    """As the library keeps it."""
    return to_json(pack)


def rows(cell: bytes) -> list[Row]:
    """The anchors in a cell of the library."""
    return unpacked(json.loads(cell))


def unpacked(anchors: Packed | list[Row]) -> list[Row]:
    """Anchors as the journal holds them, those of an older one too (a list of rows)."""
    if isinstance(anchors, list):
        return anchors
    if not anchors:
        return []
    ends = [0, *accumulate(anchors["faces"])]
    found = []
    for place, values in enumerate(zip(*(anchors[name] for name in _PLAIN), strict=True)):
        low, high = ends[place], ends[place + 1]
        corners = [list(accumulate(anchors["boxes"][4 * low + side : 4 * high : 4])) for side in range(4)]
        boxes = [corner / STEPS for corner in chain.from_iterable(zip(*corners, strict=True))]
        found.append({**dict(zip(_PLAIN, values, strict=True)), "t_us": list(accumulate(anchors["t_us"][low:high])), "boxes": boxes})
    return found
