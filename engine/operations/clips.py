"""Clips: a moment of a recording as a video of its own, beside the other exports."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import Field

from engine import looking
from engine.config import Config
from engine.errors import BadInput
from engine.exports import clip
from engine.operations.common import EpisodeRef, Reference, active_run, episode_of
from engine.operations.exports import ExportRow, write_export
from engine.operations.registry import Context, Params, operation
from engine.sources.probe import MICROSECONDS

LONGEST_S = 600.0


class ClipParams(Params):
    episode: EpisodeRef | None = Field(
        None, description="Episode id, or show-s01e02; not needed with a track.", json_schema_extra={"positional": True}
    )
    from_s: float | None = Field(None, ge=0, le=1e7, description="Start of the stretch, seconds.")
    to_s: float | None = Field(None, gt=0, le=1e7, description="End of the stretch, seconds.")
    track: Reference | None = Field(None, description="A track (ID or ID@FROM-TO) instead of an episode and times.")
    around_s: float = Field(0.0, ge=0, le=60, description="Seconds more on both sides.")
    name: str | None = Field(None, description="File name inside the exports folder, ending in .mp4; made from episode and times when not given.")


class ClipRow(ExportRow):
    start_us: int = Field(description="Where the clip begins in the recording.")
    end_us: int
    play: list[str] = Field(description="The command of `screens.player` for this clip; empty when that is not set.")


@operation("write", "export", params=ClipParams, result=ClipRow, slow=True)
def clip_create(context: Context, p: ClipParams) -> ClipRow:
    """Write a track's stretch, or any stretch of an episode, as a video file with its sound; returns its path."""
    engine = context.engine
    episode, start_us, end_us = _stretch(context, p)
    run = active_run(engine, episode)
    path, media = looking.recording(engine, episode)
    start_us = max(media.first_frame_us, start_us - round(p.around_s * MICROSECONDS))
    end_us = min(media.duration_us, end_us + round(p.around_s * MICROSECONDS))
    if start_us >= end_us:
        raise BadInput(
            f"The stretch holds nothing of the recording, which is {media.duration_us / MICROSECONDS:.2f} s long.",
            "Give --from-s and --to-s inside it.",
        )
    if end_us - start_us > LONGEST_S * MICROSECONDS:
        raise BadInput(f"A clip is at most {LONGEST_S:.0f} s long.", "Give --to-s nearer to --from-s.")
    name = p.name or f"{episode['show']}-e{episode['episode_id']}-{start_us / MICROSECONDS:.2f}-{end_us / MICROSECONDS:.2f}.mp4"
    if not name.endswith(".mp4"):
        raise BadInput(f"{name!r} is not the name of an MP4 file.", "End --name in .mp4.")
    facts = {"episode_id": episode["episode_id"], "run_id": run["run_id"], "format": "clip"}
    row = write_export(context, "clip_create", p, name, lambda target: clip.write(target, path, media, start_us, end_us), facts)
    player = Config(engine.home).settings.screens.player
    play = [*shlex.split(player), row.path] if player else []
    return ClipRow(**row.model_dump(), start_us=start_us, end_us=end_us, play=play)


def _stretch(context: Context, p: ClipParams) -> tuple[dict[str, Any], int, int]:
    """The episode and the stretch that are meant.

    Raises:
        BadInput: neither a track nor an episode with times.
    """
    if p.track is not None:
        asked = looking.parse(p.track)
        track = looking.track_of(context.engine, asked)
        start_us, end_us = max(asked.start_us, track["start_us"]), min(asked.end_us, track["end_us"])
        return episode_of(context.engine, str(track["episode_id"])), start_us, end_us
    if p.episode is None or p.from_s is None or p.to_s is None:
        raise BadInput("The stretch is not named.", "Give --track, or an episode with --from-s and --to-s.")
    if p.to_s <= p.from_s:
        raise BadInput(f"The stretch ends ({p.to_s:g} s) before it starts ({p.from_s:g} s).", "Give the earlier time first.")
    return episode_of(context.engine, p.episode), round(p.from_s * MICROSECONDS), round(p.to_s * MICROSECONDS)
