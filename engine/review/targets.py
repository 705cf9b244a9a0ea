"""References to tracks and stretches of them, as people and agents write them: `412`, or `412@12.5-14.0` in seconds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import BadInput, Conflict, NotFound
from engine.review.draft import Target, targets_of
from engine.review.fold import Piece
from engine.review.state import EpisodeState
from store import ids, results

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from store.database import Database

_REFERENCE = re.compile(r"(\d{1,16})(?:@(\d+(?:\.\d{1,6})?)-(\d+(?:\.\d{1,6})?))?")


@dataclass(frozen=True)
class Aim:
    """What a verb is pointed at: targets of one level, and the pieces that lie in them, cut to them."""

    state: EpisodeState
    level: str
    targets: tuple[Target, ...]
    pieces: tuple[Piece, ...]

    @property
    def rev(self) -> int:
        """The newest decision that touches any of it."""
        return max((piece.rev for piece in self.pieces), default=0)


def reference(track_id: int, stretch: tuple[int, int] | None) -> str:
    """How a track is written, or a stretch (start_us, end_us) of it."""
    return str(track_id) if stretch is None else f"{track_id}@{seconds(stretch[0])}-{seconds(stretch[1])}"


def seconds(us: int) -> str:
    """Microseconds as seconds, exactly."""
    return f"{Decimal(us) / 1_000_000:f}"


def parse(text: str) -> tuple[int, int | None, int | None]:
    """(track_id, start_us, end_us) of a reference; the stretch is None for a whole track.

    Raises:
        BadInput: it is not a reference.
    """
    found = _REFERENCE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} is not a track.", "Write a track id, or id@from-to in seconds, as track_list gives them.")
    start, end = (None if part is None else int(Decimal(part) * 1_000_000) for part in found.group(2, 3))
    return int(found[1]), start, end


def episode_of_run(database: Database, run_id: int, what: str) -> int:
    """The episode that shows a run.

    Raises:
        NotFound: there is no such run.
        Conflict: the run is not the one its episode shows.
    """
    episode_id = results.analysed_by(database, run_id)
    if episode_id is None:
        raise NotFound(f"There is no {what}.", "`rollcall track list` and `rollcall cluster list` give those there are.")
    if results.active_run(database, episode_id) != run_id:
        hint = f"List episode {episode_id} again, or go back to that analysis with `rollcall analysis activate`."
        raise Conflict(f"{what[0].upper()}{what[1:]} is of an analysis that episode {episode_id} does not show any more.", hint)
    return episode_id


def aim_at_tracks(desk: Desk, database: Database, references: Sequence[str], part: int = 0) -> Aim:
    """Whole tracks, or stretches of tracks, of one episode. A stretch makes all of it a matter of frames.

    Raises:
        BadInput, NotFound, Conflict: a reference cannot be used.
    """
    parsed = [parse(text) for text in references]
    if not parsed:
        raise BadInput("No track was given.", "Name at least one.")
    episodes = {episode_of_run(database, track // ids.TRACKS_PER_RUN, f"track {track}") for track, _, _ in parsed}
    if len(episodes) > 1:
        raise BadInput(f"The tracks are of episodes {', '.join(map(str, sorted(episodes)))}.", "Change one episode at a time.")
    state = desk.state(episodes.pop())
    targets: list[Target] = []
    frames = False
    for track_id, start, end in parsed:
        track = state.tracks.get(track_id)
        if track is None:
            raise NotFound(f"There is no track {track_id}.", "`rollcall track list --episode EPISODE` lists them.")
        low, high = max(track.start_us, track.start_us if start is None else start), min(track.end_us, track.end_us if end is None else end)
        if low >= high:
            raise BadInput(
                f"Track {track_id} lasts from {seconds(track.start_us)} to {seconds(track.end_us)} s; the stretch lies outside.", "Give one inside."
            )
        frames |= (low, high) != (track.start_us, track.end_us)
        targets.append(Target(track_id, low, high, part))
    targets = sorted(set(targets), key=lambda target: (target.track_id, target.start_us))
    if any(one.track_id == other.track_id and other.start_us < one.end_us for one, other in itertools.pairwise(targets)):
        raise BadInput("Two of the stretches overlap.", "Name each face once.")
    if frames:
        _check_faces(desk, state, targets)
    return Aim(state, "frames" if frames else "track", tuple(targets), within(state, targets))


def aim_at_cluster(desk: Desk, database: Database, cluster_id: int, part: int = 0) -> Aim:
    """The members a cluster has now (rule 4).

    Raises:
        NotFound, Conflict: there is no such cluster in what the episode shows.
    """
    state = desk.state(episode_of_run(database, ids.run_of_cluster(cluster_id), f"cluster {cluster_id}"))
    members = [piece for piece in state.all_pieces() if piece.cluster_id == cluster_id]
    if not members:
        raise NotFound(f"There is no cluster {cluster_id}.", "`rollcall cluster list --episode EPISODE` lists them.")
    return of_pieces(state, "cluster", members, part)


def of_pieces(state: EpisodeState, level: str, pieces: Sequence[Piece], part: int = 0) -> Aim:
    """Pieces as the aim of a verb."""
    return Aim(state, level, targets_of(pieces, part), tuple(pieces))


def within(state: EpisodeState, targets: Sequence[Target]) -> tuple[Piece, ...]:
    """The pieces in some stretches, cut to them."""
    found = []
    for target in targets:
        for piece in state.pieces[target.track_id]:
            start, end = max(piece.start_us, target.start_us), min(piece.end_us, target.end_us)
            if start < end:
                found.append(piece._replace(start_us=start, end_us=end))
    return tuple(found)


def _check_faces(desk: Desk, state: EpisodeState, targets: Sequence[Target]) -> None:
    """A stretch without a face could not be found again."""
    _, faces = desk.faces(state.run_id).shown(targets)
    for target, count in zip(targets, faces, strict=True):
        if not count:
            raise BadInput(
                f"Track {target.track_id} shows no face between {seconds(target.start_us)} and {seconds(target.end_us)} s.",
                f"`rollcall track show {target.track_id}` gives the times of its faces.",
            )
