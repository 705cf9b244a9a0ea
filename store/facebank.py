"""The facebank: faces of people picked by hand. Which of them are in it follows the decisions; nothing here judges them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.database import Database, Reader, Transaction, now

COLUMNS = (
    "entry_id",
    "show_id",
    "person_id",
    "space",
    "vector",
    "quality",
    "chip",
    "picture",
    "origin",
    "episode_id",
    "track_id",
    "decision_id",
)
"""What makes an entry. `origin`: in words; `chip`: file of the face, `picture`: of the whole picture it was found in, if any."""


def add(transaction: Transaction, **values: Any) -> None:
    """Put in an entry, all COLUMNS given."""
    moment = now()
    transaction.insert("facebank", **values, active=True, added_at=moment, changed_at=moment)


def refresh(transaction: Transaction, added: Iterable[int], removed: Iterable[int]) -> None:
    """Bring `active` up to date.

    Args:
        added: decisions that put faces in and stand; removed: entries that standing decisions took out.
    """
    # -1 is nobody's id; it keeps the lists from being empty.
    inside, out = (", ".join(map(str, (-1, *ids))) for ids in (added, removed))
    wanted = f"(decision_id IN ({inside}) AND entry_id NOT IN ({out}))"
    transaction.execute(f"UPDATE facebank SET active = NOT active, changed_at = ? WHERE active <> {wanted}", [now()])


def entry(database: Database, entry_id: int) -> dict[str, Any] | None:
    """One entry."""
    return database.row("SELECT * FROM facebank WHERE entry_id = ?", [entry_id])


def page(database: Database, *, person_id: int | None, show_id: int | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Faces in the bank, newest first. Those of people merged into others are these people's."""
    return database.rows(
        f"""{_OWNED} SELECT b.entry_id, b.show_id, o.owner AS person_id, c.called AS person, b.space, b.quality, b.chip, b.picture, b.origin,
                b.episode_id, b.track_id, b.decision_id, b.added_at
            FROM facebank b JOIN owned o USING (person_id) JOIN called c ON c.person_id = o.owner
            WHERE active AND (? IS NULL OR o.owner = ?) AND (? IS NULL OR b.show_id = ?) AND (? IS NULL OR entry_id < ?)
            ORDER BY entry_id DESC LIMIT ?""",
        [person_id, person_id, show_id, show_id, before, before, limit],
    )


def in_force(database: Reader, show_id: int, space: str) -> pa.Table:
    """Faces in the bank of a show in one space: entry_id, person_id (after merges), vector, quality, known, track_id, by entry."""
    return database.arrow(
        f"""{_OWNED} SELECT b.entry_id, o.owner AS person_id, b.vector, b.quality, p.name IS NOT NULL AS known, b.track_id
            FROM facebank b JOIN owned o USING (person_id) JOIN person p ON p.person_id = o.owner
            WHERE active AND b.show_id = ? AND b.space = ? AND p.erased_at IS NULL ORDER BY b.entry_id""",
        [show_id, space],
    )


_OWNED = """WITH RECURSIVE owned AS (
        SELECT person_id, person_id AS owner FROM person WHERE merged_into IS NULL
        UNION ALL SELECT p.person_id, o.owner FROM person p JOIN owned o ON p.merged_into = o.person_id)"""
"""Who stands for whom after merges."""


def vectors(rows: pa.Table) -> NDArray[np.float32]:
    """(n, dims) of rows with a `vector`."""
    found = rows["vector"].combine_chunks()
    return found.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(found), -1) if len(found) else np.zeros((0, 0), np.float32)


def left_since(database: Reader, space: str, run_id: int) -> set[int]:
    """People who lost a face of the bank that was in it when a run was made."""
    found = database.rows(
        f"""{_OWNED} SELECT DISTINCT o.owner FROM facebank b JOIN owned o USING (person_id), run r
            WHERE r.run_id = ? AND NOT active AND b.space = ? AND b.added_at < r.committed_at AND b.changed_at > r.created_at""",
        [run_id, space],
    )
    return {int(row["owner"]) for row in found}


def matched_by_face(database: Database, person_id: int, space: str) -> list[dict[str, Any]]:
    """Clusters of shown analyses in a space that the machine takes for somebody because their faces match: episode_id, title, run_id, cluster_id,
    similarity (cosine), probability, seconds of the tracks it labels; by episode."""
    return database.rows(
        """SELECT e.episode_id, e.title, r.run_id, m.cluster_id, any_value(p.similarity) AS similarity, any_value(p.probability) AS probability,
                  sum(t.end_us - t.start_us) / 1e6 AS seconds
           FROM episode e JOIN run r ON r.run_id = e.active_run_id JOIN machine_label m ON m.run_id = r.run_id
           JOIN track t ON t.run_id = r.run_id AND t.track_id = m.track_id
           JOIN posterior p ON p.run_id = r.run_id AND p.cluster_id = m.cluster_id AND p.person_id = m.person_id AND p.accepted
           WHERE m.person_id = ? AND r.space = ? AND m.method = 'face match' AND p.similarity IS NOT NULL
           GROUP BY ALL ORDER BY e.episode_id, m.cluster_id""",
        [person_id, space],
    )
