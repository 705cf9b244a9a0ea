"""Loading a run: vectors first, then every table in one transaction (design: two stores, one truth)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import Conflict, StoreError
from engine.exemplars import exemplars
from engine.memory import give_back
from engine.people import renamed
from engine.review import rerun
from store import catalog, covered, decisions, ids, outbox, references, results
from store.commit_point import commit_point

if TYPE_CHECKING:
    from engine.analyse import Analysis
    from engine.people import Naming
    from engine.service import Engine
    from store.database import Transaction


REVIEWED = {
    "assignment": decisions.ASSIGNMENT,
    "coverage": covered.TABLE,
    "suggestion": decisions.SUGGESTION,
    "queue_item": decisions.QUEUE_ITEM,
}
"""Tables that follow from the machine's labels and the decisions about the episode."""

_OF_DETECTIONS = ["t_us", "x1", "y1", "x2", "y2", "score", "quality"]
"""What the library holds of a detection beside its numbers."""


def load_run(engine: Engine, analysis: Analysis, key: str, identify: str, naming: Naming, totals: dict[str, Any]) -> int:
    """Write an analysis into both stores and make it the episode's active run; returns the run's id.

    Args:
        key: the run's fingerprint.
        identify: key of the identity artefact.
        naming: who each cluster is; new unknowns have negative numbers until they get their ids here.
        totals: paths of the tables the totals stage wrote, and the seconds nobody could be named for.
    """
    episode_id = analysis.episode["episode_id"]
    facts = run_facts(analysis, identify)
    run_id = results.allocate_run(engine.database, episode_id, key, **facts)
    columns = {"detections": ["det", *_OF_DETECTIONS, "track"]}
    tables = {
        name: engine.artefacts.table("identify", identify, name, columns.get(name))
        for name in ("shots", "tracks", "detections", "picks", "clusters", "membership")
    }
    if tables["tracks"].num_rows >= ids.TRACKS_PER_RUN or tables["detections"].num_rows >= ids.DETECTIONS_PER_RUN:
        raise StoreError(f"Episode {episode_id} has more tracks or faces than a run can hold.", "Split the recording.")
    embeddings, vectors = exemplars(run_id, tables["picks"], engine.artefacts.array("identify", identify, "vectors"))
    engine.vectors.add(facts["space"], run_id, embeddings["vector_id"].to_numpy(), vectors)
    del vectors
    give_back()
    chips = _keep_pictures(engine, identify)
    with engine.database.write() as transaction:
        new = {key: catalog.add_person(transaction, analysis.episode["show_id"], None) for key in naming.new_people()}
        people = naming.with_ids(new)
        _check_people(transaction, people)
        rows = {
            "segment": _segments(analysis),
            "shot": tables["shots"],
            "detection": _detections(run_id, tables["detections"]),
            "track": _tracks(run_id, tables["tracks"], chips),
            "track_embedding": embeddings,
            "cluster": _clusters(run_id, tables["clusters"]),
            "membership": _membership(run_id, tables["membership"]),
            "posterior": _posterior(run_id, people.identity),
            "machine_label": _machine_labels(run_id, people),
            **{name: schema.empty_table().drop_columns(["run_id", "episode_id"]) for name, schema in REVIEWED.items()},
            "screen_time": renamed(pq.read_table(totals["screen_time"]), "person", new).rename_columns({"person": "person_id"}),
            "co_presence": _co_presence(pq.read_table(totals["co_presence"]), new),
        }
        results.load_run(transaction, run_id, episode_id, rows, totals["unidentified_s"])
        rerun.apply(engine.database, transaction, episode_id, run_id)
        for event in ("episode.analysed", "totals.changed"):
            outbox.announce(transaction, event, episode_id=episode_id, run_id=run_id)
        commit_point("run.before_commit")
    engine.review.forget()
    commit_point("run.committed")
    engine.database.checkpoint()
    return run_id


def _check_people(transaction: Transaction, people: Naming) -> None:
    """Somebody may have been removed since the clusters were named."""
    wanted = set(people.identity["person"].drop_null().to_pylist()) | set(people.assignment["person_id"].drop_null().to_pylist())
    there = {row["person_id"] for row in transaction.rows("SELECT person_id FROM person WHERE erased_at IS NULL")}
    if gone := sorted(wanted - there):
        raise Conflict(f"People {gone} were removed while the analysis ran.", "Retry the job.")


def run_facts(analysis: Analysis, identify: str) -> dict[str, Any]:
    """What made a run: sampling step, embedding space, settings, models with their digests and licences, stage keys."""
    choice = analysis.choice
    return {
        "step_us": analysis.engine.artefacts.meta("identify", identify)["step_us"],
        "space": choice.embedder.space,
        "settings": analysis.common["settings"],
        "models": {
            "profile": choice.profile,
            "detector": choice.detector.name,
            "detector_digest": choice.detector.digest,
            "detector_licence": choice.detector.licence,
            "embedder": choice.embedder.name,
            "embedder_digest": choice.embedder.digest,
            "embedder_licence": choice.embedder.licence,
            "calibration": vars(choice.embedder.calibration),
        },
        "stages": {"identify": identify, "segments": [[s.observe_key, s.track_key] for s in analysis.segments]},
    }


