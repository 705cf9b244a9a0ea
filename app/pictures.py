"""Pictures in a terminal: fetched as raw pixels at the size they are drawn, drawn as half blocks, two pixels a cell.

Nothing is asked of the terminal and nothing is decoded here, so pictures look the same in every terminal, multiplexer and connection.
"""

from __future__ import annotations

import asyncio
import binascii
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from engine.errors import RollcallError

if TYPE_CHECKING:
    from app.link import Link

KEPT_BYTES = 24_000_000
FACE = 0.72
"""Share of a chip that is drawn: the face with a little around it."""

RAMP = " .:-=+*#%@"
PLAIN = Style()
MOST_AT_ONCE = 3
"""Pictures asked for at the same time; the fourth thread stays free for what the operator does."""


@dataclass(frozen=True)
class Picture:
    """width x height pixels, three bytes each, rows from the top; `t_us` for a frame of a recording."""

    width: int
    height: int
    pixels: bytes
    t_us: int = 0


def read(answer: dict[str, Any]) -> Picture:
    """The picture in an operation's answer."""
    return Picture(answer["width"], answer["height"], binascii.a2b_base64(answer["data"]), answer.get("t_us", 0))


class Pictures:
    """What was fetched, within a bound of bytes; what is missing is fetched, and `on_arrival` says when some of it came."""

    def __init__(self, link: Link, on_arrival: Callable[[], None]) -> None:
        self._link = link
        self._on_arrival = on_arrival
        self._kept: OrderedDict[tuple[Any, ...], Picture | None] = OrderedDict()
        self._bytes = 0
        self._wanted: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
        self._asked: set[tuple[Any, ...]] = set()
        self._drawn: dict[tuple[int, int, int, bool], tuple[Picture, list[list[Segment]]]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def face(self, *, size: int, chip: str | None = None, track: str | None = None, person: int | None = None) -> Picture | None:
        """The middle of a face's picture with `size` pixels a side, by chip, track or person; None while it is on its way, or when there is none."""
        source = {name: value for name, value in (("chip", chip), ("track", track), ("person", person)) if value is not None}
        if not source:
            return None
        return self._get(("face", chip, track, person, size), "picture_read", {**source, "size": size, "middle": FACE, "form": "rgb"})

    def frame(self, episode: str, t_us: int, width: int) -> Picture | None:
        """The frame on screen at a time."""
        return self._get(("frame", episode, t_us, width), "frame_read", {"episode": episode, "at_s": t_us / 1e6, "width": width, "form": "rgb"})

    def drawn(self, source: dict[str, Any], columns: int, rows: int, plain: bool = False) -> list[list[Segment]] | None:
        """A face as lines of half blocks, kept as drawn; None while it is on its way, or when there is none."""
        face = self.face(size=columns, **source)
        if face is None:
            return None
        key = (id(face), columns, rows, plain)
        if key not in self._drawn:
            if len(self._drawn) > 400:
                self._drawn.clear()
            # The picture is kept beside its lines, so that its id is not given to another one meanwhile.
            self._drawn[key] = (face, blocks(face, columns, rows, plain))
        return self._drawn[key][1]

    @property
    def waiting(self) -> bool:
        """Whether more pictures are on their way."""
        return bool(self._wanted)

    def forget_people(self) -> None:
        """Drop the pictures that stand for people: which face that is may have changed."""
        for key in [key for key in self._kept if key[0] == "face" and key[3] is not None]:
            self._drop(key)

    def _get(self, key: tuple[Any, ...], operation: str, parameters: dict[str, Any]) -> Picture | None:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._wanted:
            self._wanted[key] = (operation, parameters)
            if len(self._asking) < MOST_AT_ONCE:
                task = asyncio.get_running_loop().create_task(self._fetch())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        return None

    async def _fetch(self) -> None:
        """Fetch until nothing is wanted; the newest wish first, since that is what is on screen."""
        while (key := next((key for key in reversed(self._wanted) if key not in self._asked), None)) is not None:
            self._asked.add(key)
            operation, parameters = self._wanted[key]
            try:
                self._keep(key, read(await self._link.ask(operation, **parameters)))
            except RollcallError:
                self._keep(key, None)  # drawn as an empty frame; the list beside it says what the picture would be of
            finally:
                self._asked.discard(key)
                del self._wanted[key]
            self._on_arrival()

    def _keep(self, key: tuple[Any, ...], picture: Picture | None) -> None:
        self._kept[key] = picture
        self._bytes += len(picture.pixels) if picture else 0
        while self._bytes > KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[Any, ...]) -> None:
        gone = self._kept.pop(key)
        self._bytes -= len(gone.pixels) if gone else 0


