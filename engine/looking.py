"""Pictures for whoever has to decide: faces of a track spread over its time, the best picture of a person, the frame around a face.

Face pictures come from what `observe` kept, so nothing is decoded for them; a frame is decoded from the episode's file.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadInput, NotFound
from engine.models.base import Image
from engine.review import targets
from engine.sources.probe import MediaInfo
from store import catalog, results

if TYPE_CHECKING:
    from engine.service import Engine

_BOX_COLOUR = (80, 220, 255)
_QUALITY = 85
_TILE, _COLUMNS = 112, 6
"""Of a sheet of faces: side in pixels, faces a row."""


@dataclass(frozen=True)
class Stretch:
    """A track, or a part of it in microseconds."""

    track_id: int
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Picture:
    """A JPEG of a face at a time of its episode; `quality` of the face, 0..1."""

    t_us: int
    quality: float
    jpeg: bytes


def parse(reference: str) -> Stretch:
    """A track reference, `412` or `412@12.5-14.0` (seconds).

    Raises:
        BadInput: it is neither.
    """
    track_id, start_us, end_us = targets.parse(reference)
    return Stretch(track_id, start_us or 0, 1 << 62 if end_us is None else end_us)


def track_of(engine: Engine, stretch: Stretch) -> dict[str, Any]:
    """The track a stretch is part of.

    Raises:
        NotFound: there is none.
    """
    found = results.track(engine.database, stretch.track_id)
    if found is None:
        raise NotFound(f"There is no track {stretch.track_id}.", "`rollcall track list --episode EPISODE` lists them.")
    return found


def faces(engine: Engine, stretch: Stretch, most: int) -> list[Picture]:
    """Up to `most` pictures of a track in time order: of each equal part of its time the best there is."""
    track = track_of(engine, stretch)
    kept = [picture for picture in _kept(engine, track) if stretch.start_us <= picture.t_us <= stretch.end_us]
    start, end = max(stretch.start_us, track["start_us"]), min(stretch.end_us, track["end_us"])
    parts: dict[int, Picture] = {}
    for picture in kept:
        part = min(most - 1, int(most * (picture.t_us - start) / max(1, end - start)))
        if part not in parts or picture.quality > parts[part].quality:
            parts[part] = picture
    if parts:
        return [parts[part] for part in sorted(parts)]
    best = best_of_track(engine, track)
    return [best] if best else []


def best_of_track(engine: Engine, track: dict[str, Any]) -> Picture | None:
    """The picture kept for good for a track."""
    if track["chip"] is None or not engine.media.path(track["chip"]).exists():
        return None
    face = results.face(engine.database, track["run_id"], track["best_detection_id"])
    jpeg = engine.media.path(track["chip"]).read_bytes()
    return Picture(face["t_us"], face["quality"], jpeg) if face else Picture(track["start_us"], 0.0, jpeg)


def _kept(engine: Engine, track: dict[str, Any]) -> list[Picture]:
    """All pictures `observe` kept of a track's faces, by time; none when its results were removed."""
    faces_of_it = results.faces_of_track(engine.database, track["run_id"], track["track_id"])
    qualities = {(face["t_us"], face["x1"], face["y1"]): face["quality"] for face in faces_of_it}
    window = [("t_us", ">=", track["start_us"]), ("t_us", "<=", track["end_us"]), ("chip", ">=", 0)]
    found: dict[int, Picture] = {}
    for key in results.observed_between(engine.database, track["run_id"], track["start_us"], track["end_us"]):
        folder = engine.artefacts.path("observe", key)
        try:
            seen = pq.read_table(folder / "detections.parquet", columns=["t_us", "x1", "y1", "chip"], filters=window).to_pylist()
            theirs = {row["chip"]: (row["t_us"], row["x1"], row["y1"]) for row in seen if (row["t_us"], row["x1"], row["y1"]) in qualities}
            chips = pq.read_table(folder / "chips.parquet", columns=["chip", "jpeg"], filters=[("chip", "in", list(theirs) or [-1])]).to_pylist()
        except (pa.ArrowException, OSError):
            continue
        for row in chips:
            face = theirs[row["chip"]]
            found[face[0]] = Picture(face[0], qualities[face], row["jpeg"])
    return [found[t_us] for t_us in sorted(found)]


def label(engine: Engine, track: dict[str, Any], stretch: Stretch) -> dict[str, Any]:
    """The label in force at the beginning of a stretch: person_id, person, cluster_id, probability, label_source."""
    pieces = results.pieces_of_track(engine.database, track["run_id"], track["track_id"])
    return next((piece for piece in pieces if piece["end_us"] > stretch.start_us), pieces[-1])


def candidates(engine: Engine, run_id: int, cluster_id: int, most: int) -> list[dict[str, Any]]:
    """The people a cluster may be: person_id, person, probability, the most probable first."""
    return [row for row in results.posteriors(engine.database, run_id, cluster_id) if row["person_id"] is not None][:most]


def best_of_person(engine: Engine, person_id: int, besides: set[int], most: int) -> list[dict[str, Any]]:
    """The best tracks of a person in the runs that are shown, those people decided first, without the tracks in `besides`."""
    return [row for row in results.portraits(engine.database, person_id, most + len(besides)) if row["track_id"] not in besides][:most]


def sheet(jpegs: list[bytes]) -> bytes:
    """Pictures side by side in one, each with its number from 1 in its corner."""
    tiles = []
    for number, jpeg in enumerate(jpegs, 1):
        tile = np.zeros((_TILE, _TILE, 3), np.uint8)
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            tile[:] = cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        cv2.rectangle(tile, (0, 0), (26, 18), (0, 0, 0), -1)
        cv2.putText(tile, str(number), (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _BOX_COLOUR, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[first : first + _COLUMNS]) for first in range(0, len(tiles), _COLUMNS)]
    return _drawn(np.vstack(rows), [])


def frame(engine: Engine, episode_id: int, t_us: int, long_side: int, boxes: list[tuple[float, float, float, float]]) -> bytes:
    """The frame shown at a time as JPEG, with boxes (normalised x1, y1, x2, y2) drawn.

    Raises:
        NotFound: the file is gone.
        BadInput: there is no frame at that time.
        BadMedia: the file cannot be read any more.
    """
    episode = catalog.find_episode(engine.database, str(episode_id))
    if episode is None or not Path(episode["path"]).is_file():
        raise NotFound(f"The file of episode {episode_id} is not where it was.", "Put it back, or add it again from where it is now.")
    media = MediaInfo.from_dict(catalog.media_of(engine.database, episode_id))
    shown = engine.looker.frame(Path(episode["path"]), media, t_us, long_side)
    if shown is None:
        raise BadInput(f"Episode {episode_id} has no frame at {t_us / 1e6:.3f} s.", f"It lasts {episode['duration_s']:.3f} s.")
    rgb = np.frombuffer(base64.b64decode(shown["data"]), np.uint8).reshape(shown["height"], shown["width"], 3)
    return _drawn(rgb[:, :, ::-1], boxes)


def _drawn(picture: Image, boxes: list[tuple[float, float, float, float]]) -> bytes:
    picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    for x1, y1, x2, y2 in boxes:
        corners = (round(x1 * width), round(y1 * height)), (round(x2 * width), round(y2 * height))
        cv2.rectangle(picture, *corners, _BOX_COLOUR, max(1, width // 320))
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
