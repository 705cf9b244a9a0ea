"""Every setting changes what the program does, in the direction its description says: for each, a small scenario measured at several values."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from engine import config
from tests import (  # noqa: F401 - each registers its scenarios
    settings_agents,
    settings_engine,
    settings_hooks,
    settings_identity,
    settings_totals,
    settings_vision,
    test_clips,
)
from tests.scenarios import MEASURES


def test_every_setting_has_its_scenario() -> None:
    assert sorted(MEASURES) == sorted(config.names())


@pytest.mark.parametrize("name", config.names())
def test_setting_changes_what_the_program_does(name: str, tmp_path: Path) -> None:
    rising, function = MEASURES[name]
    found = []
    for number, value in enumerate(rising):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.append(function(config.build({name: value}), folder))
    assert all(before < after for before, after in pairwise(found)), f"{name} {rising!r} gives {found}"
