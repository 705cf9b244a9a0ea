"""Totals after people had their say: tracks become the pieces decisions cut them into, and decided pieces are certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from engine.tables import MEMBERSHIP, Episode
from engine.totals.labels import DECIDED, IDENTITY, Labels

PIECES = pa.schema(
    [
        ("track", pa.int32()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("person", pa.int64()),
        ("excluded", pa.bool_()),  # not a face: out of every total
        ("decided", pa.bool_()),
        ("rejected", pa.list_(pa.int64())),  # people decided not to be here
    ]
)


def in_pieces(episode: Episode, pieces: pa.Table) -> Episode:
    """The episode with a row a piece instead of a row a track; pieces that are no faces are left out.

    Args:
        pieces: PIECES, by track and time.
    """
    kept = pieces.filter(pa.compute.invert(pieces["excluded"]))
    track, start, end = (kept[name].to_numpy().astype(np.int64) for name in ("track", "start_us", "end_us"))
    tracks = episode.tracks.take(pa.array(track))
    for name, values in (("start_us", start), ("end_us", end)):
        tracks = tracks.set_column(tracks.column_names.index(name), name, pa.array(values, pa.int64()))
    if "track" not in episode.detections.column_names:
        return replace(episode, tracks=tracks)
    of_track, t_us = episode.detections["track"].to_numpy(), episode.detections["t_us"].to_numpy()
    piece = np.full(len(of_track), -1, np.int32)
    # Pieces of a track lie one after the other: a face is in the last one that begins before it.
    reach = np.int64(1) << 42
    place = np.searchsorted(track * reach + start, of_track.astype(np.int64) * reach + t_us, side="right") - 1
    inside = (of_track >= 0) & (place >= 0)
    inside[inside] = (track[place[inside]] == of_track[inside]) & (t_us[inside] < end[place[inside]])
    piece[inside] = place[inside]
    detections = episode.detections.set_column(episode.detections.column_names.index("track"), "track", pa.array(piece, pa.int32()))
    faces = np.bincount(piece[piece >= 0], minlength=len(track)).astype(np.int32)
    tracks = tracks.set_column(tracks.column_names.index("faces"), "faces", pa.array(faces, pa.int32()))
    tracks = tracks.set_column(tracks.column_names.index("track"), "track", pa.array(np.arange(len(track)), pa.int32()))
    return replace(episode, tracks=tracks, detections=detections)


def labels_of(membership: pa.Table, identity: pa.Table, pieces: pa.Table) -> Labels:
    """Whose each piece is. A piece with rejected names that nobody decided is judged by itself, without those names.

    Args:
        membership: MEMBERSHIP of the tracks; identity: IDENTITY of their clusters; pieces: PIECES, by track and time.
    """
    kept = pieces.filter(pa.compute.invert(pieces["excluded"])).to_pylist()
    rows_of: dict[int, list[tuple[int, float]]] = {}
    for track, cluster, chance in zip(*(membership[name].to_pylist() for name in MEMBERSHIP.names), strict=True):
        rows_of.setdefault(track, []).append((cluster, chance))
    people_of: dict[int, list[tuple[int | None, float, bool]]] = {}
    for cluster, person, chance, label in zip(*(identity[name].to_pylist() for name in IDENTITY.names), strict=True):
        people_of.setdefault(cluster, []).append((person, chance, label))
    members: list[tuple[int, int, float]] = []
    added: list[tuple[int, int | None, float, bool]] = []
    decided: list[tuple[int, int | None]] = []
    own = 1 + max([*people_of, *(cluster for rows in rows_of.values() for cluster, _ in rows)], default=-1)
    for number, piece in enumerate(kept):
        rejected = set(piece["rejected"] or ())
        if piece["decided"]:
            decided.append((number, piece["person"]))
        elif rejected:
            members.append((number, own, 1.0))
            added += [(own, *row) for row in _without(rows_of.get(piece["track"], []), people_of, rejected, piece["person"])]
            own += 1
            continue
        members += [(number, cluster, chance) for cluster, chance in rows_of.get(piece["track"], [])]
    table = pa.concat_tables([identity, _table(added, IDENTITY)]) if added else identity
    return Labels(_table(members, MEMBERSHIP), table, _table(decided, DECIDED))


def _without(
    clusters: list[tuple[int, float]], people_of: dict[int, list[tuple[int | None, float, bool]]], rejected: set[int], label: int | None
) -> list[tuple[int | None, float, bool]]:
    """Who a piece may be when some are ruled out: what spoke for them is shared among the rest, nobody included."""
    chance: dict[int | None, float] = {}
    for cluster, share in clusters:
        for person, probability, _ in people_of.get(cluster, []):
            if person not in rejected:
                chance[person] = chance.get(person, 0.0) + share * probability
    chance.setdefault(None, 0.0)
    chance[None] += max(0.0, 1 - sum(share for _, share in clusters))
    total = sum(chance.values())
    chance = {person: value / total for person, value in chance.items()} if total > 0 else {None: 1.0}
    chance.setdefault(label, 0.0)
    return [(person, value, person == label) for person, value in sorted(chance.items(), key=lambda row: (-row[1], row[0] is None, row[0] or 0))]


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in schema.names]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
