"""Finished stages without somebody's pictures and vectors: rewritten under their keys, so that everybody else's results stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.review.forget_faces import Faces
from engine.tables import BODY_DIMS
from engine.vision.boxes import iou
from store import ids, results

if TYPE_CHECKING:
    from engine.artefacts import Artefacts
    from engine.service import Engine

SAME_FACE_IOU = 0.5


def clean(engine: Engine, run_id: int, going: Faces) -> None:
    """Take some faces of a run out of the artefacts it was made from. Doing it again changes nothing."""
    run = results.run(engine.database, run_id)
    if run is None:
        return
    artefacts, key = engine.artefacts, run["stages"].get("identify", "")
    if key and artefacts.exists("identify", key):
        numbers = frozenset(track - ids.track_id(run_id, 0) for track in going.tracks)
        whole = frozenset(track - ids.track_id(run_id, 0) for track in going.whole)
        _clean_identity(artefacts, key, set(going.number.tolist()), numbers, whole)
    for observe_key, track_key in run["stages"].get("segments", []):
        seen = _seen(artefacts, observe_key, going)
        if artefacts.exists("track", track_key):
            _clean_tracked(artefacts, track_key, seen)
        if artefacts.exists("observe", observe_key):
            _clean_observed(artefacts, observe_key, seen)


def _seen(artefacts: Artefacts, key: str, going: Faces) -> NDArray[np.int64]:
    """Detections of a segment that are faces that go: those both sides of its borders saw are in two segments."""
    if not artefacts.exists("observe", key) or not len(going.t_us):
        return np.empty(0, np.int64)
    table = artefacts.table("observe", key, "detections")
    t_us = table["t_us"].to_numpy()
    boxes = np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
    found: list[int] = []
    for moment in np.intersect1d(t_us, going.t_us):
        rows = np.flatnonzero(t_us == moment)
        overlap = iou(boxes[rows], going.boxes[going.t_us == moment])
        found += rows[overlap.max(axis=1) >= SAME_FACE_IOU].tolist()
    return np.array(found, np.int64)


def pictures(engine: Engine, run_id: int, going: Faces) -> Iterator[bytes]:
    """The pictures kept of some faces of a run, in all its artefacts."""
    run = results.run(engine.database, run_id)
    if run is None:
        return
    for observe_key, _ in run["stages"].get("segments", []):
        if engine.artefacts.exists("observe", observe_key):
            chips = engine.artefacts.table("observe", observe_key, "chips")
            wanted = chips.filter(pc.is_in(chips["det"], pa.array(_seen(engine.artefacts, observe_key, going), pa.int32())))
            yield from (jpeg for jpeg in wanted["jpeg"].to_pylist() if jpeg)


def vectors(engine: Engine, run_id: int, going: Faces, at_most: int) -> NDArray[np.float32]:
    """(n, dims) some vectors of faces that go: pooled ones and those of single faces."""
    run = results.run(engine.database, run_id)
    key = run["stages"].get("identify", "") if run else ""
    if not key or not engine.artefacts.exists("identify", key):
        return np.zeros((0, 0), np.float32)
    picks = engine.artefacts.table("identify", key, "picks")["det"].to_numpy()
    single = engine.artefacts.array("identify", key, "vectors", mapped=True)[np.flatnonzero(np.isin(picks, going.number))[:at_most]]
    whole = sorted(track - ids.track_id(run_id, 0) for track in going.whole)[:at_most]
    found = np.concatenate([single, engine.artefacts.array("identify", key, "pooled", mapped=True)[whole]])
    return np.asarray(found[found.any(axis=1)], np.float32)


def _clean_identity(artefacts: Artefacts, key: str, numbers: set[int], tracks: frozenset[int], whole: frozenset[int]) -> None:
    """The identity of an episode without some faces: `numbers` of its detections, in `tracks`, `whole` of which go."""
    from engine.vision.tracks import pool

    table = {name: artefacts.table("identify", key, name) for name in ("tracks", "detections", "picks", "pictures", "membership", "decisions")}
    arrays = {name: artefacts.array("identify", key, name).copy() for name in ("vectors", "pooled")}
    kept = np.array([det not in numbers for det in table["picks"]["det"].to_pylist()], bool)
    picks = table["picks"].filter(pa.array(kept, pa.bool_()))
    left = arrays["vectors"][kept]
    owner, quality = picks["track"].to_numpy(), picks["quality"].to_numpy()
    for track in tracks:
        arrays["pooled"][track] = pool(left[owner == track], quality[owner == track])[0]
    rows = table["tracks"].to_pylist()
    for row in rows:
        if row["track"] in tracks:
            row["body"] = [0.0] * BODY_DIMS
            row["quality"] = 0.0 if row["track"] in whole else row["quality"]
    best = {row["track"]: row["best_det"] for row in rows}
    shown = [best[track] not in numbers for track in table["pictures"]["track"].to_pylist()]
    artefacts.replace(
        "identify",
        key,
        tables={
            "tracks": pa.Table.from_pylist(rows, schema=table["tracks"].schema),
            "detections": _without_marks(table["detections"], np.array(sorted(numbers), np.int64)),
            "picks": picks,
            "pictures": table["pictures"].filter(pa.array(shown, pa.bool_())),
            "decisions": _undecided(table["decisions"], table["membership"], whole),
        },
        arrays={"vectors": left, "pooled": arrays["pooled"]},
    )


def _undecided(decisions: pa.Table, membership: pa.Table, whole: frozenset[int]) -> pa.Table:
    """Clusters all of whose tracks go are nobody's, also when the artefact is loaded again."""
    from engine.identity.persons import UNIDENTIFIED

    members: dict[int, set[int]] = {}
    for cluster, track in zip(membership["cluster"].to_pylist(), membership["track"].to_pylist(), strict=True):
        members.setdefault(cluster, set()).add(track)
    rows: list[dict[str, Any]] = decisions.to_pylist()
    for row in rows:
        held = members.get(row["cluster"], set())
        if held and held <= whole:
            row["candidate"] = UNIDENTIFIED
    return pa.Table.from_pylist(rows, schema=decisions.schema)


