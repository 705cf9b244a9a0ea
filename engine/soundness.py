"""Whether every file the library refers to is there and can be read: pictures, stage results, the index of vectors."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from store import references, results

if TYPE_CHECKING:
    from engine.service import Engine

NAMED = 3
"""Tracks or people named in one sentence; the others are counted."""


def lost_pictures(engine: Engine) -> list[str]:
    """One sentence per episode or person whose pictures are gone."""
    there = set(engine.media.names())
    tracks: dict[int, list[str]] = defaultdict(list)
    for row in references.shown_pictures(engine.database):
        if row["chip"] not in there:
            tracks[row["episode_id"]].append(f"track {row['track_id']}")
    found = [
        f"Episode {episode} lacks {len(names)} pictures (of {_some(names)}). `rollcall episode analyse {episode}` makes them again."
        for episode, names in tracks.items()
    ]
    people = [f"{row['person_id']}" for row in references.bank_pictures(engine.database) if {row["chip"], row["picture"]} - {None} - there]
    if people:
        found.append(f"Pictures in the facebank are gone (of people {_some(sorted(set(people)))}). What is known of their faces stays.")
    return found


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def lost_results(engine: Engine) -> list[str]:
    """One sentence per stage result of an analysis in force that is gone or cannot be read."""
    found = []
    for row in references.active_stages(engine.database):
        for kind, key in results.stage_results(row["stages"]):
            folder = engine.artefacts.path(kind, key)
            if not engine.artefacts.exists(kind, key):
                found.append(
                    f"The stage result {kind}/{key} of episode {row['episode_id']} is gone. Labels and totals stay; only its vectors do not."
                )
                continue
            for path in sorted(folder.glob("*.parquet")):
                try:
                    pq.read_metadata(path)
                except (pa.ArrowException, OSError) as error:
                    todo = f"Remove {folder} and run `rollcall episode analyse {row['episode_id']}`."
                    found.append(f"{path} of episode {row['episode_id']} is damaged ({error}). {todo}")
    return found


def lost_vectors(engine: Engine) -> list[str]:
    """One sentence per embedding space whose index is gone."""
    spaces = references.spaces_with_vectors(engine.database)
    return [
        f"The index of vectors of {space} is gone. It is made again from the stage results when an episode is analysed; nothing needs doing."
        for space in spaces
        if not engine.vectors.has(space)
    ]
