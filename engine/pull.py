"""A download job: progress in bytes, cancelled between two blocks, resumed by a retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread

from engine.models.registry import named
from engine.models.store import Models

if TYPE_CHECKING:
    from engine.jobs import JobHandle
    from engine.service import Engine


async def run(engine: Engine, handle: JobHandle, job: dict[str, Any]) -> dict[str, Any]:
    """Download what is missing of a model or pack.

    Raises:
        RollcallError: no network, a wrong digest, or a model without a known address; each with the next step.
    """
    from engine.models.fetch import pull  # brings the HTTP client, which nothing else here needs

    name = job["parameters"]["name"]
    handle.report(stage="pull", share=0.0)

    def progress(done: int, total: int) -> None:
        anyio.from_thread.check_cancelled()
        anyio.from_thread.run_sync(_report, done, total)

    def _report(done: int, total: int) -> None:
        handle.report(stage="pull", share=done / total if total else 0.0, bytes_done=done, bytes_total=total)

    # Not one of the threads that answer questions: a download may take an hour.
    models = await anyio.to_thread.run_sync(lambda: pull(named(name), Models(engine.home / "models"), progress))
    await handle.log("pull", "computed" if models else "cached", detail=", ".join(models) or f"{name} is installed")
    return {"models": models, "computed": bool(models)}
