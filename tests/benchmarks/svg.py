"""A line chart as SVG, without a plotting library."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 440, 70, 50, 170, 60
COLOURS = ("#0b6e4f", "#c1440e", "#2b5c9e", "#8a8a8a", "#b08900", "#7b3f98")


@dataclass(frozen=True)
class Curve:
    """One line and its name."""

    name: str
    x: list[float]
    y: list[float]


def chart(title: str, across: str, up: str, curves: list[Curve], span: tuple[float, float], mark: float) -> str:
    """Steps of some shares over a number; `mark` is drawn as a dotted line."""
    most, (low, high) = max(max(curve.x) for curve in curves), span
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> str:
        return f"{LEFT + wide * x / most:.1f},{TOP + tall * (1 - (min(max(y, low), high) - low) / (high - low)):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="28" font-size="15">{escape(title)}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 16}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="18" y="{TOP + tall / 2}" transform="rotate(-90 18 {TOP + tall / 2})" text-anchor="middle">{escape(up)}</text>',
    ]
    for step in range(6):
        x, y = most * step / 5, low + (high - low) * step / 5
        parts.append(f'<text x="{LEFT + wide * step / 5}" y="{TOP + tall + 18}" text-anchor="middle">{x:.0f}</text>')
        parts.append(f'<text x="{LEFT - 8}" y="{TOP + tall * (1 - step / 5) + 4}" text-anchor="end">{y:.0%}</text>')
        parts.append(f'<polyline points="{at(0, y)} {at(most, y)}" stroke="#e4e4e4" fill="none"/>')
    parts.append(f'<polyline points="{at(0, mark)} {at(most, mark)}" stroke="black" stroke-dasharray="3 3" fill="none"/>')
    for place, curve in enumerate(curves):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(at(x, y) for x, y in zip(curve.x, curve.y, strict=True))
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 16 + 20 * place}" fill="{colour}">{escape(curve.name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
