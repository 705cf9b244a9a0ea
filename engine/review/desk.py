"""The desk: the states under review, what a batch of drafts would change, and the one way a batch is written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import Conflict
from engine.review import people
from engine.review.decision import Cover, Decision, made_cover
from engine.review.draft import Draft, Entry, Plan
from engine.review.faces import Look, RunFaces, looks_of
from engine.review.fold import Piece
from engine.review.ledger import Ledger
from engine.review.state import EpisodeState, People
from store import anchored, covered, decisions, facebank, questions, results
from store.database import Transaction, now
from store.remembered import Remembered

if TYPE_CHECKING:
    from engine.service import Engine

STATES_KEPT = 8
"""Episodes held in memory, those used last."""

RUNS_KEPT = 4
"""Runs whose faces are held in memory, those used last: ten megabytes for an hour."""


@dataclass(frozen=True)
class Outcome:
    """What a batch changes. before, after: episode -> state. covers: of each decision; anchors: of those about faces; entries: for the facebank."""

    decisions: list[Decision]
    before: dict[int, EpisodeState]
    after: dict[int, EpisodeState]
    covers: dict[int, list[Cover]]
    anchors: list[anchored.Pack] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """All of the batch that does not depend on a run: by it the batch can be written again into a library that lost it."""
        ledger = [{name: getattr(d, name) for name in decisions.COLUMNS} for d in self.decisions]
        return {"decisions": ledger, "anchors": anchored.joined(self.anchors), **({"entries": self.entries} if self.entries else {})}

    def holders(self) -> set[int | None]:
        """People, and nobody, who have seconds before or after."""
        return {person for states in (self.before, self.after) for state in states.values() for person in state.held_us}

    def changed(self) -> tuple[int, int]:
        """How many tracks have a stretch whose label, lock or cluster differs, and how many microseconds those stretches last."""
        counts = [state.moved.labels() for state in self.after.values()]
        return sum(tracks for tracks, _ in counts), sum(us for _, us in counts)


class Desk:
    """Reviews of an engine's episodes. Writers hold the database's writer lane while they plan and write, so that nobody decides on stale labels."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._states: OrderedDict[int, EpisodeState] = OrderedDict()
        self._behind: dict[int, list[Decision]] = {}
        """Decisions about people, and undos, that a state at hand does not know yet: it is told when it is looked at."""
        self._people: People | None = None
        self._ledger: Ledger | None = None
        self._lock = threading.RLock()
        self._faces = Remembered(engine.database.epochs, RUNS_KEPT)
        self._looks = Remembered(engine.database.epochs, STATES_KEPT)

    def people(self) -> People:
        """The ledger's part about people."""
        with self._lock:
            if self._people is None:
                self._people = People.load(self._engine.database)
            return self._people

    def ledger(self) -> Ledger:
        """All decisions, and which of them stand."""
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger.load(self._engine.database)
            return self._ledger

    def state(self, episode_id: int) -> EpisodeState:
        """The active run of an episode under review.

        Raises:
            Conflict: it has not been analysed.
        """
        run_id = results.active_run(self._engine.database, episode_id)
        if run_id is None:
            raise Conflict(f"Episode {episode_id} has not been analysed.", f"`rollcall episode analyse {episode_id}` does it.")
        with self._lock:
            state, behind = self._states.get(episode_id), self._behind.pop(episode_id, [])
            if state is not None and state.run_id == run_id and behind:
                state = self._states[episode_id] = state.with_decisions(behind, [])
            if state is None or state.run_id != run_id:
                state = EpisodeState.load(self._engine.database, episode_id, run_id, self.people())
                self._keep({episode_id: state})
            self._states.move_to_end(episode_id)
            return state

    def faces(self, run_id: int) -> RunFaces:
        """The faces of a run."""
        return self._faces.get(("detection",), run_id, lambda: RunFaces.of(results.faces_of_tracks(self._engine.database, run_id)))

    def looks(self, run_id: int) -> dict[int, Look]:
        """How the tracks of a run look, by id."""
        return self._looks.get(("track",), run_id, lambda: looks_of(questions.looks_of_run(self._engine.database, run_id)))

    def person(self, person_id: int) -> dict[str, Any] | None:
        """A person's row."""
        found = self._engine.database.known(("person",), "SELECT * FROM person WHERE person_id = ?", [person_id])
        return found[0] if found else None

    def called(self, person_id: int | None) -> str:
        """What somebody is called; somebody created in the same batch has no id yet."""
        if person_id is None:
            return "unknown"
        found = questions.names(self._engine.database, {person_id})
        return found.get(person_id, "somebody new")

    def label(self, piece: Piece) -> str:
        """What a piece is labelled."""
        return "not a face" if piece.excluded else self.called(piece.person_id)

    def find_person(self, show_id: int, text: str) -> list[int]:
        """People of a show by id, else by name, else by alias; case does not matter. Those merged into others are found as these."""
        return people.find(self._engine.database, show_id, text.strip())

    def valid_name(self, text: str) -> str:
        """A name somebody may have.

        Raises:
            BadInput: it may not be used.
        """
        return people.valid_name(text)

    def forget(self) -> None:
        """Read everything from the store again: it was changed by other means than a batch."""
        with self._lock:
            self._states.clear()
            self._behind.clear()
            self._faces.clear()
            self._looks.clear()
            self._people = self._ledger = None

    def _keep(self, states: dict[int, EpisodeState]) -> None:
        with self._lock:
            self._states.update(states)
            while len(self._states) > STATES_KEPT:
                self._states.popitem(last=False)

    def preview(self, plan: Plan, actor: str, reason: str | None) -> Outcome:
        """What a plan would change; nothing is written."""
        first = self.ledger().last + 1
        ledger = [_decision(draft, first + place, first, actor, reason) for place, draft in enumerate(plan.drafts)]
        return self._outcome(plan, ledger)

    def _outcome(self, plan: Plan, ledger: list[Decision]) -> Outcome:
        covers = {d.decision_id: covers_of_draft(d.decision_id, draft) for d, draft in zip(ledger, plan.drafts, strict=True)}
        episodes = {d.episode_id for d in ledger if d.episode_id is not None} | plan.also | self._touched(ledger)
        before = {episode: self.state(episode) for episode in sorted(episodes)}
        after = {}
        for episode, state in before.items():
            mine = [d for d in ledger if d.episode_id in (None, episode)]
            after[episode] = state.with_decisions(mine, [cover for d in mine if d.episode_id == episode for cover in covers[d.decision_id]])
        return Outcome(ledger, before, after, covers)

    def _touched(self, ledger: list[Decision]) -> set[int]:
        """Analysed episodes of the decisions that are taken back, at any depth."""
        before = self.ledger()
        taken = before.some(before.reached(one for d in ledger for one in d.voids))
        episodes = {d.episode_id for d in taken if d.episode_id is not None} | people.episodes_touched(self._engine.database, taken)
        return people.analysed(self._engine.database, episodes)

    def write(self, transaction: Transaction, plan: Plan, actor: str, reason: str | None, key: str) -> Outcome:
        """Write a plan as one batch, in the transaction given; `settle` makes it the present state once that is committed."""
        new = {
            draft.person_id: people.create(transaction, draft.show_id, draft.parameters.get("name"))
            for draft in plan.drafts
            if draft.verb == "person_create" and draft.person_id is not None and draft.show_id is not None
        }
        ids = [transaction.next_id("decision", "decision_id") for _ in plan.drafts]
        ledger = [_decision(draft, place, ids[0], actor, reason, new) for place, draft in zip(ids, plan.drafts, strict=True)]
        outcome = self._outcome(plan, ledger)
        packs = [pack for decision, draft in zip(ledger, plan.drafts, strict=True) if (pack := self._anchors(decision, draft))]
        entries = [_entry(transaction, entry, ledger[entry.draft]) for entry in plan.entries]
        outcome = replace(outcome, anchors=packs, entries=entries)
        self._record(transaction, outcome, key)
        return outcome

    def _record(self, transaction: Transaction, outcome: Outcome, key: str) -> None:
        """Append decisions with their anchors and bring labels and people up to date."""
        ledger = [{**{name: getattr(one, name) for name in decisions.COLUMNS}, "voids": list(one.voids)} for one in outcome.decisions]
        decisions.append(transaction, key, ledger)
        decisions.append_anchors(transaction, outcome.anchors)
        for entry in outcome.entries:
            facebank.add(transaction, **entry)
        for state in outcome.after.values():
            self._relabel(transaction, state)
            mine = [cover for d in outcome.decisions if d.episode_id == state.episode_id for cover in outcome.covers[d.decision_id]]
            covered.add(transaction, state.run_id, state.episode_id, mine)
        everywhere = [*self.people().decisions, *(d for d in outcome.decisions if d.episode_id is None)]
        people.refresh(transaction, everywhere, [d for d in outcome.decisions if d.verb != "person_create"])  # those are as they were just made

    def _relabel(self, transaction: Transaction, state: EpisodeState) -> None:
        """Bring the labels in the store from one state to the next: changed where they are, unless pieces begin or end elsewhere now."""
        staying = state.moved.staying()
        changed = {name: staying.after[name] for name in staying.differing((*decisions.LABEL, "rejected"))}
        if "rejected" in changed:  # the same for all
            changed["rejected"] = ([*sorted(changed["rejected"][0])],) * len(changed["rejected"])
        decisions.change_labels(transaction, state.run_id, staying.after["track_id"], staying.after["start_us"], changed)
        if cut := sorted(set(state.moved.tracks).difference(staying.tracks)):
            decisions.replace_labels(transaction, state.run_id, cut, state.rows(cut))

    def settle(self, outcome: Outcome) -> None:
        """The batch is committed: what it made is the present state."""
        with self._lock:
            self._ledger = self.ledger().with_decisions(outcome.decisions)
            everywhere = [d for d in outcome.decisions if d.episode_id is None]
            self._people = People((*self.people().decisions, *everywhere))
            for episode in self._states.keys() - outcome.after.keys() if everywhere else ():
                self._behind.setdefault(episode, []).extend(everywhere)
            self._keep(outcome.after)

    def _anchors(self, decision: Decision, draft: Draft) -> anchored.Pack | None:
        """What a draft is about, remembered without naming tracks."""
        if not draft.targets or draft.episode_id is None:
            return None
        return self.faces(self.state(draft.episode_id).run_id).remembered(decision.decision_id, draft.episode_id, draft.targets)


