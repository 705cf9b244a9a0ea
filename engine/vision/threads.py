"""Shot threads: television cuts back and forth between the same few camera set-ups."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.tables import SIGNATURE_BYTES

SAME_SETUP = 14.0
"""Mean difference of two frame signatures (0..255) below which they show the same set-up."""

REMEMBERED_US = 600_000_000
"""A set-up is forgotten after this long."""


def threads(shots: pa.Table, frames: pa.Table) -> list[int]:
    """A thread number for each shot; shots of one recurring set-up share it.

    Args:
        shots: shot, start_us, end_us.
        frames: analysed frames (schema FRAMES) in time order.
    """
    t_us = frames["t_us"].to_numpy()
    marks = np.zeros((frames.num_rows, SIGNATURE_BYTES), np.uint8)
    if frames.num_rows:
        raw = frames["signature"].combine_chunks()
        marks = np.frombuffer(raw.buffers()[1], np.uint8).reshape(-1, SIGNATURE_BYTES)[raw.offset : raw.offset + len(raw)]
    seen: list[tuple[int, int, NDArray[np.float32]]] = []
    numbers: list[int] = []
    for start, end in zip(shots["start_us"].to_pylist(), shots["end_us"].to_pylist(), strict=True):
        rows = np.flatnonzero((t_us >= start) & (t_us < end))
        mine = (
            marks[np.unique([rows[0], rows[len(rows) // 2], rows[-1]])].astype(np.float32) if len(rows) else np.zeros((0, marks.shape[1]), np.float32)
        )
        seen = [entry for entry in seen if start - entry[1] <= REMEMBERED_US]
        number = _same(mine, seen)
        numbers.append(number if number is not None else max(numbers, default=-1) + 1)
        if len(mine):
            seen.append((numbers[-1], end, mine))
    return numbers


def _same(mine: NDArray[np.float32], seen: list[tuple[int, int, NDArray[np.float32]]]) -> int | None:
    """The thread whose pictures are closest, when they are close enough; overall brightness does not count."""
    best: tuple[float, int] | None = None
    for number, _, theirs in seen:
        if len(mine) and len(theirs):
            a, b = (side - side.mean(axis=1, keepdims=True) for side in (mine, theirs))
            distance = float(np.abs(a[:, None] - b[None]).mean(axis=2).min())
            if distance < SAME_SETUP and (best is None or distance < best[0]):
                best = (distance, number)
    return best[1] if best else None
