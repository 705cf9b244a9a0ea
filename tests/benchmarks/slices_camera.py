"""Slices about the camera, the cutting room and the file."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tests.benchmarks.framing import CENTRE, LEFT, RIGHT, Troupe, bust, moving
from tests.benchmarks.scene import WIDTH, Composition, Packing, Shot
from tests.benchmarks.slices_faces import plain


def pans_zooms(troupe: Troupe) -> Composition:
    """A pan from one to another, zooms in and out, a fast whip pan, and a camera that rolls."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:4].tolist()
    far = WIDTH + 60
    pan = (
        moving(a, [(120.0, CENTRE), (120.0, CENTRE), (120.0, (-far + 320.0, 170.0)), (120.0, (-far + 320.0, 170.0))]),
        moving(b, [(120.0, (far + 320.0, 170.0)), (120.0, (far + 320.0, 170.0)), (120.0, CENTRE), (120.0, CENTRE)]),
    )
    whip = (
        moving(b, [(110.0, CENTRE)] * 4 + [(110.0, (-500.0, 170.0))] * 4),
        moving(c, [(110.0, (1100.0, 170.0))] * 4 + [(110.0, CENTRE)] * 4),
    )
    zoom = moving(c, [(40.0, (400.0, 140.0)), (240.0, (330.0, 180.0))])
    out = moving(a, [(260.0, (330.0, 180.0)), (45.0, (250.0, 150.0))])
    shots = (Shot(100, pan, rooms[0]), Shot(75, (zoom,), rooms[1]), Shot(75, (out,), rooms[2]), Shot(75, whip, rooms[3]))
    return Composition(shots)


def dissolves_flashes(troupe: Troupe) -> Composition:
    """Dissolves of 12 to 30 frames between people, and photographers' flashes inside shots."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:5].tolist()
    length = [int(v) for v in troupe.rng.integers(12, 30, 3)]
    shots = (
        Shot(75, (bust(a, 125, LEFT, start=troupe.start()),), rooms[0], flashes=(22, 27, 50)),
        Shot(85, (bust(b, 125, RIGHT, start=troupe.start()),), rooms[1], dissolve=length[0]),
        Shot(85, (bust(c, 120, CENTRE, start=troupe.start()),), rooms[2], dissolve=length[1]),
        Shot(70, (bust(a, 105, LEFT, start=troupe.start()), bust(c, 105, RIGHT, start=troupe.start())), rooms[3], flashes=(18, 41)),
        Shot(80, (bust(b, 130, LEFT, start=troupe.start()),), rooms[4], dissolve=length[2]),
    )
    return Composition(shots)


def variable_rate(troupe: Troupe) -> Composition:
    """The plain composition at a frame rate that changes every 20 frames, 12 to 60 a second."""
    return replace(plain(troupe), packing=Packing(variable=True))


def late_start(troupe: Troupe) -> Composition:
    """The plain composition, its pictures starting 0.5 to 2 s after its sound."""
    return replace(plain(troupe), packing=Packing(late_s=round(troupe.spread(0.5, 2.0), 2)))


def odd_pixels(troupe: Troupe) -> Composition:
    """The plain composition stored with pixels 4/3 or 64/45 as wide as high."""
    return replace(plain(troupe), packing=Packing(aspect=(Fraction(4, 3), Fraction(64, 45))[int(troupe.rng.integers(2))]))


def rotated(troupe: Troupe) -> Composition:
    """The plain composition stored on its side or upside down, with the metadata that turns it back."""
    return replace(plain(troupe), packing=Packing(rotation=(90, 180, 270)[int(troupe.rng.integers(3))]))
