"""Forgetting somebody in a library made from real pictures, through the engine as users reach it; and what later analyses make of their faces."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.wire import Client
from tests.test_crash import FLAGS, run
from tests.traces import Looking, traces
from tools.demo.compose import write_episode
from tools.demo.shots import EPISODE

NAME = "Zanabeth Quill"


def totals(client: Client, episode: str, without: int) -> dict[int, dict[str, Any]]:
    """Seconds of everybody else, once they know every decision."""
    deadline = time.monotonic() + 60
    while True:
        found = client.call("totals_show", {"episode": episode})
        rows = {row["person_id"]: row for row in found["people"]}
        if without not in rows or time.monotonic() > deadline:
            return rows
        time.sleep(0.2)


@pytest.mark.slow
def test_somebody_is_forgotten_and_later_analyses_leave_their_faces_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shots = tuple(shot for shot in EPISODE if shot.name in ("dark, reverse", "red, again", "left, again"))
    clip = write_episode(tmp_path, shots, seed=5)
    assert run(home, clip).returncode == 0
    client = Client(home, "person:tester")
    people = client.call("person_list")["rows"]
    assert len(people) >= 3
    gone = max(people, key=lambda row: row["visual_s"])["person_id"]
    client.call("person_rename", {"person_id": gone, "name": NAME})
    tracks = client.call("track_list", {"episode": "1", "person_id": gone})["rows"]
    client.call("track_assign", {"tracks": [tracks[0]["ref"]], "person": NAME})
    client.call("export_create", {"episode": "1", "format": "csv"})
    before = {row["person_id"]: row for row in client.call("totals_show", {"episode": "1"})["people"]}
    client.stop()
    looking = seen(home, {row["track_id"] % 100_000 for row in tracks})
    assert set(traces(home, looking)) >= {"rows", "vectors", "artefacts", "media", "journal", "bytes", "exports"}

    client = Client(home, "person:tester")
    answer = client.call("person_forget", {"person_id": gone, "confirm": NAME})
    assert not any(answer["proof"]["after"].values()), answer["proof"]
    assert all(answer["proof"]["before"][place] for place in ("rows", "vectors", "artefacts", "media", "journal", "exports"))
    after = totals(client, "1", gone)
    assert set(after) == set(before) - {gone}
    for person, row in after.items():
        assert row["visual_s"] == pytest.approx(before[person]["visual_s"], abs=0.05)
    client.stop()
    assert traces(home, looking) == {}

    # Another choice of faces embeds them again from what is kept: theirs cannot be.
    assert again(home, clip) == 0
    client = Client(home, "person:tester")
    later = {row["person_id"]: row for row in client.call("totals_show", {"episode": "1"})["people"]}
    assert set(later) == set(after), "nobody new is made of faces that were forgotten"
    client.stop()
    assert traces(home, looking) == {}


def again(home: Path, clip: Path) -> int:
    """Analyse with other settings for tracks."""
    command = [sys.executable, "-m", "tools.cli", "--home", str(home), "run", str(clip), "--json", *FLAGS, "--set", "track.picks=3"]
    return subprocess.run(command, capture_output=True, check=False, timeout=200).returncode


def seen(home: Path, tracks: set[int]) -> Looking:
    """What the analysis kept of some tracks."""
    identify = next((home / "artefacts" / "identify").glob("*/*"))
    picks = pq.read_table(identify / "picks.parquet")["track"].to_pylist()
    vectors = np.load(identify / "vectors.npy")
    pictures = pq.read_table(identify / "pictures.parquet").to_pylist()
    digests = {hashlib.sha256(row["jpeg"]).hexdigest() for row in pictures if row["track"] in tracks}
    return Looking([NAME], [vectors[row] for row, track in enumerate(picks) if track in tracks], digests)
