"""The worker process: reads tasks as JSON lines, runs stages, answers with JSON lines. Knows no database."""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any

from engine.errors import RollcallError, unexpected


def _own_stdout() -> IO[str]:
    """Keep the real stdout for the protocol; whatever a library prints goes to stderr."""
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return protocol


def _read_tasks(tasks: queue.Queue[dict[str, Any]]) -> None:
    """Feed tasks to the main thread; when the engine is gone there is nobody to work for."""
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def _volunteer_for_oom() -> None:
    """Be the first to go when memory runs out, so that the engine is not."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        return


def main() -> None:
    """Work until the engine closes our stdin."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s worker %(process)d %(levelname)s %(message)s")
    out = _own_stdout()
    _volunteer_for_oom()
    tasks: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=8)
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    from engine import pipeline

    while True:
        task = tasks.get()
        try:
            send({"done": pipeline.perform(task, send)})
        except RollcallError as error:
            send({"error": error.as_dict()})
        except Exception as error:  # noqa: BLE001 - the boundary of a task: whatever went wrong is that task's failure
            traceback.print_exc()
            home = str(Path(str(task.get("artefacts", "."))).parent)
            send({"error": unexpected(error, f"the analysis ({task.get('kind')})", home).as_dict()})


if __name__ == "__main__":
    main()
