"""Real clips with real weights, through the command line: the gates the benchmarks' README reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ProviderMismatch
from engine.wire import Client

TRUTH = "composed/grid_panel.json"


@pytest.fixture
def home(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace that knows det_500m and mobilefacenet alone, besides the embedded models."""
    only = tmp_path / "models"
    only.mkdir()
    for name in ("det_500m.onnx", "mobilefacenet_foamliu.onnx"):
        (only / name).symlink_to(weights / name)
    monkeypatch.setenv("ROLLCALL_MODELS", str(only))
    yield tmp_path / "home"
    Client(tmp_path / "home").stop()


def totals(home: Path, clip: Path, *flags: str) -> dict[str, Any]:
    """`rollcall run`, then `rollcall totals show`."""
    base = [sys.executable, "-m", "tools.cli", "--home", str(home)]
    ran = subprocess.run([*base, "run", str(clip), "--json", *flags], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    episode = str(json.loads(ran.stdout)["episode_id"])
    shown: dict[str, Any] = json.loads(
        subprocess.run([*base, "totals", "show", episode, "--json"], capture_output=True, text=True, check=True).stdout
    )
    return shown


@pytest.mark.parametrize("segment_s", ["120", "5"])
def test_panel_has_exactly_its_five_people_and_their_seconds(home: Path, media: Path, segment_s: str) -> None:
    shown = totals(home, media / "composed" / "grid_panel.mp4", "--set", f"observe.segment_s={segment_s}")
    truth = sorted((person["visible_s"] for person in json.loads((media / TRUTH).read_text())["summary"].values()), reverse=True)
    assert shown["run"]["detector"] == "det_500m"
    assert shown["run"]["embedder"] == "mobilefacenet_foamliu"
    assert [person["visual_s"] for person in shown["people"]] == pytest.approx(truth, rel=0.05)
    assert shown["run"]["shots"] == 10


def test_panel_co_presence_is_that_of_the_truth(home: Path, media: Path) -> None:
    """Counted from the truth's boxes: seconds in which two are in the picture at once."""
    shown = totals(home, media / "composed" / "grid_panel.mp4")
    frames: dict[int, set[str]] = {}
    for face in json.loads((media / TRUTH).read_text())["faces"]:
        frames.setdefault(face["frame"], set()).add(face["person"])
    truth: dict[tuple[str, str], float] = {}
    for people in frames.values():
        for a in people:
            for b in people:
                if a < b:
                    truth[a, b] = truth.get((a, b), 0) + 1 / 25
    assert sorted(pair["seconds"] for pair in shown["co_presence"]) == pytest.approx(sorted(truth.values()), rel=0.05)


def test_singer_of_the_stage_clip_is_one_person_in_both_shots(home: Path, media: Path) -> None:
    """0.67 s far away and 4.30 s close, by the truth of who is to be seen; the clip's video starts 0.84 s late."""
    shown = totals(home, media / "tv" / "short_hamilton_clip.mp4")
    singer = shown["people"][0]
    assert singer["tracks"] == 2
    assert singer["first_us"] == pytest.approx(844_000, abs=20_000)
    assert singer["visual_s"] == pytest.approx(4.97, abs=0.02)
    assert singer["visual_low_s"] - 0.02 <= 4.97 <= singer["visual_high_s"], "the truth is known to half a frame"


def test_nobody_is_counted_before_anybody_is_there(home: Path, media: Path) -> None:
    shown = totals(home, media / "smile" / "noface_face.mov")
    (person,) = shown["people"]
    assert person["first_us"] / 1e6 == pytest.approx(3.9, abs=0.2)
    assert person["visual_s"] == pytest.approx(6.39 - 3.945, abs=0.2)


def test_accelerator_asked_for_and_not_there_is_an_error_with_its_cause(home: Path, media: Path) -> None:
    client = Client(home, "person:tester")
    episode = client.call("episode_add", {"path": str(media / "smile" / "noface_face.mov")})["episode_id"]
    job = client.call("episode_analyse", {"episode": str(episode), "settings": {"models.provider": "coreml"}})
    ended = client.call("job_wait", {"job_id": job["job_id"]})
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == ProviderMismatch.code
    assert "coreml" in ended["error"]["message"].lower()
