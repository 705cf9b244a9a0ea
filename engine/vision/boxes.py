"""Box arithmetic on xyxy arrays, in any one unit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def boxes_of(table: pa.Table) -> Boxes:
    """(n, 4) float32 xyxy of a table with columns x1, y1, x2, y2."""
    return np.stack([table[name].to_numpy().astype(np.float32) for name in ("x1", "y1", "x2", "y2")], axis=1)


def area(boxes: Boxes) -> Boxes:
    """(...) areas of (..., 4) boxes; those turned inside out have none."""
    size: Boxes = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    product: Boxes = size[..., 0] * size[..., 1]
    return product


def overlap(a: Boxes, b: Boxes) -> Boxes:
    """Intersection over union of (..., 4) boxes each, broadcast."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    ratio: Boxes = (shared / np.maximum(area(a) + area(b) - shared, 1e-12)).astype(np.float32)
    return ratio


def iou(a: Boxes, b: Boxes) -> Boxes:
    """(len(a), len(b)) intersection over union of every box of one with every box of the other."""
    return overlap(a[:, None], b[None])


def grown(boxes: Boxes, share: float) -> Boxes:
    """Boxes made larger by `share` of their size on every side."""
    size = boxes[:, 2:] - boxes[:, :2]
    larger: Boxes = np.concatenate([boxes[:, :2] - share * size, boxes[:, 2:] + share * size], axis=1).astype(np.float32)
    return larger


def nms(boxes: Boxes, scores: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Positions kept by greedy non-maximum suppression, best score first. A box lying mostly inside a kept one is the same face seen at
    another scale, and goes too."""
    order = np.argsort(-scores, kind="stable")
    shared = iou(boxes, boxes)
    areas = area(boxes)
    kept: list[int] = []
    for i in order:
        same = any(shared[i, j] > threshold or (_share_inside(boxes[i], boxes[j], areas[i]) > 0.8 and areas[i] > 0.25 * areas[j]) for j in kept)
        if not same:
            kept.append(int(i))
    return np.array(kept, np.int64)


def _share_inside(box: Boxes, other: Boxes, box_area: float) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return float(max(width, 0) * max(height, 0) / max(box_area, 1e-12))
