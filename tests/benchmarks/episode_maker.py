"""Making an episode: scenes, framings, shots, stretches of faces, the tracks a tracker would make of them, and the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import TrackSettings
from engine.identity.gallery import Gallery
from engine.models.base import Calibration
from engine.models.registry import ENTRIES
from engine.tables import BODY_DIMS, DETECTIONS, PICKS, SHOT, Episode
from engine.vision.pick import GOOD, choose
from engine.vision.tracks import track_table
from tests.benchmarks.made_faces import DIMS, HUBS, Space, quality_of, unit
from tests.benchmarks.recipe import NOBODY, Made, Recipe

STEP_US = 166_667
LONGEST_GAP_US = 700_000
"""A face lost for longer is a new track."""

CHIP_STEPS = 3
"""A picture of each face is kept every so many looks."""


def calibration() -> Calibration:
    """The curve the product ships for the embedding space imitated here."""
    return next(entry.calibration for entry in ENTRIES if entry.name == "mobilefacenet_foamliu" and entry.calibration)


@dataclass
class _Rows:
    """Detections, picks and truth while they are being made; one list entry a track (or stretch)."""

    t_us: list[NDArray[np.int64]] = field(default_factory=list)
    box: list[NDArray[np.float64]] = field(default_factory=list)
    quality: list[NDArray[np.float64]] = field(default_factory=list)
    score: list[NDArray[np.float64]] = field(default_factory=list)
    person: list[NDArray[np.int64]] = field(default_factory=list)
    height: list[float] = field(default_factory=list)
    vectors: list[NDArray[np.float64]] = field(default_factory=list)  # a row a candidate picture
    chip: list[NDArray[np.int64]] = field(default_factory=list)  # row in vectors of each detection, -1 none
    body: list[NDArray[np.float64]] = field(default_factory=list)
    visible: list[tuple[int, int, int]] = field(default_factory=list)
    seen: list[tuple[int, NDArray[np.int64]]] = field(default_factory=list)


@dataclass(frozen=True)
class _Stretch:
    """One person in one shot, from `start` to `end` (us), at a place."""

    person: int
    start: int
    end: int
    place: NDArray[np.float64]
    look: NDArray[np.float64]
    clothes: NDArray[np.float64]
    turned: float
    height: float


class Maker:
    """Draws an episode of a recipe."""

    def __init__(self, seed: int, recipe: Recipe) -> None:
        self.rng, self.recipe = np.random.default_rng([seed, 4711]), recipe
        self.cast = recipe.regulars + recipe.guests
        self.people = self.cast + recipe.extras
        self.space = Space.make(self.rng, self.people, recipe.alike, recipe.closeness)
        self.height = self.rng.uniform(0.8, 1.2, self.people)
        self.looks = [self._looks_of(who) for who in range(self.people)]
        self.rows = _Rows()
        self.shots: list[tuple[int, int, int, int]] = []

    def make(self) -> Made:
        """The whole episode."""
        recipe, end = self.recipe, round(self.recipe.length_s * 1e6)
        lengths = self.rng.gamma(2.0, 1.0, recipe.scenes)
        borders = np.round(np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum() * end).astype(np.int64)
        threads = 0
        for start, stop in pairwise(borders.tolist()):
            threads += self._scene(start, stop, threads)
        return self._finish(end)

    def _looks_of(self, who: int) -> list[NDArray[np.float64]]:
        """The few ways a person looks in this episode: hair, glasses, years; most have one or two."""
        rng = self.rng
        return [self.space.look(rng, who, self.recipe.change * float(rng.lognormal(0, 0.5))) for _ in range(min(4, int(rng.geometric(0.5))))]

    def _worn(self, who: int) -> NDArray[np.float64]:
        """(DIMS,) one of the looks, in the light of one scene."""
        own = self.looks[who]
        look = own[min(int(self.rng.geometric(0.6)), len(own)) - 1]
        return np.asarray(unit(look + float(self.rng.uniform(0.1, 0.4)) * unit(self.rng.normal(size=DIMS))))

    def _scene(self, start: int, stop: int, threads: int) -> int:
        """Shots of one scene over a few framings; returns how many framings."""
        rng, recipe = self.rng, self.recipe
        weight = 1 / np.arange(1, self.cast + 1) ** recipe.zipf
        weight[recipe.regulars :] *= rng.random(recipe.guests) < 0.3  # a guest is in some scenes only
        here = rng.choice(self.cast, size=min(int(rng.integers(2, 8)), int((weight > 0).sum())), replace=False, p=weight / weight.sum())
        extras = self.cast + rng.choice(recipe.extras, size=min(recipe.extras, int(rng.integers(1, 6))), replace=False)
        everybody = np.concatenate([here, extras])
        looks = {int(who): self._worn(int(who)) for who in everybody}
        uniform = np.abs(rng.normal(size=BODY_DIMS)) ** 2
        alike = rng.random() < 0.12
        clothes = {int(who): uniform if alike else np.abs(rng.normal(size=BODY_DIMS)) ** 2 for who in everybody}
        framings = [self._framing(here) for _ in range(int(rng.integers(2, 6)))]
        at = start
        while at < stop:
            length = round(float(np.clip(rng.lognormal(np.log(recipe.shot_s), 0.6), 0.7, 25)) * 1e6)
            until = stop if stop - at - length < 1_000_000 else at + length
            framing = int(rng.integers(len(framings)))
            self.shots.append((len(self.shots), at, until, threads + framing))
            self._shot(at, until, framings[framing], extras, looks, clothes)
            at = until
        return len(framings)

    def _framing(self, here: NDArray[np.int64]) -> list[tuple[int, NDArray[np.float64], float, float]]:
        """People of one camera set-up: who, box, height in pixels, how far they are turned."""
        rng = self.rng
        group = rng.choice(here, size=min(len(here), int(rng.choice([1, 1, 2, 2, 2, 3, 4]))), replace=False)
        height = float(np.exp(rng.uniform(np.log(45), np.log(300)) - 0.25 * (len(group) - 1)))
        placed = []
        for spot, who in enumerate(group):
            x = 0.02 + 0.24 * spot + float(rng.uniform(0, 0.03))
            size = height / 720
            box = np.array([x, 0.2, x + min(0.2, size * 0.45), 0.2 + size])
            # One in an over-the-shoulder framing shows little of the face.
            back = len(group) > 1 and spot == len(group) - 1 and rng.random() < 0.3
            turned = float(np.clip(rng.uniform(0.6, 0.95) if back else rng.beta(1.2, 1.2 / self.recipe.turned - 1.2), 0, 0.97))
            placed.append((int(who), box, height * self.height[who], turned))
        return placed

    def _shot(
        self,
        start: int,
        end: int,
        framing: list[tuple[int, NDArray[np.float64], float, float]],
        extras: NDArray[np.int64],
        looks: dict[int, NDArray[np.float64]],
        clothes: dict[int, NDArray[np.float64]],
    ) -> None:
        rng = self.rng
        shown = list(framing)
        if rng.random() < self.recipe.crowd:
            for who in rng.choice(extras, size=min(len(extras), int(rng.integers(1, 4))), replace=False):
                x, size = float(rng.uniform(0.6, 0.9)), float(rng.uniform(25, 80))
                turned = float(rng.uniform(0.3, 0.95) if rng.random() < 0.7 else rng.uniform(0.02, 0.3))
                shown.append((int(who), np.array([x, 0.1, x + size / 1280, 0.1 + size / 720]), size, turned))
        crossing = self._swap(start, end, shown, looks, clothes)
        for who, box, height, turned in shown:
            if who in crossing:
                continue
            own = float(np.clip(turned + rng.normal(0, 0.08), 0, 0.97))
            for low, high in _stretches(rng, start, end, self.recipe.turns):
                self._stretch(_Stretch(who, low, high, box, looks[who], clothes[who], own, height))

    def _stretch(self, one: _Stretch) -> None:
        """Detections of one stretch, in tracks between which the face is lost for long."""
        rng = self.rng
        self.rows.visible.append((one.person, one.start, one.end))
        t_us = _looks(one.start, one.end)
        if not len(t_us):
            return
        self.rows.seen.append((one.person, t_us))
        turned = np.clip(one.turned + 0.12 * np.sin(np.arange(len(t_us)) * rng.uniform(0.1, 0.8) + rng.uniform(0, 6)), 0, 0.98)
        found = rng.random(len(t_us)) >= self.recipe.missed + 0.1 * turned**5
        if rng.random() < self.recipe.unseen * (1 + 6 * one.turned**3):
            found[:] = False
        kept = np.flatnonzero(found)
        edges = np.flatnonzero(np.diff(t_us[kept]) > LONGEST_GAP_US) + 1
        for part in np.split(kept, edges):
            if len(part):
                self._track(t_us[part], turned[part], np.full(len(part), one.person), one)

    def _swap(
        self, start: int, end: int, shown: list, looks: dict[int, NDArray[np.float64]], clothes: dict[int, NDArray[np.float64]]
    ) -> tuple[int, ...]:
        """At times one person leaves as another comes to the same place, and the track goes on with the second; returns these two people."""
        rng = self.rng
        if len(shown) < 2 or end - start < 2_000_000 or rng.random() > self.recipe.swaps * 5:
            return ()
        (first, box, height, turned), (second, *_) = (shown[int(k)] for k in rng.choice(len(shown), 2, replace=False))
        border = round(rng.uniform(start + (end - start) * 0.3, start + (end - start) * 0.7))
        halves = [
            _Stretch(who, low, high, box, looks[who], clothes[who], turned, height)
            for who, low, high in ((first, start, border), (second, border, end))
        ]
        self._crossing(halves)
        return first, second

    def _crossing(self, halves: list[_Stretch]) -> None:
        times = [_looks(one.start, one.end) for one in halves]
        if not all(len(t) for t in times):
            return
        for one, t in zip(halves, times, strict=True):
            self.rows.visible.append((one.person, one.start, one.end))
            self.rows.seen.append((one.person, t))
        who = np.concatenate([np.full(len(t), one.person) for one, t in zip(halves, times, strict=True)])
        turned = np.clip(halves[0].turned + self.rng.normal(0, 0.05, len(who)), 0.0, 0.97)
        self._track(np.concatenate(times), turned, who, halves[0], {one.person: one.look for one in halves})

    def _track(
        self,
        t_us: NDArray[np.int64],
        turned: NDArray[np.float64],
        person: NDArray[np.int64],
        one: _Stretch,
        looks: dict[int, NDArray[np.float64]] | None = None,
    ) -> None:
        """One track's detections with their candidate pictures; split where the appearance check would split it."""
        rng, count = self.rng, len(t_us)
        quality = quality_of(rng, turned, one.height, rng.random() < self.recipe.misjudged)
        hub, own = int(rng.integers(HUBS)), unit(rng.normal(size=DIMS))
        chips = np.arange(0, count, CHIP_STEPS)
        vectors = np.stack([self.space.face(rng, looks[int(person[k])] if looks else one.look, float(turned[k]), hub, own) for k in chips])
        pieces = [np.arange(count)]
        if looks:
            good = chips[quality[chips] >= GOOD]
            rows = vectors[quality[chips] >= GOOD]
            curve = calibration()
            against = curve.slope * np.einsum("nd,nd->n", rows[:-1], rows[1:]) + curve.intercept < TrackSettings().split_log_odds
            pieces = np.split(np.arange(count), np.sort([int(good[k] + good[k + 1] + 1) // 2 for k in np.flatnonzero(against)]).astype(np.int64))
        body = np.zeros(BODY_DIMS) if rng.random() > self.recipe.body else unit(one.clothes + np.abs(rng.normal(size=BODY_DIMS)) * 0.45)
        path = one.place + np.cumsum(rng.normal(0, 0.0015, (count, 1)), axis=0) + rng.normal(0, 0.002, (count, 4))
        score = np.clip(0.86 - 0.32 * turned**2 - 0.1 * (one.height < 40) + rng.normal(0, 0.03, count), 0.31, 0.95)
        row = np.full(count, -1)
        row[chips] = np.arange(len(chips))
        for piece in pieces:
            if len(piece):
                kept = row[piece] >= 0
                inside = np.where(kept, np.cumsum(kept) - 1, -1)
                self._add(t_us[piece], path[piece], quality[piece], score[piece], person[piece], one.height, vectors[row[piece][kept]], inside, body)

    def _add(
        self,
        t_us: NDArray[np.int64],
        box: NDArray[np.float64],
        quality: NDArray[np.float64],
        score: NDArray[np.float64],
        person: NDArray[np.int64],
        height: float,
        vectors: NDArray[np.float64],
        chip: NDArray[np.int64],
        body: NDArray[np.float64],
    ) -> None:
        columns = (t_us, box, quality, score, person, height, vectors, chip, body)
        names = ("t_us", "box", "quality", "score", "person", "height", "vectors", "chip", "body")
        for name, value in zip(names, columns, strict=True):
            getattr(self.rows, name).append(value)

    def _false_boxes(self) -> None:
        rng = self.rng
        for _ in range(rng.poisson(self.recipe.false_boxes * len(self.rows.t_us))):
            _, start, end, _ = self.shots[int(rng.integers(len(self.shots)))]
            low = round(rng.uniform(start, max(start, end - 400_000)))
            t_us = _looks(low, min(end, low + round(rng.exponential(0.8e6)) + STEP_US))
            if not len(t_us):
                continue
            turned = np.clip(rng.uniform(0.6, 1.0) + rng.normal(0, 0.03, len(t_us)), 0, 1)
            at = rng.uniform(0.05, 0.8, 2)
            vectors = unit(0.5 * self.space.hubs[int(rng.integers(HUBS))] + unit(rng.normal(size=(len(t_us[::CHIP_STEPS]), DIMS))) * 0.7)
            row = np.where(np.arange(len(t_us)) % CHIP_STEPS == 0, np.arange(len(t_us)) // CHIP_STEPS, -1)
            self._add(
                t_us,
                np.tile([*at, *(at + 0.06)], (len(t_us), 1)),
                quality_of(rng, turned, 60, rng.random() < 0.1),
                rng.uniform(0.5, 0.7, len(t_us)),
                np.full(len(t_us), NOBODY),
                60.0,
                vectors,
                row,
                np.zeros(BODY_DIMS),
            )

    def _finish(self, end: int) -> Made:
        self._false_boxes()
        rows = self.rows
        order = sorted(range(len(rows.t_us)), key=lambda k: (int(rows.t_us[k][0]), k))
        sizes = [len(rows.t_us[k]) for k in order]
        track = np.repeat(np.arange(len(order)), sizes)
        t_us = np.concatenate([rows.t_us[k] for k in order])
        by_time = np.lexsort((track, t_us))
        track, t_us = track[by_time], t_us[by_time]
        box, quality, score, person = (
            np.concatenate([part[k] for k in order])[by_time] for part in (rows.box, rows.quality, rows.score, rows.person)
        )
        height = np.repeat([rows.height[k] for k in order], sizes)[by_time]
        offsets = np.cumsum([0, *(len(rows.vectors[k]) for k in order)])
        chip = np.concatenate([np.where(rows.chip[k] >= 0, rows.chip[k] + offset, -1) for k, offset in zip(order, offsets, strict=False)])[by_time]
        detections = _detections(t_us, box, quality, score, height, chip, track)
        shots = pa.table([pa.array([row[k] for row in self.shots], entry.type) for k, entry in enumerate(SHOT)], schema=SHOT)
        picks, vectors = _picks(t_us, quality, chip, track, np.concatenate([rows.vectors[k] for k in order]).astype(np.float32))
        shown = np.flatnonzero(chip >= 0)
        bodies = shown, np.array([rows.body[order[int(track[det])]] for det in shown], np.float32).reshape(len(shown), -1)
        tracks, pooled = track_table(detections, picks, vectors, bodies, shots, _looks(0, end), calibration(), TrackSettings())
        episode = Episode(STEP_US, end, (1280, 720), shots, tracks, detections, picks, vectors, pooled)
        gallery, known = self._gallery()
        faces = _faces(rows, episode, person)
        visible = np.array(rows.visible, np.int64).reshape(-1, 3)
        return Made(self.recipe, episode, self.people, self.cast, person, *faces, visible, gallery, known)

    def _gallery(self) -> tuple[Gallery, NDArray[np.int64]]:
        """Faces of the known cast from other episodes: good ones, and now and then a poor one."""
        rng, vectors, person, quality, known = self.rng, [], [], [], []
        for who in range(round(self.recipe.known * self.cast)):
            for _ in range(int(rng.integers(2, 7))):
                # An earlier episode: often the same hair, at times another.
                base = self._worn(who) if rng.random() < 0.6 else self.space.look(rng, who, self.recipe.change * float(rng.lognormal(0, 0.5)))
                look = unit(base + float(rng.uniform(0.1, 0.4)) * unit(rng.normal(size=DIMS)))
                for _ in range(int(rng.integers(1, 7))):
                    turned = float(np.clip(rng.beta(1.2, 7), 0, 1))
                    vectors.append(self.space.face(rng, look, turned, int(rng.integers(HUBS)), unit(rng.normal(size=DIMS))))
                    person.append(len(known))
                    quality.append(float(quality_of(rng, np.array([turned]), 120, False)[0]))
            known.append(who)
        matrix = np.array(vectors, np.float32).reshape(-1, DIMS)
        return Gallery(matrix, np.array(person, np.int32), np.array(quality, np.float32)), np.array(known, np.int64)


def _stretches(rng: np.random.Generator, start: int, end: int, turns: float) -> list[tuple[int, int]]:
    """When a face is to be seen in a shot: from cut to cut, or not all of it, or with a turn away between."""
    low, high = start, end
    if end - start > 1_200_000:
        if rng.random() < turns:
            low = round(rng.uniform(start + 150_000, start + (end - start) * 0.45))
        if rng.random() < turns:
            high = round(rng.uniform(start + (end - start) * 0.55, end - 150_000))
    if high - low > 3_000_000 and rng.random() < turns:
        middle, half = rng.uniform(low + 1_000_000, high - 1_000_000), rng.uniform(0.3e6, 0.9e6)
        return [(low, round(middle - half)), (round(middle + half), high)]
    return [(low, high)]


def _looks(start: int, end: int) -> NDArray[np.int64]:
    """Analysed moments in [start, end)."""
    return np.arange(-(-start // STEP_US), -(-end // STEP_US), dtype=np.int64) * STEP_US


def _detections(
    t_us: NDArray[np.int64],
    box: NDArray[np.float64],
    quality: NDArray[np.float64],
    score: NDArray[np.float64],
    height: NDArray[np.float64],
    chip: NDArray[np.int64],
    track: NDArray[np.int64],
) -> pa.Table:
    count = len(t_us)
    columns = {
        "det": np.arange(count),
        "frame": t_us // STEP_US,
        "t_us": t_us,
        **{name: box[:, side] for side, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": score,
        "landmarks": pa.FixedSizeListArray.from_arrays(np.full(count * 10, np.nan, np.float32), 10),
        "height_px": height,
        "sharpness": quality,
        "frontal": quality,
        "quality": quality,
        "chip": chip,
    }
    arrays = [columns[entry.name] if entry.name == "landmarks" else pa.array(columns[entry.name]).cast(entry.type) for entry in DETECTIONS]
    return pa.table(arrays, schema=DETECTIONS).append_column("track", pa.array(track, pa.int32()))


def _picks(
    t_us: NDArray[np.int64], quality: NDArray[np.float64], chip: NDArray[np.int64], track: NDArray[np.int64], vectors: NDArray[np.float32]
) -> tuple[pa.Table, NDArray[np.float32]]:
    """The faces the product would embed, and their vectors."""
    order = np.argsort(track, kind="stable")
    bounds = np.searchsorted(track[order], np.arange(int(track.max(initial=-1)) + 2))
    chosen = [
        choose(order[low:high], t_us, quality.astype(np.float32), chip.astype(np.int32), TrackSettings().picks) for low, high in pairwise(bounds)
    ]
    flat = np.concatenate(chosen)
    owner = np.repeat(np.arange(len(chosen)), [len(part) for part in chosen])
    table = pa.table([pa.array(owner, pa.int32()), pa.array(flat, pa.int32()), pa.array(quality[flat], pa.float32())], schema=PICKS)
    return table, vectors[chip[flat]]


def _faces(rows: _Rows, episode: Episode, person: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every face at every analysed moment, and the track that holds it: one with a face of the person, at that moment or on both sides of it."""
    track, t_us = episode.detections["track"].to_numpy().astype(np.int64), episode.detections["t_us"].to_numpy()
    held: dict[tuple[int, int], int] = {}
    order = np.lexsort((t_us, track))
    for a, b in zip(order, np.append(order[1:], -1), strict=True):
        held[int(person[a]), int(t_us[a])] = int(track[a])
        if b >= 0 and track[a] == track[b] and person[a] == person[b]:
            for at in range(int(t_us[a]) + STEP_US, int(t_us[b]), STEP_US):
                held.setdefault((int(person[a]), at), int(track[a]))
    who = np.concatenate([np.full(len(at), one) for one, at in rows.seen])
    when = np.concatenate([at for _, at in rows.seen])
    in_track = np.array([held.get((int(one), int(at)), -1) for one, at in zip(who, when, strict=True)], np.int64)
    return who, when, in_track