def _column(table: pa.Table, name: str) -> NDArray[np.int64]:
    column: NDArray[np.int64] = table[name].to_numpy().astype(np.int64)
    return column


def _keep_pictures(engine: Engine, identify: str) -> dict[int, str]:
    """Put the best picture of each track into the media store; returns track -> file name."""
    return {row["track"]: engine.media.put(row["jpeg"]) for row in _pictures(engine, identify)}


def _pictures(engine: Engine, identify: str) -> Iterator[dict[str, Any]]:
    """The best picture of each track: track, jpeg."""
    for batch in engine.artefacts.batches("identify", identify, "pictures"):
        yield from batch.to_pylist()


def restore_pictures(engine: Engine, run_id: int, identify: str) -> int:
    """Put the pictures of a run's tracks that are gone into the media store again, from its artefact where that is there; returns how many."""
    missing = {name for name in references.pictures_of_run(engine.database, run_id) if not engine.media.path(name).is_file()}
    if not missing or not engine.artefacts.exists("identify", identify):
        return 0
    return len({engine.media.put(row["jpeg"]) for row in _pictures(engine, identify) if engine.media.name(row["jpeg"]) in missing})


def _segments(analysis: Analysis) -> pa.Table:
    return pa.table(
        {
            "segment": pa.array([s.window.segment for s in analysis.segments], pa.int32()),
            "start_us": pa.array([s.window.start_us for s in analysis.segments], pa.int64()),
            "end_us": pa.array([s.window.end_us for s in analysis.segments], pa.int64()),
            "observe_key": [s.observe_key for s in analysis.segments],
            "track_key": [s.track_key for s in analysis.segments],
        }
    )


def _detections(run_id: int, detections: pa.Table) -> pa.Table:
    track = _column(detections, "track")
    return (
        detections.select(_OF_DETECTIONS)
        .append_column("detection_id", pa.array(ids.detection_id(run_id, _column(detections, "det")), pa.int64()))
        .append_column("track_id", pa.array(ids.track_id(run_id, track), pa.int64(), mask=track < 0))
    )


def _tracks(run_id: int, tracks: pa.Table, chips: dict[int, str]) -> pa.Table:
    names = ["shot", "start_us", "end_us", "faces", "score", "height_px", "quality", "spread", "mixed"]
    table = tracks.select(names)
    table = table.append_column("track_id", pa.array(ids.track_id(run_id, _column(tracks, "track")), pa.int64()))
    table = table.append_column("best_detection_id", pa.array(ids.detection_id(run_id, _column(tracks, "best_det")), pa.int64()))
    return table.append_column("chip", pa.array([chips.get(track) for track in tracks["track"].to_pylist()], pa.string()))


def _clusters(run_id: int, clusters: pa.Table) -> pa.Table:
    table = clusters.select(["tracks", "seconds", "cohesion"])
    return table.append_column("cluster_id", pa.array(ids.cluster_id(run_id, _column(clusters, "cluster")), pa.int64()))


def _membership(run_id: int, membership: pa.Table) -> pa.Table:
    return pa.table(
        {
            "track_id": pa.array(ids.track_id(run_id, _column(membership, "track")), pa.int64()),
            "cluster_id": pa.array(ids.cluster_id(run_id, _column(membership, "cluster")), pa.int64()),
            "probability": membership["probability"],
        }
    )


def _posterior(run_id: int, identity: pa.Table) -> pa.Table:
    cluster = pa.array(ids.cluster_id(run_id, _column(identity, "cluster")), pa.int64())
    return identity.drop_columns(["cluster"]).append_column("cluster_id", cluster).rename_columns({"person": "person_id", "label": "accepted"})


def _machine_labels(run_id: int, people: Naming) -> pa.Table:
    """What the machine says of each track: its most probable cluster, and who that cluster is taken for."""
    rows = people.assignment
    return pa.table(
        {
            "track_id": pa.array(ids.track_id(run_id, _column(rows, "track")), pa.int64()),
            "cluster_id": pa.array(ids.cluster_id(run_id, _column(rows, "cluster")), pa.int64()),
            "person_id": rows["person_id"],
            "method": rows["method"],
            "score": rows["probability"],
            "threshold": rows["threshold"],
        }
    )


def _co_presence(pairs: pa.Table, new: dict[int, int]) -> pa.Table:
    """Pairs under their ids, the smaller first."""
    table = renamed(renamed(pairs, "person_a", new), "person_b", new)
    a, b = _column(table, "person_a"), _column(table, "person_b")
    return pa.table({"person_a": np.minimum(a, b), "person_b": np.maximum(a, b), "seconds": table["seconds"]})
