"""How each screen is laid out at 80 x 24 and 160 x 50, kept as text. `ROLLCALL_SNAPSHOTS=write pytest tests/test_app_snapshots.py` takes them anew.

Digits and the lengths of bars are left out: they belong to the analysis, not to the layout. Pictures are their half blocks.
Health is not kept: what it says is about the machine.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from engine.wire import Client
from tests.screens import Driver, copied, driven, masked

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (160, 50)]


@pytest.fixture(scope="module")
def home(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = copied(library, tmp_path_factory.mktemp("snapshots"))
    yield made
    Client(made).stop()


async def library_screen(driver: Driver) -> None:
    driver.place.rows.go_to(("episode", 1))  # type: ignore[attr-defined]


def place(name: str) -> Callable[[Driver], Awaitable[None]]:
    async def go(driver: Driver) -> None:
        driver.app.go(name)
        await driver.until(lambda: type(driver.place).__name__.lower() == name)

    return go


def tab(name: str) -> Callable[[Driver], Awaitable[None]]:
    async def go(driver: Driver) -> None:
        await driver.open_episode(name)

    return go


def keys(*pressed: str) -> Callable[[Driver], Awaitable[None]]:
    async def go(driver: Driver) -> None:
        await library_screen(driver)
        await driver.press(*pressed)
        await driver.pilot.pause(0.3)

    return go


async def moment(driver: Driver) -> None:
    from app.screens.moment import Moment

    driver.app.push_screen(Moment("1", 0, 2_000_000, "Unknown 1"))
    await driver.until(lambda: isinstance(driver.place, Moment) and driver.place.player.frame and driver.place._sheet)


async def results(driver: Driver) -> None:
    await driver.open_episode("results")
    await driver.until(lambda: "stretches" in driver.text(), "the explanation of a total")


async def picking(driver: Driver) -> None:
    await driver.open_episode("identities")
    await driver.press("a")
    await driver.until(lambda: "Who is it?" in driver.text())


SCREENS: dict[str, Callable[[Driver], Awaitable[None]]] = {
    "library": library_screen,
    "results": results,
    **{name: tab(name) for name in ("tracks", "identities", "detections")},
    **{name: place(name) for name in ("people", "review", "jobs", "audit")},
    "moment": moment,
    "picking": picking,
    "help": keys("question_mark"),
    "palette": keys("colon", *"colours"),
    "form": keys("a"),
}


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
async def test_screens_are_laid_out_as_they_were(size: tuple[int, int], home: Path) -> None:
    different = []
    for name, go in SCREENS.items():
        (home / "screens" / "person_tester.json").unlink(missing_ok=True)
        async with driven(home, size) as driver:
            await go(driver)
            if name not in ("help", "palette", "form", "picking"):
                await driver.settled()
            await driver.pilot.pause(0.3)
            shown = masked(driver.text())
        kept = FOLDER / f"{name}-{size[0]}x{size[1]}.txt"
        if os.environ.get("ROLLCALL_SNAPSHOTS") == "write":
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(shown + "\n")
        elif kept.read_text() != shown + "\n":
            different.append(f"{kept.name}\n--- kept\n{kept.read_text()}\n--- now\n{shown}")
    assert not different, "\n\n".join(different)
