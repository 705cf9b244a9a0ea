"""Tracks and clusters of the run an episode shows."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from engine.errors import NotFound
from engine.operations.common import EpisodeRef, Listed, Page, active_run, episode_of, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from engine.review.targets import reference
from store import ids, results


class TrackRow(Result):
    ref: str = Field(description="How this track, or this piece of a track that was cut, is named in a change.")
    track_id: int
    person_id: int | None
    person: str | None
    cluster_id: int
    start_us: int
    end_us: int
    shot: int
    faces: int
    score: float
    height_px: float
    quality: float
    mixed: bool
    excluded: bool = Field(description="Not a face.")
    probability: float
    label_source: str
    level: str
    locked: bool
    rev: int
    chip: str | None


class TrackList(Listed):
    rows: list[TrackRow]


class TrackListParams(Page):
    episode: EpisodeRef
    person_id: int | None = Field(None, description="Only tracks of this person.")
    cluster_id: int | None = Field(None, description="Only tracks of this cluster.")


@operation("read", "review", params=TrackListParams, result=TrackList)
def track_list(context: Context, p: TrackListParams) -> TrackList:
    """List the face tracks of an episode, cut where decisions cut them: when, in which shot, and who each is taken for."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    rows = results.tracks(engine.database, run["run_id"], person_id=p.person_id, cluster_id=p.cluster_id, after=p.position() or 0, limit=p.limit)
    full = len({row["track_id"] for row in rows}) == p.limit
    return TrackList.model_validate({"rows": [_row(row) for row in rows], "next_cursor": str(rows[-1]["track_id"]) if full else None})


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A piece with the reference it is named by."""
    whole = (row["start_us"], row["end_us"]) == (row["track_start_us"], row["track_end_us"])
    shown = {name: value for name, value in row.items() if name in TrackRow.model_fields}
    return {**shown, "ref": reference(row["track_id"], None if whole else (row["start_us"], row["end_us"]))}


class TrackRef(Params):
    track_id: int = Field(description="Track id.", json_schema_extra={"positional": True})


class Face(Result):
    detection_id: int
    t_us: int
    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    quality: float


class TrackPiece(Result):
    ref: str
    start_us: int
    end_us: int
    person_id: int | None
    person: str | None
    cluster_id: int
    excluded: bool
    probability: float
    label_source: str
    level: str
    method: str
    locked: bool
    rev: int
    rejected: list[int] = Field(description="People decided not to be here.")


class TrackDetail(Result):
    track_id: int
    run_id: int
    episode_id: int
    start_us: int
    end_us: int
    shot: int
    faces: int
    score: float
    height_px: float
    quality: float
    spread: float
    mixed: bool
    picture: str | None
    rev: int
    pieces: list[TrackPiece] = Field(description="Whose it is; more than one where decisions cut it.")
    boxes: list[Face]


@operation("read", "review", params=TrackRef, result=TrackDetail)
def track_show(context: Context, p: TrackRef) -> TrackDetail:
    """Show one track: whose it is taken for and why, its stretches (`pieces`), and its faces with their boxes, as shares of the displayed frame."""
    engine = context.engine
    track = results.track(engine.database, p.track_id)
    if track is None:
        raise NotFound(f"There is no track {p.track_id}.", "`rollcall track list --episode EPISODE` lists them.")
    pieces = results.pieces_of_track(engine.database, track["run_id"], p.track_id)
    whole = len(pieces) == 1
    shown = [{**piece, "ref": reference(p.track_id, None if whole else (piece["start_us"], piece["end_us"]))} for piece in pieces]
    return TrackDetail.model_validate(
        {
            **{name: track[name] for name in TrackDetail.model_fields if name in track},
            "picture": str(engine.media.path(track["chip"])) if track["chip"] else None,
            "rev": max(piece["rev"] for piece in pieces),
            "pieces": shown,
            "boxes": results.faces_of_track(engine.database, track["run_id"], p.track_id),
        }
    )


class ClusterRow(Result):
    cluster_id: int
    tracks: int
    seconds: float
    cohesion: float | None
    person_id: int | None = Field(description="Whom most of it is labelled.")
    person: str | None
    mixed: bool = Field(description="Its tracks do not all carry one label.")
    decided: bool = Field(description="Somebody decided about some of it.")
    locked: bool
    rev: int


class ClusterList(Listed):
    rows: list[ClusterRow]


class ClusterListParams(Page):
    episode: EpisodeRef


@operation("read", "review", params=ClusterListParams, result=ClusterList)
def cluster_list(context: Context, p: ClusterListParams) -> ClusterList:
    """List the clusters of an episode: tracks the machine takes for one person, those with most seconds first."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    rows = results.clusters(engine.database, run["run_id"], p.position() or 0, p.limit)
    return ClusterList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "cluster_id")})


class ClusterRef(Params):
    cluster_id: int = Field(description="Cluster id.", json_schema_extra={"positional": True})


class Candidate(Result):
    person_id: int | None
    person: str | None
    probability: float
    similarity: float | None


class ClusterDetail(ClusterRow):
    candidates: list[Candidate]
    members: list[TrackRow]


@operation("read", "review", params=ClusterRef, result=ClusterDetail)
def cluster_show(context: Context, p: ClusterRef) -> ClusterDetail:
    """Show one cluster: who it may be, with probabilities, and its tracks (1,000 at most; track_list pages through all)."""
    engine = context.engine
    run_id = ids.run_of_cluster(p.cluster_id)
    found = results.clusters(engine.database, run_id, p.cluster_id - 1, 1)
    if not found or found[0]["cluster_id"] != p.cluster_id:
        raise NotFound(f"There is no cluster {p.cluster_id}.", "`rollcall cluster list --episode EPISODE` lists them.")
    members = results.tracks(engine.database, run_id, person_id=None, cluster_id=p.cluster_id, after=0, limit=1000)
    candidates = results.posteriors(engine.database, run_id, p.cluster_id)
    return ClusterDetail.model_validate({**found[0], "candidates": candidates, "members": [_row(row) for row in members]})
