"""Pictures and files as base64, for surfaces that do not see the workspace: faces to decide by, frames, exported files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from engine import looking
from engine.errors import BadInput, NotFound
from engine.operations.common import Reference
from engine.operations.registry import Context, Params, Result, operation
from store import results, work

MOST_EXPORT_BYTES = 4 << 20


class PictureListParams(Params):
    tracks: list[Reference] = Field(
        min_length=1, max_length=24, description="Tracks, as ID or ID@FROM-TO (seconds).", json_schema_extra={"positional": True}
    )
    people: list[int] | None = Field(None, max_length=8, description="People to show beside them; those the first track may be when not given.")
    limit: int = Field(6, ge=1, le=24, description="Pictures of the tracks in all.")
    people_limit: int = Field(3, ge=0, le=8, description="People shown.")
    sheet: bool = Field(False, description="The pictures of the tracks as one, numbered, instead of one by one.")


class FacePicture(Result):
    of: Literal["track", "person"]
    track_id: int
    episode_id: int
    t_us: int
    person_id: int | None = Field(description="Of a person's picture: who it is; of a track's: who it is taken for.")
    person: str | None
    probability: float | None = Field(description="That the first track is this person, where the machine holds one.")
    decided: bool = Field(description="A person or an agent has said so; otherwise it is the machine's opinion.")
    jpeg_base64: str | None = Field(description="Null when it is on the sheet.")


class Beside(Result):
    track_id: int
    person_id: int | None
    person: str | None
    seconds: float = Field(description="In the picture together with the first track.")


class PictureList(Result):
    pictures: list[FacePicture]
    sheet_base64: str | None = Field(description="The tracks' pictures as one, numbered from 1 in their order.")
    beside: list[Beside] = Field(description="Who else is in the picture with the first track.")


@operation("read", "review", params=PictureListParams, result=PictureList)
def picture_list(context: Context, p: PictureListParams) -> PictureList:
    """Show faces of tracks, spread over their time, beside the best pictures of the people they may be."""
    engine, shown = context.engine, list[FacePicture]()
    stretches = [looking.parse(reference) for reference in p.tracks]
    tracks = [looking.track_of(engine, stretch) for stretch in stretches]
    each = max(1, p.limit // len(stretches))
    labels = [looking.label(engine, track, stretch) for track, stretch in zip(tracks, stretches, strict=True)]
    for stretch, track, label in list(zip(stretches, tracks, labels, strict=True))[: p.limit]:
        for picture in looking.faces(engine, stretch, each):
            shown.append(
                FacePicture(
                    of="track",
                    track_id=track["track_id"],
                    episode_id=track["episode_id"],
                    t_us=picture.t_us,
                    person_id=label["person_id"],
                    person=label["person"],
                    probability=label["probability"],
                    decided=label["label_source"] != "machine",
                    jpeg_base64=_text(picture.jpeg),
                )
            )
    sheet = None
    if p.sheet and shown:
        sheet = _text(looking.sheet([base64.b64decode(picture.jpeg_base64 or "") for picture in shown]))
        shown = [picture.model_copy(update={"jpeg_base64": None}) for picture in shown]
    likely = {row["person_id"]: row for row in looking.candidates(engine, tracks[0]["run_id"], labels[0]["cluster_id"], 8)}
    shown += _people(context, {stretch.track_id for stretch in stretches}, likely, p)
    beside = results.beside(engine.database, tracks[0]["run_id"], stretches[0].track_id, stretches[0].start_us, stretches[0].end_us)
    return PictureList(pictures=shown, sheet_base64=sheet, beside=[Beside.model_validate(row) for row in beside])


def _people(context: Context, besides: set[int], likely: dict[int, dict[str, Any]], p: PictureListParams) -> list[FacePicture]:
    engine, shown = context.engine, list[FacePicture]()
    for person_id in (list(likely) if p.people is None else p.people)[: p.people_limit]:
        for row in looking.best_of_person(engine, person_id, besides, 1):
            path = engine.media.path(row["chip"])
            if path.exists():
                shown.append(
                    FacePicture(
                        of="person",
                        track_id=row["track_id"],
                        episode_id=row["episode_id"],
                        t_us=row["start_us"],
                        person_id=person_id,
                        person=row["person"],
                        probability=likely[person_id]["probability"] if person_id in likely else None,
                        decided=row["label_source"] != "machine",
                        jpeg_base64=_text(path.read_bytes()),
                    )
                )
    return shown


class File(Result):
    name: str
    mime_type: str
    bytes: int
    base64: str


class TrackFrame(Params):
    track: Reference = Field(description="A track (ID or ID@FROM-TO).", json_schema_extra={"positional": True})
    at_s: float | None = Field(None, ge=0, le=1e7, description="Time in seconds; the middle when not given.")
    long_side: int = Field(640, ge=64, le=1920, description="Long side of the picture, pixels.")


@operation("read", "review", params=TrackFrame, result=File, slow=True)
def track_frame(context: Context, p: TrackFrame) -> File:
    """Read the frame around a track's face, decoded from the video file, with the face framed."""
    engine = context.engine
    stretch = looking.parse(p.track)
    track = looking.track_of(engine, stretch)
    middle = (max(stretch.start_us, track["start_us"]) + min(stretch.end_us, track["end_us"])) // 2
    face = results.face_at(engine.database, track["run_id"], track["track_id"], middle if p.at_s is None else round(p.at_s * 1e6))
    assert face is not None
    box = (face["x1"], face["y1"], face["x2"], face["y2"])
    return _file(f"track-{p.track}.jpg", "image/jpeg", looking.frame(engine, track["episode_id"], face["t_us"], p.long_side, [box]))


class ExportRead(Params):
    export_id: int = Field(description="Export id.", json_schema_extra={"positional": True})


@operation("read", "export", params=ExportRead, result=File)
def export_read(context: Context, p: ExportRead) -> File:
    """Read an exported file, as long as it is where it was written."""
    engine = context.engine
    row = work.export(engine.database, p.export_id)
    if row is None:
        raise NotFound(f"There is no export {p.export_id}.", "`rollcall export list` lists them.")
    path = Path(row["path"]).resolve()
    if not path.is_relative_to(engine.exports.resolve()) or not path.is_file():
        raise NotFound(f"{row['path']} is not in the exports folder any more.", "Export it again.")
    if path.stat().st_size > MOST_EXPORT_BYTES:
        raise BadInput(f"{path.name} has {path.stat().st_size >> 20} MB, too much to send.", f"Read it where it is: {path}.")
    return _file(path.name, _MIME.get(path.suffix, "application/octet-stream"), path.read_bytes())


_MIME = {".csv": "text/csv", ".json": "application/json", ".parquet": "application/vnd.apache.parquet", ".html": "text/html", ".txt": "text/plain"}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _file(name: str, mime_type: str, data: bytes) -> File:
    return File(name=name, mime_type=mime_type, bytes=len(data), base64=_text(data))
