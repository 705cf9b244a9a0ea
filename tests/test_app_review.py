"""Answers to questions that left the queue meanwhile: they are taken where they can be meant, asked anew where not, and are no errors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from app.screens.asking import Item, follower, same_question
from app.screens.review import CHANGED, Review
from engine.wire import Client
from tests.screens import WAIT_S, Driver, driven

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(home: Path) -> Client:
    return Client(home, "person:other")


def queue(client: Client) -> list[Item]:
    """What is asked, once it follows what was decided."""
    end = time.monotonic() + WAIT_S
    while (page := client.call("queue_list", {"episode": "1"}))["pending"]:
        assert time.monotonic() < end, "the queue stays behind"
        time.sleep(0.1)
    rows: list[Item] = page["rows"]
    return rows


def shown(item: Item) -> list[str]:
    return [ref for unit in item["asked"] for ref in unit["shown"]]


def people(client: Client, ref: str) -> list[str]:
    return [piece["person"] for piece in client.call("track_show", {"track_id": int(ref)})["pieces"]]


async def reviewing(driver: Driver) -> Review:
    """Review, and nothing of what others do heard: the moment before it is."""
    driver.app.go("review", episode=1)
    await driver.until(lambda: isinstance(driver.place, Review) and driver.place.item)
    await driver.settled()
    driver.app.link._on_news = lambda news: None
    assert isinstance(driver.place, Review)
    return driver.place


def errors(driver: Driver) -> list[str]:
    return [note.message for note in driver.app._notifications if note.severity == "error"]


def sheet(client: Client) -> Item:
    """Somebody is named, and an item asks about several of their tracks at once."""
    for unit in queue(client)[0]["asked"]:
        client.call("cluster_assign", {"cluster_id": unit["cluster_id"], "person": "Ana", "create": True})
    return next(item for item in queue(client) if len(item["asked"]) > 1 and all(unit["proposed"] for unit in item["asked"]))


async def go_to(driver: Driver, review: Review, item: Item) -> None:
    """Put items off until this one is shown."""
    while review.item and review.item["item"] != item["item"]:
        at = review.item
        await driver.press("tab")
        await driver.until(lambda at=at: review.item is not at)
        await driver.settled()


async def at_the_last_of_a_sheet_that_is_gone(driver: Driver, client: Client) -> tuple[Review, Item]:
    """Review at the last face of an item that left the queue since: somebody else decided about its first face."""
    several = sheet(client)
    review = await reviewing(driver)
    await go_to(driver, review, several)
    await driver.press(*["right"] * (len(shown(several)) - 1))
    client.call("track_assign", {"tracks": [shown(several)[0]], "person": "Ben", "create": True})
    assert several["item"] not in [item["item"] for item in queue(client)]
    return review, several


async def test_a_name_for_faces_whose_item_is_gone_is_taken(home: Path, client: Client) -> None:
    async with driven(home) as driver:
        review, item = await at_the_last_of_a_sheet_that_is_gone(driver, client)
        await driver.press("a")
        await driver.type("Cy")
        await driver.press("enter")
        await driver.until(lambda: people(client, shown(item)[-1]) == ["Cy"], "the name")
        assert review._answered == 1
        assert errors(driver) == []
        assert people(client, shown(item)[0]) == ["Ben"]


async def test_a_name_is_for_the_faces_it_was_asked_for(home: Path, client: Client) -> None:
    """Somebody else names them, and the queue is read, while the operator is asked who it is: Review stands at other faces when the name comes."""
    async with driven(home) as driver:
        review = await reviewing(driver)
        item = review.item or {}
        await driver.press("a")
        await driver.until(lambda: type(driver.app.screen).__name__ == "Who")
        client.call("queue_accept", {"item": item["item"], "person": "Ana", "create": True})
        queue(client)
        review.reload()
        await driver.until(lambda: review.item and not set(shown(review.item)) & set(shown(item)), "other faces")
        other = shown(review.item or {})
        before = [people(client, ref) for ref in other]
        await driver.type("Ben")
        await driver.press("enter")
        await driver.until(lambda: errors(driver) or any("Ben" in people(client, ref) for ref in shown(item)), "what came of it")
        assert [people(client, ref) for ref in other] == before
        assert people(client, shown(item)[0]) == ["Ana"]  # who was faster is told


async def test_yes_to_what_is_not_asked_any_more_is_asked_anew(home: Path, client: Client) -> None:
    several = sheet(client)
    async with driven(home) as driver:
        review = await reviewing(driver)
        await go_to(driver, review, several)
        await driver.press("right", "m")
        marked = set(review.faces.marked)
        client.call("track_assign", {"tracks": [shown(several)[0]], "person": "Ben", "create": True})
        assert several["item"] not in [item["item"] for item in queue(client)]
        decided = decisions(client)
        await driver.press("y")
        await driver.until(lambda: review.item and review.item["item"] != several["item"], "what is asked now")
        await driver.settled()
        assert CHANGED in driver.text().splitlines()[1]
        assert (decisions(client), review._answered, errors(driver)) == (decided, 0, [])
        assert review.faces.marked == marked  # a mark set before stays
        await driver.press("y")
        await driver.until(lambda: review._answered == 1, "the answer")
        assert errors(driver) == []


async def test_putting_off_what_is_not_asked_any_more(home: Path, client: Client) -> None:
    async with driven(home) as driver:
        review, item = await at_the_last_of_a_sheet_that_is_gone(driver, client)
        await driver.press("tab")
        await driver.until(lambda: review.item is None or review.item["item"] != item["item"], "the next")
        await driver.settled()
        assert errors(driver) == []


def decisions(client: Client) -> int:
    return len(client.call("decision_list", {"limit": 500})["rows"])


def asks(item: str, *units: tuple[list[str], int | None]) -> Item:
    def proposed(person: int | None) -> dict[str, Any] | None:
        return None if person is None else {"person_id": person}

    return {"item": item, "episode_id": 1, "asked": [{"shown": refs, "proposed": proposed(person)} for refs, person in units]}


async def test_what_follows_an_item_that_is_gone() -> None:
    gone = asks("a", (["1", "2"], 7), (["3"], None))
    twin, akin, other = asks("b", (["1", "2"], 7), (["3"], None)), asks("c", (["3"], 8)), asks("d", (["4"], 7))
    assert same_question(gone, twin)
    assert not same_question(gone, asks("e", (["1", "2"], 8), (["3"], None)))
    assert follower([other, akin, twin], gone) is twin
    assert follower([other, akin], gone) is akin
    assert follower([other], gone) is other
    assert follower([], gone) is None and follower([other], None) is other
