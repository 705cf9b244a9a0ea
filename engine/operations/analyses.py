"""The analyses of an episode: listed, compared, gone back to."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pydantic import Field

from engine.errors import Conflict, NotFound
from engine.operations.common import EpisodeRef, UtcTime, active_run, episode_of
from engine.operations.registry import Context, Params, Result, operation
from engine.review import rerun, undo
from store import results


class EpisodeParams(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})


class RunBrief(Result):
    run_id: int
    active: bool
    committed_at: UtcTime
    detector: str | None
    embedder: str | None
    space: str
    tracks: int
    people: int


class RunList(Result):
    rows: list[RunBrief]


@operation("read", "review", params=EpisodeParams, result=RunList)
def analysis_list(context: Context, p: EpisodeParams) -> RunList:
    """List the analyses of an episode, newest first, and which one it shows."""
    database = context.engine.database
    episode = episode_of(context.engine, p.episode)
    rows = [
        {
            **{name: run[name] for name in ("run_id", "committed_at", "detector", "embedder", "space")},
            "active": run["run_id"] == episode["active_run_id"],
            "tracks": results.counts(database, run["run_id"])["tracks"],
            "people": len(results.screen_time(database, run["run_id"])),
        }
        for run in results.runs(database, episode["episode_id"])
    ]
    return RunList.model_validate({"rows": rows})


class RunActivate(EpisodeParams):
    run_id: int = Field(description="Run id.", json_schema_extra={"positional": True})


class RunActivated(Result):
    episode_id: int
    run_id: int
    before: int = Field(description="The run shown before.")
    lost: int = Field(description="Decisions with faces this run does not show; they stand.")


@operation("write", "review", params=RunActivate, result=RunActivated)
def analysis_activate(context: Context, p: RunActivate) -> RunActivated:
    """Show another analysis of an episode, with every decision applied to it."""
    engine = context.engine
    with engine.database.exclusive():
        with context.command("analysis_activate", p) as command:
            if command.replayed is not None:
                return RunActivated.model_validate(command.replayed)
            episode = episode_of(engine, p.episode)
            before = active_run(engine, episode)["run_id"]
            if p.run_id not in [run["run_id"] for run in results.runs(engine.database, episode["episode_id"])]:
                raise NotFound(
                    f"Episode {episode['episode_id']} has no run {p.run_id}.", f"`rollcall analysis list {episode['episode_id']}` lists them."
                )
            results.activate_run(command.transaction, episode["episode_id"], p.run_id)
            rerun.apply(engine.database, command.transaction, episode["episode_id"], p.run_id)
            command.result = {"episode_id": episode["episode_id"], "run_id": p.run_id, "before": before, "lost": 0}
        engine.review.forget()
    context.decided.add(command.result["episode_id"])
    lost = {row["decision_id"] for row in rerun.lost(engine.database, engine.review.state(command.result["episode_id"]))}
    return RunActivated.model_validate({**command.result, "lost": len(lost)})


class RunCompare(EpisodeParams):
    run_id: int = Field(description="One run.", json_schema_extra={"positional": True})
    other_run_id: int = Field(description="The other.", json_schema_extra={"positional": True})


class PersonDifference(Result):
    person_id: int | None
    name: str
    seconds: float
    other_seconds: float


class RunComparison(Result):
    rows: list[PersonDifference] = Field(description="Seconds labelled in each, largest difference first.")
    agree_s: float = Field(description="Seconds of face both show under the same label.")
    disagree_s: float = Field(description="... under different labels.")
    only_s: float = Field(description="Seconds of face only the first shows.")
    only_other_s: float


@operation("read", "review", params=RunCompare, result=RunComparison)
def analysis_compare(context: Context, p: RunCompare) -> RunComparison:
    """Compare two analyses of an episode under the decisions made: who gets more or less, and where the labels differ."""
    database, episode = context.engine.database, episode_of(context.engine, p.episode)
    known = {run["run_id"] for run in results.runs(database, episode["episode_id"])}
    if missing := {p.run_id, p.other_run_id} - known:
        raise NotFound(f"Episode {episode['episode_id']} has no run {min(missing)}.", f"`rollcall analysis list {episode['episode_id']}` lists them.")
    if p.run_id == p.other_run_id:
        raise Conflict("That is one run.", "Name two.")
    return RunComparison.model_validate(compare(context, p.run_id, p.other_run_id))


def compare(context: Context, one: int, other: int) -> dict[str, Any]:
    """Seconds by person, and of faces both runs show, by whether their labels agree."""
    database = context.engine.database
    seconds: dict[int | None, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for place, run_id in enumerate((one, other)):
        for row in results.labelled_seconds(database, run_id):
            seconds[row["person_id"]][place] += row["seconds"]
    matched = results.matched_seconds(database, one, other)
    order = sorted(seconds.items(), key=lambda item: (-abs(item[1][0] - item[1][1]), item[0] or 0))
    rows = [{"person_id": person, "name": context.engine.review.called(person), "seconds": a, "other_seconds": b} for person, (a, b) in order]
    return {"rows": rows, **matched}


class LostRow(Result):
    decision_id: int
    actor: str
    what: str
    stretches: list[tuple[float, float]] = Field(description="Where the faces were, seconds.")


class LostList(Result):
    rows: list[LostRow]


@operation("read", "review", params=EpisodeParams, result=LostList)
def decision_lost(context: Context, p: EpisodeParams) -> LostList:
    """List standing decisions about faces that the analysis shown does not find; they are tried again in every later one."""
    engine = context.engine
    state = engine.review.state(episode_of(engine, p.episode)["episode_id"])
    stretches: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for row in rerun.lost(engine.database, state):
        stretches[row["decision_id"]].append((row["start_us"] / 1e6, row["end_us"] / 1e6))
    rows = [
        LostRow(decision_id=one, actor=state.decisions[one].actor, what=undo.describe(engine.review, state.decisions[one]), stretches=found)
        for one, found in stretches.items()
    ]
    return LostList(rows=rows)
