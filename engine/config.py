"""The one tree of settings: value, meaning, and where each came from.

Order of precedence: a flag (`--set track.max_gap_s=0.8`), the environment (`ROLLCALL_TRACK__MAX_GAP_S`), `config.toml` in the
workspace, the default here. No other module holds a default for any of these.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import BadInput

ENV_PREFIX = "ROLLCALL_"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EngineSettings(Section):
    idle_exit_s: float = Field(
        900.0, ge=0, description="Seconds without a request, a job or a listener after which the engine ends itself; 0 keeps it running."
    )
    memory_limit_mb: int = Field(1024, ge=128, description="Memory DuckDB may use before it spills to disk.")
    readers: int = Field(4, ge=1, le=32, description="Reads answered at the same time.")
    workers: int = Field(0, ge=0, le=64, description="Worker processes of one job; 0 chooses by the number of cores.")
    keep_days: float = Field(
        30.0, ge=0, description="Stage results that no analysis refers to are kept this many days for a failed or cancelled job to go on from."
    )
    backups_kept: int = Field(7, ge=1, description="Backups of the library that are kept, the newest; one is made a day.")
    media_wait_s: float = Field(
        30.0,
        gt=0,
        description="Seconds a look at a media file, or the wait for its next frame, may take before it is given up; a look has a second more for "
        "each 10 MB of the file.",
    )
    free_space_floor_mb: int = Field(500, ge=0, description="A job is not started with less free disk than this.")


class ModelSettings(Section):
    profile: Literal["auto", "insightface", "open", "embedded"] = Field(
        "auto", description="Which family of models to use; auto takes the best that is installed."
    )
    provider: Literal["auto", "cpu", "cuda", "coreml"] = Field(
        "auto", description="Where models run. A provider asked for by name and not really used is an error."
    )


class ObserveSettings(Section):
    fps: float = Field(6.0, gt=0, le=60, description="Frames analysed per second of video.")
    every_frame: bool = Field(
        False, description="Decode every frame, also those that are not analysed and that no other frame needs, where nothing much changes."
    )
    segment_s: float = Field(120.0, ge=2, description="Target length of a segment, the unit of commit.")
    overlap_s: float = Field(1.0, gt=0, description="How far a segment sees into the next one.")
    full_size: int = Field(640, ge=64, description="Long side of the picture given to the detector in a full look, pixels.")
    small_size: int = Field(320, ge=64, description="Long side of the picture given to the detector in a small look, pixels.")
    full_every_s: float = Field(1.0, ge=0, description="Longest time between two full looks inside a shot; 0 makes every look a full one.")
    still_below: float = Field(
        8.0, ge=0, description="A picture is still while no part of it outside the faces changes by this many grey levels; 0 takes none for still."
    )
    unmoved_s: float = Field(
        0.4,
        ge=0,
        description="In a still picture, faces that look as they did are taken to be where they were for less than this long; 0 looks every time.",
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="Faces with a lower detector score are not kept at all.")
    nms_iou: float = Field(0.4, gt=0, lt=1, description="Boxes overlapping more than this are one face.")
    cut_threshold: float = Field(
        3.0, gt=0, description="How far a frame's content change must stand out from its neighbours to be a cut (PySceneDetect's adaptive ratio)."
    )
    min_shot_s: float = Field(0.4, ge=0, description="No shot is shorter than this.")
    chip_every_s: float = Field(0.5, gt=0, description="One candidate picture per face and this much time is kept for embedding.")


class TrackSettings(Section):
    high_score: float = Field(0.5, gt=0, lt=1, description="Detector score that starts a track.")
    low_score: float = Field(0.3, gt=0, lt=1, description="Detector score that can continue a track.")
    match_cost: float = Field(0.8, gt=0, description="Largest association cost that still joins a face to a track.")
    max_gap_s: float = Field(
        0.7,
        ge=0,
        description="Longest time between two faces of one track; about totals.gap_s and a sampling step, so that no longer gap is counted.",
    )
    covered_score: float = Field(
        0.8,
        ge=0,
        le=1,
        description="A large frontal face that scores less than this share of what is usual at its place in the shot is covered by something "
        "and not visible; 0 believes every face.",
    )
    picks: int = Field(6, ge=1, le=64, description="Faces embedded per track at most.")
    agree_log_odds: float = Field(
        4.0, description="Three good faces of a track that agree by this much (log odds that they are one person) are enough of it to embed."
    )
    split_log_odds: float = Field(
        -3.0,
        description="Evidence (log odds that they are one person) between two good faces that follow each other in a track, below which it is split.",
    )
    mixed_log_odds: float = Field(
        -1.0, description="A track is flagged as mixed when one of its good faces speaks against the others more than this."
    )
    min_faces: int = Field(1, ge=1, description="Tracks with fewer faces are dropped.")


class IdentitySettings(Section):
    join_log_odds: float = Field(0.5, description="Average evidence (log odds) above which two clusters are joined.")
    face_limit: float = Field(8.0, gt=0, description="Largest log odds, for or against, that two faces can give by being alike or not.")
    poor_quality: float = Field(0.35, gt=0, lt=1, description="Face quality at which a face is trusted half; poorer ones are attached, never cores.")
    hub_neighbours: int = Field(5, ge=1, description="Strangers used to measure how near to everything a face is.")
    together_cost: float = Field(8.0, ge=0, description="Log odds against one person when two tracks are seen apart in the same frames.")
    body_weight: float = Field(1.0, ge=0, description="Weight of upper-body appearance within a scene; 0 turns it off.")
    thread_weight: float = Field(1.0, ge=0, description="Weight of the same place in a recurring camera set-up; 0 turns it off.")
    scene_s: float = Field(90.0, gt=0, description="Clothes are compared, and presence expected, between tracks at most about this far apart.")
    stranger_prior: float = Field(
        0.3, gt=0, lt=1, description="Expected share of poor tracks of people who have no good one; corrected by what an episode shows."
    )
    keep_probability: float = Field(0.01, gt=0, lt=0.5, description="Memberships and matches less probable than this are not kept.")
    exemplars: int = Field(3, ge=1, description="Faces of a known person that have to agree for a full match.")
    unknown_prior: float = Field(0.5, gt=0, lt=1, description="Share of clusters expected to be none of the people known.")
    accept_probability: float = Field(0.8, gt=0, lt=1, description="A cluster is given a known name only above this probability.")
    person_quality: float = Field(
        0.35, ge=0, le=1, description="A cluster needs a track of at least this quality to be a person; what is left stays unidentified."
    )
    person_faces: int = Field(8, ge=1, description="A cluster of poor faces is still a person if one of its tracks has this many faces, ...")
    person_score: float = Field(0.62, ge=0, le=1, description="... this median detector score ...")
    person_membership: float = Field(0.75, ge=0, le=1, description="... and this probability of belonging to it.")
    carry_share: float = Field(
        0.5, gt=0, le=1, description="Share of face-time (of the shorter of both) that keeps a person's id when an episode is analysed again."
    )


class TotalsSettings(Section):
    gap_s: float = Field(0.5, ge=0, description="Gaps up to this long inside one shot count as visible.")
    sure_probability: float = Field(
        0.5, ge=0, le=1, description="Tracks this sure of their cluster count in full in the expected seconds; their doubt stays in the interval."
    )
    likely_probability: float = Field(
        0.2, gt=0, le=1, description="Somebody no track is labelled as has a total all the same when they are this probably in the episode."
    )
    firm_score: float = Field(
        0.7, gt=0, le=1, description="Detector score under which the ends of a track are less certain than the sampling makes them."
    )
    end_steps: float = Field(
        1.5,
        ge=1,
        description="How many half sampling steps the end of a track is uncertain by: 1 is sampling alone, and detection is early or late by as much "
        "as half of that.",
    )
    loose_end: float = Field(3.0, ge=0, description="How many times wider the uncertainty of a track's end gets as its score falls to 0.")
    slip_rate: float = Field(
        0.03, ge=0, le=1, description="How often, for each shot somebody is in, a face is lost or held a little inside the shot."
    )
    slip_s: float = Field(
        0.07, ge=0, description="By about how many seconds (standard deviation) that is, and detection is early or late where somebody comes or goes."
    )
    missed_rate: float = Field(
        0.002,
        ge=0,
        le=1,
        description="How often, for each shot somebody is in, there is another with no face of theirs found, or part of it is not theirs.",
    )
    shared_doubt: float = Field(
        0.5, ge=0, le=1, description="Share of the doubt about who clusters are that is one for the whole episode: the curve is off for all alike."
    )
    firm: float = Field(
        2.0,
        ge=1,
        description="Odds of whose something is count in intervals as this power of themselves: matches and memberships say less than they could.",
    )
    odd_looks: float = Field(
        2.0,
        ge=0,
        description="How far (standard deviation of log odds) they are wrong about all of one person at once, who does not look as usual.",
    )
    draws: int = Field(400, ge=50, le=20000, description="Seeded draws behind each interval.")
    seed: int = Field(20260101, description="Seed of the draws.")


class BankSettings(Section):
    min_quality: float = Field(0.5, ge=0, le=1, description="Faces of less quality do not go into the facebank.")
    duplicate_similarity: float = Field(
        0.99, gt=0, le=1, description="A face at least this alike (cosine) to one of the person's in the bank is the same picture, and passed over."
    )
    clearly_larger: float = Field(
        1.5, ge=1, description="Of several faces in an imported picture the largest is taken only when it is this many times as high as the next."
    )


class AgentLimits(Section):
    mode: Literal["apply", "suggest", "read"] = Field(
        "apply", description="What an agent's answers do: take effect, wait for a person's accept, or nothing, since it may only read."
    )
    allowed: str = Field("*", description="Comma-separated operations agents may change things with; names may end in *.")
    min_probability: float = Field(
        0.0, ge=0, le=1, description="An agent gives faces a known person's name only where the machine holds that at least this probable."
    )
    hour_budget: int = Field(2000, ge=0, description="Changes one agent may make in an hour.")
    session_budget: int = Field(5000, ge=0, description="Changes one agent may make in a session.")
    session_pause_s: float = Field(1800.0, gt=0, description="A pause between two changes that begins a new session.")


class AgentSettings(AgentLimits):
    port: int = Field(0, ge=0, le=65535, description="Port on 127.0.0.1 at which the engine serves agents over HTTP; 0 serves none.")
    toolsets: str = Field("review", description="Toolsets offered over HTTP, comma-separated.")
    read_only: bool = Field(False, description="Over HTTP, offer nothing that changes anything.")
    query_s: float = Field(5.0, gt=0, le=600, description="Seconds a query in SQL may take.")
    query_memory_mb: int = Field(256, ge=32, description="Memory a query in SQL may use.")
    query_copied_rows: int = Field(2_000_000, ge=1, description="Rows of one view a query in SQL may look at.")
    per: dict[str, dict[str, str | int | float]] = Field(
        default_factory=dict, description="Limits of single agents, as [agents.per.NAME] in config.toml; what is not set there is as for all."
    )

    def limits(self, own: dict[str, Any]) -> AgentLimits:
        """The limits of an agent that has some of its own.

        Raises:
            ValidationError: they are not such.
        """
        return AgentLimits.model_validate({**{key: getattr(self, key) for key in AgentLimits.model_fields}, **own})

    @model_validator(mode="after")
    def _every_agent_has_limits(self) -> AgentSettings:
        for own in self.per.values():
            self.limits(own)
        return self


class HookSettings(Section):
    timeout_s: float = Field(10.0, gt=0, le=300, description="Seconds an address may take to answer a webhook.")
    attempts: int = Field(8, ge=1, le=100, description="Attempts after which a delivery is given up, to be seen and retried by hand.")
    first_pause_s: float = Field(5.0, gt=0, description="Pause after the first failed attempt.")
    pause_factor: float = Field(4.0, ge=1, description="How many times longer each further pause is.")
    longest_pause_s: float = Field(21600.0, gt=0, description="No pause is longer than this.")
    keep_days: float = Field(30.0, ge=0, description="Days the record of a delivery that arrived is kept.")


class ScreenSettings(Section):
    player: str = Field("", description="Command that plays a clip opened from the screens (the path goes last); empty: the desktop's own.")


class Settings(Section):
    engine: EngineSettings = Field(default_factory=EngineSettings, description="The engine process.")
    models: ModelSettings = Field(default_factory=ModelSettings, description="Which models run, and where.")
    observe: ObserveSettings = Field(default_factory=ObserveSettings, description="Decoding, shots and detection.")
    track: TrackSettings = Field(default_factory=TrackSettings, description="Tracks and the faces chosen from them.")
    identity: IdentitySettings = Field(default_factory=IdentitySettings, description="Who is who.")
    totals: TotalsSettings = Field(default_factory=TotalsSettings, description="Seconds and their intervals.")
    bank: BankSettings = Field(default_factory=BankSettings, description="Which faces go into the facebank.")
    agents: AgentSettings = Field(default_factory=AgentSettings, description="What agents may do, and where they are served.")
    hooks: HookSettings = Field(default_factory=HookSettings, description="Webhooks.")
    screens: ScreenSettings = Field(default_factory=ScreenSettings, description="The terminal screens.")


def _nested(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    tree: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        tree.setdefault(section, {})[key] = value
    return tree


def names() -> list[str]:
    """Every setting as `section.key`, in the order of the tree."""
    return [f"{section}.{key}" for section, field in Settings.model_fields.items() for key in _section(field.annotation).model_fields]


def _section(annotation: Any) -> type[Section]:
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation


def describe(name: str) -> tuple[Any, str]:
    """Default and meaning of one setting."""
    section, _, key = name.partition(".")
    field = _section(Settings.model_fields[section].annotation).model_fields[key]
    return field.default, str(field.description)


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        tree = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.", "Correct the file or move it away.") from error
    flat: dict[str, Any] = {}
    for section, values in tree.items():
        if not isinstance(values, dict):
            raise BadInput(f"{path} sets {section!r} outside a section.", f"Write it under one of: {', '.join(Settings.model_fields)}.")
        flat.update({f"{section}.{key}": value for key, value in values.items()})
    return flat


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    given = {variable: value for variable, value in environ.items() if variable.startswith(ENV_PREFIX) and "__" in variable}
    return {variable.removeprefix(ENV_PREFIX).lower().replace("__", ".", 1): value for variable, value in given.items()}


def _check_names(flat: Mapping[str, Any], origin: str) -> None:
    for name in flat:
        if name not in names():
            raise BadInput(f"{origin} sets {name!r}, which is not a setting.", "`rollcall config show` lists every setting.")


class Config:
    """The settings in force, and the origin of each (`default`, `file`, `environment` or `flag`)."""

    def __init__(self, home: Path, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> None:
        layers = {
            "file": _from_file(home / "config.toml"),
            "environment": _from_environment(os.environ if environ is None else environ),
            "flag": dict(flags or {}),
        }
        flat: dict[str, Any] = {}
        self.origin: dict[str, str] = dict.fromkeys(names(), "default")
        for origin, values in layers.items():
            _check_names(values, str(home / "config.toml") if origin == "file" else f"A {origin}" if origin == "flag" else "The environment")
            flat.update(values)
            self.origin.update(dict.fromkeys(values, origin))
        self.settings = build(flat)


def build(flat: Mapping[str, Any]) -> Settings:
    """Settings from `section.key` values; text is read as the setting's type.

    Raises:
        BadInput: a name is unknown or a value does not fit.
    """
    try:
        return Settings.model_validate(_nested(flat))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = "`rollcall config show` gives each setting's meaning."
        raise BadInput(f"Setting {name} cannot be {first.get('input')!r}: {first['msg']}.", hint) from error


def flatten(settings: Settings) -> dict[str, Any]:
    """All values as `section.key`."""
    return {f"{section}.{key}": value for section, values in settings.model_dump().items() for key, value in values.items()}
