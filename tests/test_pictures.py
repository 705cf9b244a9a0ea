"""Pixels and moments as surfaces get them: the frame on screen at a time is the one a plain decode of the whole file shows there."""

from __future__ import annotations

import base64
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import BadInput, NotFound
from engine.wire import Client
from tests.clips import FACES, framing, write


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of one framing, two of another; a bar grows by four pixels with every frame, so each frame tells its number."""
    frames = [framing(*FACES["left"]) for _ in range(50)] + [framing(*FACES["right"]) for _ in range(50)]
    for number, frame in enumerate(frames):
        frame[460:, : 4 * number] = 255
        frame[460:, 4 * number :] = 0
    return write(tmp_path / "clip.mp4", frames)


def rgb(picture: dict) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(picture["data"]), np.uint8).reshape(picture["height"], picture["width"], 3)


def number_of(picture: NDArray[np.uint8]) -> int:
    return round(float((picture[-8:].mean(axis=(0, 2)) > 128).sum()) * 640 / picture.shape[1] / 4)


def test_frame_at_a_time_is_the_one_a_plain_decode_shows(client: Client, clip: Path) -> None:
    client.call("episode_add", {"path": str(clip)})
    with av.open(str(clip)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for at_s in (0.0, 0.04, 0.5, 0.979, 1.0, 1.99, 2.0, 3.3, 3.96, 9.0):
        found = client.call("frame_read", {"episode": "1", "at_s": at_s, "width": 640, "form": "rgb"})
        expected = min(99, int(at_s * 25 + 1e-6))
        assert number_of(rgb(found)) == expected
        assert np.abs(rgb(found).astype(int) - plain[expected]).mean() < 3
        assert found["t_us"] == expected * 40_000


def test_strip_gives_the_same_frames_as_one_by_one(client: Client, clip: Path) -> None:
    client.call("episode_add", {"path": str(clip)})
    strip = client.call("frame_strip", {"episode": "1", "from_s": 0.2, "to_s": 3.8, "count": 7, "width": 320, "form": "rgb"})["frames"]
    assert [number_of(rgb(frame)) for frame in strip] == [5, 20, 35, 50, 65, 80, 95]


def test_box_and_jpeg(client: Client, clip: Path) -> None:
    client.call("episode_add", {"path": str(clip)})
    found = client.call("frame_read", {"episode": "1", "at_s": 1.0, "width": 160, "box": [0.25, 0.0, 0.75, 0.5]})
    assert (found["width"], found["height"]) == (160, 120)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(found["data"]), np.uint8), cv2.IMREAD_COLOR)
    expected = cv2.resize(framing(*FACES["left"])[:240, 160:480], (160, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - expected).mean() < 6
    with pytest.raises(BadInput, match="empty"):
        client.call("frame_read", {"episode": "1", "at_s": 1.0, "box": [0.5, 0.0, 0.5, 0.5]})


def test_file_that_is_gone_is_named(client: Client, clip: Path) -> None:
    client.call("episode_add", {"path": str(clip)})
    clip.unlink()
    with pytest.raises(NotFound, match=r"clip\.mp4"):
        client.call("frame_read", {"episode": "1", "at_s": 1.0})


@pytest.mark.slow
def test_faces_shots_and_detections_of_an_analysed_clip(client: Client, clip: Path) -> None:
    client.call("episode_add", {"path": str(clip)})
    job = client.call("episode_analyse", {"episode": "1", "settings": {"models.profile": "embedded"}})
    assert client.call("job_wait", {"job_id": job["job_id"]})["state"] == "done"
    shots = client.call("shot_list", {"episode": "1"})["rows"]
    assert [(shot["start_us"], shot["end_us"]) for shot in shots] == [(0, 2_000_000), (2_000_000, 4_000_000)]
    assert all(shot["tracks"] for shot in shots)
    first = client.call("shot_list", {"episode": "1", "limit": 1})
    assert client.call("shot_list", {"episode": "1", "limit": 1, "cursor": first["next_cursor"]})["rows"] == shots[1:]

    track = client.call("track_list", {"episode": "1"})["rows"][0]
    faces = client.call("track_show", {"track_id": track["track_id"]})["boxes"]
    found = client.call("detection_list", {"episode": "1", "from_s": 0, "to_s": 4})["rows"]
    assert {face["detection_id"] for face in faces} <= {row["detection_id"] for row in found}
    assert {row["person"] for row in found if row["track_id"] == track["track_id"]} == {track["person"]}
    assert client.call("detection_list", {"episode": "1", "from_s": 0, "to_s": faces[0]["t_us"] / 1e6})["rows"] == []

    by_track = client.call("picture_read", {"track": f"{track['track_id']}@0.5-1.0", "size": 24, "middle": 0.7, "form": "rgb"})
    assert rgb(by_track).shape == (24, 24, 3)
    stored = base64.b64decode(client.call("picture_read", {"chip": track["chip"]})["data"])
    assert stored == (client.home / "media" / track["chip"][:2] / track["chip"]).read_bytes()
    for wrong in ({"chip": "../../etc/passwd"}, {"track": "999999"}, {}):
        with pytest.raises(BadInput):
            client.call("picture_read", wrong)
