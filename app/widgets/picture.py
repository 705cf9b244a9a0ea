"""Pictures inside panels, as lines that words can stand beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.paint import Line
from app.pictures import Picture, blocks, fitted

if TYPE_CHECKING:
    from app.app import RollcallApp


def picture_lines(app: RollcallApp, source: dict[str, Any], columns: int, rows: int) -> list[Line]:
    """A face in `columns` x `rows` cells; an empty room of that size until it has come."""
    drawn = app.pictures.drawn(source, columns, rows, app.ink.plain)
    if drawn is None:
        return [[(" " * columns, "text")] for _ in range(rows)]
    return list(drawn)


def frame_lines(app: RollcallApp, frame: Picture, columns: int, rows: int) -> list[Line]:
    """A frame of a recording as large as it fits."""
    wide, tall = fitted(frame.width, frame.height, columns, rows)
    return list(blocks(frame, wide, tall, app.ink.plain))
