"""The rules of the facebank: which faces may go in, and the verbs that put them in and take them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from engine.errors import Conflict, NotFound, Refused
from engine.models.base import Calibration
from engine.review import authority, naming
from engine.review.draft import Draft, Entry, Plan, targets_of
from engine.review.targets import Aim, of_pieces
from store import facebank, results

if TYPE_CHECKING:
    from engine.review.desk import Desk
    from engine.service import Engine
    from store.database import Database


@dataclass(frozen=True)
class Face:
    """A face that may go into the bank. vector: (dims,) float32, L2-normalised; `what` names it in sentences."""

    what: str
    vector: NDArray[np.float32]
    quality: float
    mixed: bool = False


class Bank:
    """The faces of a show's people in one space, and those taken in since.

    A face is compared with the mean of the few of a person's faces that are most like it: one lucky neighbour is no evidence.
    """

    def __init__(self, database: Database, show_id: int, space: str, calibration: Calibration, settings: Settings) -> None:
        rows = facebank.in_force(database, show_id, space)
        self._calibration, self._settings, self._agreeing = calibration, settings.bank, settings.identity.exemplars
        self._faces: dict[int, list[NDArray[np.float32]]] = {}
        for person, vector in zip(rows["person_id"].to_pylist(), facebank.vectors(rows), strict=True):
            self._faces.setdefault(person, []).append(vector)

    def duplicate(self, face: Face, person_id: int) -> bool:
        """Whether somebody's bank has this very face."""
        return self._nearest(face, person_id, 1) >= self._settings.duplicate_similarity

    def poor(self, face: Face) -> str | None:
        """Why a face is no good for a bank, whoever it is."""
        if face.mixed:
            return f"{face.what} looks like more than one person."
        if face.quality < self._settings.min_quality:
            return f"{face.what} has quality {face.quality:.2f}, under bank.min_quality {self._settings.min_quality:g}."
        return None

    def nearer(self, face: Face, person_id: int) -> tuple[int, float] | None:
        """(person, similarity) of somebody else whose faces are more like this one than the person's own, and more likely theirs than not."""
        own = max(self._nearest(face, person_id, self._agreeing), -self._calibration.intercept / self._calibration.slope)
        others = [(self._nearest(face, other, self._agreeing), other) for other in self._faces if other != person_id]
        best = max(others, default=None)
        return (best[1], best[0]) if best is not None and best[0] > own else None

    def take(self, face: Face, person_id: int) -> None:
        """From now on the face is one of the person's."""
        self._faces.setdefault(person_id, []).append(face.vector)

    def _nearest(self, face: Face, person_id: int, count: int) -> float:
        """Mean cosine with the most alike faces of somebody; -1 for nobody's."""
        known = self._faces.get(person_id)
        if not known:
            return -1.0
        cosine = np.sort(np.stack(known) @ face.vector)[::-1]
        return float(cosine[:count].mean())


def offer(desk: Desk, bank: Bank, face: Face, person_id: int, *, force: bool) -> str | None:
    """Why a face does not go into somebody's bank; None: it does, and is there from now on. `force` overrules a likeness to somebody else alone."""
    if (why := bank.poor(face)) is not None:
        return why
    if bank.duplicate(face, person_id):
        return f"{face.what} is in the bank already."
    other = bank.nearer(face, person_id)
    if other is not None and not force:
        return f"{face.what} is more like {desk.called(other[0])} (similarity {other[1]:.2f}); --force takes it all the same."
    bank.take(face, person_id)
    return None


