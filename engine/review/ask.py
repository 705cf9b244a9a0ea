"""In a worker, after decisions: what is believed about the undecided, and what to ask next."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config import Settings, build
from engine.identity.similarity import evidence
from engine.models.base import Calibration
from engine.review.queue import Sheet, Unit, pays, sheets, units
from engine.review.refit import ITSELF, MACHINE, NOBODY, WITH_CLUSTER, Belief, Ground, Standing, grouped, refit
from engine.tables import Episode

KEPT = 200
"""Items of a queue that are kept: it is made anew after every answer."""

LEAST_CHANCE = 0.05
"""Suggestions less probable than this are not kept."""


@lru_cache(maxsize=2)
def _evidence(folder: str, key: str, settings: str) -> tuple[Episode, Any]:
    """Evidence of a run's pairs, kept between decisions about one episode."""
    import json

    from engine.artefacts import Artefacts
    from engine.pipeline import read_episode

    artefacts = Artefacts(Path(folder))
    flat = json.loads(settings)
    episode = read_episode(artefacts, key)
    return episode, evidence(episode, Calibration(**flat["calibration"]), build(flat["settings"]).identity)


def ask(
    task: dict[str, Any], pieces: pa.Table, membership: pa.Table, identity: pa.Table, settings: Settings
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Suggestions for undecided pieces, and queue items in order.

    Args:
        task: `artefacts`, `identify`, `calibration`, `settings`; `people`: ids of everybody who has a name, those of the gallery first, `known` of
            them; `archived`: ids nobody is asked about.
        pieces: PIECES with `cluster` (number in the run), in the order of the assignment.
        membership, identity: of the run.

    Returns:
        piece (row of `pieces`), person_id, probability; and items with rows of `pieces` where the API has tracks.
    """
    import json

    packed = json.dumps({"calibration": task["calibration"], "settings": task["settings"]}, sort_keys=True)
    episode, found = _evidence(task["artefacts"], task["identify"], packed)
    people = list(task["people"])
    rows = np.flatnonzero(~pieces["excluded"].to_numpy(zero_copy_only=False))
    standing, clusters = _standing(episode, pieces, rows, people)
    ground = Ground.of(episode, found, membership, _match(identity, people, task["known"], clusters), settings.identity)
    ground = ground.following(standing)
    ground, standing = grouped(ground, standing)
    belief = refit(ground, standing, settings.identity)
    split = np.bincount(standing.track, minlength=episode.tracks.num_rows) > 1
    mixed = episode.tracks["mixed"].to_numpy(zero_copy_only=False)[standing.track] & ~split[standing.track]
    found_units = [unit for unit in units(standing, belief, mixed) if not _set_aside(unit, people, set(task["archived"]))]
    pages = [sheet for sheet, _ in zip(sheets(found_units, pays(standing)), range(KEPT), strict=False)]
    items = [_item(page, standing, belief, rows, people) for page in pages]
    return _suggestions(standing, belief, rows, people), items


def _set_aside(unit: Unit, people: list[int], archived: set[int]) -> bool:
    """Whether a unit is most likely somebody nobody needs to name."""
    return unit.proposed >= 0 and people[unit.proposed] in archived


def _standing(episode: Episode, pieces: pa.Table, rows: NDArray[np.int64], people: list[int]) -> tuple[Standing, int]:
    """What is in force for the pieces that are faces; and how many clusters there are."""
    kept = pieces.take(pa.array(rows))
    place = {person: number for number, person in enumerate(people)}
    person = np.array([place.get(one, NOBODY) for one in kept["person"].to_pylist()], np.int64)
    decided, level = kept["decided"].to_numpy(zero_copy_only=False), kept["level"].to_pylist()
    how = np.where(decided, [WITH_CLUSTER if one == "cluster" else ITSELF for one in level], MACHINE).astype(np.int8)
    rejected = np.zeros((len(rows), len(people)), bool)
    for row, gone in enumerate(kept["rejected"].to_pylist()):
        rejected[row, [place[one] for one in gone or () if one in place]] = True
    cluster = np.unique(kept["cluster"].to_numpy(), return_inverse=True)
    numbers, clusters = _numbers(cluster[0], int(kept["machine_cluster"].to_numpy().max(initial=-1)) + 1)
    seconds = (kept["end_us"].to_numpy() - kept["start_us"].to_numpy()) / 1e6
    standing = Standing(kept["track"].to_numpy().astype(np.int64), seconds, numbers[cluster[1]], person, how, rejected, len(people))
    return standing, clusters


def _numbers(values: NDArray[np.int64], machine: int) -> tuple[NDArray[np.int64], int]:
    """Clusters as rows: the machine's by their number, those people made behind them."""
    own = values >= machine
    numbers = values.copy()
    numbers[own] = machine + np.arange(int(own.sum()))
    return numbers, machine + int(own.sum())


def _match(identity: pa.Table, people: list[int], known: int, clusters: int) -> NDArray[np.float64]:
    """(clusters, known + 1) the identity stage's probabilities; clusters people made say nothing."""
    result = np.zeros((clusters, known + 1))
    place = {person: number for number, person in enumerate(people[:known])}
    for cluster, person, chance in zip(*(identity[name].to_pylist() for name in ("cluster", "person", "probability")), strict=True):
        result[cluster, place.get(person, known)] += chance
    rest = result.sum(axis=1) < 1
    result[rest, known] += 1 - result[rest].sum(axis=1)
    return result


def _suggestions(standing: Standing, belief: Belief, rows: NDArray[np.int64], people: list[int]) -> pa.Table:
    chance = belief.target[:, :-1] * standing.open[:, None]
    row, person = np.nonzero(chance >= LEAST_CHANCE)
    return pa.table(
        {
            "piece": pa.array(rows[row], pa.int64()),
            "person_id": pa.array(np.array(people, np.int64)[person] if people else np.zeros(0, np.int64), pa.int64()),
            "probability": pa.array(chance[row, person].astype(np.float32), pa.float32()),
        }
    )


def _item(sheet: Sheet, standing: Standing, belief: Belief, rows: NDArray[np.int64], people: list[int]) -> dict[str, Any]:
    """A sheet, in rows of the pieces and ids of people."""
    return {
        "at_risk_s": sheet.at_risk_s,
        "actions": sheet.actions,
        "units": [
            {
                "kind": _kind(unit, standing, people),
                "rows": rows[unit.rows].tolist(),
                "shown": rows[unit.shown].tolist(),
                "whole_cluster": bool(unit.open),
                "proposed": people[unit.proposed] if unit.proposed >= 0 and unit.kind != "name" else None,
                "probability": unit.chance,
                "seconds": unit.seconds,
                "candidates": _candidates(unit, standing, belief, people),
            }
            for unit in sheet.units
        ],
    }


def _kind(unit: Unit, standing: Standing, people: list[int]) -> str:
    """A unit whose decided label the rest of the evidence speaks against is a disagreement."""
    label = int(standing.person[unit.rows[0]])
    against = unit.kind == "confirm" and not unit.open and label >= 0 and unit.proposed != label and unit.chance >= 0.5
    return "disagreement" if against else unit.kind


def _candidates(unit: Unit, standing: Standing, belief: Belief, people: list[int]) -> list[dict[str, Any]]:
    """The likeliest people, most probable first, nobody known, and whoever it is labelled as."""
    chance = belief.cluster[unit.cluster] if unit.open else belief.target[unit.rows[0]]
    label = int(standing.person[unit.rows[0]])
    order = [int(place) for place in np.argsort(-chance, kind="stable")[:6] if chance[place] >= 0.01 and place != label]
    if label >= 0:
        order.insert(sum(chance[place] > chance[label] for place in order), label)
    return [{"person_id": people[place] if place < len(people) else None, "probability": float(chance[place])} for place in order]
