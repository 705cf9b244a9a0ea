"""Review of one episode's active run, in memory: the machine's tracks, the decisions that cover them, and the labels in force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import pyarrow as pa

from engine.review.decision import Cover, Decision, erased, made_cover, read, touches, voided
from engine.review.fold import FRESH, MachineTrack, Piece, Rulebook, Trail, fold_tracks, follow
from engine.review.moved import Columns, Moved, columns_of
from store import covered, decisions, ids, results
from store.database import Database, Reader

SPLIT_CLUSTERS_FROM = ids.CLUSTERS_PER_RUN // 2
"""Numbers of clusters made by taking members out of another begin here; the machine's are below."""

MOVES = frozenset({"merge", "part"})
"""Verbs that move faces to another cluster."""


@dataclass(frozen=True)
class People:
    """The ledger's part that is about people: who was merged into whom. `decisions`: all without an episode, undo among them."""

    decisions: tuple[Decision, ...]

    @classmethod
    def load(cls, database: Database) -> People:
        """Read from the store."""
        return cls(tuple(read(row) for row in decisions.without_episode(database)))

    def merged(self, gone: set[int]) -> dict[int, int]:
        """person -> who they were merged into, by the merges that stand."""
        return {d.person_id: d.parameters["into"] for d in self.decisions if d.verb == "person_merge" and d.decision_id not in gone and d.person_id}


@dataclass(frozen=True)
class EpisodeState:
    """One run under review. Never changed in place: `with_decisions` gives the next one.

    tracks: by id. spread: covers by each decision, also those taken back. trails: of each track that was covered, what it shares with others; None
    when it shares nothing, and its covers are in `cut`. pieces: of each track, in time order. held_us: microseconds of track under each label. rev:
    the newest decision that touches any of the run's faces. moved: what differs from the state this one was made of.
    """

    run_id: int
    episode_id: int
    show_id: int
    tracks: Mapping[int, MachineTrack]
    decisions: Mapping[int, Decision]
    spread: Mapping[int, tuple[Cover, ...]]
    trails: Mapping[int, Trail | None]
    cut: Mapping[int, tuple[Cover, ...]]
    rules: Rulebook
    pieces: Mapping[int, tuple[Piece, ...]]
    held_us: Mapping[int | None, int]
    rev: int
    moved: Moved = field(default_factory=Moved)

    @classmethod
    def load(cls, database: Database, episode_id: int, run_id: int, people: People) -> EpisodeState:
        """Read a run and fold it whole."""
        show = database.row("SELECT show_id FROM episode WHERE episode_id = ?", [episode_id])
        assert show is not None
        tracks = {row["track_id"]: MachineTrack(**row) for row in results.machine_labels(database, run_id)}
        covers = covers_of_run(database, run_id)
        known = [read(row) for row in decisions.of_episode(database, episode_id)]
        return build(run_id, episode_id, show["show_id"], tracks, known, people, covers)

    def with_decisions(self, new: Iterable[Decision], covers: Iterable[Cover]) -> EpisodeState:
        """The state after more decisions: those about this episode, those about people, and those that take others back."""
        added, fresh = list(new), list(covers)
        mine = {**self.decisions, **{d.decision_id: d for d in added}}
        spread = _with_spread(self.spread, fresh)
        rules = self._rules(mine, added, spread)
        touched = {cover.track_id for cover in fresh}
        if rules.voided is not self.rules.voided or rules.moves_to is not self.rules.moves_to:
            changed = (set(rules.voided) ^ set(self.rules.voided)) | {one for d in added for one in d.voids}
            changed |= {one for one, _ in set(rules.moves_to.items()) ^ set(self.rules.moves_to.items())}
            touched |= {cover.track_id for one in changed for cover in spread.get(one, ())}
        if rules.merged != self.rules.merged:
            touched |= self._of_people(spread, mine, set(rules.merged.items()) ^ set(self.rules.merged.items()))
        pieces, trails, cut = dict(self.pieces), dict(self.trails), dict(self.cut)
        follow(trails, cut, self.tracks, fresh, mine)
        differing = []
        for track, after in fold_tracks(touched, self.tracks, cut, trails, rules):
            if after != pieces[track]:
                pieces[track] = after
                differing.append(track)
        moved = Moved.between(differing, self.pieces, pieces)
        held = dict(self.held_us)
        _hold(held, moved.before, -1)
        _hold(held, moved.after, 1)
        return replace(
            self,
            decisions=mine,
            spread=spread,
            trails=trails,
            cut=cut,
            rules=rules,
            pieces=pieces,
            held_us=held,
            rev=max(self.rev, *moved.after["rev"]) if differing else self.rev,
            moved=moved,
        )

    def covering(self, track_id: int) -> tuple[Cover, ...]:
        """What covers a track, by all decisions, in their order."""
        trail = self.trails.get(track_id, FRESH)
        return self.cut[track_id] if trail is None else trail.on(self.tracks[track_id])

    def _rules(self, known: dict[int, Decision], added: list[Decision], spread: Mapping[int, tuple[Cover, ...]]) -> Rulebook:
        """The rules after more decisions; most change nothing but what is known."""
        verbs = {d.verb for d in added}
        if any(d.voids for d in added) or verbs & {"person_merge", "person_forget", *MOVES}:
            return rulebook(self.run_id, self.tracks, known, spread)
        return replace(self.rules, decisions=known, verdicts={})

    def _of_people(self, spread: Mapping[int, tuple[Cover, ...]], known: Mapping[int, Decision], merges: set[tuple[int, int]]) -> set[int]:
        """Tracks about which the machine or a decision names somebody some merges of people are about."""
        people = {person for merge in merges for person in merge}
        named = [one for one, d in known.items() if d.person_id in people or "labels" in d.parameters]
        by_machine = {track_id for track_id, track in self.tracks.items() if track.person_id is not None and self._meets(track.person_id, people)}
        return by_machine | {cover.track_id for one in named for cover in spread.get(one, ())}

    def _meets(self, person_id: int, people: set[int]) -> bool:
        """Whether somebody, or whom they were merged into, is one of some people."""
        return person_id in people or self.rules.person(person_id) in people

    def fixed(self, decision_id: int) -> bool:
        """Whether a decision is about somebody who was forgotten: it is never taken back."""
        return self.decisions[decision_id].person_id in self.rules.erased

    def all_pieces(self) -> Iterator[Piece]:
        """Every piece, by track and time."""
        return chain.from_iterable(self.pieces.values())

    def rows(self, tracks: Iterable[int]) -> pa.Table:
        """ASSIGNMENT rows of some tracks."""
        columns = columns_of(chain.from_iterable(map(self.pieces.__getitem__, tracks)))
        count = len(columns["track_id"])
        rejected = [sorted(one) if one else () for one in columns["rejected"]]
        return pa.table(
            {**columns, "run_id": [self.run_id] * count, "episode_id": [self.episode_id] * count, "rejected": rejected}, schema=decisions.ASSIGNMENT
        )


