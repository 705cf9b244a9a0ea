"""Health of the engine and its store; the settings in force."""

from __future__ import annotations

import os
import shutil
from typing import Any

from pydantic import Field

from engine import config, soundness, upkeep
from engine.errors import BadInput
from engine.models.runtime import available_providers, two_runtimes
from engine.operations.models import chosen
from engine.operations.registry import Context, Params, Result, operation
from engine.version import VERSION
from store import audit, integrity, repair


class AgentHealth(Result):
    agent: str
    decisions: int
    undone: int = Field(description="Taken back by a person.")
    judged_s: float = Field(description="Seconds of faces it labelled that a person decided later.")
    agreed_s: float = Field(description="Those of them to which the person gave the same label.")
    waiting: int = Field(description="Proposals of its that wait for a person.")
    accepted: int
    dismissed: int


class Health(Result):
    version: str
    pid: int
    home: str
    shows: int
    episodes: int
    people: int
    jobs_unfinished: int
    database_bytes: int
    artefact_bytes: int
    sizes: dict[str, int] = Field(description="Bytes of each part of the workspace.")
    free_bytes: int
    models: dict[str, Any]
    providers: list[str] = Field(description="What this build of onnxruntime offers; a job's stage log says where models really ran.")
    agents: list[AgentHealth] = Field(description="How what agents decided and proposed fared with people.")
    notes: list[str] = Field(description="What was repaired and where the damaged files are kept, and what repairs itself.")
    problems: list[str] = Field(description="What is wrong, each with what to do; empty when all is well.")


class HealthParams(Params):
    thorough: bool = Field(False, description="Look also whether every picture, stage result and index the library refers to is there.")


@operation("read", "admin", params=HealthParams, result=Health, slow=True)
def health_show(context: Context, p: HealthParams) -> Health:
    """Show whether the engine, its store, disk and models are well, and what to do about what is not."""
    engine = context.engine
    counts = engine.database.row(
        """SELECT (SELECT count(*) FROM "show") AS shows, (SELECT count(*) FROM episode) AS episodes, (SELECT count(*) FROM person) AS people,
           (SELECT count(*) FROM job WHERE state IN ('queued', 'running')) AS jobs_unfinished"""
    )
    assert counts is not None
    problems = [
        *integrity.check(engine.database),
        *(f"A journalled change could not be replayed: {line}" for line in engine.database.journal.refused()),
    ]
    if len(runtimes := two_runtimes()) > 1:
        problems.append(f"{' and '.join(runtimes)} are both installed and overwrite one another. Uninstall both, then run `uv sync` again.")
    notes = repair.notes(engine.home)
    if p.thorough:
        problems += soundness.lost_pictures(engine) + soundness.lost_results(engine)
        notes += soundness.lost_vectors(engine)
    sizes = upkeep.sizes(engine)
    free = shutil.disk_usage(engine.home).free
    floor_mb = config.Config(engine.home).settings.engine.free_space_floor_mb
    if free < floor_mb << 20:
        problems.append(f"{free >> 20} MB of disk are free, under the floor of {floor_mb} MB: no job will start. Free some space.")
    return Health(
        version=VERSION,
        pid=os.getpid(),
        home=str(engine.home),
        **counts,
        database_bytes=engine.database.path.stat().st_size,
        artefact_bytes=sizes["artefacts"],
        sizes=sizes,
        free_bytes=free,
        models=chosen(engine),
        providers=available_providers(),
        agents=[AgentHealth.model_validate(row) for row in audit.agreement(engine.database)],
        notes=notes,
        problems=problems,
    )


class Setting(Result):
    name: str
    value: Any
    origin: str
    meaning: str


class ConfigShow(Result):
    file: str
    settings: list[Setting]


class ConfigParams(Params):
    section: str | None = Field(None, description="Only this section, for instance track.", json_schema_extra={"positional": True})
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict, description="As an analysis with these of its own would have them.")


@operation("read", "admin", params=ConfigParams, result=ConfigShow)
def config_show(context: Context, p: ConfigParams) -> ConfigShow:
    """Show every setting: its value, what it means and where the value came from."""
    # Read afresh: an analysis started now reads the file as it is now.
    current = config.Config(context.engine.home, p.settings)
    values = config.flatten(current.settings)
    if p.section is not None and p.section not in config.Settings.model_fields:
        raise BadInput(f"There is no section {p.section!r}.", f"There are: {', '.join(config.Settings.model_fields)}.")
    rows = [
        Setting(name=name, value=values[name], origin=current.origin[name], meaning=config.describe(name)[1])
        for name in config.names()
        if p.section is None or name.split(".")[0] == p.section
    ]
    return ConfigShow(file=str(context.engine.home / "config.toml"), settings=rows)
