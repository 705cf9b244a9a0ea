"""Worker processes of analyses: kept for the next one, ended when nobody needs them, replaced when they die meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import anyio

from engine.operations import registry
from engine.service import Engine
from tests import clips


def test_workers_are_kept_for_the_next_analysis_and_end_when_unused(tmp_path: Path) -> None:
    anyio.run(_three_analyses, tmp_path)


async def _three_analyses(folder: Path) -> None:
    path = clips.write(folder / "clip.mp4", [clips.framing(*clips.FACES["left"], 320, 240)] * 10)
    engine = Engine(folder / "home")
    try:
        async with engine.lifespan():
            added = await registry.invoke(engine, "episode_add", {"path": str(path)}, actor="person:ana")
            first = await _analysed(engine, added["episode_id"], 2)
            assert await _analysed(engine, added["episode_id"], 3) == first, "the next analysis has the same worker"
            os.kill(first, signal.SIGKILL)
            third = await _analysed(engine, added["episode_id"], 4)
            assert third != first, "one that was killed meanwhile is replaced, and the job does not notice"
            await engine.rest(3600)
            assert _runs(third)
            await engine.rest(0)
            assert not _runs(third)
            fourth = await _analysed(engine, added["episode_id"], 5)
            [track, *_] = (await registry.invoke(engine, "track_list", {"episode": "1"}, actor="person:ana"))["rows"]
            assign = {"tracks": [track["ref"]], "person": "Ana", "create": True}
            await registry.invoke(engine, "track_assign", assign, actor="person:ana")
            await _analysed(engine, added["episode_id"], 2)
            rows = (await registry.invoke(engine, "track_list", {"episode": "1"}, actor="person:ana"))["rows"]
            assert "Ana" in {row["person"] for row in rows}, "an analysis made before knows what was decided since"
        assert not _runs(fourth), "none outlives the engine"
    finally:
        engine.close()


async def _analysed(engine: Engine, episode_id: int, picks: int) -> int:
    """Analyse under a setting of its own; returns the process that did it."""
    settings: dict[str, Any] = {"models.profile": "embedded", "track.picks": picks}
    job = await registry.invoke(engine, "episode_analyse", {"episode": str(episode_id), "settings": settings}, actor="person:ana")
    done = await registry.invoke(engine, "job_wait", {"job_id": job["job_id"]}, actor="person:ana")
    assert done["state"] == "done", done["error"]
    with anyio.fail_after(30):
        while engine.jobs.handles:  # noqa: ASYNC110 - nobody tells of the moment after the end
            await anyio.sleep(0.01)
    pool = engine.jobs._pool
    assert pool is not None
    [worker] = pool._idle
    return worker._process.pid


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
