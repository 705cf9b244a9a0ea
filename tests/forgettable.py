"""A workspace with somebody to forget: two people in two episodes, with finished stages, pictures, vectors, decisions, exports, a copy, a log."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.tables import BODY_DIMS, CHIPS, CUTS, DETECTIONS, FRAMES, PICKS, SIGNATURE_BYTES, TRACK, TRACKED
from store import ids
from tests.desk import Bench, Seen
from tests.traces import Looking

NAME, ALIAS, FORMER = "Zanabeth Quill", "Zany Q", "Zoë Quillmore"
OTHER = "Bea Stone"
DIMS = 64
SPACE = "made/64"
PAT = "person:pat"


def face(seed: int, nth: int = 0) -> NDArray[np.float32]:
    """(DIMS,) somebody's vector, a little different each time."""
    base = np.random.default_rng(seed).normal(size=DIMS)
    moved = base + 0.1 * np.random.default_rng([seed, nth]).normal(size=DIMS)
    return (moved / np.linalg.norm(moved)).astype(np.float32)


def jpeg(seed: int, nth: int) -> bytes:
    """A picture unlike all others."""
    picture = np.random.default_rng([seed, nth]).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", picture)[1].tobytes())


class Workspace:
    """The people and episodes in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bench = Bench(home)
        self.gone = self.bench.person(None)
        self.other = self.bench.person(OTHER)
        self.first, self.second = self.bench.episode(), self.bench.episode()
        self.run_ids = [
            self._run(self.first, [Seen(0, 10, 0, self.gone), Seen(12, 20, 1, self.other, 1), Seen(30, 40, 0, self.gone, 2)], [0, 1, 0]),
            self._run(self.second, [Seen(0, 8, 0, self.gone), Seen(10, 30, 1, self.other, 1), Seen(40, 50, 2, None, 3)], [0, 1, 0]),
        ]
        self.vectors = [face(0, 1000 + run_id) for run_id in self.run_ids] + [face(0, 77)]
        self.pictures: set[str] = {hashlib.sha256(jpeg(9, 9)).hexdigest()}
        for run_id in self.run_ids:
            self._remember(run_id)
        self._decide()
        self._plant()

    def _run(self, episode_id: int, seen: Sequence[Seen], who: Sequence[int]) -> int:
        """An analysis whose stages are kept; who: seed of each track's face."""
        run_id = self.bench.run(episode_id, seen)
        database, artefacts = self.bench.engine.database, self.bench.engine.artefacts
        found = database.arrow("SELECT * FROM detection WHERE run_id = ? ORDER BY detection_id", [run_id])
        track = found["track_id"].to_numpy() - ids.track_id(run_id, 0)
        keys = self.keys(run_id)
        kept = np.concatenate([np.flatnonzero(track == number)[:3] for number in range(len(seen))])
        pictures = [jpeg(100 * run_id + who[track[row]], int(row)) for row in kept]
        vectors = np.stack([face(who[track[row]], int(row) + run_id) for row in kept])
        detections = _detections(found, kept)
        quality = np.full(len(kept), 0.8, np.float32)
        picks = pa.table({"track": track[kept].astype(np.int32), "det": kept.astype(np.int32), "quality": quality}).cast(PICKS)
        window = {"segment": 0, "start_us": 0, "end_us": 100_000_000, "seen_until_us": 101_000_000}
        chips = [
            {"chip": n, "det": int(row), "jpeg": data, "landmarks": [1.0] * 10, "box": [0.0, 0.0, 20.0, 20.0], "body": [0.5] * BODY_DIMS}
            for n, (row, data) in enumerate(zip(kept, pictures, strict=True))
        ]
        frames = pa.Table.from_pylist([{"frame": 0, "t_us": 0, "look": 2, "signature": bytes(SIGNATURE_BYTES)}], schema=FRAMES)
        observed = {"frames": frames, "cuts": CUTS.empty_table(), "detections": detections, "chips": pa.Table.from_pylist(chips, schema=CHIPS)}
        meta = {"window": window, "step_us": 200_000, "frame_size": [1280, 720]}
        artefacts.write("observe", keys["observe"], tables=observed, arrays={}, meta=meta)
        tracked = pa.table({"track": track.astype(np.int32), "det": np.arange(len(track), dtype=np.int32)}).cast(TRACKED)
        artefacts.write("track", keys["track"], tables={"tracked": tracked, "picks": picks}, arrays={"vectors": vectors}, meta={"window": window})
        self._identify(run_id, keys["identify"], seen, who, detections.append_column("track", pa.array(track, pa.int32())), picks, vectors, pictures)
        with database.write() as transaction:
            stages = {"identify": keys["identify"], "segments": [[keys["observe"], keys["track"]]]}
            transaction.execute("UPDATE run SET stages = ?, space = ? WHERE run_id = ?", [exports_json(stages), SPACE, run_id])
        self._index(run_id, seen, picks, vectors, pictures)
        return run_id

    def _remember(self, run_id: int) -> None:
        """Vectors and pictures of the one who will go: every other track is theirs."""
        artefacts = self.bench.engine.artefacts
        key = self.keys(run_id)
        picks, vectors = artefacts.table("track", key["track"], "picks"), artefacts.array("track", key["track"], "vectors")
        mine = [row for row, track in enumerate(picks["track"].to_pylist()) if track != 1]
        self.vectors += [vectors[row] for row in mine]
        jpegs = artefacts.table("observe", key["observe"], "chips")["jpeg"].to_pylist()
        self.pictures |= {hashlib.sha256(jpegs[row]).hexdigest() for row in mine}

    @staticmethod
    def keys(run_id: int) -> dict[str, str]:
        """Keys of a run's artefacts."""
        return {kind: f"{kind}{run_id:02}" + "0" * 20 for kind in ("observe", "track", "identify")}

    def looking(self) -> Looking:
        """What must be found before, and not after."""
        return Looking([NAME, ALIAS, FORMER], self.vectors, self.pictures)

    def _identify(
        self,
        run_id: int,
        key: str,
        seen: Sequence[Seen],
        who: Sequence[int],
        detections: pa.Table,
        picks: pa.Table,
        vectors: NDArray[np.float32],
        pictures: list[bytes],
    ) -> None:
        owner = picks["track"].to_numpy()
        best = [int(np.flatnonzero(owner == number)[0]) for number in range(len(seen))]
        tracks = [
            {
                "track": number,
                "shot": 0,
                "start_us": round(one.start_s * 1e6),
                "end_us": round(one.end_s * 1e6),
                "faces": 1,
                "score": 0.9,
                "height_px": 100.0,
                "quality": 0.8,
                "spread": 0.1,
                "mixed": False,
                "best_det": picks["det"][best[number]].as_py(),
                "body": [0.1] * BODY_DIMS,
            }
            for number, one in enumerate(seen)
        ]
        clusters = sorted({one.cluster for one in seen})
        tables = {
            "shots": pa.table({"shot": pa.array([0], pa.int32()), "start_us": [0], "end_us": [100_000_000], "thread": pa.array([0], pa.int32())}),
            "tracks": pa.Table.from_pylist(tracks, schema=TRACK),
            "detections": detections,
            "picks": picks,
            "clusters": pa.table({"cluster": pa.array(clusters, pa.int32())}),
            "membership": pa.table(
                {
                    "track": np.arange(len(seen), dtype=np.int32),
                    "cluster": np.array([one.cluster for one in seen], np.int32),
                    "probability": [1.0] * len(seen),
                }
            ),
            "posterior": pa.table({"cluster": pa.array([], pa.int32())}),
            "decisions": pa.table({"cluster": pa.array(clusters, pa.int32()), "candidate": pa.array([-1] * len(clusters), pa.int32())}),
            "pictures": pa.table({"track": np.arange(len(seen), dtype=np.int32), "jpeg": pa.array([pictures[row] for row in best], pa.binary())}),
        }
        pooled = np.stack([face(seed, 1000 + run_id) for seed in who])
        meta = {"step_us": 200_000, "duration_us": 100_000_000, "frame_size": [1280, 720]}
        self.bench.engine.artefacts.write("identify", key, tables=tables, arrays={"vectors": vectors, "pooled": pooled}, meta=meta)

    def _index(self, run_id: int, seen: Sequence[Seen], picks: pa.Table, vectors: NDArray[np.float32], pictures: list[bytes]) -> None:
        """Vectors, pictures and figures of a run."""
        engine = self.bench.engine
        owner = picks["track"].to_numpy()
        track_ids = ids.track_id(run_id, owner.astype(np.int64))
        rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
        vector_ids = ids.vector_id(track_ids, rank)
        # Two versions, so that there is an old one to reach.
        engine.vectors.add(SPACE, run_id, vector_ids[:1], vectors[:1])
        engine.vectors.add(SPACE, run_id, vector_ids, vectors)
        with engine.database.write() as transaction:
            for row, vector_id in enumerate(vector_ids):
                transaction.insert(
                    "track_embedding",
                    vector_id=int(vector_id),
                    run_id=run_id,
                    episode_id=self._episode(run_id),
                    track_id=int(track_ids[row]),
                    quality=0.8,
                )
            for number, one in enumerate(seen):
                chip = engine.media.put(pictures[int(np.flatnonzero(owner == number)[0])])
                transaction.execute("UPDATE track SET chip = ? WHERE track_id = ?", [chip, int(ids.track_id(run_id, number))])
                values = {"run_id": run_id, "episode_id": self._episode(run_id), "cluster_id": int(ids.cluster_id(run_id, one.cluster))}
                if number in (0, 1):
                    transaction.insert("posterior", **values, person_id=one.person, probability=0.9, similarity=0.7, accepted=True)
                    transaction.insert("posterior", **values, person_id=None, probability=0.1, accepted=False)
            for person, seconds in ((self.gone, 18.0), (self.other, 28.0)):
                figures = {name: seconds for name in ("visual_s", "visual_low_s", "visual_high_s", "solo_s", "solo_low_s", "solo_high_s")}
                rest: dict[str, Any] = {"tracks": 1, "faces": 9, "first_us": 0, "last_us": 9, "confidence": 0.9}
                transaction.insert("screen_time", run_id=run_id, episode_id=self._episode(run_id), person_id=person, **figures, **rest)

    def _episode(self, run_id: int) -> int:
        rows = self.bench.engine.database.rows("SELECT episode_id FROM run WHERE run_id = ?", [run_id])
        return int(rows[0]["episode_id"])

    def call(self, name: str, /, actor: str = PAT, **parameters: Any) -> dict[str, Any]:
        """Invoke an operation."""
        return self.bench.call(actor, name, **parameters)

    def _decide(self) -> None:
        bench = self.bench
        self.call("person_rename", person_id=self.gone, name=FORMER)
        self.call("person_rename", person_id=self.gone, name=NAME, reason=f"{NAME} wrote to us")
        self.call("person_alias", person_id=self.gone, alias=ALIAS)
        self.call("cluster_assign", cluster_id=bench.cluster(self.first, 0), person=NAME)
        # Somebody's face under another name for a while, then under the right one.
        self.call("track_assign", tracks=[str(bench.track(self.second, 2))], person=OTHER)
        self.right = self.call("track_assign", tracks=[str(bench.track(self.second, 2))], person=NAME, reason="it is zanabeth quill")
        self.call("track_assign", tracks=[str(bench.track(self.first, 1))], person=OTHER)
        self.call("track_reject", tracks=[str(bench.track(self.second, 1))], person=NAME)
        self.call("person_feature", person_id=self.gone, track_id=bench.track(self.first, 0))
        self.call("cast_add", person_id=self.gone, role="the villain")

    def _plant(self) -> None:
        """Everywhere else words and faces end up."""
        engine, bench = self.bench.engine, self.bench
        with engine.database.write() as transaction:
            chip = engine.media.put(jpeg(9, 9))
            transaction.insert(
                "facebank",
                entry_id=1,
                show_id=1,
                person_id=self.gone,
                space=SPACE,
                vector=face(0, 77).tolist(),
                quality=0.9,
                chip=chip,
                origin=f"/pictures/{NAME}/1.jpg",
                decision_id=1,
                active=True,
                added_at="2026-01-01",
            )
            transaction.insert(
                "suggestion",
                run_id=self.run_ids[1],
                episode_id=self.second,
                track_id=bench.track(self.second, 1),
                start_us=10_000_000,
                end_us=30_000_000,
                person_id=self.gone,
                probability=0.6,
            )
            job = {"job_id": 1, "kind": "pull", "state": "failed", "actor": PAT, "created_at": "2026-01-01", "attempts": 1}
            transaction.insert("job", **job, parameters={"note": NAME}, error={"message": f"no room for {NAME}"})
            transaction.insert(
                "job_event", job_id=1, seq=1, logged_at="2026-01-01", stage="pull", status="failed", detail=f"{NAME.upper()} was being matched"
            )
        with engine.database.write() as transaction:
            # As the settler leaves it: the totals know of every decision.
            transaction.execute("UPDATE run SET settled_seq = (SELECT max(decision_id) FROM decision)")
        for form, table in (("csv", "totals"), ("parquet", "segments"), ("json", "totals")):
            self.call("export_create", episode=str(self.first), format=form, table=table)
        (engine.exports / "notes.txt").write_text(f"call {ALIAS} back\n")
        (engine.exports / "unrelated.txt").write_text(f"call {OTHER} back\n")
        (self.home / "engine.log").write_text(f"2026-01-01 rollcall INFO named {NAME}\n2026-01-01 rollcall INFO named {OTHER}\n")
        (self.home / "tmp" / "job-left").mkdir()
        np.savez(self.home / "tmp" / "job-left" / "gallery.npz", vectors=np.stack([face(0, 1000 + self.run_ids[0])]))
        lost = jpeg(100 * self.run_ids[0], 0)
        engine.artefacts.write("identify", "unused" + "0" * 20, tables={"pictures": pa.table({"jpeg": [lost]})}, arrays={}, meta={})
        self.backup()

    def backup(self) -> Path:
        """A copy of the library as it is, by somebody else's hand."""
        engine = self.bench.engine
        target = self.home / "backups" / "library-old.duckdb"
        target.parent.mkdir(exist_ok=True)
        engine.close()
        shutil.copyfile(self.home / "library.duckdb", target)
        with duckdb.connect(str(target)) as copy:
            copy.execute("CHECKPOINT")
        self.bench.engine = type(engine)(self.home)
        return target


def exports_json(value: Any) -> str:
    """JSON text."""
    return json.dumps(value)


def _detections(found: pa.Table, kept: NDArray[np.int64]) -> pa.Table:
    """DETECTIONS rows of a run's detections; those in `kept` have pictures."""
    count = found.num_rows
    chip = np.full(count, -1, np.int32)
    chip[kept] = np.arange(len(kept))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.full(count * 10, 0.3, np.float32)), 10)
    columns: dict[str, Any] = {
        "det": np.arange(count, dtype=np.int32),
        "frame": np.zeros(count, np.int32),
        "t_us": found["t_us"],
        **{name: found[name] for name in ("x1", "y1", "x2", "y2", "score")},
        "landmarks": fixed,
        **{name: np.full(count, 0.8, np.float32) for name in ("height_px", "sharpness", "frontal", "quality")},
        "chip": chip,
    }
    return pa.table(columns).select(DETECTIONS.names).cast(DETECTIONS)
