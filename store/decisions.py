"""Decisions: appended, read back; which of them stand is judged elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from store import anchored
from store.database import FEW, Database, Transaction

ASSIGNMENT = pa.schema(
    [
        ("run_id", pa.int64()),
        ("episode_id", pa.int64()),
        ("track_id", pa.int64()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("cluster_id", pa.int64()),
        ("person_id", pa.int64()),
        ("excluded", pa.bool_()),
        ("label_source", pa.string()),
        ("level", pa.string()),
        ("method", pa.string()),
        ("score", pa.float32()),
        ("threshold", pa.float32()),
        ("locked", pa.bool_()),
        ("decision_id", pa.int64()),
        ("rev", pa.int64()),
        ("rejected", pa.list_(pa.int64())),
    ]
)

LABEL = tuple(name for name in ASSIGNMENT.names if name not in ("run_id", "episode_id", "track_id", "start_us", "end_us", "rejected"))
"""Columns of a label in force that change while its piece stays as it is."""

SUGGESTION = pa.schema(
    [
        ("run_id", pa.int64()),
        ("episode_id", pa.int64()),
        ("track_id", pa.int64()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("person_id", pa.int64()),
        ("probability", pa.float32()),
    ]
)

QUEUE_ITEM = pa.schema([("run_id", pa.int64()), ("episode_id", pa.int64()), ("rank", pa.int32()), ("at_risk_s", pa.float64()), ("item", pa.string())])

COLUMNS = (
    "decision_id",
    "batch",
    "logged_at",
    "actor",
    "verb",
    "level",
    "show_id",
    "episode_id",
    "person_id",
    "parameters",
    "reason",
    "source",
    "voids",
)
_COLUMNS = ", ".join(COLUMNS)


CASES = 64
"""Sets of values that labels changed together are given by letters at most; more are joined."""


def append(transaction: Transaction, idem_key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Append decisions, all COLUMNS given."""
    transaction.insert_rows("decision", [{"idem_key": idem_key, **row} for row in rows])


def append_anchors(transaction: Transaction, packs: Sequence[anchored.Pack]) -> None:
    """Append what decisions are about."""
    transaction.insert_rows("anchor", [{"decision_id": pack.decision_id, "episode_id": pack.episode_id, "faces": pack.cell} for pack in packs])


def of_episode(database: Database, episode_id: int) -> list[dict[str, Any]]:
    """Decisions about the faces of an episode, oldest first."""
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision WHERE episode_id = ? ORDER BY decision_id", [episode_id]))


def without_episode(database: Database) -> list[dict[str, Any]]:
    """Decisions about people, and those that take others back, oldest first."""
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision WHERE episode_id IS NULL ORDER BY decision_id"))


def some(database: Database, ids: list[int]) -> list[dict[str, Any]]:
    """Decisions by id, oldest first."""
    if not ids:
        return []
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision WHERE decision_id IN ({_list(ids)}) ORDER BY decision_id"))


