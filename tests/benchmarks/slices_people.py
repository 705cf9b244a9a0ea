"""Slices about who and how many: crowds, split screens, pictures in the picture, look-alikes, clothes, shot and reverse shot."""

from __future__ import annotations

from tests.benchmarks.framing import CENTRE, LEFT, RIGHT, Troupe, bust, grid, moving, tile
from tests.benchmarks.scene import WIDTH, Composition, Layer, Shot


def crowd(troupe: Troupe) -> Composition:
    """Twelve people at once as tiles, then as rows of cut-outs one behind the other, then three of them nearer."""
    people = troupe.actors(12, troupe.cast.everybody)
    rooms = troupe.rng.permutation(20)[:2].tolist()
    tiles = tuple(tile(p, area, 0.6, start=troupe.start()) for p, area in zip(people, grid(4, 3), strict=True))
    back = [bust(p, 62, (70 + 100 * i, 95 + troupe.spread(-8, 8)), start=troupe.start()) for i, p in enumerate(people[:6])]
    front = [bust(p, 70, (115 + 100 * i, 215 + troupe.spread(-8, 8)), start=troupe.start()) for i, p in enumerate(people[6:11])]
    near = tuple(bust(p, 100, (120 + 200 * i, 160), start=troupe.start()) for i, p in enumerate(people[:3]))
    return Composition((Shot(90, tiles), Shot(100, (*back, *front), rooms[0]), Shot(70, near, rooms[1])))


def split_screen(troupe: Troupe) -> Composition:
    """Two, three and four at once, each in a part of the screen, and each alone in between."""
    people = troupe.actors(4)
    room = int(troupe.rng.integers(20))
    order = troupe.rng.permutation(4).tolist()
    two = tuple(tile(people[i], area, 0.45, start=troupe.start()) for i, area in zip(order[:2], grid(2, 1), strict=True))
    three = tuple(tile(people[i], area, 0.4, start=troupe.start()) for i, area in zip(order[1:], grid(3, 1), strict=True))
    four = tuple(tile(people[i], area, 0.55, start=troupe.start()) for i, area in zip(order, grid(2, 2), strict=True))
    alone = [Shot(50, (bust(people[i], 130, CENTRE, start=troupe.start()),), room) for i in order[:2]]
    return Composition((Shot(60, two), alone[0], Shot(60, three), alone[1], Shot(70, four)))


def insets(troupe: Troupe) -> Composition:
    """A speaker with an inset in the corner, a photo on the wall (of somebody else, then of the speaker), and the inset's person alone.

    A face in a picture counts as the person it shows.
    """
    a, b = troupe.actors(2)
    shown = troupe.actors(1, troupe.cast.photos)[0]
    own = troupe.takes(a.person)[-1]
    rooms = troupe.rng.permutation(20)[:3].tolist()
    inset, frame = (440, 20, 620, 150), (60, 30, 190, 190)
    shots = (
        Shot(80, (bust(a, 130, (230, 180), start=troupe.start()), tile(b, inset, 0.6, start=troupe.start())), rooms[0]),
        Shot(60, (bust(b, 130, CENTRE, start=troupe.start()),), rooms[1]),
        Shot(80, (tile(shown, frame, 0.55, still=True), bust(a, 120, (430, 180), start=troupe.start())), rooms[0]),
        Shot(70, (tile(own, frame, 0.55, still=True, start=troupe.start()), bust(a, 120, (430, 180), start=troupe.start())), rooms[2]),
    )
    return Composition(shots)


def look_alikes(troupe: Troupe) -> Composition:
    """The pairs of people nearest by embedding, one after the other and together."""
    pairs = troupe.cast.alike()[:6]
    rooms = troupe.rng.permutation(20)[:3].tolist()
    first, second = (pairs[int(i)] for i in troupe.rng.permutation(len(pairs))[:2])

    def one(person: str, height: float, at: tuple[float, float]) -> Layer:
        takes = troupe.takes(person)
        return bust(takes[int(troupe.rng.integers(len(takes)))], height, at, start=troupe.start())

    shots = [Shot(55, (one(person, 125, (LEFT, RIGHT)[i % 2]),), rooms[i % 2]) for i, person in enumerate((*first, *second))]
    both = Shot(60, (one(first[0], 105, LEFT), one(first[1], 105, RIGHT)), rooms[2])
    return Composition((*shots, both))


def clothes(troupe: Troupe) -> Composition:
    """Two people in three outfits each (dyed below the chin), in different rooms."""
    a, b = troupe.actors(2)
    rooms = troupe.rng.permutation(20)[:6].tolist()
    hues = troupe.rng.permutation([5, 25, 55, 95, 120, 150]).tolist()
    shots = [
        Shot(55, (bust((a, b)[i % 2], troupe.spread(110, 140), (LEFT, RIGHT, CENTRE)[i % 3], clothes=hues[i], start=troupe.start()),), rooms[i])
        for i in range(6)
    ]
    return Composition(tuple(shots))


def reverse(troupe: Troupe) -> Composition:
    """Shot and reverse shot, four times over the same two framings, one side with a turned head, then both at the table."""
    a, b = troupe.actors(2)
    rooms = troupe.rng.permutation(20)[:3].tolist()
    left, right = (bust(a, 140, (260, 170)), bust(b, 140, (390, 175), yaw=((0, -30), (1, -38))))
    shots = [Shot(38 + int(troupe.rng.integers(12)), ((left, right)[i % 2],), rooms[i % 2]) for i in range(6)]
    both = Shot(70, (bust(a, 90, LEFT, start=troupe.start()), bust(b, 90, RIGHT, start=troupe.start())), rooms[2])
    return Composition((*shots, both))


def overlap(troupe: Troupe) -> Composition:
    """One person walks in front of another and stands there, then goes on."""
    a, b = troupe.actors(2)
    room = int(troupe.rng.integers(20))
    behind = bust(a, 100, (WIDTH / 2, 160), start=troupe.start())
    passing = moving(b, [(120.0, (-90.0, 175.0)), (120.0, (WIDTH / 2, 175.0)), (120.0, (WIDTH / 2, 175.0)), (120.0, (730.0, 175.0))])
    alone = Shot(60, (bust(b, 120, LEFT, start=troupe.start()),), (room + 1) % 20)
    return Composition((Shot(170, (behind, passing), room), alone, Shot(60, (bust(a, 120, RIGHT, start=troupe.start()),), (room + 2) % 20)))
