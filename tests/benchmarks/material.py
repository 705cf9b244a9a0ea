"""Who the compositions are made of: real clips and photos, where the face is in each frame, and who is like whom.

The faces are found once by a strong look at each source (SCRFD det_500m at 640 pixels, every frame, the largest face) and kept in a cache
folder; the compositions map these boxes through their own geometry, and that is the truth. Every person belongs to one half, "tune" or
"held-out", so that what was tuned on some people is judged on others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from engine.models.base import Chip
from engine.models.load import open_detector, open_embedder
from engine.models.store import Models
from tools.demo.pictures import GROUP, PORTRAIT, Picture, load

Image = NDArray[np.uint8]

HALVES = ("tune", "held-out")
LOOK_SIDE = 640
MAX_FRAMES = 60
MAX_FACE_PX = 260
"""Sources are shrunk until their faces are at most this high, and cut after so many frames: the cache stays small."""

# person -> files below the media folder; the sentence codes are the files' own names.
CLIPS: dict[str, dict[str, tuple[str, ...]]] = {
    "tune": {
        "grid-s1": ("grid_s1/bgbh6p.mpg", "grid_s1/pgaq6n.mpg", "grid_s1/swbo8n.mpg"),
        "grid-brbk": ("grid/brbk7n.mpg",),
        "grid-lbax": ("grid/lbax4n.mpg",),
        "grid-lrwp": ("grid/lrwp9a.mpg",),
        "grid-swiz": ("grid/swiz3n.mpg",),
        "head-0": ("talking_heads/WDA_KatieHill_000.mp4",),
        "head-1": ("talking_heads/vr_1.mp4",),
        "smile": ("smile/noface_face.mov",),
    },
    "held-out": {
        "grid-id2": ("grid/id2_vcd_swwp2s.mpg", "grid/pwij3p.mpg"),
        "grid-lbbc": ("grid/lbbc2a.mpg",),
        "grid-lwbs": ("grid/lwbsza.mpg",),
        "grid-sbia": ("grid/sbia1a.mpg",),
        "grid-sbwe": ("grid/sbwe5n.mpg",),
        "head-2": ("talking_heads/vr_2.mp4",),
        "head-3": ("talking_heads/vr_3.mp4",),
    },
}
PHOTOS: dict[str, dict[str, tuple[str, ...]]] = {
    "tune": {
        "photo-5": ("faces/deepface/img5.jpg", "faces/deepface/img6.jpg", "faces/deepface/img10.jpg", "faces/deepface/img11.jpg"),
        "photo-14": ("faces/deepface/img14.jpg", "faces/deepface/img15.jpg"),
        "photo-12": ("faces/deepface/img12.jpg",),
        "photo-18": ("faces/deepface/img18.jpg",),
        "photo-o": ("faces/obama.jpg", "faces/obama2.jpg"),
        "photo-m": ("faces/lin-manuel-miranda.png",),
    },
    "held-out": {
        "photo-16": ("faces/deepface/img16.jpg", "faces/deepface/img17.jpg"),
        "photo-20": ("faces/deepface/img20.jpg", "faces/deepface/img21.jpg"),
        "photo-8": ("faces/deepface/img8.jpg",),
        "photo-22": ("faces/deepface/img22.jpg",),
        "photo-25": ("faces/deepface/img25.jpg",),
        "photo-b": ("faces/biden.jpg",),
        "photo-l": ("faces/alex-lacamoire.png",),
    },
}
PACKAGED: dict[str, tuple[tuple[Picture, str], ...]] = {
    "tune": ((GROUP, "left_cards"), (GROUP, "dark_shirt"), (GROUP, "grey_shirt")),
    "held-out": ((GROUP, "lace_top"), (GROUP, "red_shirt"), (GROUP, "right_seat"), (PORTRAIT, "orange_suit")),
}


@dataclass(frozen=True, eq=False)
class Source:
    """A person filmed or photographed alone.

    frames (n, h, w, 3) BGR; boxes (n, 4) xyxy and landmarks (n, 5, 2) in pixels of the frames; vector (dims,) L2-normalised.
    """

    person: str
    frames: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    vector: NDArray[np.float32]

    @property
    def moving(self) -> bool:
        """Whether it is a clip and no photo."""
        return len(self.frames) > 1

    @property
    def usual(self) -> NDArray[np.float32]:
        """(4,) the median box."""
        return np.asarray(np.median(self.boxes, axis=0), np.float32)

    def at(self, index: int) -> int:
        """The source frame shown at a frame of a shot: forth and back, so that no jump is seen."""
        last = len(self.frames) - 1
        return abs((index + last) % (2 * last) - last) if last else 0


@dataclass(frozen=True)
class Cast:
    """The people of one half: `sources` by person, each with at least one."""

    clips: dict[str, tuple[Source, ...]]
    photos: dict[str, tuple[Source, ...]]

    @property
    def everybody(self) -> dict[str, tuple[Source, ...]]:
        """Clips and photos."""
        return {**self.clips, **self.photos}

    def alike(self) -> list[tuple[str, str]]:
        """Pairs of people, the most alike first, by the cosine of their vectors."""
        people = sorted(self.everybody)
        mean = np.stack([np.mean([s.vector for s in self.everybody[p]], axis=0) for p in people])
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        near = mean @ mean.T
        pairs = [(float(near[a, b]), people[a], people[b]) for a in range(len(people)) for b in range(a)]
        return [(a, b) for _, a, b in sorted(pairs, reverse=True)]


def folder_of(variable: str) -> Path:
    """A folder named by the environment.

    Raises:
        SystemExit: it is not named, or not there.
    """
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        raise SystemExit(f"{variable} must name a folder.")
    return Path(value)


def cast(half: str, work: Path) -> Cast:
    """The people of a half, looked at once and kept below `work`."""
    keep = work / "sources"
    keep.mkdir(parents=True, exist_ok=True)
    media = folder_of("ROLLCALL_TEST_MEDIA")
    clips = {person: tuple(_kept(keep, person, media / name) for name in names) for person, names in CLIPS[half].items()}
    photos = {person: tuple(_kept(keep, person, media / name) for name in names) for person, names in PHOTOS[half].items()}
    for picture, person in PACKAGED[half]:
        photos[person] = (_kept(keep, person, picture),)
    return Cast(clips, photos)


def _kept(keep: Path, person: str, origin: Path | Picture) -> Source:
    """A source from the cache, made when it is not there."""
    stem = person if isinstance(origin, Picture) else f"{person}-{origin.stem}"
    pixels, facts = keep / f"{stem}.npy", keep / f"{stem}.json"
    if not facts.exists():
        frames, boxes, landmarks, vector = _look_at(_images(origin, person))
        np.save(pixels, frames)
        facts.write_text(json.dumps({"boxes": boxes.tolist(), "landmarks": landmarks.tolist(), "vector": vector.tolist()}))
    found = {name: np.array(value, np.float32) for name, value in json.loads(facts.read_text()).items()}
    return Source(person, np.load(pixels, mmap_mode="r"), found["boxes"], found["landmarks"], found["vector"])


def _images(origin: Path | Picture, person: str) -> Iterator[Image]:
    """Every picture of an origin; a person of a packaged group photo is cut out so that no other face is near."""
    if isinstance(origin, Picture):
        image, box = load(origin), next(p.box for p in origin.people if p.id == person)
        side = 1.1 * (box[3] - box[1])
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        left, top = max(0, round(x - side)), max(0, round(y - side))
        yield np.ascontiguousarray(image[top : round(y + side), left : round(x + side)])
    elif origin.suffix in (".jpg", ".png"):
        picture = cv2.imread(str(origin))
        if picture is None:
            raise SystemExit(f"{origin.name} cannot be read.")
        yield np.asarray(picture, np.uint8)
    else:
        with av.open(str(origin)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


@cache
def _models() -> tuple[Any, Any]:
    """The detector and the embedder that make the truth, whatever profile is measured."""
    installed = Models(folder_of("ROLLCALL_MODELS")).installed()
    return open_detector(installed["det_500m"], "cpu", 2)[0], open_embedder(installed["mobilefacenet_foamliu"], "cpu", 2)[0]


def _look_at(images: Iterator[Image]) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The longest part of a source in which the face is seen: frames, boxes, landmarks, and the vector of its middle."""
    detector, embedder = _models()
    frames, boxes, landmarks = [], [], []
    for image in images:
        factor = LOOK_SIDE / max(image.shape[:2])
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        found = detector.detect(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), min_score=0.5, nms_iou=0.4)
        if not len(found.scores):
            frames, boxes, landmarks = [], [], []  # a clip that begins without a face begins later
            continue
        largest = int(np.argmax(found.boxes[:, 3] - found.boxes[:, 1]))
        frames.append(image)
        boxes.append(found.boxes[largest] / factor)
        landmarks.append(found.landmarks[largest] / factor)
        if len(frames) == MAX_FRAMES:
            break
    box, points = _steady(np.array(boxes)), _steady(np.array(landmarks))
    frames = _longer(frames, box)
    middle = len(frames) // 2
    vector = embedder.embed([Chip(frames[middle], points[middle], box[middle])])[0]
    shrink = min(1.0, MAX_FACE_PX / float(np.median(box[:, 3] - box[:, 1])))
    size = (round(frames[0].shape[1] * shrink), round(frames[0].shape[0] * shrink))
    stacked = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    return np.asarray(stacked, np.uint8), box * shrink, points * shrink, vector


def _longer(frames: list[Image], box: NDArray[np.float32]) -> list[Image]:
    """The frames with their last row repeated, so that a body goes on to the lower edge of whatever picture it is put into."""
    face = float(np.median(box[:, 3] - box[:, 1]))
    more = max(0, round(float(box[:, 3].max()) + 1.6 * face) - frames[0].shape[0])
    return [np.asarray(cv2.copyMakeBorder(frame, 0, more, 0, 0, cv2.BORDER_REPLICATE), np.uint8) for frame in frames]


def _steady(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of five frames: the detector trembles, faces do not."""
    padded = np.concatenate([values[:1]] * 2 + [values] + [values[-1:]] * 2)
    return np.asarray(np.median(np.stack([padded[i : i + len(values)] for i in range(5)]), axis=0), np.float32)