@lru_cache(16384)
def _cell(above: bytes, below: bytes) -> Style:
    return Style.from_color(Color.from_rgb(*above), Color.from_rgb(*below))


def blocks(picture: Picture, columns: int, rows: int, plain: bool = False) -> list[list[Segment]]:
    """The picture in `columns` x `rows` cells, the upper half of a cell in the ink's colour and the lower in the background's.

    Runs of equal cells are one segment. Without colours a ramp of characters tells light from dark.
    """
    across = [min(picture.width - 1, (2 * x + 1) * picture.width // (2 * columns)) * 3 for x in range(columns)]
    down = [min(picture.height - 1, (2 * y + 1) * picture.height // (4 * rows)) * picture.width * 3 for y in range(2 * rows)]
    pixels = picture.pixels
    lines: list[list[Segment]] = []
    for row in range(rows):
        top, low = down[2 * row], down[2 * row + 1]
        if plain:
            lights = [sum(pixels[top + x : top + x + 3]) + sum(pixels[low + x : low + x + 3]) for x in across]
            lines.append([Segment("".join(RAMP[light * len(RAMP) // 1531] for light in lights), PLAIN)])
            continue
        line: list[Segment] = []
        last, run = None, 0
        for x in across:
            cell = (pixels[top + x : top + x + 3], pixels[low + x : low + x + 3])
            if cell == last:
                run += 1
                continue
            if last is not None:
                line.append(Segment("▀" * run, _cell(*last)))
            last, run = cell, 1
        if last is not None:
            line.append(Segment("▀" * run, _cell(*last)))
        lines.append(line)
    return lines


def fitted(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest cells (columns, rows) of that shape inside a room; a cell is as tall as two are wide."""
    if columns * height <= rows * 2 * width:
        return max(1, columns), max(1, round(columns * height / width / 2))
    return max(1, round(rows * 2 * width / height)), max(1, rows)


def scaled(picture: Picture, width: int, height: int) -> Picture:
    """The picture at exactly the pixels that are drawn, so that a box's edge is one of them wide."""
    across = [min(picture.width - 1, (2 * x + 1) * picture.width // (2 * width)) * 3 for x in range(width)]
    lines = []
    for y in range(height):
        at = min(picture.height - 1, (2 * y + 1) * picture.height // (2 * height)) * picture.width * 3
        lines.append(b"".join(picture.pixels[at + x : at + x + 3] for x in across))
    return Picture(width, height, b"".join(lines), picture.t_us)


def boxed(picture: Picture, boxes: list[tuple[tuple[float, float, float, float], tuple[int, ...]]]) -> Picture:
    """The picture with the edges of boxes in it."""
    pixels = bytearray(picture.pixels)
    width, height = picture.width, picture.height
    for (x1, y1, x2, y2), colour in boxes:
        left, top = max(0, min(width - 1, round(x1 * width))), max(0, min(height - 1, round(y1 * height)))
        end, low = max(0, min(width - 1, round(x2 * width))), max(0, min(height - 1, round(y2 * height)))
        points = [(x, y) for x in range(left, end + 1) for y in (top, low)] + [(x, y) for y in range(top, low + 1) for x in (left, end)]
        for x, y in points:
            pixels[(y * width + x) * 3 : (y * width + x) * 3 + 3] = bytes(colour)
    return Picture(width, height, bytes(pixels), picture.t_us)
