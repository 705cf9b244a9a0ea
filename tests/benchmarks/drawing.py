"""What is drawn and simulated: rooms, cut-outs, things worn, hands, turned heads, and effects on the finished image."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = NDArray[np.float32]


@lru_cache(maxsize=32)
def room(number: int, width: int, height: int) -> Image:
    """A background unlike those of other numbers: soft patches of muted colours, and a few straight edges."""
    rng = np.random.default_rng(9000 + number)
    coarse = rng.integers(40, 190, (4, 6, 1)) + rng.integers(-30, 30, (4, 6, 3))
    picture = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        corner = (x + int(rng.integers(30, 160)), y + int(rng.integers(30, 160)))
        cv2.rectangle(picture, (x, y), corner, [int(v) for v in rng.integers(30, 200, 3)], -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)


@lru_cache(maxsize=64)
def bust(width: int, height: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """(height, width) opacity of head and shoulders around a face, with a soft edge."""
    mask = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = box
    w, h, x = x1 - x0, y1 - y0, (x0 + x1) // 2
    cv2.ellipse(mask, (x, round(y0 + 0.38 * h)), (round(0.72 * w), round(0.78 * h)), 0, 0, 360, 255, -1)
    shoulders = [(x - 0.45 * w, y1 - 0.2 * h), (x + 0.45 * w, y1 - 0.2 * h), (x + 1.25 * w, y1 + 0.5 * h), (x + 1.35 * w, y1 + 3 * h)]
    shoulders += [(x - 1.35 * w, y1 + 3 * h), (x - 1.25 * w, y1 + 0.5 * h)]
    cv2.fillPoly(mask, [np.round(shoulders).astype(np.int32)], 255)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.03 * w)), np.uint8)


def dyed(image: Image, box: Box, hue: int) -> Image:
    """What is worn below the chin in another colour: the same folds, a new hue, and lighter or darker."""
    chin = round(float(box[3] + 0.12 * (box[3] - box[1])))
    below = image[chin:]
    if not below.size:
        return image
    grey = cv2.cvtColor(below, cv2.COLOR_BGR2GRAY)
    hsv = np.dstack([np.full_like(grey, hue), np.full_like(grey, 170), cv2.convertScaleAbs(grey, alpha=0.7, beta=40 + hue // 3)])
    colour = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    shape = bust(image.shape[1], image.shape[0], tuple(np.round(box).astype(int).tolist()))[chin:, :, None].astype(np.float32) / 255
    result = image.copy()
    result[chin:] = np.round(colour * shape + below * (1 - shape)).astype(np.uint8)
    return result


def sunglasses(image: Image, marks: NDArray[np.float32], box: Box) -> Image:
    """Two dark glasses over the eyes, and a bridge."""
    result = image.copy()
    span = float(np.linalg.norm(marks[1] - marks[0]))
    angle = float(np.degrees(np.arctan2(*(marks[1] - marks[0])[::-1])))
    for eye in marks[:2]:
        centre = (round(float(eye[0])), round(float(eye[1] + 0.06 * span)))
        cv2.ellipse(result, centre, (round(0.44 * span), round(0.34 * span)), angle, 0, 360, (18, 18, 20), -1, cv2.LINE_AA)
    ends = [tuple(np.round(point).astype(int).tolist()) for point in (marks[0], marks[1])]
    cv2.line(result, ends[0], ends[1], (25, 25, 28), max(2, round(0.12 * span)), cv2.LINE_AA)
    return result


def mask(image: Image, marks: NDArray[np.float32], box: Box) -> Image:
    """A surgeon's mask from the bridge of the nose to under the chin."""
    result = image.copy()
    x0, y0, x1, y1 = (float(v) for v in box)
    nose, w, h = marks[2], x1 - x0, y1 - y0
    bridge = float(marks[:2, 1].mean() * 0.45 + nose[1] * 0.55)
    outline = [(x0 + 0.02 * w, bridge + 0.12 * h), (float(nose[0]), bridge), (x1 - 0.02 * w, bridge + 0.12 * h)]
    outline += [(x1 - 0.06 * w, y0 + 0.8 * h), (float(nose[0]) + 0.2 * w, y1 + 0.03 * h), (float(nose[0]) - 0.2 * w, y1 + 0.03 * h)]
    outline += [(x0 + 0.06 * w, y0 + 0.8 * h)]
    cv2.fillPoly(result, [np.round(outline).astype(np.int32)], (205, 190, 160), cv2.LINE_AA)
    for share in (0.35, 0.55, 0.75):
        y = round(bridge + share * (y1 - bridge))
        cv2.line(result, (round(x0 + 0.15 * w), y), (round(x1 - 0.15 * w), y), (180, 165, 138), max(1, round(0.015 * h)), cv2.LINE_AA)
    return result