def add(engine: Engine, aim: Aim, actor: str, person: str, *, create: bool, force: bool) -> Plan:
    """Whole tracks go into somebody's bank, one face each; those nobody has decided about become that person's.

    Raises:
        Conflict: none of them may; the reason of the first.
        Refused: they are locked, or a person decided they are somebody else.
    """
    desk, state, plan = engine.review, aim.state, Plan(rev=aim.rev)
    if aim.level != "track":
        raise Conflict("A stretch of a track has no face of its own for the bank.", "Name whole tracks; split a track that shows two people first.")
    who = naming.person_for(desk, plan, aim, person, create=create)
    run = results.run(engine.database, state.run_id)
    assert run is not None
    tracks = {target.track_id: row for target in aim.targets if (row := results.track(engine.database, target.track_id)) is not None}
    vectors = engine.embeddings(state.run_id, sorted(tracks))
    bank = Bank(engine.database, state.show_id, run["space"], calibration_of(run), engine.config.settings)
    taken: list[int] = []
    reasons: list[str] = []
    for track_id, row in tracks.items():
        why = _elsewhere(desk, aim, track_id, who)
        if why is None and track_id not in vectors:
            why = f"Track {track_id} has no embedding."
        if why is None:
            face = Face(f"Track {track_id}", vectors[track_id], float(row["quality"]), bool(row["mixed"]))
            why = offer(desk, bank, face, who, force=force)
        if why is None:
            taken.append(track_id)
        else:
            reasons.append(why)
    if not taken:
        raise Conflict(reasons[0], "Nothing was put into the bank.", reasons=reasons)
    plan.notes += reasons
    _say_whose(plan, aim, actor, who, taken)
    for track_id in taken:
        origin = f"track {track_id} of episode {state.episode_id}"
        plan.drafts.append(Draft("bank_add", None, state.show_id, None, who, (), {"origin": origin}))
        row, at = tracks[track_id], len(plan.drafts) - 1
        plan.entries.append(
            Entry(at, run["space"], vectors[track_id], float(row["quality"]), origin, row["chip"], row["chip"], state.episode_id, track_id)
        )
    return plan


def calibration_of(run: dict[str, Any]) -> Calibration:
    """How similarity is read in a run's space."""
    return Calibration(**run["models"]["calibration"])


def _elsewhere(desk: Desk, aim: Aim, track_id: int, who: int) -> str | None:
    """Why a track cannot be somebody's by what was decided."""
    for piece in (piece for piece in aim.pieces if piece.track_id == track_id):
        if piece.decision_id is not None and (piece.person_id != who or piece.excluded):
            return f"Track {track_id} was decided to be {desk.label(piece)}."
        if who in piece.rejected:
            return f"Track {track_id} was decided not to be {desk.called(who)}."
    return None


def _say_whose(plan: Plan, aim: Aim, actor: str, who: int, taken: list[int]) -> None:
    """A face in somebody's bank is theirs: what the machine took for somebody else is labelled."""
    unlike = [piece for piece in aim.pieces if piece.track_id in taken and piece.person_id != who]
    if not unlike:
        return
    found = authority.permitted(of_pieces(aim.state, "track", unlike), actor, force=False, kept=plan.kept)
    state = aim.state
    plan.drafts.append(Draft("assign", "track", state.show_id, state.episode_id, who, targets_of(found.pieces)))


def remove(desk: Desk, database: Database, entry_id: int, actor: str) -> Plan:
    """A face leaves the bank; the answer says whom the machine has matched with that person's faces.

    Raises:
        NotFound: it is not in the bank.
        Refused: a person put it in, and the actor is not one.
    """
    row = facebank.entry(database, entry_id)
    if row is None or not row["active"]:
        raise NotFound(f"There is no face {entry_id} in the bank.", "`rollcall facebank list` lists them.")
    (added,) = (d for d in desk.people().decisions if d.decision_id == row["decision_id"])
    if added.by_person and not authority.is_person(actor):
        raise Refused(f"Face {entry_id} was put into the bank by a person, and {actor} is not one.", "Ask a person, or leave it.")
    plan = Plan([Draft("bank_remove", None, row["show_id"], None, row["person_id"], (), {"entry_id": entry_id})])
    who = desk.called(row["person_id"])
    for match in facebank.matched_by_face(database, row["person_id"], row["space"]):
        plan.notes.append(
            f"Episode {match['episode_id']} ({match['title']}) takes cluster {match['cluster_id']} ({match['seconds']:.1f} s) for {who} by face "
            f"(similarity {match['similarity']:.2f}); analyse it again to see whether that holds without this one."
        )
    return plan
