"""The two pictures the demo episode is filmed from, and where the faces are in them.

Both come with packages rollcall depends on anyway; nothing is downloaded and neither package is imported.  The boxes were measured once
with SCRFD (det_500m at 640 pixels, score over 0.8) and rounded to a tenth of a pixel; a test holds them against dlib's HOG detector.
People are named after what they wear or where they sit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import BadMedia, NotFound

Image = NDArray[np.uint8]
"""BGR, height x width x 3."""


@dataclass(frozen=True)
class Person:
    """Somebody in a picture: `box` is the face, xyxy in pixels of the picture, forehead to chin."""

    id: str
    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A picture inside an installed package, and the people in it, left to right.

    `sha256` is that of the file: other pixels would make the boxes wrong.
    """

    package: str
    path: str
    sha256: str
    people: tuple[Person, ...]


GROUP = Picture(
    package="insightface",
    path="data/images/t1.jpg",
    sha256="47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
    people=(
        Person("left_cards", "Left seat, cards", (55.6, 260.8, 168.6, 397.9)),
        Person("lace_top", "Lace top", (270.0, 144.9, 371.9, 270.3)),
        Person("dark_shirt", "Dark shirt", (463.5, 266.5, 572.7, 415.4)),
        Person("red_shirt", "Red shirt", (745.3, 342.2, 847.3, 480.1)),
        Person("grey_shirt", "Grey shirt, standing", (906.0, 59.5, 1011.1, 206.3)),
        Person("right_seat", "Right seat, blonde", (1130.3, 272.8, 1227.3, 400.6)),
    ),
)
"""Six people around a table, 1280x886."""

PORTRAIT = Picture(
    package="skimage",
    path="data/astronaut.png",
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    people=(Person("orange_suit", "Orange suit", (180.1, 60.2, 271.6, 179.7)),),
)
"""A portrait by NASA, public domain, 512x512."""

PICTURES = (GROUP, PORTRAIT)
PEOPLE = tuple(person for picture in PICTURES for person in picture.people)


def load(picture: Picture) -> Image:
    """The picture's pixels, BGR, height x width x 3.

    Raises:
        NotFound: the package, or the picture in it, is not installed.
        BadMedia: the file is not the one the boxes were measured on, or cannot be decoded.
    """
    spec = find_spec(picture.package)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (file := folder / picture.path).is_file():
        raise NotFound(f"The picture {picture.path} of the package {picture.package} is not installed.", "Install rollcall again.")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != picture.sha256:
        raise BadMedia(f"The picture {picture.path} of the package {picture.package} is not the one the demo was measured on.")
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise BadMedia(f"The picture {picture.path} of the package {picture.package} cannot be decoded.")
    image: Image = decoded
    return image