def covers_of_run(database: Reader, run_id: int) -> list[Cover]:
    """What decisions cover in a run, by decision."""
    return list(map(made_cover, covered.of_run(database, run_id)))


def build(
    run_id: int,
    episode_id: int,
    show_id: int,
    tracks: dict[int, MachineTrack],
    known: list[Decision],
    people: People,
    covers: Sequence[Cover],
) -> EpisodeState:
    """Fold a run whole. covers: in the order of their decisions."""
    mine = {d.decision_id: d for d in sorted([*known, *people.decisions], key=lambda d: d.decision_id)}
    spread = _with_spread({}, covers)
    rules = rulebook(run_id, tracks, mine, spread)
    trails: dict[int, Trail | None] = {}
    cut: dict[int, tuple[Cover, ...]] = {}
    follow(trails, cut, tracks, covers, mine)
    pieces = dict(fold_tracks(sorted(tracks), tracks, cut, trails, rules))
    columns = columns_of(chain.from_iterable(pieces.values()))
    held: dict[int | None, int] = {}
    _hold(held, columns, 1)
    return EpisodeState(run_id, episode_id, show_id, tracks, mine, spread, trails, cut, rules, pieces, held, max(columns["rev"], default=0))


def _with_spread(spread: Mapping[int, tuple[Cover, ...]], covers: Iterable[Cover]) -> dict[int, tuple[Cover, ...]]:
    """The covers of each decision, with more of them."""
    fresh: dict[int, list[Cover]] = defaultdict(list)
    for cover in covers:
        fresh[cover.decision_id].append(cover)
    return {**spread, **{one: (*spread.get(one, ()), *mine) for one, mine in fresh.items()}}


def _hold(held: dict[int | None, int], pieces: Columns, sign: int) -> None:
    """Add the microseconds of pieces to those of their people, or take them away."""
    sums: dict[int | None, int] = defaultdict(int)
    for person, excluded, start, end in zip(*(pieces[name] for name in ("person_id", "excluded", "start_us", "end_us")), strict=True):
        if not excluded:
            sums[person] += end - start
    for person, us in sums.items():
        held[person] = held.get(person, 0) + sign * us


def rulebook(run_id: int, tracks: Mapping[int, MachineTrack], known: dict[int, Decision], spread: Mapping[int, tuple[Cover, ...]]) -> Rulebook:
    """What the fold needs to know beside covers. spread: covers of each decision."""
    takers = [d for d in known.values() if d.voids]
    gone = voided(takers)
    merged = People(tuple(d for d in known.values() if d.verb == "person_merge")).merged(gone)
    return Rulebook(known, gone, touches(takers), merged, _moves(run_id, tracks, known, gone, spread), erased(known.values()))


def _moves(
    run_id: int, tracks: Mapping[int, MachineTrack], known: dict[int, Decision], gone: set[int], spread: Mapping[int, tuple[Cover, ...]]
) -> dict[int, int]:
    """Which cluster each standing merge or split of clusters moves its part 1 to. A merge moves to where most of its part 0 is by then."""
    moves: dict[int, int] = {}
    at: dict[int, int] = {}
    for decision in sorted((d for d in known.values() if d.verb in MOVES and d.decision_id not in gone), key=lambda d: d.decision_id):
        covers = spread.get(decision.decision_id, ())
        if decision.verb == "part":
            target = ids.cluster_id(run_id, SPLIT_CLUSTERS_FROM + decision.decision_id % SPLIT_CLUSTERS_FROM)
        else:
            held: dict[int, int] = defaultdict(int)
            for cover in covers:
                if cover.part == 0:
                    cluster = at.get(cover.track_id)
                    held[tracks[cover.track_id].cluster_id if cluster is None else cluster] += cover.end_us - cover.start_us
            if not held:
                continue
            target = max(held, key=lambda cluster: (held[cluster], -cluster))
        moves[decision.decision_id] = target
        at.update({cover.track_id: target for cover in covers if cover.part == 1})
    return moves
