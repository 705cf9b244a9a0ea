"""What a composition is made of, and the image and truth of each of its frames.

A shot is a stack of layers on a background; a layer shows a source through a camera of its own (`tools.demo.shots.View`) in a part of the
screen, whole or cut out around head and shoulders. Image and truth come from the same matrices and masks, so they cannot disagree.

The rule, for one face in one frame: it counts when at least half of its box can be seen (inside its area, under no hand, no other layer) and
it is at least 20 pixels high. Turned away is not seen. Worn things (glasses, masks) hide nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import drawing
from tests.benchmarks.material import Image, Source
from tools.demo.shots import View

WIDTH, HEIGHT, FPS = 640, 360, 25
SCREEN = (0, 0, WIDTH, HEIGHT)
MIN_VISIBLE = 0.5
MIN_HEIGHT = 20.0
MIN_SHARE = 0.25
"""Share of the mixed picture from which on a face counts while one shot dissolves into another."""
_GRID = (np.arange(20) + 0.5) / 20

Path2 = tuple[tuple[float, float], ...]
"""(when 0..1, value) pairs over a shot, linear in between."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One source on the screen.

    views: the camera's path in pixels of the source. area: xyxy of the screen. start: first frame of the source. cut_out: head and shoulders
    only. yaw: simulated turn, degrees. worn: drawn at the landmarks. hand: how far a drawn hand is up (1: over the face). away: stretches
    (from, to, 0..1) in which hair is drawn over the face. clothes: hue of what is worn below the chin, 0..180, or None for its own.
    """

    source: Source
    views: tuple[View, ...]
    area: tuple[int, int, int, int] = SCREEN
    start: int = 0
    still: bool = False
    cut_out: bool = False
    mirror: bool = False
    yaw: Path2 = ()
    worn: tuple[str, ...] = ()
    hand: Path2 = ()
    away: Path2 = ()
    clothes: int | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """What is on screen between two cuts. effects: (kind, amount) of `drawing.EFFECTS`. dissolve: frames it is mixed with the shot before.
    flashes: frames (from the shot's start) at which a photographer's flash goes off."""

    frames: int
    layers: tuple[Layer, ...]
    room: int = 0
    effects: tuple[tuple[str, float], ...] = ()
    dissolve: int = 0
    flashes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Packing:
    """How the frames become a file: what starts late (seconds of sound before it), variable rate, pixel aspect, rotation metadata."""

    late_s: float = 0.0
    variable: bool = False
    aspect: Fraction | None = None
    rotation: int = 0


@dataclass(frozen=True, eq=False)
class Composition:
    """A clip to be made."""

    shots: tuple[Shot, ...]
    packing: Packing = field(default_factory=Packing)


@dataclass(frozen=True)
class Face:
    """A face in a frame: box xyxy in pixels of the screen, clipped to its area; visible 0..1; height of the whole box in pixels."""

    person: str
    box: tuple[float, float, float, float]
    height: float
    visible: float
    counts: bool


def view_of(source: Source, height: float, at: tuple[float, float], area: tuple[int, int, int, int] = SCREEN, roll: float = 0.0) -> View:
    """The view that shows a source's face `height` pixels high with its centre at a point of the screen."""
    x0, y0, x1, y1 = source.usual
    scale = height / float(y1 - y0)
    mid_x, mid_y = (area[0] + area[2]) / 2, (area[1] + area[3]) / 2
    return View(float(x0 + x1) / 2 + (mid_x - at[0]) / scale, float(y0 + y1) / 2 + (mid_y - at[1]) / scale, (area[2] - area[0]) / scale, roll)


def render(composition: Composition, seed: int) -> Iterator[tuple[Image, list[Face], int]]:
    """Every frame: image, faces of which something can be seen, and the shot it belongs to."""
    before: list[tuple[Image, list[Face]]] = []
    for number, shot in enumerate(composition.shots):
        following = composition.shots[number + 1].dissolve if number + 1 < len(composition.shots) else 0
        rng = np.random.default_rng([seed, number])
        made = (_frame(shot, index, rng) for index in range(shot.frames))
        mixed = before
        before = []
        for index, (image, faces) in enumerate(made):
            if index < len(mixed):
                share = (index + 1) / (len(mixed) + 1)
                other, gone = mixed[index]
                image = cv2.addWeighted(image, share, other, 1 - share, 0)
                faces = _faded(faces, share) + _faded(gone, 1 - share)
                yield image, faces, number if share >= 0.5 else number - 1
            elif index >= shot.frames - following:
                before.append((image, faces))
            else:
                yield image, faces, number


def _faded(faces: list[Face], share: float) -> list[Face]:
    """Faces of a shot that is a part of a mixed picture."""
    return [face if share >= MIN_SHARE else replace(face, counts=False) for face in faces]


def _frame(shot: Shot, index: int, rng: np.random.Generator) -> tuple[Image, list[Face]]:
    when = index / max(1, shot.frames - 1)
    screen = drawing.room(shot.room, WIDTH, HEIGHT).copy()
    shown = [_Shown(layer, index, when) for layer in shot.layers]
    for one in shown:
        one.paint(screen)
    faces = [face for place, one in enumerate(shown) if (face := _face(one, shown[place + 1 :])) is not None]
    for kind, amount in shot.effects:
        screen = drawing.EFFECTS[kind](screen, amount, rng)
    for flash in shot.flashes:
        screen = drawing.flashed(screen, index - flash)
    return screen, faces


class _Shown:
    """A layer in one frame: its picture and masks in pixels of the source, and its matrix."""

    def __init__(self, layer: Layer, index: int, when: float) -> None:
        self.layer = layer
        source = layer.source
        at = source.at(layer.start if layer.still else layer.start + index)
        self.box, self.matrix = source.boxes[at], _matrix(layer, when)
        image = source.frames[at]
        height, width = image.shape[:2]
        self.alpha = drawing.bust(width, height, tuple(np.round(source.usual).astype(int).tolist())) if layer.cut_out else None
        self.cover: NDArray[np.uint8] | None = None
        marks = source.landmarks[at]
        if layer.clothes is not None:
            image = drawing.dyed(image, self.box, layer.clothes)
        for thing in layer.worn:
            image = drawing.WORN[thing](image, marks, self.box)
        if layer.yaw:
            degrees = _along(layer.yaw, when)
            image, self.box = drawing.turned(image, self.box, degrees), drawing.turned_box(self.box, degrees)
        if layer.away and _along(layer.away, when) > 0.5:
            image, self.cover = drawing.turned_away(image, self.box)
        if layer.hand and (up := _along(layer.hand, when)) > 0:
            image, self.cover = drawing.hand(image, self.box, up)
        self.image = image

    def paint(self, screen: Image) -> None:
        """Draw on the screen."""
        left, top, right, bottom = self.layer.area
        size, target = (right - left, bottom - top), screen[top:bottom, left:right]
        matrix = self.matrix - np.array([[0, 0, left], [0, 0, top]])
        shrunk = abs(float(np.linalg.det(self.matrix[:, :2]))) < 0.3
        picture = cv2.GaussianBlur(self.image, (0, 0), 0.35 / abs(float(np.linalg.det(self.matrix[:, :2]))) ** 0.5) if shrunk else self.image
        drawn = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self.alpha is None:
            target[:] = drawn
        else:
            alpha = cv2.warpAffine(self.alpha, matrix, size, flags=cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
            target[:] = np.round(drawn * alpha + target * (1 - alpha)).astype(np.uint8)

    def hides(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points of the screen are behind this layer."""
        left, top, right, bottom = self.layer.area
        inside: NDArray[np.bool_] = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return inside if self.alpha is None else inside & (self.sample(self.alpha, x, y) > 127)

    def sample(self, mask: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Values of a mask of the source at points of the screen, 0 outside."""
        inverse = cv2.invertAffineTransform(self.matrix)
        u, v = np.floor(inverse @ np.stack([x, y, np.ones_like(x)])).astype(int)
        inside = (u >= 0) & (v >= 0) & (u < mask.shape[1]) & (v < mask.shape[0])
        return np.where(inside, mask[np.clip(v, 0, mask.shape[0] - 1), np.clip(u, 0, mask.shape[1] - 1)], 0)


def _face(one: _Shown, above: list[_Shown]) -> Face | None:
    """The truth of one layer."""
    x0, y0, x1, y1 = (float(v) for v in one.box)
    scale = abs(float(np.linalg.det(one.matrix[:, :2]))) ** 0.5
    x, y = one.matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    half = np.array([(x1 - x0) / 2, (y1 - y0) / 2]) * scale
    box = np.array([x - half[0], y - half[1], x + half[0], y + half[1]])
    px, py = (grid.ravel() for grid in np.meshgrid(box[0] + 2 * half[0] * _GRID, box[1] + 2 * half[1] * _GRID))
    left, top, right, bottom = one.layer.area
    seen = (px >= max(left, 0)) & (px < min(right, WIDTH)) & (py >= max(top, 0)) & (py < min(bottom, HEIGHT))
    if one.cover is not None:
        seen &= one.sample(one.cover, px, py) < 128
    for other in above:
        seen &= ~other.hides(px, py)
    visible, height = float(seen.mean()), 2 * float(half[1])
    if visible <= 0:
        return None
    clipped = (max(box[0], left, 0), max(box[1], top, 0), min(box[2], right, WIDTH), min(box[3], bottom, HEIGHT))
    return Face(one.layer.source.person, tuple(map(float, clipped)), height, visible, visible >= MIN_VISIBLE and height >= MIN_HEIGHT)


def _matrix(layer: Layer, when: float) -> NDArray[np.float64]:
    """(2, 3) pixels of the source to pixels of the screen."""
    left, top, right, bottom = layer.area
    view = _view(layer.views, when)
    scale, turn = (right - left) / view.width, np.deg2rad(view.roll)
    linear = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    if layer.mirror:
        linear = np.diag([-1.0, 1.0]) @ linear
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([linear, centre - linear @ np.array([view.x, view.y])])


def _view(views: tuple[View, ...], when: float) -> View:
    """From one view to the next in equal times, easing in and out."""
    if len(views) == 1:
        return views[0]
    step = min(int(when * (len(views) - 1)), len(views) - 2)
    share = when * (len(views) - 1) - step
    eased = share * share * (3 - 2 * share)
    pairs = zip(*((v.x, v.y, v.width, v.roll) for v in views[step : step + 2]), strict=True)
    return View(*(a + (b - a) * eased for a, b in pairs))


def _along(path: Path2, when: float) -> float:
    moments, values = zip(*path, strict=True)
    return float(np.interp(when, moments, values))
