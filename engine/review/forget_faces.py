"""Which faces are somebody's: stretches of tracks in every analysis of every episode, and all that was made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.review import anchors
from engine.review.decision import Decision
from engine.review.fold import Piece
from engine.review.rerun import faces_of, fold_run
from engine.review.state import EpisodeState
from store import erase, ids, results
from store.database import now

if TYPE_CHECKING:
    from engine.service import Engine

Stretch = tuple[int, int, int, str]
"""track_id, start_us, end_us, and the level at which the label held there."""


@dataclass(frozen=True)
class Faces:
    """The faces of a run that go: number (n,) in the run, t_us (n,), boxes (n, 4); stretches of its tracks, and which tracks go whole."""

    number: NDArray[np.int64]
    t_us: NDArray[np.int64]
    boxes: NDArray[np.float32]
    tracks: frozenset[int]
    whole: frozenset[int]


def stretches(engine: Engine, people: frozenset[int]) -> dict[int, list[Stretch]]:
    """run -> where these people are in it: by the label in force, and where nobody else is named, by the place they have in another analysis."""
    found: dict[int, list[Stretch]] = {}
    for episode_id in erase.episodes_of(engine.database, people):
        states = [fold_run(engine.database, engine.database, episode_id, run_id)[0] for run_id in erase.runs_of(engine.database, episode_id)]
        mine = {state.run_id: _labelled(state, people) for state in states}
        for state in states:
            others = [(run_id, held) for run_id, held in mine.items() if run_id != state.run_id and held]
            found[state.run_id] = sorted({*mine[state.run_id], *_elsewhere(engine, state, others)})
    return {run_id: held for run_id, held in found.items() if held}


def _labelled(state: EpisodeState, people: frozenset[int]) -> list[Stretch]:
    return [_stretch(piece) for piece in state.all_pieces() if piece.person_id in people]


def _stretch(piece: Piece) -> Stretch:
    return piece.track_id, piece.start_us, piece.end_us, piece.level if piece.decision_id is not None else "track"


def _elsewhere(engine: Engine, state: EpisodeState, others: list[tuple[int, list[Stretch]]]) -> list[Stretch]:
    """Where the faces of other runs lie in this one, on stretches that bear no name."""
    if not others:
        return []
    unnamed = erase.unnamed(engine.database, state.show_id)
    faces = faces_of(results.faces_of_tracks(engine.database, state.run_id), results.track_spans(engine.database, state.run_id))
    decision = Decision(0, 0, now(), "", "person_forget", "track")
    found = []
    for run_id, held in others:
        for cover in anchors.covers(decision, _paths(engine, run_id, held), faces):
            for piece in state.pieces[cover.track_id]:
                start, end = max(piece.start_us, cover.start_us), min(piece.end_us, cover.end_us)
                free = piece.decision_id is None and not piece.excluded and (piece.person_id is None or piece.person_id in unnamed)
                if start < end and free:
                    found.append((piece.track_id, start, end, "track"))
    return found


def _paths(engine: Engine, run_id: int, held: Iterable[Stretch]) -> list[anchors.Path]:
    table = results.faces_of_tracks(engine.database, run_id, sorted({track for track, *_ in held}))
    track, t_us = table["track_id"].to_numpy(), table["t_us"].to_numpy()
    boxes = _boxes(table)
    paths = []
    for number, (wanted, start, end, _) in enumerate(held):
        rows = np.flatnonzero((track == wanted) & (t_us >= start) & (t_us < end))
        paths.append(anchors.Path(number, 0, start, end, t_us[rows], boxes[rows]))
    return paths


def faces(engine: Engine, run_id: int, held: Iterable[Stretch]) -> Faces:
    """The faces in some stretches of a run."""
    by_track: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for track, start, end, _ in held:
        by_track[track].append((start, end))
    table = results.faces_of_tracks(engine.database, run_id, sorted(by_track))
    track_id, t_us = table["track_id"].to_numpy(), table["t_us"].to_numpy()
    gone = np.zeros(len(t_us), bool)
    for track, spans in by_track.items():
        for start, end in spans:
            gone |= (track_id == track) & (t_us >= start) & (t_us < end)
    rows = np.flatnonzero(gone)
    whole = frozenset(track for track in by_track if gone[track_id == track].all())
    number = table["detection_id"].to_numpy()[rows] - ids.detection_id(run_id, 0)
    return Faces(number, t_us[rows], _boxes(table)[rows], frozenset(by_track), whole)


def _boxes(table: pa.Table) -> NDArray[np.float32]:
    return np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float32)
