"""Scenarios of totals.*."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.config import Settings
from engine.tables import Episode
from engine.totals.labels import IDENTITY
from engine.totals.screen_time import Totals, screen_time
from tests import synthetic
from tests.scenarios import measure
from tests.test_totals_screen_time import labelled


def _totals(settings: Settings, member: float = 0.9, score: float = 0.8) -> Totals:
    made = synthetic.world(9, turns=0.8)
    position = made.episode.detections.column_names.index("score")
    scores = pa.array(np.full(made.episode.detections.num_rows, score), pa.float32())
    episode = Episode(**{**vars(made.episode), "detections": made.episode.detections.set_column(position, "score", scores)})
    return screen_time(episode, labelled(made.person, member), settings.totals)


def _width(totals: Totals) -> float:
    rows = totals.screen_time
    return float((rows["visual_high_s"].to_numpy() - rows["visual_low_s"].to_numpy()).sum())


@measure("totals.gap_s", 0.0, 1.6)
def _seconds_with_gaps_closed(settings: Settings, folder: Path) -> float:
    return float(_totals(settings).screen_time["visual_s"].to_numpy().sum())


@measure("totals.sure_probability", 0.95, 0.85)
def _seconds_of_nearly_sure_tracks(settings: Settings, folder: Path) -> float:
    return float(_totals(settings, member=0.9).screen_time["visual_s"].to_numpy().sum())


@measure("totals.firm_score", 0.4, 1.0)
def _doubt_about_ends(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0, score=0.5))


@measure("totals.end_steps", 1, 1.5, 3)
def _doubt_about_firm_ends(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0, score=0.8))


@measure("totals.loose_end", 0, 6)
def _doubt_about_faint_ends(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0, score=0.4))


@measure("totals.slip_rate", 0, 0.2, 0.9)
def _doubt_about_faces_lost_inside_shots(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0))


@measure("totals.slip_s", 0, 0.3)
def _doubt_about_how_long_they_are_lost(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0))


@measure("totals.missed_rate", 0, 0.05)
def _doubt_about_what_was_never_found(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0))


@measure("totals.shared_doubt", 0, 0.9)
def _doubt_that_is_one_for_all(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=0.9))


@measure("totals.firm", 3, 1.5)
def _doubt_about_what_is_nearly_sure(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=0.8))


@measure("totals.odd_looks", 0, 4)
def _seconds_of_one_who_looks_unlike_themselves(settings: Settings, folder: Path) -> float:
    made = synthetic.world(9)
    whole = labelled(made.person)
    rows = [(int(who), None, 0.8, True) for who in np.unique(made.person)] + [(int(who), 99, 0.2, False) for who in np.unique(made.person)]
    identity = pa.table([list(column) for column in zip(*sorted(rows, key=lambda row: row[0]), strict=True)], schema=IDENTITY)
    return _width(screen_time(made.episode, replace(whole, identity=identity), settings.totals))


@measure("totals.likely_probability", 0.5, 0.2)
def _people_nothing_is_labelled_as(settings: Settings, folder: Path) -> float:
    made = synthetic.world(9)
    whole = labelled(made.person)
    rows = [(0, 99, 0.3, False)]
    maybe = pa.concat_tables([whole.identity.slice(1), pa.table([list(c) for c in zip((0, 0, 0.7, True), *rows, strict=True)], schema=IDENTITY)])
    return float(screen_time(made.episode, replace(whole, identity=maybe), settings.totals).screen_time.num_rows)


def _noise(settings: Settings) -> float:
    """How far intervals drawn from two seeds are apart."""
    other = settings.model_copy(update={"totals": settings.totals.model_copy(update={"seed": 5})})
    ends = [np.concatenate([_totals(s).screen_time[name].to_numpy() for name in ("visual_low_s", "visual_high_s")]) for s in (settings, other)]
    return float(np.abs(ends[0] - ends[1]).sum())


@measure("totals.draws", 5000, 50)
def _noise_of_intervals(settings: Settings, folder: Path) -> float:
    return _noise(settings)


@measure("totals.seed", 5, 20260101)
def _difference_to_seed_five(settings: Settings, folder: Path) -> float:
    return _noise(settings)
