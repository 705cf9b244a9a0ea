"""What the journal holds of a batch's anchors: columns of whole numbers, a third of the bytes that a line for each would be."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

STEPS = 100_000
"""Boxes are kept in steps of this part of the picture."""

_PLAIN = ("decision_id", "number", "part", "episode_id", "start_us", "end_us")


def packed(anchors: pa.Table) -> dict[str, list[int]]:
    """Columns of ANCHOR rows without their embeddings.

    `faces`: how many samples each path has. `t_us` and `boxes` (x1 y1 x2 y2, in steps) hold the samples of all paths in a row, each less the one
    before it; the first of a path is whole. Empty when there are no anchors.
    """
    if not anchors.num_rows:
        return {}
    t_us, boxes = (anchors[name].combine_chunks() for name in ("t_us", "boxes"))
    faces = np.diff(t_us.offsets.to_numpy())
    first = (np.cumsum(faces) - faces)[faces > 0]
    corners = np.rint(boxes.flatten().to_numpy().astype(np.float64) * STEPS).astype(np.int64).reshape(-1, 4)
    return {
        **{name: anchors[name].to_pylist() for name in _PLAIN},
        "faces": faces.tolist(),
        "t_us": _less(t_us.flatten().to_numpy()[:, None], first).ravel().tolist(),
        "boxes": _less(corners, first).ravel().tolist(),
    }


def _less(values: Any, first: Any) -> Any:
    """Each row less the one before it, but for the `first` of each path."""
    found = np.diff(values, axis=0, prepend=0)
    found[first] = values[first]
    return found


def unpacked(anchors: dict[str, list[int]] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ANCHOR without space and embedding, as `packed` or an older journal holds them (a list of such rows)."""
    if isinstance(anchors, list):
        return anchors
    if not anchors:
        return []
    ends = [0, *accumulate(anchors["faces"])]
    rows = []
    for place, values in enumerate(zip(*(anchors[name] for name in _PLAIN), strict=True)):
        low, high = ends[place], ends[place + 1]
        corners = [list(accumulate(anchors["boxes"][4 * low + side : 4 * high : 4])) for side in range(4)]
        boxes = [corner / STEPS for corner in chain.from_iterable(zip(*corners, strict=True))]
        rows.append({**dict(zip(_PLAIN, values, strict=True)), "t_us": list(accumulate(anchors["t_us"][low:high])), "boxes": boxes})
    return rows
