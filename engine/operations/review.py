"""Review of tracks: whose they are, whose they are not, what is no face, where they are two people."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from engine.errors import BadInput
from engine.operations.change import Changed, ChangeSeen, change
from engine.operations.common import Reference
from engine.operations.registry import Context, operation
from engine.review import authority, verbs
from engine.review.draft import Plan
from engine.review.targets import Aim, aim_at_tracks

PERSON = "Person id or name; `unknown` for nobody in particular."


class Tracks(ChangeSeen):
    tracks: list[Reference] = Field(
        min_length=1, max_length=1000, description="Tracks, or stretches of them as id@from-to in seconds.", json_schema_extra={"positional": True}
    )


def aim(context: Context, p: Tracks) -> Aim:
    """What a call is pointed at, seen as it is now."""
    engine = context.engine
    found = aim_at_tracks(engine.review, engine.database, p.tracks)
    authority.check_rev(engine.review, found, p.rev)
    return found


class TrackAssign(Tracks):
    person: Reference = Field(description=PERSON)
    create: bool = Field(False, description="Make somebody new when nobody is called that.")
    override: bool = Field(False, description="Also change stretches that were decided more closely.")


@operation("write", "review", params=TrackAssign, result=Changed, idempotent=False, key="a")
def track_assign(context: Context, p: TrackAssign) -> Changed:
    """Say who tracks, or stretches of tracks, show. A stretch cuts its track for good."""
    desk, actor = context.engine.review, str(context.actor)
    return change(
        context,
        "track_assign",
        p,
        lambda: verbs.assign(desk, aim(context, p), actor, p.person, create=p.create, override=p.override, force=p.force),
    )


class TrackReject(Tracks):
    person: Reference = Field(description="Person id or name.")


@operation("write", "review", params=TrackReject, result=Changed, idempotent=False, key="r")
def track_reject(context: Context, p: TrackReject) -> Changed:
    """Say who tracks do not show: the machine never takes or proposes them for that person again, in any analysis."""
    desk, actor = context.engine.review, str(context.actor)
    return change(context, "track_reject", p, lambda: verbs.reject(desk, aim(context, p), actor, p.person, force=p.force))


class TrackExclude(Tracks):
    override: bool = Field(False, description="Also change stretches that were decided more closely.")


@operation("write", "review", params=TrackExclude, result=Changed, idempotent=False, key="x")
def track_exclude(context: Context, p: TrackExclude) -> Changed:
    """Say that tracks are not faces: they count for nobody, and not as somebody else in the picture."""
    desk, actor = context.engine.review, str(context.actor)
    return change(context, "track_exclude", p, lambda: verbs.exclude(desk, aim(context, p), actor, override=p.override, force=p.force))


class TrackSplit(ChangeSeen):
    track: Reference = Field(description="Track id.", json_schema_extra={"positional": True})
    at_s: list[float] = Field(
        default_factory=list, max_length=100, description="Times in the recording, seconds, at which one person ends and another begins."
    )
    detections: list[int] = Field(default_factory=list, max_length=10000, description="Or the faces (detection ids) of one of the two people.")


@operation("write", "review", params=TrackSplit, result=Changed, idempotent=False, key="s")
def track_split(context: Context, p: TrackSplit) -> Changed:
    """Cut a track that shows two people, at times or by picking the faces of one; no later analysis joins it again."""
    engine, actor = context.engine, str(context.actor)
    if bool(p.at_s) == bool(p.detections):
        raise BadInput("A split needs times or faces, one of the two.", "Give --at-s SECONDS, or --detections of one of the people.")

    def make() -> Plan:
        found = aim(context, Tracks(tracks=[p.track], rev=p.rev))
        if p.at_s:
            times = [int(Decimal(str(at)) * 1_000_000) for at in p.at_s]
            return verbs.split_at(engine.review, found, actor, times, force=p.force)
        return verbs.split_faces(engine.review, engine.database, found, actor, p.detections, force=p.force)

    return change(context, "track_split", p, make)


@operation("write", "review", params=Tracks, result=Changed, idempotent=False, people_only=True, key="l")
def track_lock(context: Context, p: Tracks) -> Changed:
    """Lock tracks as they are: agents, scripts and the machine cannot change them, people only by unlocking or forcing."""
    actor = str(context.actor)
    return change(context, "track_lock", p, lambda: verbs.lock(aim(context, p), actor, locked=True))


@operation("write", "review", params=Tracks, result=Changed, idempotent=False, people_only=True, key="L")
def track_unlock(context: Context, p: Tracks) -> Changed:
    """Unlock tracks."""
    actor = str(context.actor)
    return change(context, "track_unlock", p, lambda: verbs.lock(aim(context, p), actor, locked=False))
