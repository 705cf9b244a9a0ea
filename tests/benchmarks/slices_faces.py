"""Slices about how a face is seen: how large, from which side, with what on it, in which light."""

from __future__ import annotations

from tests.benchmarks.framing import CENTRE, LEFT, RIGHT, Troupe, bust, moving
from tests.benchmarks.scene import HEIGHT, WIDTH, Composition, Layer, Path2, Shot


def plain(troupe: Troupe) -> Composition:
    """Three people one after the other, then two together: nothing is hard."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:4].tolist()
    shots = [
        Shot(75, (bust(a, troupe.spread(120, 160), CENTRE, start=troupe.start()),), rooms[0]),
        Shot(70, (bust(b, troupe.spread(120, 160), LEFT, start=troupe.start()),), rooms[1]),
        Shot(80, (bust(a, 105, LEFT, start=troupe.start()), bust(b, 105, RIGHT, start=troupe.start())), rooms[2]),
        Shot(65, (bust(c, troupe.spread(120, 160), RIGHT, start=troupe.start()),), rooms[3]),
    ]
    return Composition(tuple(shots))


def close_up(troupe: Troupe) -> Composition:
    """Faces higher than the picture: forehead and chin are cut off."""
    a, b = troupe.actors(2)
    rooms = troupe.rng.permutation(20)[:2].tolist()
    shots = []
    for index, height in enumerate((300, 330, 390, 440, 360, 480)):
        person, at = (a, b)[index % 2], (WIDTH / 2 + troupe.spread(-60, 60), HEIGHT / 2 + troupe.spread(-10, 10))
        shots.append(Shot(55, (bust(person, height, at, start=troupe.start()),), rooms[index % 2]))
    return Composition(tuple(shots))


def small(troupe: Troupe) -> Composition:
    """Four people with faces of 24 to 40 pixels, in two wide shots, and two of them once from nearer."""
    people = troupe.actors(4)
    rooms = troupe.rng.permutation(20)[:3].tolist()
    heights = [troupe.spread(24, 40) for _ in people]

    def wide(first: float, step: float, y: float) -> tuple[Layer, ...]:
        both = enumerate(zip(people, heights, strict=True))
        return tuple(bust(p, h, (first + step * i, y + troupe.spread(-30, 30)), start=troupe.start()) for i, (p, h) in both)

    first, second = wide(90, 150, 190), wide(550, -150, 160)
    near = tuple(bust(p, 70, (220 + 200 * i, 170), start=troupe.start()) for i, p in enumerate(people[:2]))
    return Composition((Shot(110, first, rooms[0]), Shot(70, near, rooms[1]), Shot(110, second, rooms[2])))


def turned(troupe: Troupe) -> Composition:
    """Heads that turn up to 45 degrees and stay there (simulated: the picture on a cylinder)."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:4].tolist()
    shots = []
    for index, (person, top) in enumerate(((a, 45), (b, -45), (a, -40), (c, 50), (b, 35))):
        turn: Path2 = ((0, 0), (0.25, 0), (0.45, top), (1, top)) if index < 3 else ((0, top), (1, top))
        shots.append(Shot(62, (bust(person, 135, (LEFT, RIGHT)[index % 2], start=troupe.start(), yaw=turn),), rooms[index % 4]))
    return Composition(tuple(shots))


def away(troupe: Troupe) -> Composition:
    """People who turn their back for a while (hair is drawn over the face) and come round again."""
    a, b = troupe.actors(2)
    rooms = troupe.rng.permutation(20)[:2].tolist()
    back: Path2 = ((0, 0), (0.35, 0), (0.351, 1), (0.7, 1), (0.701, 0), (1, 0))
    whole: Path2 = ((0, 1), (0.5, 1), (0.501, 0), (1, 0))
    shots = (
        Shot(100, (bust(a, 130, CENTRE, away=back, start=troupe.start()),), rooms[0]),
        Shot(110, (bust(a, 110, LEFT, away=whole, start=troupe.start()), bust(b, 110, RIGHT, start=troupe.start())), rooms[1]),
        Shot(90, (bust(b, 140, CENTRE, away=back, start=troupe.start()),), rooms[0]),
    )
    return Composition(shots)


def _worn(troupe: Troupe, thing: str) -> Composition:
    """Each of three people first without and then with a thing on, two of them together at the end."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:3].tolist()

    def one(person: int, at: tuple[float, float], on: bool, height: float = 125) -> Layer:
        return bust((a, b, c)[person], height, at, worn=(thing,) if on else (), start=troupe.start())

    shots = [Shot(50, (one(i % 3, (LEFT, RIGHT)[i % 2], i >= 3),), rooms[i % 3]) for i in (0, 1, 3, 4, 5)]
    return Composition((*shots, Shot(70, (one(0, LEFT, True, 100), one(1, RIGHT, False, 100)), rooms[1])))


def sunglasses(troupe: Troupe) -> Composition:
    """Sunglasses, drawn at the eyes; one person is never seen without."""
    return _worn(troupe, "sunglasses")


def masks(troupe: Troupe) -> Composition:
    """Surgical masks, drawn over nose, mouth and chin; one person is never seen without."""
    return _worn(troupe, "mask")


def hands(troupe: Troupe) -> Composition:
    """Hands that come up to the chin, or over the whole face for more than a second, and go again."""
    a, b = troupe.actors(2)
    rooms = troupe.rng.permutation(20)[:2].tolist()
    chin: Path2 = ((0, 0), (0.2, 0), (0.3, 0.5), (0.85, 0.5), (0.95, 0), (1, 0))
    over: Path2 = ((0, 0), (0.25, 0), (0.3, 1), (0.7, 1), (0.75, 0), (1, 0))
    shots = []
    for index, (person, path) in enumerate(((a, chin), (b, over), (a, over), (b, chin))):
        shots.append(Shot(80, (bust(person, 135, (LEFT, RIGHT)[index % 2], hand=path, start=troupe.start()),), rooms[index % 2]))
    return Composition(tuple(shots))


def motion_blur(troupe: Troupe) -> Composition:
    """People who run through the picture and cameras that follow late: smeared by 8 to 26 pixels (drawn)."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:5].tolist()
    shots = []
    for index, (person, smear, run) in enumerate(((a, 0, 0), (b, 8, 220), (a, 14, 260), (c, 9, 0), (b, 20, 300), (c, 26, 180))):
        path = [(115.0, (WIDTH / 2 - run, 165.0)), (115.0, (WIDTH / 2 + run, 175.0))] if run else [(125.0, CENTRE)]
        shots.append(Shot(50, (moving(person, path, start=troupe.start()),), rooms[index % 5], effects=(("smear", float(smear)),) if smear else ()))
    return Composition(tuple(shots))


def dark_noisy(troupe: Troupe) -> Composition:
    """A third to a tenth of the light, and grain on it (drawn)."""
    a, b, c = troupe.actors(3)
    rooms = troupe.rng.permutation(20)[:3].tolist()
    shots = []
    for index, (person, gain, noise) in enumerate(((a, 0.33, 5), (b, 0.2, 7), (c, 0.3, 12), (a, 0.14, 6), (b, 0.33, 14), (c, 0.12, 4))):
        layer = bust(person, 110, (LEFT, CENTRE, RIGHT)[index % 3], start=troupe.start())
        shots.append(Shot(50, (layer,), rooms[index % 3], effects=(("gain", gain), ("noise", float(noise)))))
    return Composition(tuple(shots))
