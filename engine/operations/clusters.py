"""Review of clusters: tracks the machine takes for one person."""

from __future__ import annotations

from pydantic import Field

from engine.errors import BadInput
from engine.operations.change import Changed, ChangeSeen, change
from engine.operations.common import Reference
from engine.operations.registry import Context, operation
from engine.operations.review import PERSON
from engine.review import authority, verbs
from engine.review.draft import Plan
from engine.review.targets import Aim, aim_at_cluster, aim_at_tracks


class Cluster(ChangeSeen):
    cluster_id: int = Field(description="Cluster id.", json_schema_extra={"positional": True})


def aim(context: Context, cluster_id: int, rev: int | None, part: int = 0) -> Aim:
    """A cluster as it is now."""
    engine = context.engine
    found = aim_at_cluster(engine.review, engine.database, cluster_id, part)
    authority.check_rev(engine.review, found, rev)
    return found


class ClusterAssign(Cluster):
    person: Reference = Field(description=PERSON)
    create: bool = Field(False, description="Make somebody new when nobody is called that; an unknown the cluster is taken for gets the name.")
    override: bool = Field(False, description="Also change tracks that were decided one by one.")


@operation("write", "review", params=ClusterAssign, result=Changed, idempotent=False, key="A")
def cluster_assign(context: Context, p: ClusterAssign) -> Changed:
    """Say who a cluster is: all tracks it has now. Tracks that join it later are suggestions."""
    desk, actor = context.engine.review, str(context.actor)

    def make() -> Plan:
        found = aim(context, p.cluster_id, p.rev)
        return verbs.assign(desk, found, actor, p.person, create=p.create, override=p.override, force=p.force)

    return change(context, "cluster_assign", p, make)


class ClusterReject(Cluster):
    person: Reference = Field(description="Person id or name.")


@operation("write", "review", params=ClusterReject, result=Changed, idempotent=False, key="R")
def cluster_reject(context: Context, p: ClusterReject) -> Changed:
    """Say who a cluster is not: the machine never takes or proposes its tracks for that person again."""
    desk, actor = context.engine.review, str(context.actor)
    return change(context, "cluster_reject", p, lambda: verbs.reject(desk, aim(context, p.cluster_id, p.rev), actor, p.person, force=p.force))


class ClusterSplit(Cluster):
    tracks: list[Reference] = Field([], max_length=1000, description="Members that are somebody else.")
    apart: bool = Field(False, description="Instead of tracks: the cluster shows many people, every track becomes a cluster of its own.")


@operation("write", "review", params=ClusterSplit, result=Changed, idempotent=False)
def cluster_split(context: Context, p: ClusterSplit) -> Changed:
    """Take tracks out of a cluster: they are not the person the others are; or take it apart into its tracks."""
    engine, actor = context.engine, str(context.actor)
    if p.apart == bool(p.tracks):
        raise BadInput("Either tracks are taken out or the cluster is taken apart.", "Name the tracks, or say --apart.")

    def make() -> Plan:
        if p.apart:
            return verbs.take_apart(aim(context, p.cluster_id, p.rev), actor, force=p.force)
        chosen = aim_at_tracks(engine.review, engine.database, p.tracks, part=1)
        return verbs.take_out(aim(context, p.cluster_id, p.rev), chosen, actor, force=p.force)

    return change(context, "cluster_split", p, make)


class ClusterMerge(Cluster):
    into_cluster_id: int = Field(description="The cluster it is the same person as.", json_schema_extra={"positional": True})


@operation("write", "review", params=ClusterMerge, result=Changed, idempotent=False, key="m")
def cluster_merge(context: Context, p: ClusterMerge) -> Changed:
    """Say that a cluster is the same person as another, whose name is kept. Undoing it separates exactly what it joined."""
    engine, actor = context.engine, str(context.actor)

    def make() -> Plan:
        one, into = aim(context, p.cluster_id, p.rev, part=1), aim(context, p.into_cluster_id, None)
        return verbs.merge(engine.review, one, into, actor, force=p.force)

    return change(context, "cluster_merge", p, make)
