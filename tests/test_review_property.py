"""Random reviews: many verbs, undos, re-runs, restarts and actors, and what must hold after each of them.

`ROLLCALL_REVIEW_STEPS` makes it longer (`just review-long`).
"""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import RollcallError
from engine.review.decision import voided
from engine.review.fold import fold_track
from engine.review.ledger import Ledger
from engine.review.state import EpisodeState, People
from tests.desk import Bench, Seen

STEPS = int(os.environ.get("ROLLCALL_REVIEW_STEPS", "60"))
SEEDS = range(int(os.environ.get("ROLLCALL_REVIEW_SEEDS", "12")))
ACTORS = ("person:pat", "person:qui", "agent:bot", "script:cron")
NAMES = ("Ana", "Bea", "Cy", "Dee")


class World:
    """Who is really where: each face a stretch in a column of the picture; runs see it cut, joined or missed in their own way."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.faces: list[tuple[float, float, int]] = []
        for column in range(4):
            at = rng.uniform(0, 3)
            while at < 60:
                length = rng.uniform(1.5, 8)
                self.faces.append((round(at, 1), round(at + length, 1), column))
                at += length + rng.uniform(1.0, 4)

    def run(self, people: list[int]) -> list[Seen]:
        """What one analysis makes of it."""
        rng = self.rng
        step = rng.choice([160_000, 200_000, 240_000])
        seen = []
        for start, end, column in self.faces:
            if rng.random() < 0.1:
                continue
            cuts = [start, end]
            if end - start > 3 and rng.random() < 0.25:
                cuts.insert(1, round(rng.uniform(start + 1, end - 1), 1))
            for low, high in itertools.pairwise(cuts):
                person = rng.choice([None, *people])
                seen.append(Seen(low, high, rng.randrange(6), person, column, step))
        return seen


class Review:
    """One random review, with the checks."""

    def __init__(self, home: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bench = Bench(home)
        self.world = World(self.rng)
        self.episode = self.bench.episode()
        self.machine = [self.bench.person(None), self.bench.person("Old")]
        self.bench.run(self.episode, self.world.run(self.machine))
        self.start = self.bench.content()
        self.first_run = self.state().run_id
        self.batches: list[int] = []

    def state(self) -> EpisodeState:
        return self.bench.engine.review.state(self.episode)

    def step(self) -> None:
        """One random move; refusals are part of the game and must change nothing."""
        rng, move = self.rng, self.rng.random()
        if move < 0.05:
            self.bench.reopen()
        elif move < 0.11:
            self.bench.run(self.episode, self.world.run(self.machine))
        else:
            actor = rng.choice(ACTORS)
            name, parameters = self.verb()
            before, locked = self.bench.content(), self.locked()
            try:
                done = self.bench.call(actor, name, **parameters)
            except RollcallError as error:
                assert self.bench.content() == before, f"{name} was refused ({error}) and changed something"
            else:
                if done["batch"] is not None and name not in ("decision_undo", "decision_redo"):
                    self.batches.append(done["batch"])
                if not actor.startswith("person:"):
                    assert {key: value for key, value in self.locked().items() if key in locked} == locked, (
                        f"{actor} changed something locked by {name}"
                    )
        self.check()

    def verb(self) -> tuple[str, dict[str, Any]]:
        rng, state = self.rng, self.state()
        pieces = list(state.all_pieces())
        piece = rng.choice(pieces)
        clusters = sorted({one.cluster_id for one in pieces})
        person = rng.choice(NAMES)
        track = str(piece.track_id)
        if rng.random() < 0.3:
            low = piece.start_us + (piece.end_us - piece.start_us) * rng.random() * 0.5
            high = low + (piece.end_us - low) * (0.4 + 0.6 * rng.random())
            track = f"{piece.track_id}@{low / 1e6:.3f}-{high / 1e6:.3f}"
        seen = rng.choice([None, None, piece.rev, 0])
        return rng.choice(
            [
                ("track_assign", {"tracks": [track], "person": person, "create": True, "rev": seen, "override": rng.random() < 0.3}),
                ("track_assign", {"tracks": [track], "person": person, "create": True, "force": True}),
                ("cluster_assign", {"cluster_id": rng.choice(clusters), "person": person, "create": True, "override": rng.random() < 0.3}),
                ("track_reject", {"tracks": [track], "person": person}),
                ("cluster_reject", {"cluster_id": rng.choice(clusters), "person": person}),
                ("track_exclude", {"tracks": [track]}),
                ("track_split", {"track": str(piece.track_id), "at_s": [round((piece.start_us + piece.end_us) / 2e6, 2)]}),
                ("cluster_merge", {"cluster_id": rng.choice(clusters), "into_cluster_id": rng.choice(clusters), "force": rng.random() < 0.5}),
                ("cluster_split", {"cluster_id": piece.cluster_id, "tracks": [str(piece.track_id)]}),
                ("cluster_split", {"cluster_id": rng.choice(clusters), "apart": True}),
                ("track_lock", {"tracks": [str(piece.track_id)]}),
                ("track_unlock", {"tracks": [str(piece.track_id)]}),
                ("person_rename", {"person_id": self.machine[0], "name": rng.choice(("Eve", "Flo"))}),
                ("person_merge", {"person_id": self.machine[0], "into_person_id": self.machine[1]}),
                ("decision_undo", {"batch": rng.choice(self.batches or [1]), "with_dependents": rng.random() < 0.5}),
                ("decision_undo", {}),
                ("decision_redo", {}),
            ]
        )

    def locked(self) -> dict[tuple[int, int, int], Any]:
        """Labels of everything locked."""
        return {
            (one.track_id, one.start_us, one.end_us): (one.person_id, one.excluded, one.locked) for one in self.state().all_pieces() if one.locked
        }

    def check(self) -> None:
        """Incremental = full; labels fill every track once; what people decided last about a face holds."""
        state = self.state()
        full = EpisodeState.load(self.bench.engine.database, self.episode, state.run_id, People.load(self.bench.engine.database))
        assert dict(state.pieces) == dict(full.pieces)
        assert dict(state.pieces) == {one: fold_track(track, state.covering(one), state.rules) for one, track in state.tracks.items()}
        assert (state.rev, {who: us for who, us in state.held_us.items() if us}) == (full.rev, dict(full.held_us))
        assert {one: set(covers) for one, covers in state.spread.items()} == {one: set(covers) for one, covers in full.spread.items()}
        assert self.bench.engine.review.ledger() == Ledger.load(self.bench.engine.database)
        stored = self.bench.engine.database.rows(
            "SELECT track_id, start_us, end_us, person_id, excluded, locked, rev FROM assignment WHERE run_id = ? ORDER BY track_id, start_us",
            [state.run_id],
        )
        assert [tuple(row.values()) for row in stored] == [
            (p.track_id, p.start_us, p.end_us, p.person_id, p.excluded, p.locked, p.rev) for p in full.all_pieces()
        ]
        for track_id, track in state.tracks.items():
            pieces = state.pieces[track_id]
            assert (pieces[0].start_us, pieces[-1].end_us) == (track.start_us, track.end_us)
            assert all(one.end_us == other.start_us for one, other in itertools.pairwise(pieces))
        self.check_people_win(state)

    def check_people_win(self, state: EpisodeState) -> None:
        """At every moment of every track: the newest standing label by a person at the closest level is in force, unless rejected later."""
        gone = voided(state.decisions.values())
        order = {"cluster": 0, "track": 1, "frames": 2}
        for track_id in state.tracks:
            covers = state.covering(track_id)
            for piece in state.pieces[track_id]:
                middle = (piece.start_us + piece.end_us) // 2
                here = [(state.decisions[c.decision_id], c) for c in covers if c.start_us <= middle < c.end_us and c.decision_id not in gone]
                labels = [(d, c) for d, c in here if d.verb in ("assign", "exclude", "merge") and d.by_person]
                rejects = [d for d, _ in here if d.verb == "reject" and d.by_person]
                free = [
                    (d, c)
                    for d, c in labels
                    if d.verb == "exclude"
                    or d.person_id is None
                    or not any(state.rules.person(r.person_id) == state.rules.person(d.person_id) and r.decision_id > d.decision_id for r in rejects)
                ]
                if not free:
                    continue
                said = max(free, key=lambda one: (order[one[1].level], one[0].decision_id))[0]
                expected = (None, True) if said.verb == "exclude" else (state.rules.person(said.person_id), False)
                assert (piece.person_id, piece.excluded) == expected

    def undo_everything(self) -> None:
        """Take back whatever stands, newest first, and go back to the first run: the starting tables."""
        while True:
            standing = [row for row in self.bench.call("person:pat", "decision_list", limit=1000)["rows"] if row["stands"] and row["verb"] != "undo"]
            if not standing:
                break
            self.bench.call("person:pat", "decision_undo", batch=standing[0]["batch"], with_dependents=True)
        if self.state().run_id != self.first_run:
            self.bench.call("person:pat", "analysis_activate", episode=str(self.episode), run_id=self.first_run)
        assert self.bench.content() == self.start


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_review_keeps_its_promises(tmp_path: Path, seed: int) -> None:
    review = Review(tmp_path / "home", seed)
    for _ in range(STEPS):
        review.step()
    commands = review.bench.engine.database.rows("SELECT count(*) AS n FROM command")[0]["n"]
    lines = [line for line in review.bench.engine.database.journal.lines() if "key" in line]
    assert commands == len(lines)
    review.undo_everything()
    assert np.array_equal(
        [row["decision_id"] for row in review.bench.engine.database.rows("SELECT decision_id FROM decision ORDER BY 1")],
        np.arange(1, len(review.bench.engine.database.rows("SELECT 1 FROM decision")) + 1),
    )
    review.bench.close()
