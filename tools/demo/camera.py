"""The virtual camera: from a shot and a moment to the image on screen, and to where each face is in it.

Everything a frame needs to know about itself (matrices, outlines of props) is computed once in `stage`; the image (`render`) and the truth
(`tools.demo.truth`) are both made from that, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.demo.pictures import Image, Picture
from tools.demo.shots import HEIGHT, WIDTH, Pane, Prop, Shot, View

Matrix = NDArray[np.float64]
"""(2, 3): pixels of the picture to pixels of the screen."""


@dataclass(frozen=True)
class StagedPane:
    """A pane at one moment: where pixels of its picture land on the screen, and how many screen pixels one of them spans."""

    pane: Pane
    matrix: Matrix
    scale: float


@dataclass(frozen=True)
class Staged:
    """A frame before it is drawn; `props` pairs each prop with its outline, a convex polygon (4, 2) in pixels of the screen."""

    shot: Shot
    panes: tuple[StagedPane, ...]
    props: tuple[tuple[Prop, NDArray[np.float64]], ...]


def stage(shot: Shot, rng: np.random.Generator) -> Iterator[Staged]:
    """Every frame of a shot, in order; `rng` decides the path of a hand-held camera."""
    sway = rng.uniform(0.7, 1.3, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
    for index in range(shot.frames):
        when = index / max(1, shot.frames - 1)
        drift = shot.shake * _sway(index, *sway)
        panes = tuple(_stage_pane(pane, when, drift) for pane in shot.panes)
        yield Staged(shot, panes, tuple((prop, _outline(prop, when)) for prop in shot.props))


def render(staged: Staged, pictures: dict[Picture, Image], grade: NDArray[np.float64], grain: Grain) -> Image:
    """The image of a frame, BGR, HEIGHT x WIDTH x 3; `grade` is a gain for each of the three channels."""
    screen: Image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for part in staged.panes:
        left, top, right, bottom = part.pane.area
        matrix = part.matrix - np.array([[0, 0, left], [0, 0, top]])
        size, target = (right - left, bottom - top), screen[top:bottom, left:right]
        cv2.warpAffine(pictures[part.pane.picture], matrix, size, dst=target, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    for prop, outline in staged.props:
        _PAINT[prop.kind](screen, outline)
    screen = _graded(screen, grade)
    for effect in staged.shot.effects:
        screen = _EFFECTS[effect.kind](screen, effect.amount, grain)
    return screen


class Grain:
    """Sensor noise: a field of standard normal values drawn once, of which each frame takes another part."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._field = rng.standard_normal((HEIGHT + 64, WIDTH + 64, 3), np.float32)

    def next(self) -> NDArray[np.float32]:
        """The noise of one frame, (HEIGHT, WIDTH, 3)."""
        y, x = self._rng.integers(0, 64, 2)
        return self._field[y : y + HEIGHT, x : x + WIDTH]


