"""Totals: who was on screen and for how long, with how sure we are."""

from __future__ import annotations

from pydantic import Field

from engine.errors import NotFound
from engine.operations.common import EpisodeRef, active_run, episode_of
from engine.operations.people import Kind
from engine.operations.registry import Context, Params, Result, operation
from engine.totals import account
from store import results


class EpisodeRefPositional(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})


class PersonTotal(Result):
    person_id: int
    name: str
    kind: Kind
    visual_s: float
    visual_low_s: float
    visual_high_s: float
    solo_s: float
    solo_low_s: float
    solo_high_s: float
    tracks: int
    faces: int
    first_us: int
    last_us: int
    confidence: float


class Together(Result):
    person_a: int
    person_b: int
    seconds: float


class EpisodeBrief(Result):
    episode_id: int
    show: str
    season: int | None
    number: int | None
    title: str
    duration_s: float


class RunBrief(Result):
    run_id: int
    detector: str
    embedder: str
    profile: str
    fps: float
    shots: int
    tracks: int
    clusters: int


class Totals(Result):
    episode: EpisodeBrief
    run: RunBrief
    people: list[PersonTotal]
    co_presence: list[Together]
    unidentified_s: float
    pending: bool = Field(description="Decisions were made that these figures do not know yet; they are counted anew in a moment.")


@operation("read", "totals", params=EpisodeRefPositional, result=Totals)
def totals_show(context: Context, p: EpisodeRefPositional) -> Totals:
    """Show how long each person is on screen in an episode, with 95 % intervals, alone and together. While `pending`, ask again in a few seconds."""
    return read_totals(context, p.episode)


def read_totals(context: Context, reference: str) -> Totals:
    """The totals of the run an episode shows."""
    database = context.engine.database
    episode = episode_of(context.engine, reference)
    run = active_run(context.engine, episode)
    counts = results.counts(database, run["run_id"])
    models = run["models"]
    return Totals.model_validate(
        {
            "episode": {name: episode[name] for name in EpisodeBrief.model_fields},
            "run": {
                "run_id": run["run_id"],
                **{name: models[name] for name in ("detector", "embedder", "profile")},
                "fps": run["settings"]["observe.fps"],
                **{name: counts[name] for name in ("shots", "tracks", "clusters")},
            },
            "people": results.screen_time(database, run["run_id"]),
            "co_presence": results.co_presence(database, run["run_id"]),
            "unidentified_s": run["unidentified_s"],
            "pending": not results.is_settled(database, run["run_id"]),
        }
    )


class ExplainParams(EpisodeRefPositional):
    person_id: int = Field(description="Person id.", json_schema_extra={"positional": True})


class Stretch(Result):
    shot: int
    shot_start_us: int
    shot_end_us: int
    start_us: int
    end_us: int
    seconds: float
    gap_s: float = Field(description="Seconds of it in which no face was found, closed because they are short.")
    tracks: list[int]


class ExplainTrack(Result):
    track_id: int
    cluster_id: int
    shot: int
    start_us: int
    end_us: int
    seconds: float
    faces: int
    probability: float
    quality: float
    decided: bool


class Doubt(Result):
    track_id: int
    labelled: bool = Field(description="Taken for theirs though it may not be; otherwise taken for somebody else though it may be theirs.")
    probability: float
    seconds: float = Field(description="What it moves the expectation by.")


class Explanation(Result):
    person_id: int
    name: str
    visual_s: float
    visual_low_s: float
    visual_high_s: float
    most_probable_s: float = Field(description="The stretches below, added up.")
    expectation_minus_most_probable_s: float
    stretches: list[Stretch]
    tracks: list[ExplainTrack]
    doubts: list[Doubt]


@operation("read", "totals", params=ExplainParams, result=Explanation)
def totals_explain(context: Context, p: ExplainParams) -> Explanation:
    """Walk a person's total in an episode back to shots, stretches and tracks; the stretches add up to the most probable figure."""
    engine = context.engine
    run = active_run(engine, episode_of(engine, p.episode))
    total = next((row for row in results.screen_time(engine.database, run["run_id"]) if row["person_id"] == p.person_id), None)
    if total is None:
        raise NotFound(f"Person {p.person_id} has no total in episode {p.episode}.", "`rollcall totals show EPISODE` lists those who have.")
    explained = account.explain_person(engine.database, run, p.person_id)
    return Explanation.model_validate(
        {
            **{name: total[name] for name in ("person_id", "name", "visual_s", "visual_low_s", "visual_high_s")},
            "expectation_minus_most_probable_s": total["visual_s"] - explained["most_probable_s"],
            **explained,
        }
    )
