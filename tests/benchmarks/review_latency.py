"""How long a decision takes to answer, in a large library: p50 and p95 of each verb, and of the queue page.

    python -m tests.benchmarks.review_latency [--episodes 1000] [--tracks 5000] [--repeat 40]

The library is made by SQL: every episode has its tracks, labels and machine labels; the one under review has its faces too. Each verb is called
through the engine's socket by a client in another process, as every surface does, and undone (which is timed as a verb of its own). The journal is
flushed to disk in every call. Printed beside it: an empty write through the same socket (`cast_add`), which is what the store and the wire cost.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.wire import Client
from store import ids
from tests.desk import Bench, Seen

FACES_S = 6
CLUSTERS = 60

ROUNDS_LARGEST = 20
"""Rounds about the largest cluster, each of eight decisions: more than anybody decides about one."""


def seen(tracks: int) -> list[Seen]:
    """An hour of tracks in three columns, in sixty clusters, the larger ones larger."""
    rng = random.Random(1)
    length = 3600 / (tracks / 3)
    return [
        Seen(
            round((number // 3) * length, 2),
            round((number // 3) * length + length * 0.8, 2),
            min(int(rng.paretovariate(0.7)) - 1, CLUSTERS - 1),
            None,
            number % 3,
            1_000_000 // FACES_S,
        )
        for number in range(tracks)
    ]


def fill(home: Path, episodes: int, tracks: int) -> int:
    """A library; returns the episode under review."""
    bench = Bench(home)
    episode = bench.episode(3600)
    bench.run(episode, seen(tracks))
    database = bench.engine.database
    with database.write() as transaction:
        for table in ("track", "machine_label", "assignment"):
            columns = [
                row["column_name"] for row in transaction.rows("SELECT column_name FROM information_schema.columns WHERE table_name = ?", [table])
            ]
            moved = {
                "run_id": "run_id + k",
                "episode_id": "episode_id + k",
                "track_id": f"track_id + k * {ids.TRACKS_PER_RUN}",
                "cluster_id": f"cluster_id + k * {ids.CLUSTERS_PER_RUN}",
            }
            chosen = ", ".join(moved.get(name, name) for name in columns)
            transaction.execute(f"INSERT INTO {table} SELECT {chosen} FROM range(1, {episodes}) r(k), {table} WHERE run_id = 1 ORDER BY k, track_id")
        transaction.execute(
            f"INSERT INTO run SELECT * EXCLUDE (k) REPLACE (run_id + k AS run_id, episode_id + k AS episode_id) FROM run, range(1, {episodes}) r(k)"
        )
        transaction.execute(
            f"""INSERT INTO episode SELECT * EXCLUDE (k) REPLACE (episode_id + k AS episode_id, number + k AS number,
                media_digest || k AS media_digest,
                active_run_id + k AS active_run_id) FROM episode, range(1, {episodes}) r(k)"""
        )
        items = [
            {
                "id": f"i{rank}",
                "at_risk_s": 10.0,
                "actions": 1.0,
                "units": [
                    {
                        "kind": "confirm",
                        "targets": [spans],
                        "shown": [spans],
                        "whole_cluster": False,
                        "proposed": None,
                        "probability": 0.5,
                        "seconds": 1.0,
                        "candidates": [],
                    }
                    for spans in transaction_spans(transaction, rank)
                ],
            }
            for rank in range(200)
        ]
        for rank, item in enumerate(items):
            transaction.insert("queue_item", run_id=1, episode_id=1, rank=rank, at_risk_s=10.0, item=item)
        transaction.execute("UPDATE run SET settled_seq = 0")
    database.checkpoint()
    bench.close()
    return episode


def transaction_spans(transaction: Any, rank: int) -> list[list[int]]:
    """Twelve tracks for an item."""
    rows = transaction.rows(
        "SELECT track_id, start_us, end_us FROM track WHERE run_id = 1 AND track_id >= ? ORDER BY track_id LIMIT 12", [ids.track_id(1, rank * 12)]
    )
    return [[row["track_id"], row["start_us"], row["end_us"]] for row in rows]


def measure(client: Client, repeat: int, tracks: int) -> dict[str, list[float]]:
    """Milliseconds of every call."""
    rng = random.Random(2)
    found: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        started = time.perf_counter()
        answer = call()
        found.setdefault(name, []).append((time.perf_counter() - started) * 1e3)
        return answer

    def ask(name: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return timed(name, lambda: client.call(operation, parameters))

    def largest(number: int) -> None:
        """Every verb there is about the largest cluster."""
        size = sum(one.cluster == 0 for one in seen(tracks))
        cluster, name = ids.cluster_id(1, 0), f"the largest cluster ({size} tracks)"
        ask(f"cluster_assign, {name}", "cluster_assign", {"cluster_id": cluster, "person": "Ana"})
        for done in ("undo", "redo", "undo"):
            ask(f"decision_{done}, {name}", f"decision_{done}", {})
        ask(f"cluster_assign, {name}, somebody new", "cluster_assign", {"cluster_id": cluster, "person": f"Cy {number}", "create": True})
        client.call("decision_undo", {})
        ask(f"cluster_reject, {name}", "cluster_reject", {"cluster_id": cluster, "person": "Bea"})
        client.call("decision_undo", {})
        ask(f"cluster_merge, {name}", "cluster_merge", {"cluster_id": cluster, "into_cluster_id": ids.cluster_id(1, 45), "force": True})
        client.call("decision_undo", {})

    client.call("track_assign", {"tracks": [str(ids.track_id(1, 0))], "person": "Ana", "create": True})
    client.call("track_assign", {"tracks": [str(ids.track_id(1, 1))], "person": "Bea", "create": True})
    for number in range(repeat):
        track = ids.track_id(1, rng.randrange(2, tracks))
        small, large = ids.cluster_id(1, rng.randrange(10, 40)), ids.cluster_id(1, rng.randrange(3))
        start = client.call("track_show", {"track_id": track})["start_us"] / 1e6
        verbs = [
            ("track_assign", "track_assign", {"tracks": [str(track)], "person": "Ana"}),
            ("track_assign, a stretch", "track_assign", {"tracks": [f"{track}@{start:.2f}-{start + 0.8:.2f}"], "person": "Bea"}),
            ("track_reject", "track_reject", {"tracks": [str(track)], "person": "Bea"}),
            ("track_exclude", "track_exclude", {"tracks": [str(track)]}),
            ("track_split", "track_split", {"track": str(track), "at_s": [round(start + 0.7, 3)]}),
            ("track_lock", "track_lock", {"tracks": [str(track)]}),
            ("cluster_assign, small", "cluster_assign", {"cluster_id": small, "person": "Ana"}),
            ("cluster_assign, a thousand tracks", "cluster_assign", {"cluster_id": large, "person": "Ana"}),
            ("cluster_reject, small", "cluster_reject", {"cluster_id": small, "person": "Bea"}),
            ("cluster_merge, small", "cluster_merge", {"cluster_id": small, "into_cluster_id": ids.cluster_id(1, 45), "force": True}),
            ("person_rename", "person_rename", {"person_id": 1, "name": f"Ana {number}"}),
        ]
        for name, operation, parameters in verbs:
            ask(f"{name}, dry run" if number % 4 == 3 else name, operation, {**parameters, "dry_run": number % 4 == 3})
            if number % 4 != 3:
                ask("decision_undo", "decision_undo", {})
                if number % 4 == 0:
                    ask("decision_redo", "decision_redo", {})
                    ask("decision_undo", "decision_undo", {})
        if number < ROUNDS_LARGEST:
            largest(number)
        ask("queue page (20 items)", "queue_list", {"episode": "1"})
        ask("queue_next", "queue_next", {"episode": "1"})
        ask("track_list (100)", "track_list", {"episode": "1"})
        ask("cluster_list (100)", "cluster_list", {"episode": "1"})
        ask("empty write (cast_add)", "cast_add", {"person_id": 1})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--tracks", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        # Filled by a process of its own, so that the engine that is measured has the library alone.
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sys; from pathlib import Path; from tests.benchmarks.review_latency import fill; "
                f"fill(Path({str(home)!r}), {arguments.episodes}, {arguments.tracks})",
            ],
            check=True,
        )
        size = (home / "library.duckdb").stat().st_size / 1e6
        client = Client(home, "person:bench")
        rows = measure(client, arguments.repeat, arguments.tracks)
        client.stop()
    print(f"{arguments.episodes} episodes, {arguments.tracks} tracks each, library of {size:.0f} MB")
    print("| call | p50 ms | p95 ms | calls |\n|---|---|---|---|")
    for name, values in rows.items():
        low = statistics.median(values)
        high = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        print(f"| {name} | {low:.1f} | {high:.1f} | {len(values)} |")
    print(json.dumps({name: statistics.median(values) for name, values in rows.items()}))


if __name__ == "__main__":
    main()
