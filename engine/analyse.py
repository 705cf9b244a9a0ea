"""An analysis seen from the engine: plan, hand tasks to workers, decide who is who, load the run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from engine import load, people, pipeline
from engine.config import Config, Settings, flatten
from engine.errors import BadMedia, DiskFull, RollcallError
from engine.models.load import choose
from engine.review import rerun
from engine.sources.probe import MediaInfo
from engine.sources.windows import plan
from engine.workers import WorkerPool, first_failure, pool_size
from store import catalog, results

if TYPE_CHECKING:
    from engine.jobs import JobHandle
    from engine.service import Engine

Job = dict[str, Any]


async def run(engine: Engine, handle: JobHandle, job: Job) -> dict[str, Any]:
    """Analyse an episode, or find that it was done; returns episode_id, run_id, whether anything was computed, and the models used.

    Raises:
        RollcallError: what a stage raised, with the next step.
    """
    analysis = await engine.in_thread(Analysis.prepare, engine, handle, job)
    return await analysis.perform()


@dataclass
class Analysis:
    """One analysis under way."""

    engine: Engine
    handle: JobHandle
    episode: dict[str, Any]
    settings: Settings
    choice: Any
    segments: list[pipeline.SegmentPlan]
    common: dict[str, Any]
    computed: bool = False
    done_us: dict[int, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def prepare(cls, engine: Engine, handle: JobHandle, job: Job) -> Analysis:
        """Read what the analysis is about and plan its segments."""
        episode = catalog.find_episode(engine.database, str(job["episode_id"]))
        if episode is None:
            raise RollcallError(f"Episode {job['episode_id']} is not in the library any more.")
        _check_file(episode)
        settings = Config(engine.home, job["parameters"]["settings"]).settings
        _check_space(engine, settings)
        choice = choose(settings.models.profile, engine.home / "models")
        media = MediaInfo.from_dict(catalog.media_of(engine.database, episode["episode_id"]))
        segments = pipeline.plan_segments(
            plan(media, settings.observe), episode["media_digest"], settings, choice.detector.digest, choice.embedder.digest
        )
        workers, threads = pool_size(settings.engine.workers)
        common = {
            "artefacts": str(engine.artefacts.folder),
            "settings": flatten(settings),
            "path": episode["path"],
            "media": media.as_dict(),
            "profile": choice.profile,
            "model_digests": [choice.detector.digest, choice.embedder.digest],
            "models": str(engine.home / "models"),
            "threads": threads,
            "workers": workers,
        }
        return cls(engine, handle, episode, settings, choice, segments, common)

    async def perform(self) -> dict[str, Any]:
        """Run the stages that have no result yet, then load the run."""
        pool = await self.engine.jobs.workers(self.common["workers"])
        await self._segments(pool)
        run_id = await self._episode_stages(pool)
        self.engine.settler.want(self.episode["episode_id"])
        return {
            "episode_id": self.episode["episode_id"],
            "run_id": run_id,
            "computed": self.computed,
            "models": self.choice.why,
            "better": self.choice.better,
        }

    async def _segments(self, pool: WorkerPool) -> None:
        """Observe and track every segment, several at a time where there are cores for it."""
        self._report("observe")
        try:
            async with anyio.create_task_group() as group:
                waiting = iter(self.segments)
                for _ in range(pool.size):
                    group.start_soon(self._work_off, pool, waiting)
        except BaseExceptionGroup as failures:
            raise first_failure(failures) from None

    async def _work_off(self, pool: WorkerPool, waiting: Iterator[pipeline.SegmentPlan]) -> None:
        """Take segments in their order until none is left."""
        for segment in waiting:
            await self._segment(pool, segment)

    async def _segment(self, pool: WorkerPool, segment: pipeline.SegmentPlan) -> None:
        window, artefacts = segment.window, self.engine.artefacts
        missing = [
            stage
            for stage, key in (("observe", segment.observe_key), ("track", segment.track_key))
            if not await self.engine.in_thread(artefacts.take, stage, key)
        ]
        for stage in ("observe", "track"):
            if stage not in missing:
                await self.handle.log(stage, "cached", segment=window.segment)
        if missing:
            task = {
                **self.common,
                "kind": "segment",
                "segment": window.segment,
                "window": vars(window),
                "observe_key": segment.observe_key,
                "track_key": segment.track_key,
                "missing": missing,
            }
            await self._submit(pool, task)
        self.done_us[window.segment] = window.end_us - window.start_us
        self._report("observe")

    async def _episode_stages(self, pool: WorkerPool) -> int:
        """Identify, total and load; nothing when the same run was committed before."""
        engine, episode_id = self.engine, self.episode["episode_id"]
        self._report("identify")
        space = self.choice.embedder.space
        gallery = await engine.in_thread(people.gallery_for, engine, self.episode, space)
        calibration = vars(self.choice.embedder.calibration)
        identify = pipeline.identify_key(self.segments, self.settings, calibration, gallery.digest)
        key = pipeline.run_key(identify, self.settings)
        known = await engine.in_thread(results.committed_run, engine.database, episode_id, key)
        if known is not None:
            await self.handle.log("identify", "cached")
            await self.handle.log("load", "cached", detail=f"run {known}")
            if again := await engine.in_thread(load.restore_pictures, engine, known, identify):
                await self.handle.log("load", "computed", detail=f"{again} pictures that were gone")
            await engine.in_thread(self._activate, known)
            return known
        with engine.scratch() as scratch:
            await self._identify(pool, identify, gallery, calibration, scratch)
            naming = await engine.in_thread(people.label, engine, self.episode, identify, gallery, self.settings)
            self._report("totals")
            totals = await self._totals(pool, identify, naming, scratch)
            self._report("load")
            started = time.monotonic()
            run_id: int = await engine.in_thread(load.load_run, engine, self, key, identify, naming, totals)
        await self.handle.log("load", "computed", seconds=time.monotonic() - started, detail=f"run {run_id}")
        self.computed = True
        return run_id

    async def _identify(self, pool: WorkerPool, key: str, gallery: people.KnownFaces, calibration: dict[str, Any], scratch: Path) -> None:
        if await self.engine.in_thread(self.engine.artefacts.take, "identify", key):
            await self.handle.log("identify", "cached")
            return
        await self.engine.in_thread(gallery.save, scratch / "gallery.npz")
        segments = [{"observe_key": s.observe_key, "track_key": s.track_key} for s in self.segments]
        task = {**self.common, "kind": "identify", "key": key, "segments": segments}
        await self._submit(pool, {**task, "gallery": str(scratch / "gallery.npz"), "calibration": calibration})

    async def _totals(self, pool: WorkerPool, identify: str, naming: people.Naming, scratch: Path) -> dict[str, Any]:
        await self.engine.in_thread(naming.save, scratch / "identity.parquet")
        task = {**self.common, "kind": "totals", "identify": identify, "identity": str(scratch / "identity.parquet"), "out": str(scratch)}
        return await self._submit(pool, task)

    async def _submit(self, pool: WorkerPool, task: dict[str, Any]) -> dict[str, Any]:
        """Run a task; its progress and stage log go to the job."""
        lines: list[dict[str, Any]] = []

        def on_message(message: dict[str, Any]) -> None:
            if "log" in message:
                lines.append(message["log"])
            if "at_us" in message:
                self.done_us[task["segment"]] = message["at_us"]
                self._report(message["stage"])

        answer = await pool.submit(task, on_message)
        for line in [*lines, *answer.pop("log", [])]:
            self.computed = True
            await self.handle.log(**line)
        return answer

    def _report(self, stage: str) -> None:
        """Progress in seconds of video, with speed and time left."""
        total = sum(s.window.end_us - s.window.start_us for s in self.segments)
        done = sum(self.done_us.values())
        elapsed = time.monotonic() - self.started
        speed = done / 1e6 / elapsed if elapsed > 1 else None
        self.handle.report(
            stage=stage,
            share=done / total if total else 1.0,
            segments=len(self.segments),
            segments_done=sum(self.done_us.get(s.window.segment, 0) >= s.window.end_us - s.window.start_us for s in self.segments),
            speed=speed,
            left_s=(total - done) / 1e6 / speed if speed else None,
        )

    def _activate(self, run_id: int) -> None:
        """Show a run that was made before, with every decision taken since."""
        episode_id = self.episode["episode_id"]
        if self.episode["active_run_id"] != run_id:
            with self.engine.database.write() as transaction:
                results.activate_run(transaction, episode_id, run_id)
                rerun.apply(self.engine.database, transaction, episode_id, run_id)
            self.engine.review.forget()


def _check_file(episode: dict[str, Any]) -> None:
    """The file must still be the one that was added; its size tells in time, its content would take a whole read."""
    path = Path(episode["path"])
    hint = f"Bring it back, or add it again from where it is now with `rollcall episode add`; episode {episode['episode_id']} keeps its results."
    if not path.is_file():
        raise BadMedia(f"{path} is not there any more.", hint)
    if path.stat().st_size != episode["bytes"]:
        raise BadMedia(f"{path} is not the file that was added: it has {path.stat().st_size} bytes instead of {episode['bytes']}.", hint)


def _check_space(engine: Engine, settings: Settings) -> None:
    floor_mb = settings.engine.free_space_floor_mb
    free_mb = shutil.disk_usage(engine.home).free >> 20
    if free_mb < floor_mb:
        hint = "Free some space and retry the job, or lower engine.free_space_floor_mb."
        raise DiskFull(f"{free_mb} MB of disk are free at {engine.home}, under the floor of {floor_mb} MB.", hint)