def _sway(index: int, speed: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x, y, roll) of a hand that holds a camera, each within -1..1: two slow waves on each axis."""
    waves: NDArray[np.float64] = np.sin(index * speed * np.array([0.11, 0.27]) + phase) @ np.array([0.7, 0.3])
    return waves


def _stage_pane(pane: Pane, when: float, drift: NDArray[np.float64]) -> StagedPane:
    left, top, right, bottom = pane.area
    view = _view(pane.views, when)
    scale = (right - left) / view.width
    turn = np.deg2rad(view.roll + 0.15 * drift[2])
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, sin], [-sin, cos]])
    if pane.mirror:
        linear = np.diag([-1.0, 1.0]) @ linear
    centre = np.array([(left + right) / 2, (top + bottom) / 2]) + drift[:2]
    return StagedPane(pane, np.column_stack([linear, centre - linear @ np.array([view.x, view.y])]), scale)


def _view(views: tuple[View, ...], when: float) -> View:
    """The view at a share of the shot: from one to the next in equal times, easing in and out."""
    if len(views) == 1:
        return views[0]
    step = min(int(when * (len(views) - 1)), len(views) - 2)
    share = when * (len(views) - 1) - step
    eased = share * share * (3 - 2 * share)
    a, b = views[step], views[step + 1]
    mix = [p + (q - p) * eased for p, q in zip((a.x, a.y, a.width, a.roll), (b.x, b.y, b.width, b.roll), strict=True)]
    return View(*mix)


def _outline(prop: Prop, when: float) -> NDArray[np.float64]:
    """The four corners of a prop, going round: a card is a rectangle, a cup is narrower at its foot."""
    moments, xs, ys = np.array(prop.path).T
    centre = np.array([np.interp(when, moments, xs), np.interp(when, moments, ys)])
    foot = 0.76 if prop.kind == "cup" else 1.0
    half = np.array(prop.size) / 2
    corners = np.array([[-1, -1], [1, -1], [foot, 1], [-foot, 1]]) * half
    turn = np.deg2rad(prop.turn)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outline: NDArray[np.float64] = corners @ rotation.T + centre
    return outline


def _fill(screen: Image, outline: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    cv2.fillConvexPoly(screen, np.round(outline * 16).astype(np.int32), colour, cv2.LINE_AA, shift=4)


def _inside(outline: NDArray[np.float64], u0: float, v0: float, u1: float, v1: float) -> NDArray[np.float64]:
    """The part of an outline between two points given as shares of its width and height."""
    u, v = np.array([[u0], [u1], [u1], [u0]]), np.array([[v0], [v0], [v1], [v1]])
    a, b, c, d = outline
    part: NDArray[np.float64] = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
    return part


def _paint_card(screen: Image, outline: NDArray[np.float64]) -> None:
    _fill(screen, outline, (238, 242, 244))
    _fill(screen, _inside(outline, 0.06, 0.045, 0.94, 0.955), (52, 38, 158))
    for row in range(9):
        for column in range(6):
            u, v = 0.10 + column * 0.137, 0.08 + row * 0.0945
            _fill(screen, _inside(outline, u, v, u + 0.09, v + 0.062), (86, 74, 192) if (row + column) % 2 else (70, 56, 178))


def _paint_cup(screen: Image, outline: NDArray[np.float64]) -> None:
    _fill(screen, outline, (150, 112, 58))
    for u in (0.08, 0.13, 0.18):
        _fill(screen, _inside(outline, u, 0.06, u + 0.05, 1), (176, 138, 80))
    _fill(screen, _inside(outline, 0.82, 0.06, 1, 1), (122, 88, 42))
    _fill(screen, _inside(outline, 0, 0, 1, 0.06), (206, 188, 158))


def _graded(image: Image, gain: NDArray[np.float64]) -> Image:
    table = np.clip(np.arange(256)[:, None] * gain, 0, 255).round().astype(np.uint8)
    graded: Image = cv2.LUT(image, table[:, None, :])
    return graded


def _exposure(image: Image, amount: float, _grain: Grain) -> Image:
    """`amount` times as bright."""
    return _graded(image, np.full(3, amount))


def _warmth(image: Image, amount: float, _grain: Grain) -> Image:
    """`amount` per cent more red and less blue."""
    return _graded(image, np.array([1 - amount / 100, 1.0, 1 + amount / 100]))


def _blur(image: Image, amount: float, _grain: Grain) -> Image:
    """Out of focus: a Gaussian of `amount` pixels."""
    blurred: Image = cv2.GaussianBlur(image, (0, 0), amount)
    return blurred


def _noise(image: Image, amount: float, grain: Grain) -> Image:
    """Sensor noise of `amount` grey levels, one standard deviation."""
    noisy: Image = cv2.convertScaleAbs(np.maximum(cv2.scaleAdd(grain.next(), amount, image.astype(np.float32)), 0))
    return noisy


_PAINT: dict[str, Callable[[Image, NDArray[np.float64]], None]] = {"card": _paint_card, "cup": _paint_cup}
_EFFECTS: dict[str, Callable[[Image, float, Grain], Image]] = {"exposure": _exposure, "warmth": _warmth, "blur": _blur, "noise": _noise}
