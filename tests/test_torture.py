"""The torture and the fuzz, short: `just torture` and `just fuzz` are the long ones, `tests/benchmarks/torture.md` and `fuzz.md` their figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.fuzz import DAMAGES, fuzz, inputs, three_clips
from tests.benchmarks.torture import torture


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_acknowledged_decision_is_lost_whatever_happens(tmp_path: Path) -> None:
    figures = torture(tmp_path, minutes=0.5, seed=8, least=5)
    assert figures.acknowledged >= 5 and figures.engines >= 2
    assert sum(count for name, count in figures.blows.items() if "nothing" not in name) >= 3
    assert figures.clean(), vars(figures)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_damaged_clips_end_in_a_result_or_an_error_and_hurt_nobody(tmp_path: Path) -> None:
    figures = fuzz(tmp_path, count=30, seed=5)
    assert figures.inputs == 30 and figures.clean(), vars(figures)
    assert {"result", "bad_media"} <= set(figures.outcomes)


def test_fuzz_is_the_same_for_a_seed_and_damages_every_clip_in_every_way(tmp_path: Path) -> None:
    originals = three_clips(tmp_path)
    made = inputs(30, 1, originals)
    assert made == inputs(30, 1, originals) != inputs(30, 2, originals)
    assert {(suffix, damage) for _, suffix, damage, _ in made} == {(path.suffix, damage.__name__) for path in originals for damage in DAMAGES}
    whole = {path.suffix: path.read_bytes() for path in originals}
    assert all(data != whole[suffix] for _, suffix, _, data in made)
