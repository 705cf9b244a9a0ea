"""Box arithmetic on (n, 4) xyxy arrays, in any one unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def area(boxes: Boxes) -> Boxes:
    """(n,) areas; boxes turned inside out have none."""
    size: Boxes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Boxes = size[:, 0] * size[:, 1]
    return product


def iou(a: Boxes, b: Boxes) -> Boxes:
    """(len(a), len(b)) intersection over union."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(a)[:, None] + area(b)[None, :] - overlap
    ratio: Boxes = (overlap / np.maximum(union, 1e-12)).astype(np.float32)
    return ratio


def grown(boxes: Boxes, share: float) -> Boxes:
    """Boxes made larger by `share` of their size on every side."""
    size = boxes[:, 2:] - boxes[:, :2]
    larger: Boxes = np.concatenate([boxes[:, :2] - share * size, boxes[:, 2:] + share * size], axis=1).astype(np.float32)
    return larger


def nms(boxes: Boxes, scores: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Positions kept by greedy non-maximum suppression, best score first. A box lying mostly inside a kept one is the same face seen at
    another scale, and goes too."""
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes, boxes)
    areas = area(boxes)
    kept: list[int] = []
    for i in order:
        same = any(overlap[i, j] > threshold or (_share_inside(boxes[i], boxes[j], areas[i]) > 0.8 and areas[i] > 0.25 * areas[j]) for j in kept)
        if not same:
            kept.append(int(i))
    return np.array(kept, np.int64)


def _share_inside(box: Boxes, other: Boxes, box_area: float) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return float(max(width, 0) * max(height, 0) / max(box_area, 1e-12))


def paired_iou(a: Boxes, b: Boxes) -> Boxes:
    """(n,) intersection over union of each box of `a` with the one of `b` in its place."""
    overlap = np.prod(np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0), axis=1)
    ratio: Boxes = (overlap / np.maximum(area(a) + area(b) - overlap, 1e-12)).astype(np.float32)
    return ratio
