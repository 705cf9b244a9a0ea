"""COCO detection JSON: an image for every frame with a face, an annotation for every face, a category for every person.

Image ids are frame numbers from 1, and `file_name` is the one `ffmpeg -i VIDEO %06d.jpg` gives that frame. Boxes are pixels of the displayed
frame. The last category holds faces of nobody identified.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.exports.content import Content


def write(path: Path, content: Content) -> int:
    """Write all faces of tracks; returns their number."""
    width, height = content.episode["width"], content.episode["height"]
    people: list[int | None] = [*(row["person_id"] for row in content.people), None]
    category = {person: n for n, person in enumerate(people, 1)}
    images: dict[int, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for face in content.faces().to_pylist():
        image = face["frame"] + 1
        images.setdefault(image, {"id": image, "file_name": f"{image:06d}.jpg", "width": width, "height": height, "time_s": face["t_us"] / 1e6})
        x, y = face["x1"] * width, face["y1"] * height
        w, h = (face["x2"] - face["x1"]) * width, (face["y2"] - face["y1"]) * height
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": category[face["person_id"]],
                "bbox": [round(value, 2) for value in (x, y, w, h)],
                "area": round(w * h, 2),
                "iscrowd": 0,
                "segmentation": [],
                "score": round(face["score"], 4),
                "track_id": face["track_id"],
            }
        )
    found = {
        "info": {"description": f"Faces of {content.label}", "version": str(content.run["run_id"]), "lineage": content.lineage},
        "licenses": [],
        "categories": [{"id": n, "name": content.names[person], "supercategory": "face", "person_id": person} for person, n in category.items()],
        "images": list(images.values()),
        "annotations": annotations,
    }
    path.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(annotations)
