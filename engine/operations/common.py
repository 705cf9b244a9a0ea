"""What operations share: pages, references to shows, episodes, people and runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from engine.errors import BadInput, Conflict, NotFound
from engine.operations.registry import Params, Result
from engine.sources.probe import MediaInfo
from store import catalog, results

if TYPE_CHECKING:
    from engine.service import Engine

Reference = Annotated[str, BeforeValidator(str)]
"""An id, or a name that stands for one."""

UtcTime = Annotated[datetime, PlainSerializer(lambda moment: moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z", return_type=str)]
"""The store keeps UTC without a zone; surfaces say so."""

EpisodeRef = Annotated[Reference, Field(description="Episode id, or show-s01e02.")]


class Page(Params):
    """A list is given page by page: pass `next_cursor` of one page as `cursor` of the next."""

    limit: int = Field(100, ge=1, le=1000, description="Rows a page.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")

    def position(self) -> int | None:
        """The id the page starts after.

        Raises:
            BadInput: the cursor was not given by a page.
        """
        if self.cursor is None:
            return None
        if not (self.cursor.isascii() and self.cursor.isdigit() and len(self.cursor) < 19):
            raise BadInput(f"{self.cursor!r} is not a cursor.", "Pass `next_cursor` of the page before, as it is.")
        return int(self.cursor)


class Listed(Result):
    """A page of rows; `next_cursor` is null on the last one."""

    next_cursor: str | None


def next_cursor(rows: list[dict[str, Any]], limit: int, column: str) -> str | None:
    """The cursor of the page after this one."""
    return str(rows[-1][column]) if len(rows) == limit else None


def show_of(engine: Engine, reference: str) -> dict[str, Any]:
    """A show by id or slug.

    Raises:
        NotFound: there is none.
    """
    found = catalog.find_show(engine.database, reference)
    if found is None:
        raise NotFound(f"There is no show {reference!r}.", "`rollcall show list` lists them; `rollcall show add` makes one.")
    return found


def episode_of(engine: Engine, reference: str) -> dict[str, Any]:
    """An episode by id or `show-s01e02`.

    Raises:
        NotFound: there is none.
    """
    found = catalog.find_episode(engine.database, reference)
    if found is None:
        raise NotFound(f"There is no episode {reference!r}.", "`rollcall episode list` lists them.")
    return found


def recording_of(engine: Engine, episode: dict[str, Any]) -> tuple[Path, MediaInfo]:
    """An episode's file and what it is.

    Raises:
        NotFound: the file is not there.
    """
    path = Path(episode["path"])
    if not path.is_file():
        raise NotFound(f"The file of episode {episode['episode_id']}, {path}, is not there.", "Bring it back, or add it again from where it is now.")
    return path, MediaInfo.from_dict(catalog.media_of(engine.database, episode["episode_id"]))


def person_of(engine: Engine, person_id: int) -> dict[str, Any]:
    """A person by id.

    Raises:
        NotFound: there is none.
    """
    found = catalog.find_person(engine.database, person_id)
    if found is None:
        raise NotFound(f"There is no person {person_id}.", "`rollcall person list` lists them.")
    return found


def active_run(engine: Engine, episode: dict[str, Any]) -> dict[str, Any]:
    """The run an episode shows.

    Raises:
        Conflict: it has not been analysed.
    """
    if episode["active_run_id"] is None:
        raise Conflict(f"Episode {episode['episode_id']} has not been analysed.", f"`rollcall episode analyse {episode['episode_id']}` does it.")
    found = results.run(engine.database, episode["active_run_id"])
    assert found is not None
    return found
