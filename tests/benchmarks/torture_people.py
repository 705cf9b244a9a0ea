"""Who works while the torture goes on: editors who keep account of what they were told, and somebody who has episodes analysed."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Conflict, EngineUnavailable, Refused, RollcallError, StoreError
from engine.wire import Client

SETTINGS: dict[str, Any] = {"models.profile": "embedded", "observe.segment_s": 2, "observe.fps": 3, "track.picks": 2}
UNDO_SHARE = 0.15


class _Worker(threading.Thread):
    """Somebody with a client of their own."""

    def __init__(self, home: Path, actor: str, seed: int, stop: threading.Event) -> None:
        super().__init__(name=actor, daemon=True)
        self.client, self.moments, self.stop = Client(home, actor), random.Random(seed), stop

    def run(self) -> None:
        """Work until told to stop."""
        while not self.stop.is_set():
            self.work()

    def work(self) -> None:
        """One piece of work."""
        raise NotImplementedError

    def look(self, name: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
        """A read; None when it fails, as it may while the engine is down or the disk is full."""
        try:
            return self.client.call(name, parameters)
        except RollcallError:
            time.sleep(0.2)
            return None


class Editor(_Worker):
    """Labels tracks, each with a name of its own, and takes some of it back. made: batch -> reason, as acknowledged. undone: batches taken back, as
    acknowledged. refused: reasons of what they were told was not done."""

    def __init__(self, home: Path, actor: str, seed: int, stop: threading.Event) -> None:
        super().__init__(home, actor, seed, stop)
        self.made: dict[int, str] = {}
        self.undone: set[int] = set()
        self.refused: list[str] = []
        self.errors: Counter[str] = Counter()
        self.answers = 0
        self.slowest_s = 0.0

    def work(self) -> None:
        """One decision, or one taken back."""
        time.sleep(self.moments.uniform(0.0, 0.3))
        mine = [batch for batch in self.made if batch not in self.undone]
        if mine and self.moments.random() < UNDO_SHARE:
            batch = self.moments.choice(mine)
            if self._done("decision_undo", {"batch": batch}, "") is not None:
                self.undone.add(batch)
            return
        found = self.look("track_list", {"episode": "1"})
        if not found or not found["rows"]:
            return
        name = f"{self.name} {len(self.made)} {self.moments.randrange(1 << 40)}"
        target = {"tracks": [self.moments.choice(found["rows"])["ref"]], "person": name, "create": True, "reason": name}
        done = self._done("track_assign", target, name)
        if done is not None:
            self.made[done["batch"]] = name

    def _done(self, name: str, parameters: dict[str, Any], reason: str) -> dict[str, Any] | None:
        """Ask under one key until there is an answer; None when it was refused."""
        key, began = uuid.uuid4().hex, time.monotonic()
        while True:
            try:
                answer = self.client.call(name, parameters, idem_key=key)
            except EngineUnavailable:
                self.errors["engine_unavailable"] += 1
            except (BadInput, Conflict, Refused) as error:
                self.errors[error.code] += 1
                if reason:
                    self.refused.append(reason)
                return None
            except StoreError as error:
                self.errors[error.code] += 1
                if self.moments.random() < 0.5 and error.code == "disk_full":
                    # Somebody who believes what they are told and gives up.
                    if reason:
                        self.refused.append(reason)
                    return None
            except RollcallError as error:
                self.errors[f"{error.code}: {error.message}"[:200]] += 1
            else:
                self.answers += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                return answer
            time.sleep(0.3)


class Analyst(_Worker):
    """Has the episode analysed again and again, each time a little differently. ended: state -> jobs."""

    def __init__(self, home: Path, seed: int, stop: threading.Event) -> None:
        super().__init__(home, "script:analyst", seed, stop)
        self.ended: Counter[str] = Counter()

    def work(self) -> None:
        """One analysis to its end, and a rest: a backup is only brought back while no job runs."""
        settings = {**SETTINGS, "track.picks": self.moments.randint(2, 60), "track.max_gap_s": round(self.moments.uniform(0.4, 0.9), 3)}
        asked = self.look("episode_analyse", {"episode": "1", "settings": settings})
        job: dict[str, Any] | None = asked
        while asked and not self.stop.is_set() and (not job or job["state"] in ("queued", "running")):
            time.sleep(0.5)
            job = self.look("job_show", {"job_id": asked["job_id"]})
        if asked and job:
            self.ended[job["state"]] += 1
        time.sleep(self.moments.uniform(0.0, 8.0))
