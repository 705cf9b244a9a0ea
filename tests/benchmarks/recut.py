"""New episodes from the slice suite's clips: real faces, tracks and misses, shot by shot in another order, with full truth.

Every clip is analysed once (observe, track, stitch; kept in the cache folder); an episode takes shots at random from the clips of one half, with
their tracks, faces and true stretches. The people of a half recur from clip to clip.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import Settings
from engine.models.load import Loaded, choose, load
from engine.models.store import Models
from engine.tables import Episode
from engine.totals import intervals
from tests.benchmarks.film import Truth
from tests.benchmarks.material import folder_of
from tests.benchmarks.running import analyse
from tests.benchmarks.scoring import truth_of_tracks
from tests.benchmarks.slices import SEEDS, SLICES, clips

VERSION = 1
LEFT_OUT = ("variable_rate",)
"""Its looks are at no even step, and a re-cut episode has one."""


@dataclass(frozen=True)
class Shot:
    """One shot of a clip: the rows of the clip's episode that are in it."""

    clip: int
    row: int
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Stock:
    """Analysed clips of one half: their episodes, the true person of each track (-1 nobody), the truth, and every shot."""

    episodes: list[Episode]
    persons: list[NDArray[np.int64]]
    truths: list[Truth]
    people: list[str]
    shots: list[Shot]

    @classmethod
    def of(cls, half: str, work: Path) -> Stock:
        """The stock of a half, from the cache or analysed now."""
        kept = work / f"recut-{VERSION}-{half}.pickle"
        if not kept.exists():
            part = kept.with_suffix(".part")
            part.write_bytes(pickle.dumps(cls._analysed(half, work)))
            part.replace(kept)
        found = pickle.loads(kept.read_bytes())
        assert isinstance(found, cls)
        return found

    @classmethod
    def _analysed(cls, half: str, work: Path) -> Stock:
        models = face_models()
        episodes, persons, truths = [], [], []
        for clip in clips(half, work, [name for name in SLICES if name not in LEFT_OUT], SEEDS[half]):
            result = analyse(clip.path, models, Settings())
            episodes.append(result.episode)
            persons.append(truth_of_tracks(result, clip.truth))
            truths.append(clip.truth)
        people = sorted({name for truth in truths for name in truth.people})
        shots = [
            Shot(clip, row, start, end)
            for clip, episode in enumerate(episodes)
            for row, (start, end) in enumerate(zip(episode.shots["start_us"].to_pylist(), episode.shots["end_us"].to_pylist(), strict=True))
        ]
        return cls(episodes, persons, truths, people, shots)


def face_models() -> Loaded:
    """det_500m and mobilefacenet, as the slice suite is measured with."""
    folder = folder_of("ROLLCALL_MODELS")
    choice = choose("insightface", folder)
    return load(replace(choice, detector=Models(folder).installed()["det_500m"]), "cpu", 2)


@dataclass(frozen=True)
class Recut:
    """A re-cut episode: who each track is (-1 nobody), and the true stretches of each person."""

    episode: Episode
    person: NDArray[np.int64]
    visible: dict[int, intervals.Intervals]


def recut(stock: Stock, rng: np.random.Generator, shots: int) -> Recut:
    """Shots drawn at random, no shot twice. A clip's shots of one camera set-up stay one set-up."""
    chosen = [stock.shots[int(k)] for k in rng.choice(len(stock.shots), shots, replace=False)]
    clock = 0
    parts: dict[str, list[pa.Table]] = {"shots": [], "tracks": [], "detections": [], "picks": []}
    pooled, vectors, person = [], [], []
    visible: dict[int, list[intervals.Intervals]] = {}
    offset = {"track": 0, "det": 0}
    threads: dict[tuple[int, int], int] = {}
    for number, shot in enumerate(chosen):
        episode, truth = stock.episodes[shot.clip], stock.truths[shot.clip]
        shift = clock - shot.start_us
        mine = np.flatnonzero(episode.tracks["shot"].to_numpy() == shot.row)
        place = np.full(episode.tracks.num_rows + 1, -1)
        place[mine] = offset["track"] + np.arange(len(mine))
        track_of = episode.detections["track"].to_numpy()
        faces = np.flatnonzero(place[track_of] >= 0)
        det_place = np.full(episode.detections.num_rows, -1)
        det_place[faces] = offset["det"] + np.arange(len(faces))
        picked = np.flatnonzero(np.isin(episode.picks["track"].to_numpy(), mine))
        thread = int(episode.shots["thread"][shot.row].as_py())
        own = threads.setdefault((shot.clip, thread), len(threads))
        parts["shots"].append(_with(episode.shots.slice(shot.row, 1), shot=[number], start_us=[clock], end_us=[shot.end_us + shift], thread=[own]))
        rows = episode.tracks.take(pa.array(mine))
        moved = {name: rows[name].to_numpy() + shift for name in ("start_us", "end_us")}
        best = det_place[rows["best_det"].to_numpy()]
        parts["tracks"].append(_with(rows, track=place[mine], shot=np.full(len(mine), number), best_det=best, **moved))
        rows = episode.detections.take(pa.array(faces))
        parts["detections"].append(
            _with(rows, det=det_place[faces], t_us=rows["t_us"].to_numpy() + shift, track=place[track_of[faces]], chip=np.full(len(faces), -1))
        )
        rows = episode.picks.take(pa.array(picked))
        parts["picks"].append(_with(rows, track=place[rows["track"].to_numpy()], det=det_place[rows["det"].to_numpy()]))
        pooled.append(episode.pooled[mine])
        vectors.append(episode.vectors[picked])
        names = [stock.people.index(name) for name in truth.people]
        person.append(np.array([names[one] if one >= 0 else -1 for one in stock.persons[shot.clip][mine]], np.int64))
        for who, name in enumerate(truth.people):
            seen = intervals.clip(np.array(truth.intervals_us(who), np.int64).reshape(-1, 2), shot.start_us, shot.end_us)
            if len(seen):
                visible.setdefault(stock.people.index(name), []).append(seen + shift)
        offset = {"track": offset["track"] + len(mine), "det": offset["det"] + len(faces)}
        clock = shot.end_us + shift
    first = stock.episodes[chosen[0].clip]
    tables = {name: pa.concat_tables(found).combine_chunks() for name, found in parts.items()}
    episode = Episode(first.step_us, clock, first.frame_size, **tables, vectors=np.concatenate(vectors), pooled=np.concatenate(pooled))
    return Recut(episode, np.concatenate(person), {who: np.concatenate(found) for who, found in visible.items()})


def _with(table: pa.Table, **columns: object) -> pa.Table:
    """The table with columns replaced, of the same types."""
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values).cast(table.schema.field(name).type))
    return table
