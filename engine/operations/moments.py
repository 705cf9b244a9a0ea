"""What is seen at a moment: the shots of an episode, and every face found in a stretch of it."""

from __future__ import annotations

from pydantic import Field

from engine.operations.common import EpisodeRef, Listed, Page, active_run, episode_of, next_cursor
from engine.operations.registry import Context, Result, operation
from store import moments


class ShotRow(Result):
    shot: int
    start_us: int
    end_us: int
    thread: int = Field(description="Shots of one number come from the same recurring camera set-up.")
    tracks: int


class ShotList(Listed):
    rows: list[ShotRow]


class ShotListParams(Page):
    episode: EpisodeRef


@operation("read", "review", params=ShotListParams, result=ShotList)
def shot_list(context: Context, p: ShotListParams) -> ShotList:
    """List the shots of an episode in order: when each starts and ends, and how many tracks it holds."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    position = p.position()
    rows = moments.shots(engine.database, run["run_id"], -1 if position is None else position, p.limit)
    return ShotList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "shot")})


class DetectionRow(Result):
    detection_id: int
    t_us: int
    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    quality: float
    track_id: int | None
    person_id: int | None
    person: str | None


class DetectionList(Listed):
    rows: list[DetectionRow]


class DetectionListParams(Page):
    episode: EpisodeRef
    from_s: float = Field(0.0, ge=0, description="Start of the stretch, seconds.")
    to_s: float = Field(ge=0, description="End of the stretch, seconds; what is shown at that very time is left out.")


@operation("read", "review", params=DetectionListParams, result=DetectionList)
def detection_list(context: Context, p: DetectionListParams) -> DetectionList:
    """List every face found in a stretch of an episode, boxes normalised to the displayed frame; those without a track count for nobody."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    window = (round(p.from_s * 1_000_000), round(p.to_s * 1_000_000))
    rows = moments.detections(engine.database, run["run_id"], *window, p.position() or 0, p.limit)
    return DetectionList.model_validate({"rows": rows, "next_cursor": next_cursor(rows, p.limit, "detection_id")})