def page(database: Database, *, episode_id: int | None, actor: str | None, since: Any, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Decisions, newest first."""
    return _read(
        database.rows(
            f"""SELECT {_COLUMNS} FROM decision WHERE (? IS NULL OR episode_id = ?) AND (? IS NULL OR actor = ?)
                AND (? IS NULL OR logged_at >= CAST(? AS TIMESTAMP)) AND (? IS NULL OR decision_id < ?) ORDER BY decision_id DESC LIMIT ?""",
            [episode_id, episode_id, actor, actor, since, since, before, before, limit],
        )
    )


def taking_back(database: Database) -> list[dict[str, Any]]:
    """Decisions that take others back, oldest first."""
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision WHERE len(voids) > 0 ORDER BY decision_id"))


def named(database: Database, *, batch: int | None, decision: int | None, actor: str | None, since: Any) -> list[dict[str, Any]]:
    """Decisions of a batch, by id, or of an actor since a time, oldest first."""
    return _read(
        database.rows(
            f"""SELECT {_COLUMNS} FROM decision WHERE (? IS NULL OR batch = ?) AND (? IS NULL OR decision_id = ?) AND (? IS NULL OR actor = ?)
                AND (? IS NULL OR logged_at >= CAST(? AS TIMESTAMP)) ORDER BY decision_id""",
            [batch, batch, decision, decision, actor, actor, since, since],
        )
    )


def after(database: Database, decision_id: int) -> list[dict[str, Any]]:
    """Decisions later than one, oldest first."""
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision WHERE decision_id > ? ORDER BY decision_id", [decision_id]))


def everything(database: Database) -> list[dict[str, Any]]:
    """Every decision, oldest first."""
    return _read(database.rows(f"SELECT {_COLUMNS} FROM decision ORDER BY decision_id"))


def newest(database: Database) -> int:
    """The newest decision's id; 0 when there is none."""
    found = database.row("SELECT coalesce(max(decision_id), 0) AS newest FROM decision")
    assert found is not None
    return int(found["newest"])


def anchors_of_episode(database: Database, episode_id: int, decision_ids: list[int] | None = None) -> list[anchored.Row]:
    """Anchors of an episode, by decision and number."""
    wanted = f"AND decision_id IN ({_list(decision_ids)})" if decision_ids is not None else ""
    found = database.rows(f"SELECT decision_id, faces FROM anchor WHERE episode_id = ? {wanted} ORDER BY decision_id", [episode_id])
    return [row for cell in found for row in anchored.rows(cell["decision_id"], episode_id, cell["faces"])]


def change_labels(transaction: Transaction, run_id: int, tracks: Sequence[int], starts: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> None:
    """Change some columns of labels in force where they lie. The pieces, each named by its track and start, are all that these tracks have, and stay
    as they are."""
    if not tracks or not columns:
        return
    if len(tracks) <= FEW:
        sql = f"UPDATE assignment SET {', '.join(f'{name} = ?' for name in columns)} WHERE run_id = ? AND track_id = ? AND start_us = ?"
        for place, (track, start) in enumerate(zip(tracks, starts, strict=True)):
            transaction.execute(sql, [*(cells[place] for cells in columns.values()), run_id, track, start])
        return
    first, last = min(tracks), max(tracks)
    within = "assignment.run_id = ? AND assignment.track_id BETWEEN ? AND ?"
    varying = {name: cells for name, cells in columns.items() if cells.count(cells[0]) < len(cells)}
    cases: dict[tuple[Any, ...], int] = {}
    of = [cases.setdefault(case, len(cases)) for case in zip(*varying.values(), strict=True)] or [0] * len(tracks)
    case_of = dict(zip(tracks, of, strict=True))
    if len(cases) <= CASES and (len(case_of) == len(of) or [case_of[track] for track in tracks] == of):
        _change_by_case(transaction, [run_id, first, last], case_of, columns, varying, list(cases))
        return
    named = {"track_id": tracks, "start_us": starts, **columns}
    changes = ", ".join(f"{name} = i.{name}" for name in columns)
    with transaction.incoming(pa.table({name: pa.array(cells, ASSIGNMENT.field(name).type) for name, cells in named.items()})):
        joined = "assignment.track_id = i.track_id AND assignment.start_us = i.start_us"
        transaction.execute(f"UPDATE assignment SET {changes} FROM incoming i WHERE {within} AND {joined}", [run_id, first, last])


def _change_by_case(
    transaction: Transaction,
    span: list[Any],
    case_of: Mapping[int, int],
    columns: Mapping[str, Sequence[Any]],
    varying: Mapping[str, Sequence[Any]],
    cases: list[tuple[Any, ...]],
) -> None:
    """Set columns to the few values they have: a letter for each track of the span says which case it is, and nothing is joined."""
    first, last = span[1:]
    letters = bytearray(b"0" * (last - first + 1))
    for track, case in case_of.items():
        letters[track - first] = ord("1") + case
    parameters = [*span, letters.decode()]
    letter, changes = "substr($4, track_id - $2 + 1, 1)", []
    values = dict(zip(varying, zip(*cases, strict=True), strict=True))
    for name, cells in columns.items():
        parameters.append(list(values[name]) if name in values else cells[0])
        place = f"${len(parameters)}"
        changes.append(f"{name} = " + (f"list_extract({place}, ascii({letter}) - {ord('0')})" if name in values else place))
    where = f"run_id = $1 AND track_id BETWEEN $2 AND $3 AND {letter} <> '0'"
    transaction.execute(f"UPDATE assignment SET {', '.join(changes)} WHERE {where}", parameters)


def locked_about(database: Database, people: Sequence[int]) -> list[int]:
    """Tracks of runs in force that are locked and labelled as one of these people, or decided not to be one of them."""
    rows = database.rows(
        """SELECT DISTINCT a.track_id FROM assignment a JOIN episode e ON e.active_run_id = a.run_id
           WHERE a.locked AND NOT a.excluded AND (list_contains(?, a.person_id) OR list_has_any(a.rejected, ?)) ORDER BY a.track_id""",
        [list(people), list(people)],
    )
    return [row["track_id"] for row in rows]


def replace_labels(transaction: Transaction, run_id: int, track_ids: Sequence[int], rows: pa.Table) -> None:
    """Replace the labels in force of some tracks of a run by rows of ASSIGNMENT."""
    within = "run_id = ? AND track_id BETWEEN ? AND ?"
    span: list[Any] = [run_id, min(track_ids), max(track_ids)]
    if len(track_ids) == 1:
        transaction.execute(f"DELETE FROM assignment WHERE {within}", span)
    else:
        transaction.execute(f"DELETE FROM assignment WHERE {within} AND track_id IN (SELECT unnest(?))", [*span, list(track_ids)])
    transaction.insert_arrow("assignment", rows)


def _list(ids: list[int]) -> str:
    return ", ".join(str(int(value)) for value in ids) or "NULL"


def _read(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "parameters": json.loads(row["parameters"])} for row in rows]
