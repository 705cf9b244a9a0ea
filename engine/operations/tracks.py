"""Tracks and clusters of the run an episode shows."""

from __future__ import annotations

from pydantic import Field

from engine.errors import NotFound
from engine.operations.common import EpisodeRef, Listed, Page, active_run, episode_of, next_cursor
from engine.operations.registry import Context, Params, Result, operation
from store import ids, results


class TrackRow(Result):
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
    probability: float
    label_source: str
    chip: str | None


class TrackList(Listed):
    rows: list[TrackRow]


class TrackListParams(Page):
    episode: EpisodeRef
    person_id: int | None = Field(None, description="Only tracks of this person.")
    cluster_id: int | None = Field(None, description="Only tracks of this cluster.")


@operation("read", "review", params=TrackListParams, result=TrackList)
def track_list(context: Context, p: TrackListParams) -> TrackList:
    """List the face tracks of an episode: when, in which shot, and who each is taken for."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    rows = results.tracks(engine.database, run["run_id"], person_id=p.person_id, cluster_id=p.cluster_id, after=p.position() or 0, limit=p.limit)
    return TrackList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "track_id")})


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


class TrackDetail(Result):
    track_id: int
    run_id: int
    episode_id: int
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
    spread: float
    mixed: bool
    probability: float
    label_source: str
    method: str
    locked: bool
    picture: str | None
    boxes: list[Face]


@operation("read", "review", params=TrackRef, result=TrackDetail)
def track_show(context: Context, p: TrackRef) -> TrackDetail:
    """Show one track with all its faces (boxes normalised to the displayed frame) and the file of its best picture."""
    engine = context.engine
    track = results.track(engine.database, p.track_id)
    if track is None:
        raise NotFound(f"There is no track {p.track_id}.", "`rollcall track list --episode EPISODE` lists them.")
    chip = track.pop("chip")
    track.pop("best_detection_id")
    boxes = results.faces_of_track(engine.database, track["run_id"], p.track_id)
    return TrackDetail.model_validate({**track, "picture": str(engine.media.path(chip)) if chip else None, "boxes": boxes})


class ClusterRow(Result):
    cluster_id: int
    tracks: int
    seconds: float
    cohesion: float | None
    person_id: int | None
    person: str | None


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
    """Show one cluster: who it may be, with probabilities, and its tracks (1,000 at most)."""
    engine = context.engine
    run_id = ids.run_of_cluster(p.cluster_id)
    found = results.clusters(engine.database, run_id, p.cluster_id - 1, 1)
    if not found or found[0]["cluster_id"] != p.cluster_id:
        raise NotFound(f"There is no cluster {p.cluster_id}.", "`rollcall cluster list --episode EPISODE` lists them.")
    members = results.tracks(engine.database, run_id, person_id=None, cluster_id=p.cluster_id, after=0, limit=1000)
    candidates = results.posteriors(engine.database, run_id, p.cluster_id)
    return ClusterDetail.model_validate({**found[0], "candidates": candidates, "members": members})
