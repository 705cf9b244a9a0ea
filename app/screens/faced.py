"""What the tabs of tracks and of clusters have in common: the same keys do the same to the faces they aim at."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from app import facing, verbs
from app.facing import Target
from app.screens.base import bindings
from app.screens.tab import Tab


class Faced(Tab):
    """A tab that aims at faces: `aimed` says at which, `unmark` lets go of them once something was done."""

    places = ("faces",)
    BINDINGS: ClassVar = bindings("faces")

    def aimed(self) -> Target:
        """The faces meant."""
        raise NotImplementedError

    def unmark(self) -> None:
        """Take the marks away."""
        raise NotImplementedError

    def do_faces(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something to the faces; when it was done, the marks go and the episode is read again."""

        async def then() -> None:
            if await work is not None:
                self.unmark()
                self.episode.reload()

        self.run_worker(then(), exit_on_error=False)

    def do_candidate(self, number: int) -> None:
        likely = self.aimed().likely
        if number > len(likely):
            self.rollcall.say(f"There is no likely person {number} here; a picks anybody.", severity="warning")
            return
        self.do_faces(facing.assign(self.rollcall, self.aimed(), str(likely[number - 1]["person_id"]), likely[number - 1]["person"]))

    def do_assign(self) -> None:
        self.do_faces(facing.ask_who(self.rollcall, self.aimed(), self.episode.people))

    def do_name(self) -> None:
        target = self.aimed()
        self.do_faces(verbs.name_person(self.rollcall, {"person_id": target.person_id, "name": target.person}))

    def do_reject(self) -> None:
        target = self.aimed()
        assert target.person_id is not None and target.person is not None
        self.do_faces(facing.reject(self.rollcall, target, target.person_id, target.person))

    def do_exclude(self) -> None:
        self.do_faces(facing.exclude(self.rollcall, self.aimed()))

    def do_lock(self) -> None:
        self.do_faces(facing.lock(self.rollcall, self.aimed(), locked=True))

    def do_unlock(self) -> None:
        self.do_faces(facing.lock(self.rollcall, self.aimed(), locked=False))

    def do_propagate(self) -> None:
        from app.screens.choosing import spread

        self.do_faces(spread(self.rollcall, self.episode.reference, str(self.aimed().person_id)))

    def do_bank(self) -> None:
        target = self.aimed()
        self.do_faces(
            facing.write(self.rollcall, "facebank_add", f"In {target.person}'s facebank.", tracks=target.tracks, person=str(target.person_id))
        )

    def do_feature(self) -> None:
        target = self.aimed()
        said, track_id = f"{target.person} is shown by this face.", int(target.tracks[0].partition("@")[0])
        self.do_faces(facing.write(self.rollcall, "person_feature", said, person_id=target.person_id, track_id=track_id))
