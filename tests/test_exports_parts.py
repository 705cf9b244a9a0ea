"""What the exports are made of: stretches, cues, timecode, marks of an axis, labels that change inside a track."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exports import ass, edl, mot, webvtt, wording
from engine.totals.stretches import Stretch, stretches

SECOND = 1_000_000


def piece(person: int | None, start: float, end: float, shot: int = 0, probability: float = 1.0, track: int = 1) -> dict[str, Any]:
    times = {"start_us": round(start * SECOND), "end_us": round(end * SECOND)}
    return {"person_id": person, "shot": shot, "probability": probability, "track_id": track, **times}


def spans(found: list[Stretch]) -> list[tuple[int | None, float, float, float]]:
    return [(s.person_id, s.start_us / SECOND, s.end_us / SECOND, s.probability) for s in found]


def test_short_gaps_are_closed_inside_a_shot_and_never_across_a_cut() -> None:
    pieces = [piece(1, 0, 1, probability=0.9), piece(1, 1.4, 2, probability=0.8), piece(1, 3, 4), piece(1, 4, 5, shot=1), piece(1, 5.2, 6, shot=2)]
    assert spans(stretches(pieces, SECOND // 2)) == [(1, 0, 2, 0.8), (1, 3, 4, 1.0), (1, 4, 5, 1.0), (1, 5.2, 6, 1.0)]


def test_gaps_between_faces_of_nobody_stay_open() -> None:
    assert spans(stretches([piece(None, 0, 1), piece(None, 1.2, 2)], SECOND // 2)) == [(None, 0, 1, 1.0), (None, 1.2, 2, 1.0)]


def test_two_faces_of_one_person_count_once() -> None:
    assert spans(stretches([piece(1, 0, 3), piece(1, 1, 2), piece(2, 1, 2)], 0)) == [(1, 0, 3, 1.0), (2, 1, 2, 1.0)]


def test_people_of_a_split_track_have_numbers_of_their_own() -> None:
    pieces = [piece(1, 0, 1, track=100), piece(2, 1, 2, track=100), piece(1, 2, 3, track=101), piece(1, 3, 4, track=100)]
    ids = mot._ids(pieces)
    assert [ids[row["track_id"], row["start_us"]] for row in pieces] == [100, 102, 101, 103]


times = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 60), st.integers(1, 20)), max_size=12)


@given(times)
def test_cues_say_exactly_who_is_visible(drawn: list[tuple[int, int, int]]) -> None:
    found = [Stretch(person, 0, start * SECOND, (start + length) * SECOND, 1.0) for person, start, length in drawn]
    cues = list(webvtt.cast(found))
    for second in range(80):
        at = second * SECOND + 1
        truth = {s.person_id for s in found if s.start_us <= at < s.end_us}
        said = [people for start, end, people in cues if start <= at < end]
        assert (set(said[0]) if said else set()) == truth and len(said) <= 1
    for before, after in itertools.pairwise(cues):
        assert before[1] < after[0] or before[2] != after[2], "the same people stay one cue"


def test_cue_text_cannot_end_a_cue() -> None:
    assert webvtt.escaped("a --> b\n\n<c>&") == "a --&gt; b &lt;c&gt;&amp;"
    assert webvtt.clock(3_661_002_000) == "01:01:01.002"


def test_names_bring_no_commands_into_an_overlay() -> None:
    assert ass.plain("{\\b1}A\\NB\n") == "｛⧵b1｝A⧵NB"
    assert ass.clock(3_661_239_000) == "1:01:01.24"


@pytest.mark.parametrize("rate", edl.RATES)
def test_timecode_is_that_of_opentimelineio(rate: Fraction) -> None:
    for frame in (0, 1, 1799, 1800, 17982, 107_892, 123_456):
        theirs = otio.opentime.RationalTime(frame, float(rate)).to_timecode(float(rate), False)
        assert edl.timecode(frame, rate) == theirs


@pytest.mark.parametrize(
    ("video", "counted"),
    [
        ("25", "25"),
        ("30000/1001", "30000/1001"),
        ("24000/1001", "24000/1001"),
        ("2997/100", "30000/1001"),
        ("15", "30"),
        ("12", "24"),
        ("100", "50"),
        ("120", "60"),
        ("6", "24"),
        ("731/100", "25"),
    ],
)
def test_timecode_counts_at_a_rate_that_editing_programs_know(video: str, counted: str) -> None:
    assert edl.timecode_rate(Fraction(video)) == Fraction(counted)


def test_lengths_and_clocks_read_naturally() -> None:
    plain = [wording.length(s).replace("\u00a0", " ") for s in (0, 17.96, 59.96, 245.4, 3599.6, 3725)]
    assert plain == ["0.0 s", "18.0 s", "1 min 00 s", "4 min 05 s", "1 h 00 min", "1 h 02 min"]
    assert [wording.clock(s) for s in (0, 61.9, 3599, 3661)] == ["0:00", "1:01", "59:59", "1:01:01"]
    assert wording.exact_clock(59.96) == "1:00.0"
    assert [wording.percent(p).replace("\u00a0", " ") for p in (0, 0.004, 0.5, 0.994, 0.9999, 1)] == [
        "0 %", "under 1 %", "50 %", "99 %", "over 99 %", "100 %",
    ]  # fmt: skip


@pytest.mark.parametrize("duration", [0.5, 3, 33, 75, 600, 2700, 7200, 30_000])
def test_time_axis_has_few_marks_and_starts_at_nought(duration: float) -> None:
    marks = wording.marks(duration)
    assert marks[0] == 0 and len(marks) <= 9 and marks[-1] <= duration
    assert len({after - before for before, after in itertools.pairwise(marks)}) <= 1