def _decision(draft: Draft, decision_id: int, batch: int, actor: str, reason: str | None, new: dict[Any, int] | None = None) -> Decision:
    """The line a draft becomes; people created in the batch have their ids by then."""
    ids = new or {}
    parameters = {name: ids.get(value, value) if name == "into" else value for name, value in draft.parameters.items()}
    if "labels" in parameters:
        parameters["labels"] = [{**label, "person_id": ids.get(label["person_id"], label["person_id"])} for label in parameters["labels"]]
    return Decision(
        decision_id,
        batch,
        now(),
        actor,
        draft.verb,
        draft.level,
        draft.show_id,
        draft.episode_id,
        ids.get(draft.person_id, draft.person_id),
        parameters,
        reason,
        draft.source,
        draft.voids,
    )


def _entry(transaction: Transaction, entry: Entry, decision: Decision) -> dict[str, Any]:
    """The facebank row of a face that a decision puts in. The vector's digits are those a float32 has."""
    return {
        "entry_id": transaction.next_id("facebank", "entry_id"),
        "show_id": decision.show_id,
        "person_id": decision.person_id,
        "vector": [float(str(value)) for value in entry.vector.astype(np.float32)],
        "decision_id": decision.decision_id,
        **{name: getattr(entry, name) for name in ("space", "quality", "chip", "picture", "origin", "episode_id", "track_id")},
    }


def covers_of_draft(decision_id: int, draft: Draft) -> list[Cover]:
    """What a draft covers in the run it was made on: exactly its targets."""
    level = str(draft.level)
    if not draft.targets:
        return []
    tracks, starts, ends, parts = zip(*draft.targets, strict=True)
    return list(map(made_cover, zip(repeat(decision_id), range(len(tracks)), parts, tracks, starts, ends, repeat(level))))
