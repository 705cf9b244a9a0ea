"""What a made episode is like, and what it is with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.identity.gallery import Gallery
from engine.tables import Episode

NOBODY = -1


@dataclass(frozen=True)
class Recipe:
    """What one episode is like. Shares are 0..1, times seconds."""

    length_s: float = 3600.0
    regulars: int = 9
    guests: int = 14
    extras: int = 30
    zipf: float = 1.0  # exponent of the cast's screen time
    scenes: int = 55
    shot_s: float = 2.7  # median length of a shot
    crowd: float = 0.2  # how often extras are in a shot
    change: float = 0.5  # how different a person looks with other hair or glasses
    turned: float = 0.25  # mean of how far faces are turned
    turns: float = 0.4  # how often a face comes or goes inside a shot
    alike: int = 3  # pairs of look-alikes
    closeness: float = 0.42
    swaps: float = 0.002  # share of tracks that run into another person; the slice suite shows 99.8 % pure tracks
    false_boxes: float = 0.015  # per track
    missed: float = 0.001  # of faces seen well; more of those turned away
    unseen: float = 0.0015  # stretches with no face found at all
    misjudged: float = 0.02  # tracks whose quality is overrated
    known: float = 0.7  # share of the cast, by rank, in the facebank
    body: float = 0.8  # how often the upper body is in the picture

    @classmethod
    def draw(cls, rng: np.random.Generator, **fixed: float) -> Recipe:
        """One episode of the kinds there are."""
        drawn = {
            "regulars": int(rng.integers(6, 13)),
            "guests": int(rng.integers(6, 18)),
            "extras": int(rng.integers(15, 45)),
            "zipf": float(rng.uniform(0.8, 1.3)),
            "scenes": int(rng.integers(40, 75)),
            "shot_s": float(rng.uniform(2.1, 3.4)),
            "crowd": float(rng.uniform(0.08, 0.3)),
            "change": float(rng.uniform(0.4, 0.7)),
            "turned": float(rng.uniform(0.18, 0.32)),
            "turns": float(rng.uniform(0.3, 0.55)),
            "alike": int(rng.integers(1, 5)),
            "closeness": float(rng.uniform(0.35, 0.5)),
            "swaps": float(rng.uniform(0.0005, 0.004)),
            "false_boxes": float(rng.uniform(0.003, 0.03)),
            "missed": float(rng.uniform(0.0005, 0.002)),
            "unseen": float(rng.uniform(0.0005, 0.002)),
            "misjudged": float(rng.uniform(0.0, 0.04)),
            "known": float(rng.choice([0.0, 0.5, 0.8, 1.0])),
            "body": float(rng.uniform(0.65, 0.9)),
        }
        return cls(**{**drawn, **fixed})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Made:
    """An episode with its truth.

    people: number of people, the cast first. cast: how many of them have a name somebody asks for. of_detection (d,) person of each detection,
    NOBODY for a false box. face_*: one row for each face that is to be seen at an analysed moment: person, time, and the track whose interval
    holds it (-1: missed). visible: (person, start_us, end_us) of every true stretch. gallery: faces known beforehand; known (g,) person of each
    of its people.
    """

    recipe: Recipe
    episode: Episode
    people: int
    cast: int
    of_detection: NDArray[np.int64]
    face_person: NDArray[np.int64]
    face_us: NDArray[np.int64]
    face_track: NDArray[np.int64]
    visible: NDArray[np.int64]
    gallery: Gallery
    known: NDArray[np.int64]

    @property
    def hours(self) -> float:
        """Length in hours."""
        return self.episode.duration_us / 3.6e9

    def main_person(self) -> NDArray[np.int64]:
        """(tracks,) the person most faces of each track show."""
        track = self.episode.detections["track"].to_numpy()
        count = np.zeros((self.episode.tracks.num_rows, self.people + 1), np.int64)
        np.add.at(count, (track, self.of_detection), 1)
        return np.where(count[:, :-1].sum(axis=1) > count[:, -1], count[:, :-1].argmax(axis=1), NOBODY)