def _without_marks(detections: pa.Table, gone: NDArray[np.int64]) -> pa.Table:
    """Detections some of which (by `det`) have neither landmarks nor a picture."""
    out = np.isin(detections["det"].to_numpy(), gone)
    chip = np.where(out, -1, detections["chip"].to_numpy()).astype(np.int32)
    marks = np.array(detections["landmarks"].combine_chunks().flatten().to_numpy(zero_copy_only=False), np.float32)
    marks = marks.reshape(len(out), detections.schema.field("landmarks").type.list_size)
    marks[out] = np.nan
    for name, values in (("chip", pa.array(chip)), ("landmarks", _fixed(marks))):
        place = detections.schema.get_field_index(name)
        detections = detections.set_column(place, detections.schema.field(name), values)
    return detections


def _fixed(rows: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), pa.float32()), rows.shape[1])


def _clean_tracked(artefacts: Artefacts, key: str, gone: NDArray[np.int64]) -> None:
    picks = artefacts.table("track", key, "picks")
    kept = ~np.isin(picks["det"].to_numpy(), gone)
    if not kept.all():
        arrays = {"vectors": artefacts.array("track", key, "vectors")[kept]}
        artefacts.replace("track", key, tables={"picks": picks.filter(pa.array(kept))}, arrays=arrays)


def _clean_observed(artefacts: Artefacts, key: str, gone: NDArray[np.int64]) -> None:
    """Blank the pictures, keep their rows: others are found by their place."""
    if not len(gone):
        return
    chips = artefacts.table("observe", key, "chips")
    rows: list[dict[str, Any]] = chips.to_pylist()
    wanted = set(gone.tolist())
    for row in rows:
        if row["det"] in wanted:
            blank = {name: [0.0] * len(row[name]) for name in ("landmarks", "box", "body")}
            row.update(jpeg=b"", **blank)
    tables = {
        "chips": pa.Table.from_pylist(rows, schema=chips.schema),
        "detections": _without_marks(artefacts.table("observe", key, "detections"), gone),
    }
    artefacts.replace("observe", key, tables=tables, arrays={})


def sweep(engine: Engine) -> int:
    """Remove artefacts no analysis refers to: nobody can say whose faces are in them, and they can be made again. Returns how many."""
    used = results.artefacts_in_use(engine.database)
    unused = [one for one in engine.artefacts.listed() if one not in used]
    for kind, key in unused:
        engine.artefacts.remove(kind, key)
    for folder in engine.artefacts.leftovers():
        shutil.rmtree(folder, ignore_errors=True)
    return len(unused)
