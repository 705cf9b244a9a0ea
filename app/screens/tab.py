"""One side of an episode: has its own keys, reads its own rows, and leaves the frame to the episode's screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import Horizontal
from textual.widget import Widget

from app.keys import Action
from app.link import News

if TYPE_CHECKING:
    from app.app import RollcallApp
    from app.screens.episode import Episode


class Tab(Horizontal):
    """A tab. `title` is on the tab line; `places` are its parts of the key table."""

    title: ClassVar[str] = ""
    places: ClassVar[tuple[str, ...]] = ()
    DEFAULT_CSS = "Tab { height: 1fr; display: none; } Tab.shown { display: block; }"

    @property
    def rollcall(self) -> RollcallApp:
        """The app, as what it is."""
        return cast("RollcallApp", self.app)

    @property
    def episode(self) -> Episode:
        """The screen this is a side of."""
        return cast("Episode", self.screen)

    def action_do(self, name: str, number: int = 0) -> None:
        """Keys pressed in the tab go the same way as all others."""
        self.episode.action_do(name, number)

    async def fetch(self) -> None:
        """Read what the tab shows."""

    def ready(self, action: Action) -> bool:
        """Whether what the cursor is on has been read, so that an action meets what the operator sees."""
        return True

    def why_not(self, action: str) -> str | None:
        """Why an action cannot be done now."""
        return None

    def context(self) -> dict[str, Any]:
        """Parameters the palette fills in."""
        return {}

    def pictures_came(self) -> None:
        """Draw pictures that arrived."""

    def heard(self, news: News) -> None:
        """Something happened in the engine."""

    def first(self) -> Widget | None:
        """The widget that gets the keys when the tab is shown."""
        return None

    def closed(self) -> bool:
        """Leave what is open inside the tab; False when nothing is."""
        return False
