"""What an export is made of: one analysis, read from the library when a format asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.config import build
from engine.exports.palette import Colour, colours
from engine.exports.tables import segments_table, totals_table
from engine.sources.probe import MediaInfo
from engine.totals.stretches import Stretch, stretches
from engine.version import VERSION
from store import catalog, results
from store.database import Database
from store.media import Media


@dataclass(frozen=True)
class Content:
    """One run of one episode.

    Args:
        episode, run: rows of the store.
        table: `totals` or `segments`, for formats that hold one table.
        person_id: only this person, for formats made of stretches.
    """

    database: Database
    media: Media
    episode: dict[str, Any]
    run: dict[str, Any]
    table: str = "totals"
    person_id: int | None = None

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """Totals, most seen first."""
        return results.screen_time(self.database, self.run["run_id"])

    @cached_property
    def names(self) -> dict[int | None, str]:
        """What everybody is called."""
        return {None: "unidentified", **{row["person_id"]: row["name"] for row in self.people}}

    @cached_property
    def colours(self) -> dict[int | None, Colour]:
        return colours([row["person_id"] for row in self.people])

    @cached_property
    def pieces(self) -> list[dict[str, Any]]:
        """Stretches of tracks with one label each, in time order."""
        return results.pieces(self.database, self.run["run_id"])

    @cached_property
    def stretches(self) -> list[Stretch]:
        """When everybody is visible, in time order."""
        return stretches(self.pieces, round(build(self.run["settings"]).totals.gap_s * 1e6))

    @property
    def shown(self) -> list[Stretch]:
        """Stretches of people, or of the person asked for."""
        return [s for s in self.stretches if s.person_id is not None and self.person_id in (None, s.person_id)]

    @cached_property
    def pairs(self) -> list[dict[str, Any]]:
        """Seconds two people are seen together."""
        return results.co_presence(self.database, self.run["run_id"])

    @cached_property
    def shots(self) -> list[dict[str, Any]]:
        return results.shots(self.database, self.run["run_id"])

    def faces(self) -> pa.Table:
        """Every face of a track with the person in force, in time order, and the number of its frame; large, so not kept."""
        table = results.piece_faces(self.database, self.run["run_id"])
        frames = pa.array([self.frame(at) for at in table["t_us"].to_pylist()], pa.int64())
        return table.append_column("frame", frames)

    @cached_property
    def info(self) -> MediaInfo:
        """What the probe found when the file was added."""
        return MediaInfo.from_dict(catalog.media_of(self.database, self.episode["episode_id"]))

    @property
    def rate(self) -> Fraction:
        """Frames a second, exact; of a variable rate the average."""
        return self.info.fps

    def frame(self, t_us: int) -> int:
        """Number of the frame shown at a time of the recording's clock, the first one being 0."""
        return round((t_us - self.info.first_frame_us) * self.rate / 1_000_000)

    @property
    def label(self) -> str:
        """The episode as people write it."""
        season, number = self.episode["season"], self.episode["number"]
        place = f"S{season:02d}E{number:02d}" if season is not None and number is not None else ""
        return " ".join(part for part in (self.episode["show"], place, self.episode["title"]) if part)

    @property
    def file_name(self) -> str:
        """The video file's own name, without its folder: exports say what was analysed, not where it lies."""
        return Path(self.episode["path"]).name

    @cached_property
    def rows(self) -> pa.Table:
        """The table asked for."""
        return self.table_of(self.table)

    def table_of(self, name: str) -> pa.Table:
        """`totals` or `segments`."""
        ids = self.episode["episode_id"], self.run["run_id"]
        return totals_table(*ids, self.people) if name == "totals" else segments_table(*ids, self.pieces)

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What made the numbers: program, media, models, settings, stage keys."""
        names = ("episode_id", "show", "season", "number", "title", "media_digest", "duration_s")
        return {
            "rollcall": VERSION,
            "episode": {name: self.episode[name] for name in names},
            "run": {name: self.run[name] for name in ("run_id", "models", "settings", "stages")},
            "unidentified_s": self.run["unidentified_s"],
        }
