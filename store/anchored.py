"""How anchors are kept, in the library and in the journal: the faces of a decision as columns of whole numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from store.journal import Encoded

STEPS = 100_000
"""Boxes are kept in steps of this part of the picture."""

_PLAIN = ("decision_id", "number", "part", "episode_id", "start_us", "end_us")

Row = dict[str, Any]
"""One anchor: `_PLAIN`, t_us and boxes (x1 y1 x2 y2 for each t_us, normalised)."""


class Path(NamedTuple):
    """The samples of an anchor: how many, and as text their times and their boxes (x1 y1 x2 y2, in steps), each less the one before it."""

    faces: int
    t_us: bytes
    boxes: bytes


class Pack(NamedTuple):
    """The anchors of a decision as a JSON object of columns: those of `_PLAIN`; `faces`, how many samples each path has; `t_us` and `boxes`, the
    samples of all paths in a row. Written once, for the library and the journal."""

    decision_id: int
    episode_id: int
    text: bytes


def paths(faces: NDArray[np.int64], t_us: NDArray[np.int64], boxes: NDArray[np.float32]) -> list[Path]:
    """The paths of some anchors.

    Args:
        faces: (anchors,) of each; t_us (n,), boxes (n, 4): the samples of all, in a row.
    """
    ends = np.cumsum(faces)
    first = (ends - faces)[faces > 0]
    times = _less(t_us[:, None], first).ravel().tolist()
    corners = _less(np.rint(boxes.astype(np.float64) * STEPS).astype(np.int64), first).ravel().tolist()
    bounds = pairwise([0, *ends.tolist()])
    return [Path(high - low, to_json(times[low:high])[1:-1], to_json(corners[4 * low : 4 * high])[1:-1]) for low, high in bounds]


def pack(
    decision_id: int, episode_id: int, numbers: Sequence[int], parts: Sequence[int], starts: Sequence[int], ends: Sequence[int], held: Sequence[Path]
) -> Pack:
    """The anchors of a decision, each given by its number, part, stretch and path."""
    faces, t_us, boxes = zip(*held, strict=True)
    columns = (repeat(decision_id, len(held)), numbers, parts, repeat(episode_id, len(held)), starts, ends)
    cells = {name: to_json(list(cells)) for name, cells in zip(_PLAIN, columns, strict=True)} | {"faces": to_json(faces)}
    cells |= {"t_us": b"[%b]" % b",".join(filter(None, t_us)), "boxes": b"[%b]" % b",".join(filter(None, boxes))}
    return Pack(decision_id, episode_id, b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), cell) for name, cell in cells.items()))


def _less(values: Any, first: Any) -> Any:
    """Each row less the one before it, but for the `first` of each path."""
    found = np.diff(values, axis=0, prepend=0)
    found[first] = values[first]
    return found


def repacked(rows: Iterable[Row]) -> list[Pack]:
    """Anchors by decision."""
    by_decision: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_decision[row["decision_id"]].append(row)
    found = []
    for decision, mine in by_decision.items():
        faces = np.array([len(row["t_us"]) for row in mine], np.int64)
        t_us = np.fromiter(chain.from_iterable(row["t_us"] for row in mine), np.int64)
        boxes = np.fromiter(chain.from_iterable(row["boxes"] for row in mine), np.float32).reshape(-1, 4)
        numbers, parts, starts, ends = ([row[name] for row in mine] for name in ("number", "part", "start_us", "end_us"))
        found.append(pack(decision, mine[0]["episode_id"], numbers, parts, starts, ends, paths(faces, t_us, boxes)))
    return found


def joined(packs: Sequence[Pack]) -> Encoded:
    """The anchors of several decisions for the journal."""
    return Encoded(b"[%b]" % b",".join(one.text for one in packs))


def rows(cell: bytes) -> list[Row]:
    """The anchors in a cell of the library."""
    return unpacked(json.loads(cell))


def unpacked(anchors: Any) -> list[Row]:
    """Anchors as the journal holds them: packs; in an older one all in one pack, or rows."""
    if isinstance(anchors, list):
        return [row for one in anchors for row in (unpacked(one) if "faces" in one else [one])]
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
