"""A season rolled up: every person's seconds per episode, per season and over all that was asked for; as CSV or JSON.

Episodes are analysed apart, but what is wrong about a person may be wrong in all of them: so a sum's interval goes from the sum of the low ends to
the sum of the high ends, and holds at least as often as each of its parts.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.version import VERSION
from store import results
from store.database import Database

SUMS = ("visual_s", "visual_low_s", "visual_high_s", "solo_s", "solo_low_s", "solo_high_s", "tracks", "faces")
COLUMNS = (
    "level",  # episode, season or show
    "season",
    "number",
    "episode_id",
    "title",
    "person_id",
    "name",
    "kind",
    "episodes",  # in which the person is seen
    *SUMS,
    "share",  # of the length of the episodes summed
)


@dataclass(frozen=True)
class RollUp:
    """show: its row. episodes: those analysed. rows: dicts with COLUMNS, episodes first, then each season, then the whole when there are several."""

    show: dict[str, Any]
    episodes: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def roll_up(database: Database, show: dict[str, Any], season: int | None) -> RollUp:
    """Add up the active runs of a show's episodes, or of one season's."""
    episodes = results.analysed_episodes(database, show["show_id"], season)
    single = results.season_time(database, show["show_id"], season)
    rows = [{**row, "level": "episode", "episodes": 1, "share": row["visual_s"] / row["duration_s"]} for row in single]
    seasons = list(dict.fromkeys(row["season"] for row in episodes))
    for number in seasons:
        inside = [row for row in single if row["season"] == number]
        rows += _sums(inside, "season", number, sum(row["duration_s"] for row in episodes if row["season"] == number))
    if len(seasons) > 1:
        rows += _sums(single, "show", None, sum(row["duration_s"] for row in episodes))
    return RollUp(show, episodes, [{name: row.get(name) for name in COLUMNS} for row in rows])


def _sums(single: list[dict[str, Any]], level: str, season: int | None, duration_s: float) -> list[dict[str, Any]]:
    """One row a person, most seen first."""
    people: dict[int, dict[str, Any]] = {}
    for row in single:
        names = {name: row[name] for name in ("person_id", "name", "kind")}
        total = people.setdefault(row["person_id"], {"level": level, "season": season, **names, "episodes": 0, **dict.fromkeys(SUMS, 0)})
        total["episodes"] += 1
        for name in SUMS:
            total[name] += row[name]
    for total in people.values():
        total["share"] = total["visual_s"] / duration_s
    return sorted(people.values(), key=lambda total: (-total["visual_s"], total["person_id"]))


def write_csv(path: Path, rollup: RollUp) -> int:
    """Write the rows with a header; returns their number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(rollup.rows)
    return len(rollup.rows)


def write_json(path: Path, rollup: RollUp) -> int:
    """Write the rows and what they are made of; returns the number of rows."""
    show = {name: rollup.show[name] for name in ("show_id", "slug", "title")}
    found = {"rollcall": VERSION, "show": show, "episodes": rollup.episodes, "rows": rollup.rows}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(rollup.rows)
