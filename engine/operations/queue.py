"""The review queue: what to ask next, answered, put off; suggestions in bulk; a label spread to look-alikes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from engine.errors import BadInput, Conflict
from engine.operations.change import Change, Changed, ChangeSeen, change
from engine.operations.common import EpisodeRef, Listed, Page, Reference, active_run, episode_of
from engine.operations.registry import Context, Params, Result, operation
from engine.review import agenda, answers, authority
from engine.review.draft import Plan
from engine.review.faces import Look
from engine.review.fold import Piece
from engine.review.state import EpisodeState
from engine.review.targets import aim_at_tracks, parse, reference
from store import proposals, questions
from store.database import now

TIERS = {"sure": (0.95, 1.01), "likely": (0.8, 0.95), "maybe": (0.5, 0.8)}
"""Probabilities of the tiers suggestions come in: at least, and below."""

EPISODES = 20
"""Episodes whose queues are looked through when none is named."""


class Guess(Result):
    person_id: int | None = Field(description="Null: nobody known.")
    person: str
    probability: float


class Asked(Result):
    kind: str = Field(
        description="name: who is it; suggestion, confirm: is it; disagreement: the evidence speaks against its label; mixed: two people."
    )
    cluster_id: int | None
    shown: list[str] = Field(description="Tracks to look at; they stand for the others.")
    tracks: int = Field(description="Tracks the answer is about.")
    seconds: float
    label: str
    proposed: Guess | None = Field(description="Who a yes says it is, or nobody in particular (no person_id); null where the question is open.")
    candidates: list[Guess]
    why: str
    badges: list[str]
    picture: str | None = Field(description="File of the best picture of the first track shown.")


class QueueItem(Result):
    item: str
    episode_id: int
    kind: str
    faces: int = Field(description="Faces shown, 24 at most.")
    at_risk_s: float = Field(description="Seconds of error the answer is expected to remove.")
    settles_s: float = Field(description="Seconds of face it settles.")
    rev: int
    asked: list[Asked]


class QueueList(Listed):
    rows: list[QueueItem]
    pending: bool = Field(description="Decisions were made that the order does not know yet; it is made anew in a moment.")


class QueueListParams(Page):
    limit: int = Field(20, ge=1, le=200, description="Items a page.")
    episode: EpisodeRef | None = Field(None, description="Episode id, or show-s01e02; every episode when not given.")


@operation("read", "review", params=QueueListParams, result=QueueList)
def queue_list(context: Context, p: QueueListParams) -> QueueList:
    """List what to review next, by the seconds of error an answer is expected to remove; nothing that was decided is asked again."""
    start = p.position() or 0
    found, _, pending = _items(context, p.episode, start + p.limit + 1)
    following = str(start + p.limit) if len(found) > start + p.limit else None
    rows = _shown(context, found[start : start + p.limit])
    return QueueList.model_validate({"rows": rows, "next_cursor": following, "pending": pending})


class QueueNextParams(Params):
    episode: EpisodeRef | None = Field(
        None, description="Episode id, or show-s01e02; every episode when not given.", json_schema_extra={"positional": True}
    )


class QueueNext(Result):
    item: QueueItem | None = Field(description="Null when nothing is left to ask, or not yet: see `pending`.")
    left: int = Field(description="Items after it (of the episodes looked at).")
    pending: bool


@operation("read", "review", params=QueueNextParams, result=QueueNext, key="q")
def queue_next(context: Context, p: QueueNextParams) -> QueueNext:
    """Take the next thing to review: faces, who they may be, and why it is asked. Its parts (`asked`) may be different people: answer with
    queue_accept, all at once or by `parts`; put it off with queue_skip. No item, but `pending`: ask again in a few seconds."""
    found, episodes, pending = _items(context, p.episode, 1)
    left = max(0, questions.count(context.engine.database, episodes) - 1)
    return QueueNext.model_validate({"item": _shown(context, found)[0] if found else None, "left": left, "pending": pending})


def _items(context: Context, episode: str | None, limit: int) -> tuple[list[agenda.Item], list[int], bool]:
    """Items in order, the episodes looked through, and whether the order is behind the decisions."""
    engine = context.engine
    wanted = [episode_of(engine, episode)["episode_id"]] if episode else questions.waiting(engine.database, EPISODES)
    found: list[agenda.Item] = []
    pending = False
    # An agent that only proposes goes on to the next thing, while people are still asked.
    answered = proposals.waiting_about(engine.database, str(context.actor)) if context.actor.kind == "agent" else set()
    for episode_id in wanted:
        state = engine.review.state(episode_id)
        found += agenda.items(engine.database, state, limit, answered)
        pending |= questions.settled(engine.database, state.run_id) < state.rev
    if not episode:
        found.sort(key=lambda item: -item.at_risk_s)
    return found[:limit], wanted, pending


def _shown(context: Context, items: list[agenda.Item]) -> list[dict[str, Any]]:
    """Items with what a reviewer needs, as the fields of a QueueItem: they are checked all at once."""
    desk = context.engine.review
    states = {episode: desk.state(episode) for episode in {item.episode_id for item in items}}
    people = {one["person_id"] for item in items for unit in item.units for one in unit.candidates}
    people |= {unit.shown[0].person_id for item in items for unit in item.units}
    names = questions.names(context.engine.database, {person for person in people if person is not None})
    return [
        {
            "item": item.item,
            "episode_id": item.episode_id,
            "kind": item.kind,
            "faces": sum(len(unit.shown) for unit in item.units),
            "at_risk_s": item.at_risk_s,
            "settles_s": sum(unit.seconds for unit in item.units),
            "rev": max((piece.rev for unit in item.units for piece in unit.pieces), default=0),
            "asked": [_asked(context, unit, states[item.episode_id], names) for unit in item.units],
        }
        for item in items
    ]


def _asked(context: Context, unit: agenda.Unit, state: EpisodeState, names: dict[int, str]) -> dict[str, Any]:
    """A part of an item, as the fields of an Asked."""
    looks = context.engine.review.looks(state.run_id)
    guesses = [
        {"person_id": one["person_id"], "person": names.get(one["person_id"], "unknown"), "probability": one["probability"]}
        for one in unit.candidates
    ]
    first = unit.shown[0]
    label = "not a face" if first.excluded else "unknown" if first.person_id is None else names.get(first.person_id, "unknown")
    chip = looks[first.track_id].chip
    clusters = {piece.cluster_id for piece in unit.pieces}
    return {
        "kind": unit.kind,
        "cluster_id": clusters.pop() if unit.whole_cluster and len(clusters) == 1 else None,
        "shown": [_reference(piece, len(state.pieces[piece.track_id]) == 1) for piece in unit.shown],
        "tracks": len({piece.track_id for piece in unit.pieces}),
        "seconds": unit.seconds,
        "label": label,
        "proposed": None if unit.open_question else _proposed(unit, guesses),
        "candidates": guesses,
        "why": _why(label, unit, guesses),
        "badges": _badges(unit, [looks[piece.track_id] for piece in unit.shown]),
        "picture": str(context.engine.media.path(chip)) if chip else None,
    }


def _proposed(unit: agenda.Unit, guesses: list[dict[str, Any]]) -> dict[str, Any]:
    named = next((guess["person"] for guess in guesses if guess["person_id"] == unit.proposed), "unknown")
    return {"person_id": unit.proposed, "person": named, "probability": unit.probability}


def _reference(piece: Piece, whole: bool) -> str:
    return reference(piece.track_id, None if whole else (piece.start_us, piece.end_us))


def _why(label: str, unit: agenda.Unit, guesses: list[dict[str, Any]]) -> str:
    """Why something is asked, in one sentence."""
    odds = " / ".join(f"{guess['probability']:.0%} {guess['person']}" for guess in guesses[:3])
    if unit.kind == "mixed" and not guesses:
        return f"{unit.seconds:.0f} s in one track of this analysis that were decided to be two people."
    if unit.kind == "mixed":
        return f"{unit.seconds:.0f} s that look like two people in one track ({odds})."
    if unit.kind == "disagreement":
        return f"{unit.seconds:.0f} s labelled {label}, but {odds}."
    return f"Seen {unit.seconds:.0f} s, {odds or 'nobody known'}."


def _badges(unit: agenda.Unit, shown: list[Look]) -> list[str]:
    found = []
    if any(look.mixed for look in shown):
        found.append("mixed")
    if max(look.quality for look in shown) < answers.POOR:
        found.append("poor face")
    if max(look.height_px for look in shown) < answers.SMALL_PX:
        found.append("small")
    if unit.seconds < answers.BRIEF_S:
        found.append("brief")
    return found


class QueueAccept(ChangeSeen):
    item: str = Field(description="Item of the queue.", json_schema_extra={"positional": True})
    leave_out: list[Reference] = Field(default_factory=list, max_length=24, description="Tracks shown that are somebody else.")
    parts: list[Reference] = Field(
        default_factory=list, max_length=24, description="Only the parts that show these tracks; the others are still asked. All when not given."
    )
    person: Reference | None = Field(
        None, description="Who all of it is, by id or name; `unknown` for nobody in particular. Leave it out when it is as proposed."
    )
    create: bool = Field(False, description="Make somebody new when nobody is called that.")


@operation("write", "review", params=QueueAccept, result=Changed, idempotent=False)
def queue_accept(context: Context, p: QueueAccept) -> Changed:
    """Answer an item of the queue at once, or `parts` of it: each part is as proposed, or all of it is the one `person` named, apart from the
    tracks left out, which are not."""
    engine, actor = context.engine, str(context.actor)

    def make() -> Plan:
        state = engine.review.state(agenda.episode_of(engine.database, p.item))
        item = agenda.find(engine.database, state, p.item)
        newest = max(piece.rev for unit in item.units for piece in unit.pieces)
        if p.rev is not None and newest > p.rev:
            raise Conflict(f"Item {p.item} was decided about since.", "Take it anew with `rollcall queue next`.", rev=newest)
        left_out, parts = ([parse(one) for one in some] for some in (p.leave_out, p.parts))
        return answers.accept(engine.review, state, item, actor, p.person, left_out, parts, create=p.create, force=p.force)

    return change(context, "queue_accept", p, make)


class QueueSkip(Params):
    item: str = Field(description="Item of the queue.", json_schema_extra={"positional": True})
    hours: float = Field(24.0, gt=0, le=24 * 365, description="How long it is not asked.")


class Skipped(Result):
    item: str
    until: str


@operation("write", "review", params=QueueSkip, result=Skipped)
def queue_skip(context: Context, p: QueueSkip) -> Skipped:
    """Put an item of the queue off, when its pictures do not tell who it is."""
    engine, until = context.engine, now() + timedelta(hours=p.hours)
    with engine.database.exclusive(), context.command("queue_skip", p) as command:
        if command.replayed is not None:
            return Skipped.model_validate(command.replayed)
        state = engine.review.state(agenda.episode_of(engine.database, p.item))
        item = agenda.find(engine.database, state, p.item)
        pieces = [(piece.track_id, piece.start_us) for unit in item.units for piece in unit.pieces]
        questions.snooze(command.transaction, item.episode_id, pieces, until)
        command.result = {"item": p.item, "until": until.isoformat(timespec="seconds") + "Z"}
    return Skipped.model_validate(command.result)


class Suggestion(Result):
    ref: str
    track_id: int
    start_us: int
    end_us: int
    person_id: int
    person: str
    probability: float
    tier: str
    rev: int
    picture: str | None


class SuggestionList(Listed):
    rows: list[Suggestion]


class SuggestionListParams(Page):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    tier: Literal["sure", "likely", "maybe"] | None = Field(None, description="Only those at least 95 %, 80 % or 50 % probable.")
    person_id: int | None = Field(None, description="Only those for this person.")


@operation("read", "review", params=SuggestionListParams, result=SuggestionList)
def suggestion_list(context: Context, p: SuggestionListParams) -> SuggestionList:
    """List who undecided tracks probably are, given what was decided: the most probable first."""
    rows = _suggested(context, p.episode, p.tier, p.person_id, p.cursor, p.limit)
    last = f"{rows[-1].probability!r}:{rows[-1].track_id}" if len(rows) == p.limit else None
    return SuggestionList(rows=rows, next_cursor=last)


def _suggested(context: Context, episode: str, tier: str | None, person_id: int | None, cursor: str | None, limit: int) -> list[Suggestion]:
    engine = context.engine
    run = active_run(engine, episode_of(engine, episode))
    low, high = TIERS[tier] if tier else (TIERS["maybe"][0], TIERS["sure"][1])
    after = None
    if cursor is not None:
        chance, _, track = cursor.partition(":")
        try:
            after = (float(chance), int(track))
        except ValueError as error:
            raise BadInput(f"{cursor!r} is not a cursor.", "Pass `next_cursor` of the page before, as it is.") from error
    rows = questions.suggestions(engine.database, run["run_id"], at_least=low, below=high, person_id=person_id, after=after, limit=limit)
    found = []
    for row in rows:
        whole = (row["start_us"], row["end_us"]) == (row.pop("track_start_us"), row.pop("track_end_us"))
        chip = row.pop("chip")
        tier_of = next(name for name, (least, below) in TIERS.items() if least <= row["probability"] < below)
        ref = reference(row["track_id"], None if whole else (row["start_us"], row["end_us"]))
        found.append(Suggestion(ref=ref, tier=tier_of, picture=str(engine.media.path(chip)) if chip else None, **row))
    return found


class SuggestionAccept(Change):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    tracks: list[Reference] = Field(default_factory=list, max_length=1000, description="Tracks to take as suggested.")
    tier: Literal["sure", "likely", "maybe"] | None = Field(None, description="Or all suggestions of a tier.")
    person_id: int | None = Field(None, description="Only those for this person.")


@operation("write", "review", params=SuggestionAccept, result=Changed, idempotent=False)
def suggestion_accept(context: Context, p: SuggestionAccept) -> Changed:
    """Take suggestions as they are: some tracks, or a whole tier; each becomes a decision of its own in one batch."""
    engine, actor = context.engine, str(context.actor)
    if bool(p.tracks) == (p.tier is not None):
        raise BadInput("Name tracks or a tier, one of the two.", "`rollcall suggestion list` shows both.")

    def make() -> Plan:
        rows = _suggested(context, p.episode, p.tier, p.person_id, None, 100_000)
        if p.tracks:
            wanted = set(p.tracks)
            rows = [row for row in rows if row.ref in wanted]
            if missing := wanted - {row.ref for row in rows}:
                raise Conflict(f"Nothing is suggested for {sorted(missing)[0]} any more.", "List the suggestions again.")
        state = engine.review.state(episode_of(engine, p.episode)["episode_id"])
        return answers.take(engine.review, state, [(row.track_id, row.start_us, row.person_id, row.probability) for row in rows], actor)

    return change(context, "suggestion_accept", p, make)


class SuggestionDismiss(ChangeSeen):
    tracks: list[Reference] = Field(
        min_length=1, max_length=1000, description="Tracks that are not as suggested.", json_schema_extra={"positional": True}
    )


@operation("write", "review", params=SuggestionDismiss, result=Changed, idempotent=False)
def suggestion_dismiss(context: Context, p: SuggestionDismiss) -> Changed:
    """Say that tracks are not whom they are suggested to be; that person is never proposed there again."""
    engine, actor = context.engine, str(context.actor)

    def make() -> Plan:
        aim = aim_at_tracks(engine.review, engine.database, p.tracks)
        authority.check_rev(engine.review, aim, p.rev)
        rows = questions.suggestions(engine.database, aim.state.run_id, at_least=0.0, below=2.0, person_id=None, after=None, limit=1_000_000)
        suggested = {(row["track_id"], row["start_us"]): row["person_id"] for row in rows}
        return answers.dismiss(aim, suggested, actor, force=p.force)

    return change(context, "suggestion_dismiss", p, make)


class PropagateParams(Params):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    person: Reference = Field(description="Person id or name.", json_schema_extra={"positional": True})
    at_least: float = Field(0.5, ge=0.05, le=1, description="Least probability.")
    limit: int = Field(100, ge=1, le=1000, description="Tracks at most.")


class Preview(Result):
    person_id: int
    person: str
    rows: list[Suggestion]
    tracks: int
    seconds: float


@operation("read", "review", params=PropagateParams, result=Preview)
def propagate_preview(context: Context, p: PropagateParams) -> Preview:
    """Show which undecided tracks look like somebody people have named here: most probable first, with the seconds they hold."""
    engine = context.engine
    episode = episode_of(engine, p.episode)
    person_id = answers.known(engine.review, episode["show_id"], p.person)
    rows = [row for row in _suggested(context, p.episode, None, person_id, None, p.limit) if row.probability >= p.at_least]
    seconds = sum(row.end_us - row.start_us for row in rows) / 1e6
    return Preview(person_id=person_id, person=engine.review.called(person_id), rows=rows, tracks=len(rows), seconds=seconds)


class PropagateApply(Change):
    episode: EpisodeRef = Field(json_schema_extra={"positional": True})
    person: Reference = Field(description="Person id or name.", json_schema_extra={"positional": True})
    tracks: list[Reference] = Field(min_length=1, max_length=1000, description="Tracks of the preview.")
    decision: int | None = Field(
        None, description="The decision it spreads; undoing that asks about these. The newest that names the person when not given."
    )


@operation("write", "review", params=PropagateApply, result=Changed, idempotent=False)
def propagate_apply(context: Context, p: PropagateApply) -> Changed:
    """Label look-alikes as somebody: one decision a track, tied to the decision they come from."""
    engine, actor = context.engine, str(context.actor)

    def make() -> Plan:
        aim = aim_at_tracks(engine.review, engine.database, p.tracks)
        person_id = answers.known(engine.review, aim.state.show_id, p.person)
        source = answers.source_for(aim.state, person_id, p.decision)
        return answers.spread(engine.review, aim, actor, person_id, source)

    return change(context, "propagate_apply", p, make)
