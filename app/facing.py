"""What can be done about faces, the same everywhere: say who it is, who it is not, split, merge, lock, spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app import verbs
from engine.errors import RollcallError

if TYPE_CHECKING:
    from app.app import RollcallApp

Answer = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """The faces meant: tracks by reference; a cluster when all of it is meant. `rev` is the newest decision seen on them."""

    tracks: list[str]
    cluster_id: int | None = None
    person_id: int | None = None
    person: str | None = None
    candidates: list[Answer] = field(default_factory=list)
    rev: int | None = None

    @property
    def whole(self) -> bool:
        """Whether a whole cluster is meant."""
        return self.cluster_id is not None

    @property
    def likely(self) -> list[Answer]:
        """The people it may be, as the number keys count them."""
        return known(self.candidates)

    def words(self) -> str:
        """How many faces, in words."""
        return "the cluster" if self.whole else "the track" if len(self.tracks) == 1 else f"{len(self.tracks)} tracks"


def known(candidates: list[Answer]) -> list[Answer]:
    """Of the candidates those that are somebody."""
    return [row for row in candidates if row["person_id"] is not None]


async def assign(app: RollcallApp, target: Target, person: str, name: str, *, create: bool = False, override: bool = False) -> Answer | None:
    """Say who it is."""
    given = {"person": person, "create": create, "override": override, "rev": target.rev}
    said = f"{target.words().capitalize()} is {name}." if target.whole or len(target.tracks) == 1 else f"{target.words()} are {name}."
    if target.whole:
        return await write(app, "cluster_assign", said, cluster_id=target.cluster_id, **given)
    return await write(app, "track_assign", said, tracks=target.tracks, **given)


async def ask_who(app: RollcallApp, target: Target, people: list[Answer]) -> Answer | None:
    """Pick a person for faces, then say so."""
    from app.screens.ask import Who

    found = await app.push_screen_wait(Who(f"Who is it? ({target.words()})", people, target.candidates))
    if found is None:
        return None
    return await assign(app, target, found["person"], found["name"], create=found["create"])


async def reject(app: RollcallApp, target: Target, person_id: int, name: str) -> Answer | None:
    """Say who it is not."""
    said = f"Not {name}; it will not be proposed there again."
    if target.whole:
        return await write(app, "cluster_reject", said, cluster_id=target.cluster_id, person=str(person_id), rev=target.rev)
    return await write(app, "track_reject", said, tracks=target.tracks, person=str(person_id), rev=target.rev)


async def exclude(app: RollcallApp, target: Target) -> Answer | None:
    """Say that it is no face."""
    return await write(app, "track_exclude", f"{target.words().capitalize()}: not a face.", tracks=target.tracks, rev=target.rev)


async def lock(app: RollcallApp, target: Target, *, locked: bool) -> Answer | None:
    """Lock or unlock."""
    name = "track_lock" if locked else "track_unlock"
    return await write(app, name, f"{target.words().capitalize()}: {'locked' if locked else 'unlocked'}.", tracks=target.tracks, rev=target.rev)


async def split_off(app: RollcallApp, cluster_id: int, tracks: list[str], rev: int | None) -> Answer | None:
    """Take faces out of a cluster: they are another person."""
    return await write(app, "cluster_split", f"{len(tracks)} of the faces are somebody else.", cluster_id=cluster_id, tracks=tracks, rev=rev)


async def split_at(app: RollcallApp, track: str, at_s: float, rev: int | None) -> Answer | None:
    """Cut a track in two at a time."""
    from app.screens.ask import OneLine

    text = await app.push_screen_wait(OneLine("Split the track at which second? It becomes two, each with a label of its own.", f"{at_s:.2f}"))
    if text is None:
        return None
    try:
        at = float(text)
    except ValueError:
        app.say(f"{text!r} is no time in seconds.", severity="warning")
        return None
    return await write(app, "track_split", f"Split at {at:g} s.", track=track, at_s=[at], rev=rev)


async def merge(app: RollcallApp, target: Target, episode: str) -> Answer | None:
    """Merge a cluster into another of the episode."""
    from app.screens.ask import Who

    page = await verbs.asked(app, "cluster_list", episode=episode, limit=1000)
    clusters = page["rows"] if page else []
    others = [
        {"person_id": row["cluster_id"], "name": f"{row['person'] or 'unidentified'} · cluster {row['cluster_id']}", "visual_s": row["seconds"]}
        for row in clusters
        if row["cluster_id"] != target.cluster_id
    ]
    found = await app.push_screen_wait(Who("The same person as which cluster?", others, new=False))
    if found is None or target.cluster_id is None:
        return None
    given = {"cluster_id": target.cluster_id, "into_cluster_id": int(found["person"]), "rev": target.rev}
    try:
        answer = await app.link.ask("cluster_merge", **verbs.accepted(app, "cluster_merge", given))
    except RollcallError as error:
        if "force" not in f"{error.hint} {error.data}":
            app.complain(error)
            return None
        from app.screens.ask import Ask

        if not await app.push_screen_wait(Ask(error.message + " They are two people, unless it is a mirror or a photo.", "Merge them all the same?")):
            return None
        return await write(app, "cluster_merge", "Merged.", **given, force=True)
    verbs.tell(app, answer, "Merged.")
    return answer


def gone(error: RollcallError) -> bool:
    """Whether it says that an item of the queue is not there any more: answered, or made anew behind a decision."""
    return error.code in ("not_found", "conflict") and "item" in error.data


async def _unless_locked(app: RollcallApp, operation: str, given: dict[str, Any]) -> Answer | None:
    """Run it; what is locked is changed only when the operator says so once more.

    Raises:
        RollcallError: the item of the queue it answers is not there any more (`gone`).
    """
    try:
        return await app.link.ask(operation, **given)
    except RollcallError as error:
        if gone(error):
            raise
        if error.code != "refused" or "locked" not in error.message or "force" not in verbs.parameters(app, operation):
            app.complain(error)
            return None
        from app.screens.ask import Ask

        if not await app.push_screen_wait(Ask(error.message, "Change what is locked all the same? Both are kept in the audit.")):
            return None
        return await verbs.asked(app, operation, **{**given, "force": True})


async def write(app: RollcallApp, operation: str, said: str, **given: Any) -> Answer | None:
    """Run a review operation; broader labels it would leave standing are offered to be taken along, a conflict says who was faster.

    Raises:
        RollcallError: the item of the queue it answers is not there any more (`gone`).
    """
    given = verbs.accepted(app, operation, given)
    answer = await _unless_locked(app, operation, given)
    if answer is None:
        return None
    verbs.tell(app, answer, said)
    if answer.get("kept") and not given.get("override") and "override" in verbs.parameters(app, operation):
        from app.screens.ask import Ask

        if await app.push_screen_wait(Ask(" ".join(answer["kept"]), "Override those labels too?")):
            given = {name: inner for name, inner in given.items() if name != "rev"}
            return await verbs.run(app, operation, said=said, **{**given, "override": True})
    return answer
