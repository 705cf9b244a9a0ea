"""What the scenarios of the settings share: where they are registered, and a workspace whose file sets what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config import Settings

Measure = Callable[[Settings, Path], float]
MEASURES: dict[str, tuple[tuple[Any, ...], Measure]] = {}
"""setting -> (values in the order in which the measure rises, measure)."""


def measure(name: str, *rising: Any) -> Callable[[Measure], Measure]:
    """Register a scenario: given the settings and an empty folder it returns a number that rises over these values of the setting."""

    def register(function: Measure) -> Measure:
        assert name not in MEASURES and len(rising) > 1
        MEASURES[name] = rising, function
        return function

    return register


def home_with(folder: Path, settings: Settings, name: str, /, **others: Any) -> Path:
    """A workspace whose file sets one setting, as a user would; `others` of its section are what the scenario needs."""
    section, _, key = name.partition(".")
    values = {**others, key: getattr(getattr(settings, section), key)}
    (folder / "config.toml").write_text(f"[{section}]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in values.items()))
    return folder


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)
