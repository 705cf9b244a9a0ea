"""How slices are put together: who takes part, and the usual framings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.material import Cast, Source
from tests.benchmarks.scene import HEIGHT, SCREEN, WIDTH, Layer, view_of
from tools.demo.shots import View

Rng = np.random.Generator
Point = tuple[float, float]


@dataclass(frozen=True)
class Troupe:
    """The people of one composition, drawn from a cast."""

    cast: Cast
    rng: Rng

    def actors(self, count: int, among: dict[str, tuple[Source, ...]] | None = None) -> list[Source]:
        """One source each of different people, by default of those who move."""
        people = self.cast.clips if among is None else among
        chosen = self.rng.permutation(sorted(people))[:count]
        return [people[name][int(self.rng.integers(len(people[name])))] for name in chosen]

    def takes(self, person: str) -> tuple[Source, ...]:
        """Every source of a person."""
        return self.cast.everybody[person]

    def start(self) -> int:
        """A first frame of a clip, so that shots of one clip differ."""
        return int(self.rng.integers(0, 60))

    def spread(self, low: float, high: float) -> float:
        """A number between two."""
        return float(self.rng.uniform(low, high))


def bust(source: Source, height: float, at: Point, **more: Any) -> Layer:
    """Head and shoulders with the face so high and there."""
    return Layer(source, (view_of(source, height, at),), cut_out=True, **more)


def moving(source: Source, path: list[tuple[float, Point]], **more: Any) -> Layer:
    """Head and shoulders whose face goes from one height and place to the next."""
    return Layer(source, tuple(view_of(source, height, at) for height, at in path), cut_out=True, **more)


def tile(source: Source, area: tuple[int, int, int, int], share: float = 0.55, **more: Any) -> Layer:
    """A rectangle of the screen with a person's own background; the face is `share` of its height, or as small as the source has pixels for."""
    own = float(source.usual[3] - source.usual[1])
    height = max(share * (area[3] - area[1]), own * _least_scale(source, area))
    middle = ((area[0] + area[2]) / 2, (area[1] + area[3]) / 2 + 0.02 * (area[3] - area[1]))
    return Layer(source, (_within(source, view_of(source, height, middle, area), area),), area=area, **more)


def _least_scale(source: Source, area: tuple[int, int, int, int]) -> float:
    tall, wide = source.frames.shape[1:3]
    return max((area[2] - area[0]) / wide, (area[3] - area[1]) / tall)


def _within(source: Source, view: View, area: tuple[int, int, int, int]) -> View:
    """The view moved until it shows nothing outside the source."""
    tall, wide = source.frames.shape[1:3]
    height = view.width * (area[3] - area[1]) / (area[2] - area[0])
    return View(
        float(np.clip(view.x, min(view.width, wide) / 2, wide - min(view.width, wide) / 2)),
        float(np.clip(view.y, min(height, tall) / 2, tall - min(height, tall) / 2)),
        view.width,
    )


def grid(columns: int, rows: int, area: tuple[int, int, int, int] = SCREEN) -> list[tuple[int, int, int, int]]:
    """Equal parts of an area, row by row."""
    x = np.linspace(area[0], area[2], columns + 1).astype(int).tolist()
    y = np.linspace(area[1], area[3], rows + 1).astype(int).tolist()
    return [(x[c], y[r], x[c + 1], y[r + 1]) for r in range(rows) for c in range(columns)]


CENTRE: Point = (WIDTH / 2, HEIGHT * 0.47)
LEFT: Point = (WIDTH * 0.32, HEIGHT * 0.47)
RIGHT: Point = (WIDTH * 0.68, HEIGHT * 0.47)
