"""A workspace whose episodes are drawn by hand: who is where when, and what the machine made of it, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.load import REVIEWED
from engine.operations import policy, registry
from engine.operations.registry import Context
from engine.review import rerun
from engine.service import Engine
from store import catalog, decisions, ids, results
from store.database import Transaction

STEP_US = 200_000


@dataclass(frozen=True)
class Seen:
    """A track a run found: seconds from and to, cluster number, machine's person (None: unidentified), and where the face is (its column)."""

    start_s: float
    end_s: float
    cluster: int
    person: int | None = None
    column: int = 0
    step_us: int = STEP_US
    mixed: bool = False

    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) times and (n, 4) boxes: each column of the picture has its own face, which drifts slowly."""
        times = np.arange(round(self.start_s * 1e6), round(self.end_s * 1e6), self.step_us, np.int64)
        left = 0.05 + 0.19 * (self.column % 5) + 0.02 * np.sin(times / 2e6)
        top = 0.1 + 0.3 * (self.column // 5) + 0.01 * np.cos(times / 3e6)
        return times, np.stack([left, top, left + 0.12, top + 0.2], axis=1).astype(np.float32)


class Bench:
    """An engine over a workspace, its operations called in this process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.engine = Engine(home)

    def reopen(self) -> None:
        """Restart."""
        self.engine.close()
        self.engine = Engine(self.home)

    def call(self, actor: str, name: str, /, key: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Invoke an operation as every surface does."""
        op = registry.find(name)
        who, typed = policy.Actor.parse(actor), registry.validate(op, parameters)
        policy.authorise(self.engine, who, op, parameters)
        context = Context(self.engine, who, key or registry.uuid.uuid4().hex)
        result: Any = op.run(context, typed)
        return result.model_dump(mode="json")  # type: ignore[no-any-return]

    def show(self, slug: str = "show") -> int:
        """A show; returns its id."""
        found = catalog.find_show(self.engine.database, slug)
        if found:
            return int(found["show_id"])
        with self.engine.database.write() as transaction:
            return catalog.add_show(transaction, slug, slug)

    def person(self, name: str | None, slug: str = "show") -> int:
        """A person the machine or a script made."""
        show_id = self.show(slug)
        with self.engine.database.write() as transaction:
            return catalog.add_person(transaction, show_id, name)

    def episode(self, duration_s: float = 100, slug: str = "show") -> int:
        """An episode; returns its id."""
        show_id = self.show(slug)
        count = len(self.engine.database.rows("SELECT 1 FROM episode"))
        with self.engine.database.write() as transaction:
            return catalog.add_episode(
                transaction,
                show_id,
                {},
                season=1,
                number=count + 1,
                title="t",
                kind="file",
                path=f"/nowhere/{count}.mp4",
                media_digest=f"d{count}",
                bytes=1,
                duration_us=round(duration_s * 1e6),
                fps=25.0,
                width=1280,
                height=720,
            )

    def run(self, episode_id: int, seen: Sequence[Seen], key: str | None = None) -> int:
        """Load what the machine found as a new run, which the episode then shows."""
        key = key or f"run{len(self.engine.database.rows('SELECT 1 FROM run'))}"
        facts = {"step_us": STEP_US, "space": "none", "settings": {}, "models": {}, "stages": {"identify": "", "segments": []}}
        run_id = results.allocate_run(self.engine.database, episode_id, key, **facts)
        with self.engine.database.exclusive(), self.engine.database.write() as transaction:
            results.load_run(transaction, run_id, episode_id, _tables(run_id, seen), 0.0)
            rerun.apply(self.engine.database, transaction, episode_id, run_id)
        self.engine.review.forget()
        return run_id

    def track(self, episode_id: int, number: int) -> int:
        """Id of the n-th track of the run an episode shows."""
        return ids.track_id(self._active(episode_id), number)

    def cluster(self, episode_id: int, number: int) -> int:
        """Id of a cluster of the run an episode shows."""
        return ids.cluster_id(self._active(episode_id), number)

    def _active(self, episode_id: int) -> int:
        row = self.engine.database.row("SELECT active_run_id FROM episode WHERE episode_id = ?", [episode_id])
        assert row is not None
        return int(row["active_run_id"])

    def labels(self, episode_id: int) -> list[tuple[int, float, float, str | None, str]]:
        """(track number, from, to, called or None or `not a face`, source) of every piece the episode shows."""
        run_id = self._active(episode_id)
        rows = self.engine.database.rows(
            """SELECT a.*, p.called FROM assignment a LEFT JOIN called p USING (person_id) WHERE run_id = ? ORDER BY track_id, start_us""", [run_id]
        )
        return [
            (
                int(row["track_id"] - ids.track_id(run_id, 0)),
                row["start_us"] / 1e6,
                row["end_us"] / 1e6,
                "not a face" if row["excluded"] else row["called"],
                row["label_source"],
            )
            for row in rows
        ]

    def who(self, episode_id: int) -> list[str | None]:
        """What each piece is called, in order."""
        return [row[3] for row in self.labels(episode_id)]

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that decisions can change, by content: labels (without their rev), people, the facebank in force, totals."""
        queries = {
            "assignment": """SELECT run_id, track_id, start_us, end_us, cluster_id, person_id, excluded, label_source, level, method, score,
                             threshold, locked, decision_id, rejected FROM assignment WHERE run_id IN (SELECT active_run_id FROM episode)""",
            "person": "SELECT person_id, show_id, name, aliases, merged_into, archived, featured FROM person",
            "facebank": "SELECT person_id, space, vector FROM facebank WHERE active",
        }
        database = self.engine.database
        return {name: sorted(tuple(map(repr, row.values())) for row in database.rows(sql)) for name, sql in queries.items()}

    def close(self) -> None:
        """Let the workspace go."""
        self.engine.close()


def _tables(run_id: int, seen: Sequence[Seen]) -> dict[str, pa.Table]:
    """A run's rows."""
    tracks, boxes, times, owner = [], [], [], []
    for number, one in enumerate(seen):
        at, path = one.faces()
        tracks.append((number, one, len(at), len(times)))
        times += at.tolist()
        boxes += path.tolist()
        owner += [ids.track_id(run_id, number)] * len(at)
    box = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(times)
    clusters = sorted({one.cluster for one in seen})
    return {
        "segment": pa.table({}),
        "shot": pa.table({"shot": pa.array([0], pa.int32()), "start_us": [0], "end_us": [200_000_000], "thread": pa.array([0], pa.int32())}),
        "detection": pa.table(
            {
                "detection_id": pa.array(ids.detection_id(run_id, np.arange(count))),
                "t_us": pa.array(times, pa.int64()),
                **{name: box[:, side] for side, name in enumerate(("x1", "y1", "x2", "y2"))},
                "score": np.full(count, 0.9, np.float32),
                "quality": np.full(count, 0.8, np.float32),
                "track_id": pa.array(owner, pa.int64()),
            }
        ),
        "track": pa.table(
            {
                "track_id": pa.array([ids.track_id(run_id, number) for number, *_ in tracks], pa.int64()),
                "shot": pa.array([0] * len(tracks), pa.int32()),
                "start_us": pa.array([round(one.start_s * 1e6) for _, one, *_ in tracks], pa.int64()),
                "end_us": pa.array([round(one.end_s * 1e6) for _, one, *_ in tracks], pa.int64()),
                "faces": pa.array([faces for *_, faces, _ in tracks], pa.int32()),
                "score": np.full(len(tracks), 0.9, np.float32),
                "height_px": np.full(len(tracks), 100, np.float32),
                "quality": np.full(len(tracks), 0.8, np.float32),
                "spread": np.full(len(tracks), 0.1, np.float32),
                "mixed": pa.array([one.mixed for _, one, *_ in tracks]),
                "best_detection_id": pa.array([ids.detection_id(run_id, first) for *_, first in tracks], pa.int64()),
                "chip": pa.array([None] * len(tracks), pa.string()),
            }
        ),
        "track_embedding": pa.table({}),
        "cluster": pa.table(
            {
                "cluster_id": pa.array([ids.cluster_id(run_id, cluster) for cluster in clusters], pa.int64()),
                "tracks": pa.array([sum(one.cluster == cluster for one in seen) for cluster in clusters], pa.int32()),
                "seconds": [sum(one.end_s - one.start_s for one in seen if one.cluster == cluster) for cluster in clusters],
                "cohesion": np.full(len(clusters), 0.8, np.float32),
            }
        ),
        "membership": pa.table({}),
        "posterior": pa.table({}),
        "machine_label": pa.table(
            {
                "track_id": pa.array([ids.track_id(run_id, number) for number, *_ in tracks], pa.int64()),
                "cluster_id": pa.array([ids.cluster_id(run_id, one.cluster) for one in seen], pa.int64()),
                "person_id": pa.array([one.person for one in seen], pa.int64()),
                "method": pa.array(["cluster"] * len(tracks)),
                "score": np.full(len(tracks), 0.9, np.float32),
                "threshold": np.full(len(tracks), 0.8, np.float32),
            }
        ),
        **{name: schema.empty_table().drop_columns(["run_id", "episode_id"]) for name, schema in REVIEWED.items()},
        "screen_time": pa.table({}),
        "co_presence": pa.table({}),
    }


__all__ = ["Bench", "Seen", "Transaction", "decisions"]
