"""A run that is new, or shown again: every decision about its episode is found in it by its anchors, and its labels are folded anew (rule 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from engine.review import anchors
from engine.review.decision import Cover, Decision, read
from engine.review.fold import MachineTrack
from engine.review.state import EpisodeState, People, build, covers_of_run
from store import anchored, covered, decisions, results
from store.database import Database, Reader, Transaction


def apply(database: Database, transaction: Transaction, episode_id: int, run_id: int) -> None:
    """Cover a run by the decisions it does not know yet and write its labels, inside the transaction that loads or shows it.

    Args:
        transaction: holds the run's machine results; `database` may not see them yet.
    """
    state, new = fold_run(database, transaction, episode_id, run_id)
    covered.add(transaction, run_id, episode_id, new)
    transaction.execute("DELETE FROM assignment WHERE run_id = ?", [run_id])
    transaction.insert_arrow("assignment", state.rows(sorted(state.tracks)))
    transaction.execute("UPDATE run SET settled_seq = -1 WHERE run_id = ?", [run_id])


def fold_run(database: Database, transaction: Reader, episode_id: int, run_id: int) -> tuple[EpisodeState, list[Cover]]:
    """A run under every decision about its episode, and the covers of those it did not know yet; nothing is written."""
    tracks = {row["track_id"]: MachineTrack(**row) for row in results.machine_labels(transaction, run_id)}
    known = [read(row) for row in decisions.of_episode(database, episode_id)]
    old = covers_of_run(transaction, run_id)
    missing = [d for d in known if d.level is not None and d.decision_id not in {c.decision_id for c in old}]
    new = _find(database, transaction, episode_id, run_id, missing) if missing else []
    show_id = transaction.rows("SELECT show_id FROM episode WHERE episode_id = ?", [episode_id])[0]["show_id"]
    return build(run_id, episode_id, show_id, tracks, known, People.load(database), [*old, *new]), new


def _find(database: Database, transaction: Reader, episode_id: int, run_id: int, missing: list[Decision]) -> list[Cover]:
    """Where decisions lie in a run."""
    paths = paths_of(decisions.anchors_of_episode(database, episode_id, [d.decision_id for d in missing]))
    faces = faces_of(results.faces_of_tracks(transaction, run_id), results.track_spans(transaction, run_id))
    return [cover for d in missing for cover in anchors.covers(d, paths.get(d.decision_id, []), faces)]


def paths_of(rows: Iterable[anchored.Row]) -> dict[int, list[anchors.Path]]:
    """decision -> its paths."""
    found: dict[int, list[anchors.Path]] = {}
    for row in rows:
        boxes = np.array(row["boxes"], np.float32).reshape(-1, 4)
        path = anchors.Path(row["number"], row["part"], row["start_us"], row["end_us"], np.array(row["t_us"], np.int64), boxes)
        found.setdefault(row["decision_id"], []).append(path)
    return found


def faces_of(faces: pa.Table, tracks: pa.Table) -> anchors.Faces:
    """The faces of a run for matching.

    Args:
        faces: track_id, t_us, x1, y1, x2, y2, by track and time; tracks: track_id, start_us, end_us, by id.
    """
    ids = tracks["track_id"].to_numpy()
    boxes = np.stack([faces[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float32)
    track = np.searchsorted(ids, faces["track_id"].to_numpy())
    return anchors.Faces(track, faces["t_us"].to_numpy(), boxes, ids, tracks["start_us"].to_numpy(), tracks["end_us"].to_numpy())


def lost(database: Database, state: EpisodeState) -> list[dict[str, Any]]:
    """Standing decisions some of whose anchors show no face in the run: rows of decision_id, number, start_us, end_us (design: they stand, and
    are tried again in every later run)."""
    found = {(c.decision_id, c.number) for covers in state.spread.values() for c in covers}
    rows = decisions.anchors_of_episode(database, state.episode_id)
    standing = {one for one in state.decisions if one not in state.rules.voided and not state.fixed(one)}
    missing = (row for row in rows if row["decision_id"] in standing and (row["decision_id"], row["number"]) not in found)
    # Paths on faces that were forgotten were taken out: they are not looked for.
    sought = (row for row in missing if row["t_us"] or not state.rules.erased)
    return [{name: row[name] for name in ("decision_id", "number", "start_us", "end_us")} for row in sought]
