"""The shot list of the demo episode: what the virtual camera looks at, for how long, and what is done to the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tools.demo.pictures import GROUP, PORTRAIT, Picture

WIDTH, HEIGHT, FPS = 960, 540, 25
FRAME_US = 1_000_000 // FPS


@dataclass(frozen=True)
class View:
    """What the camera sees: its centre and width in pixels of the picture, and how far it is rolled, degrees counter-clockwise."""

    x: float
    y: float
    width: float
    roll: float = 0.0


@dataclass(frozen=True)
class Pane:
    """A part of the screen, xyxy in pixels, filled by a camera that moves from view to view over the shot."""

    picture: Picture
    views: tuple[View, ...]
    mirror: bool = False
    area: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT)


@dataclass(frozen=True)
class Effect:
    """Something done to the finished image; what `amount` means depends on the kind (see `tools.demo.camera`)."""

    kind: Literal["exposure", "warmth", "blur", "noise"]
    amount: float


@dataclass(frozen=True)
class Prop:
    """A thing that slides over the picture.

    `size` (width, height) and `path` (when as a share of the shot 0..1, x, y of the centre) are in pixels of the screen; `turn` in degrees.
    """

    kind: Literal["card", "cup"]
    size: tuple[float, float]
    path: tuple[tuple[float, float, float], ...]
    turn: float = 0.0


@dataclass(frozen=True)
class Shot:
    """What is on screen between two cuts; `shake` is how far a hand-held camera drifts, in pixels of the screen."""

    name: str
    frames: int
    panes: tuple[Pane, ...]
    effects: tuple[Effect, ...] = ()
    props: tuple[Prop, ...] = ()
    shake: float = 0.0


# The set-ups, each kept from one shot to the next as a real camera position would be.  The widths are chosen so that a neighbour is either
# clearly in the frame or shows less than a third of the face at its border.
TABLE = View(640, 715, 560)
LAMP = View(690, 170, 350)
EVERYBODY = View(640, 395, 1264)
LEFT_CLOSE = View(176, 329, 336)
LACE_CLOSE = View(322, 207, 384, -3)
DARK_CLOSE = View(522, 338, 372)
RED_CLOSE = View(792, 402, 384)
GREY_CLOSE = View(956, 140, 440, -2)
RIGHT_CLOSE = View(1110, 332, 328)
ORANGE_CLOSE = View(236, 130, 330)
LEFT_PAIR = View(246, 270, 480)
MIDDLE_PAIR = View(668, 372, 520)
LEFT_THREE = View(308, 288, 604)
RIGHT_FOUR = View(855, 272, 838)
HELMET = View(372, 420, 270)

LEFT_HALF = (0, 0, WIDTH // 2, HEIGHT)
RIGHT_HALF = (WIDTH // 2, 0, WIDTH, HEIGHT)


def _group(*views: View, mirror: bool = False) -> tuple[Pane, ...]:
    return (Pane(GROUP, views, mirror),)


def _portrait(*views: View, mirror: bool = False) -> tuple[Pane, ...]:
    return (Pane(PORTRAIT, views, mirror),)


def _split(left: tuple[Picture, View], right: tuple[Picture, View]) -> tuple[Pane, ...]:
    return tuple(Pane(picture, (view,), area=area) for (picture, view), area in ((left, LEFT_HALF), (right, RIGHT_HALF)))


CARD_PASSES_DARK = Prop(
    "card", (310, 420), ((0, -260, 330), (0.30, -220, 320), (0.42, 420, 290), (0.58, 530, 280), (0.70, 1200, 240), (1, 1260, 240)), 14
)
CUP_OVER_CHIN = Prop("cup", (270, 280), ((0, 690, 700), (0.35, 690, 690), (0.45, 684, 500), (0.62, 684, 492), (0.74, 690, 700), (1, 690, 720)), 4)
CARD_PASSES_ORANGE = Prop(
    "card", (300, 400), ((0, 1200, 330), (0.38, 1180, 330), (0.50, 520, 255), (0.56, 450, 245), (0.68, -240, 200), (1, -260, 200)), -20
)

# fmt: off
EPISODE: tuple[Shot, ...] = (
    Shot("empty table", 36, _group(TABLE, View(650, 712, 530)), (Effect("blur", 13),)),
    Shot("everybody, slow zoom", 86, _group(EVERYBODY, View(640, 375, 1216))),
    Shot("red, close", 61, _group(RED_CLOSE), (Effect("warmth", 4),), shake=3),
    Shot("dark, reverse", 58, _group(DARK_CLOSE), (Effect("exposure", 0.92),), shake=3),
    Shot("red, again", 47, _group(RED_CLOSE), (Effect("warmth", 6),), shake=3),
    Shot("dark, a card passes", 83, _group(DARK_CLOSE), (Effect("exposure", 0.9),), (CARD_PASSES_DARK,), shake=2),
    Shot("red, third time", 41, _group(RED_CLOSE, View(794, 404, 350)), (Effect("warmth", 3),), shake=2),
    Shot("dark and red", 72, _group(MIDDLE_PAIR, View(664, 374, 500))),
    Shot("left, zoom in", 81, _group(View(180, 325, 346), View(168, 330, 306)), (Effect("exposure", 1.08),)),
    Shot("lace, close", 69, _group(LACE_CLOSE), (Effect("warmth", -6),), shake=4),
    Shot("left, again", 52, _group(LEFT_CLOSE), (Effect("exposure", 1.08),), shake=2),
    Shot("left and lace, noisy", 66, _group(LEFT_PAIR), (Effect("noise", 13),), shake=2),
    Shot("lace, again", 58, _group(LACE_CLOSE), (Effect("warmth", -8),), shake=4),
    Shot("pan from dark to red", 82, _group(View(520, 345, 430), View(520, 345, 430), View(800, 400, 430), View(800, 400, 430))),
    Shot("grey, by night", 77, _group(GREY_CLOSE), (Effect("exposure", 0.4), Effect("noise", 4)), shake=3),
    Shot("right, close", 71, _group(RIGHT_CLOSE), (Effect("warmth", 5),), shake=2),
    Shot("grey, hand-held", 59, _group(GREY_CLOSE), (Effect("exposure", 1.05),), shake=9),
    Shot("right, a cup", 84, _group(RIGHT_CLOSE), (Effect("warmth", 5),), (CUP_OVER_CHIN,), shake=2),
    Shot("right four", 73, _group(RIGHT_FOUR, View(858, 272, 826))),
    Shot("orange, close", 66, _portrait(ORANGE_CLOSE), (Effect("exposure", 0.95),), shake=2),
    Shot("split, red and orange", 81, _split((GROUP, View(797, 410, 226)), (PORTRAIT, View(226, 122, 196)))),
    Shot("lamp", 31, _group(LAMP), (Effect("blur", 11), Effect("warmth", 8))),
    Shot("orange, a card passes", 74, _portrait(View(250, 142, 440), View(242, 138, 410), mirror=True), (), (CARD_PASSES_ORANGE,)),
    Shot("split, lace and right", 64, _split((GROUP, View(322, 207, 208, -3)), (GROUP, View(1170, 337, 206)))),
    Shot("left three, mirrored", 74, _group(LEFT_THREE, mirror=True), (Effect("exposure", 0.85),), shake=3),
    Shot("tilt from grey to right", 78, _group(View(985, 142, 440), View(985, 142, 440), View(1056, 350, 430), View(1056, 350, 430))),
    Shot("orange, dark and noisy", 57, _portrait(View(228, 124, 372)), (Effect("exposure", 0.5), Effect("noise", 9)), shake=3),
    Shot("right four, noisy", 63, _group(RIGHT_FOUR, mirror=True), (Effect("noise", 9), Effect("warmth", -5)), shake=2),
    Shot("helmet", 28, _portrait(HELMET), (Effect("blur", 9), Effect("exposure", 0.8))),
)
# fmt: on