def hand(image: Image, box: Box, up: float) -> tuple[Image, NDArray[np.uint8]]:
    """A hand that rises from below: at 1 palm and closed fingers hide the face from brow to chin, at 0.5 mouth and chin.

    Also the mask of what it covers.
    """
    cover = np.zeros(image.shape[:2], np.uint8)
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h = x1 - x0, y1 - y0
    x, y = (x0 + x1) / 2 + 0.03 * w, y1 + 0.7 * h - up * h
    cv2.ellipse(cover, (round(x), round(y)), (round(0.52 * w), round(0.42 * h)), 0, 0, 360, 255, -1)
    cv2.rectangle(cover, (round(x - 0.3 * w), round(y)), (round(x + 0.3 * w), image.shape[0]), 255, -1)
    lines = np.zeros_like(cover)
    for lean in (-0.4, -0.14, 0.12, 0.38):
        tip = (round(x + 1.05 * lean * w), round(y - (0.52 - 0.35 * abs(lean)) * h))
        cv2.line(cover, (round(x + lean * w), round(y)), tip, 255, round(0.3 * w), cv2.LINE_AA)
        cv2.line(
            lines, (round(x + (lean + 0.13) * w), round(y + 0.05 * h)), (tip[0] + round(0.13 * w), tip[1]), 255, max(1, round(0.02 * w)), cv2.LINE_AA
        )
    skin = np.median(image[round(y0 + 0.5 * h) : round(y0 + 0.7 * h), round(x0 + 0.25 * w) : round(x0 + 0.75 * w)].reshape(-1, 3), axis=0)
    shade = np.linspace(0.72, 0.98, image.shape[1])[None, :, None] * skin * (1 - 0.35 * lines[..., None].astype(np.float32) / 255)
    soft = cv2.GaussianBlur(cover, (0, 0), max(0.8, 0.012 * w))[..., None].astype(np.float32) / 255
    return np.clip(np.round(shade * soft + image * (1 - soft)), 0, 255).astype(np.uint8), cover


def turned_away(image: Image, box: Box) -> tuple[Image, NDArray[np.uint8]]:
    """Hair where the face was: the back of a head. Also the mask of what it covers."""
    cover = np.zeros(image.shape[:2], np.uint8)
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h = x1 - x0, y1 - y0
    centre, axes = (round((x0 + x1) / 2), round(y0 + 0.42 * h)), (round(0.62 * w), round(0.66 * h))
    cv2.ellipse(cover, centre, axes, 0, 0, 360, 255, -1)
    rng = np.random.default_rng(5)
    strands = cv2.GaussianBlur(rng.normal(0, 40, image.shape[:2]).astype(np.float32), (0, 0), sigmaX=1.2, sigmaY=14)
    hair = np.clip(np.array([34, 44, 58]) + 3 * strands[..., None], 5, 140)
    soft = cv2.GaussianBlur(cover, (0, 0), max(1.0, 0.03 * w))[..., None].astype(np.float32) / 255
    return np.round(hair * soft + image * (1 - soft)).astype(np.uint8), cover


_CYLINDER = 0.62
"""Radius of a turning head, as a share of the face's width."""


def turned_box(box: Box, degrees: float) -> Box:
    """Where the face is after `turned`: what was its outline, moved round the cylinder, as far as it is on this side."""
    radius, x = _CYLINDER * float(box[2] - box[0]), float(box[0] + box[2]) / 2
    edge = float(np.degrees(np.arcsin(0.5 / _CYLINDER)))
    left, right = (np.sin(np.deg2rad(np.clip(side * edge + degrees, -90, 90))) for side in (-1, 1))
    return np.array([x + radius * left, box[1], x + radius * right, box[3]], np.float32)


def turned(image: Image, box: Box, degrees: float) -> Image:
    """A head turned about its vertical axis, as if it were a cylinder wearing the picture: the far half is squeezed, the near one spreads.

    Only what the picture shows can be seen: beyond the ear the last column repeats, so this is honest to about 45 degrees.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box)
    radius, x, y, reach = _CYLINDER * (x1 - x0), (x0 + x1) / 2, (y0 + y1) / 2, 0.95 * (y1 - y0)
    across = (np.arange(width, dtype=np.float32) - x) / radius
    angle = np.arcsin(np.clip(across, -1, 1)) - np.deg2rad(degrees)
    moved = x + radius * np.sin(np.clip(angle, -1.45, 1.45))
    edge = np.clip((1 - np.abs(across)) / 0.12, 0, 1)
    upright = np.clip((reach - np.abs(np.arange(height, dtype=np.float32) - y)) / (0.25 * reach), 0, 1)
    amount = upright[:, None] * edge[None, :]
    columns = np.arange(width, dtype=np.float32)[None, :]
    map_x = (columns + amount * (moved[None, :] - columns)).astype(np.float32)
    map_y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def flashed(image: Image, age: int) -> Image:
    """A photographer's flash that went off `age` frames ago: white for a frame, gone after three."""
    strength = {0: 0.85, 1: 0.5, 2: 0.2}.get(age, 0.0)
    return image if not strength else np.asarray(cv2.addWeighted(image, 1 - strength, np.full_like(image, 255), strength, 0), np.uint8)


def _gain(image: Image, amount: float, _rng: np.random.Generator) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=amount), np.uint8)


def _noise(image: Image, amount: float, rng: np.random.Generator) -> Image:
    grain = rng.standard_normal(image.shape, np.float32) * np.float32(amount)
    return np.clip(np.round(image + grain), 0, 255).astype(np.uint8)


def _smear(image: Image, amount: float, _rng: np.random.Generator) -> Image:
    """Motion blur along the picture's width, `amount` pixels long."""
    kernel = np.full((1, max(1, round(amount))), 1 / max(1, round(amount)), np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _blur(image: Image, amount: float, _rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), amount), np.uint8)


def _warmth(image: Image, amount: float, _rng: np.random.Generator) -> Image:
    return np.clip(image * np.array([1 - amount / 100, 1, 1 + amount / 100]), 0, 255).astype(np.uint8)


WORN: dict[str, Callable[[Image, NDArray[np.float32], Box], Image]] = {"sunglasses": sunglasses, "mask": mask}
EFFECTS: dict[str, Callable[[Image, float, np.random.Generator], Image]] = {
    "gain": _gain,
    "noise": _noise,
    "smear": _smear,
    "blur": _blur,
    "warmth": _warmth,
}
