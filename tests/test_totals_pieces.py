"""Totals of pieces: the same as those of tracks while nobody decided anything, and certain where people did."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.config import Settings
from engine.identity.cluster import cluster
from engine.identity.similarity import evidence
from engine.tables import Episode
from engine.totals.labels import DECIDED, IDENTITY, Labels
from engine.totals.pieces import PIECES, in_pieces, labels_of
from engine.totals.screen_time import Totals, screen_time
from tests.synthetic import CALIBRATION, world

SETTINGS = Settings()


@pytest.fixture(scope="module")
def analysed() -> tuple[Episode, pa.Table, pa.Table]:
    """An episode with doubtful tracks, its memberships and who its clusters are."""
    episode = world(seed=4, poor=0.4, lookalikes=1).episode
    clustering = cluster(episode, evidence(episode, CALIBRATION, SETTINGS.identity), SETTINGS.identity)
    rows = [(number, 10 + number, 0.9, True) for number in range(clustering.clusters.num_rows)]
    rows += [(number, None, 0.1, False) for number in range(clustering.clusters.num_rows)]
    identity = pa.table(
        [pa.array(column, field.type) for column, field in zip(zip(*sorted(rows, key=lambda r: r[0]), strict=True), IDENTITY, strict=True)],
        schema=IDENTITY,
    )
    return episode, clustering.membership, identity


def pieces_of(episode: Episode) -> list[dict[str, object]]:
    """A piece a track, as the machine left them."""
    tracks = episode.tracks
    rows = zip(tracks["track"].to_pylist(), tracks["start_us"].to_pylist(), tracks["end_us"].to_pylist(), strict=True)
    return [
        {"track": track, "start_us": start, "end_us": end, "person": None, "excluded": False, "decided": False, "rejected": []}
        for track, start, end in rows
    ]


def total(analysed: tuple[Episode, pa.Table, pa.Table], pieces: list[dict[str, object]]) -> Totals:
    episode, membership, identity = analysed
    table = pa.Table.from_pylist(pieces, schema=PIECES)
    return screen_time(in_pieces(episode, table), labels_of(membership, identity, table), SETTINGS.totals)


def test_undecided_pieces_total_exactly_as_their_tracks(analysed: tuple[Episode, pa.Table, pa.Table]) -> None:
    episode, membership, identity = analysed
    before = screen_time(episode, Labels(membership, identity, DECIDED.empty_table()), SETTINGS.totals)
    after = total(analysed, pieces_of(episode))
    assert after.screen_time.equals(before.screen_time)
    assert after.co_presence.equals(before.co_presence)
    assert after.unidentified_s == before.unidentified_s
    assert (before.screen_time["visual_high_s"].to_numpy() - before.screen_time["visual_low_s"].to_numpy()).max() > 1


def test_deciding_every_track_leaves_only_the_doubt_of_their_ends(analysed: tuple[Episode, pa.Table, pa.Table]) -> None:
    pieces = pieces_of(analysed[0])
    wide = total(analysed, pieces).screen_time
    for piece in pieces:
        piece.update(decided=True, person=10)
    narrow = total(analysed, pieces).screen_time
    assert narrow["person"].to_pylist() == [10]
    width = narrow["visual_high_s"][0].as_py() - narrow["visual_low_s"][0].as_py()
    assert width < 0.5 * float(np.sum(wide["visual_high_s"].to_numpy() - wide["visual_low_s"].to_numpy()))
    assert width < 0.08 * narrow["visual_s"][0].as_py(), "and what detection slips"


def test_what_is_no_face_counts_for_nobody(analysed: tuple[Episode, pa.Table, pa.Table]) -> None:
    pieces = pieces_of(analysed[0])
    for piece in pieces:
        piece.update(excluded=True)
    empty = total(analysed, pieces)
    assert empty.screen_time.num_rows == 0
    assert empty.unidentified_s == 0


def test_a_cut_track_counts_for_both_of_its_people(analysed: tuple[Episode, pa.Table, pa.Table]) -> None:
    pieces = pieces_of(analysed[0])
    for piece in pieces:
        piece.update(decided=True, person=None)
    longest = max(pieces, key=lambda piece: piece["end_us"] - piece["start_us"])  # type: ignore[operator]
    start, end = int(str(longest["start_us"])), int(str(longest["end_us"]))
    middle = (start + end) // 2
    place = pieces.index(longest)
    pieces[place : place + 1] = [{**longest, "end_us": middle, "person": 20}, {**longest, "start_us": middle, "person": 30}]
    found = {row["person"]: row for row in total(analysed, pieces).screen_time.to_pylist()}
    assert set(found) == {20, 30}
    assert found[20]["visual_s"] == pytest.approx((middle - start) / 1e6, abs=0.1)
    assert found[30]["visual_s"] == pytest.approx((end - middle) / 1e6, abs=0.1)
    assert found[20]["faces"] + found[30]["faces"] == analysed[0].tracks["faces"].to_pylist()[int(str(longest["track"]))]


def test_a_rejected_name_has_no_seconds_where_it_was_rejected(analysed: tuple[Episode, pa.Table, pa.Table]) -> None:
    pieces = pieces_of(analysed[0])
    before = {row["person"]: row["visual_s"] for row in total(analysed, pieces).screen_time.to_pylist()}
    most = max(before, key=lambda person: before[person])
    for piece in pieces:
        piece.update(rejected=[most])
    assert most not in total(analysed, pieces).screen_time["person"].to_pylist()
