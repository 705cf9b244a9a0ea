"""What operators do, key by key, with the effect looked up in the engine."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import av
import pytest

from app import player
from app.screens.form import completed
from app.screens.library import Library
from app.screens.palette import entries, matching
from engine.errors import RollcallError
from engine.wire import Client
from tests.screens import Driver, driven

pytestmark = pytest.mark.anyio


def names(home: Path) -> list[str]:
    return sorted(row["name"] for row in Client(home, "person:tester").call("totals_show", {"episode": "1"})["people"])


async def at(driver: Driver, name: str) -> None:
    await driver.until(lambda: type(driver.place).__name__ == name and driver.read(), name)
    await driver.settled()


async def test_add_a_video_analyse_it_and_open_it(tmp_path: Path, library: Path) -> None:
    clip = next(library.parent.glob("clips/second.mp4"))
    home = tmp_path / "home"
    try:
        async with driven(home) as driver:
            assert "the library is empty" in driver.text()
            await driver.press("a")
            await driver.until(lambda: "episode add" in driver.text())
            await driver.type(str(clip))
            await driver.press("enter")
            await driver.until(lambda: isinstance(driver.app.screen, Library) and driver.app.screen.rows.current["kind"] == "episode")
            assert "not analysed" in driver.text()
            await driver.press("s")
            await driver.until(lambda: "analysed" in driver.text() and "not analysed" not in driver.text() and driver.app.running == "")
            await driver.press("enter")
            await at(driver, "Episode")
            assert "Results" in driver.text()
    finally:
        Client(home).stop()


async def test_name_a_person_undo_and_redo(home: Path) -> None:
    before = names(home)
    async with driven(home) as driver:
        await driver.open_episode("results")
        await driver.press("n")
        await driver.until(lambda: "Who is" in driver.text())
        await driver.type("Ana")
        await driver.press("enter")
        await driver.until(lambda: "Ana" in names(home))
        await driver.until(lambda: "Ana" in driver.text())
        await driver.press("u")
        await driver.said("Undone")
        assert names(home) == before
        await driver.until(lambda: " Ana " not in driver.text().split("Undone")[0])
        await driver.press("U")
        await driver.said("Done again")
        assert "Ana" in names(home)


async def test_clusters_assigned_merged_and_taken_back(home: Path) -> None:
    client = Client(home, "person:tester")

    def clusters() -> list[str | None]:
        return [row["person"] for row in client.call("cluster_list", {"episode": "1"})["rows"]]

    before = clusters()
    assert len(before) >= 2
    async with driven(home) as driver:
        await driver.open_episode("identities")
        await driver.press("a")
        await driver.until(lambda: "Who is it?" in driver.text())
        await driver.type("Bea")
        await driver.press("enter")
        await driver.until(lambda: clusters()[0] == "Bea")
        await driver.settled()
        await driver.press("down", "m")
        await driver.until(lambda: "same person as which cluster" in driver.text())
        await driver.type("Bea")
        await driver.press("enter")
        await driver.until(lambda: "Both are in one frame" in driver.text(), "the question whether they can be one person")
        await driver.press("y")
        await driver.until(lambda: len(clusters()) == len(before) - 1, "two clusters to be one")
        await driver.press("u")
        await driver.until(lambda: clusters() == ["Bea", *before[1:]])
        await driver.press("u")
        await driver.until(lambda: clusters() == before)


async def test_tracks_are_assigned_rejected_locked_and_split(home: Path) -> None:
    client = Client(home, "person:tester")

    def track(number: int = 0) -> dict:
        return client.call("track_list", {"episode": "1"})["rows"][number]

    async with driven(home) as driver:
        await driver.open_episode("tracks")
        await driver.press("a")
        await driver.until(lambda: "Who is it?" in driver.text())
        await driver.type("Cy")
        await driver.press("enter")
        await driver.until(lambda: track()["person"] == "Cy")
        await driver.settled()
        await driver.press("l")
        await driver.until(lambda: track()["locked"])
        await driver.settled()
        await driver.press("x")
        await driver.until(lambda: "locked" in driver.text() and "all the same" in driver.text())
        await driver.press("n")
        await driver.press("O")
        await driver.until(lambda: not track()["locked"])
        await driver.settled()
        await driver.press("x")
        await driver.until(lambda: track()["person"] != "Cy")
        await driver.settled()
        await driver.press("s")
        await driver.until(lambda: "Split the track" in driver.text())
        await driver.press("enter")
        await driver.until(lambda: "@" in track()["ref"])
        await driver.settled()
        await driver.press("X")
        await driver.until(lambda: track()["excluded"])


async def test_queue_is_answered_and_the_next_question_comes(home: Path) -> None:
    client = Client(home, "person:tester")

    def left() -> int:
        return sum(len(item["asked"]) for item in client.call("queue_list")["rows"])

    before = left()
    assert before >= 2
    async with driven(home) as driver:
        await driver.press("R")
        await at(driver, "Review")
        assert "Who is this?" in driver.text()
        first = driver.place._refs()  # type: ignore[attr-defined]
        await driver.press("a")
        await driver.until(lambda: "Who is it?" in driver.text())
        await driver.type("Dee")
        await driver.press("enter")
        await driver.until(lambda: left() < before)
        await driver.until(lambda: driver.place._refs() != first)  # type: ignore[attr-defined]
        await driver.settled()
        second = driver.place._refs()  # type: ignore[attr-defined]
        await driver.press("tab")
        await driver.until(lambda: driver.place._refs() != second)  # type: ignore[attr-defined]
        await driver.press("u")
        await driver.said("Undone")
        await driver.until(lambda: first[0] in [ref for item in client.call("queue_list")["rows"] for unit in item["asked"] for ref in unit["shown"]])


async def test_stretch_is_played_and_a_moment_looked_at(home: Path) -> None:
    async with driven(home) as driver:
        await driver.press("R")
        await at(driver, "Review")
        await driver.until(lambda: driver.place._tracks)  # type: ignore[attr-defined]
        await driver.press("space")
        await driver.until(lambda: driver.place.player.frame is not None)  # type: ignore[attr-defined]
        seen = {driver.place.player.frame.t_us}  # type: ignore[attr-defined]
        await driver.until(lambda: seen.add(driver.place.player.frame.t_us) or len(seen) > 2, "frames one after the other")  # type: ignore[attr-defined]
        await driver.press("escape")
        await driver.press("v")
        await at(driver, "Moment")
        await driver.until(lambda: driver.place.player.frame is not None)  # type: ignore[attr-defined]
        before = driver.place.t_us  # type: ignore[attr-defined]
        await driver.press("right")
        await driver.until(lambda: driver.place.t_us > before)  # type: ignore[attr-defined]
        await driver.press("y")
        await driver.said("rollcall://episode/1@")
        await driver.press("escape")
        await at(driver, "Review")


async def test_link_to_a_moment_is_followed(home: Path) -> None:
    async with driven(home) as driver:
        await driver.press("colon")
        await driver.type("rollcall://episode/1@1.50")
        await driver.press("enter")
        await at(driver, "Moment")
        assert driver.place.t_us == 1_500_000  # type: ignore[attr-defined]


async def test_export_is_written(home: Path) -> None:
    async with driven(home) as driver:
        await driver.open_episode("results")
        await driver.press("e")
        await driver.until(lambda: "export create" in driver.text())
        await driver.press("enter")
        await driver.said("exported")
        rows = Client(home, "person:tester").call("export_list")["rows"]
        assert rows[0]["bytes"] == len((home / "exports" / Path(rows[0]["path"]).name).read_bytes())
        await driver.press("x")
        await at(driver, "Result")
        assert "csv" in driver.text()


async def test_two_people_are_merged_and_separated_again(home: Path) -> None:
    before = names(home)
    async with driven(home) as driver:
        await driver.press("P")
        await at(driver, "People")
        await driver.press("m")
        await driver.until(lambda: "same person as whom" in driver.text())
        await driver.press("enter")
        await driver.until(lambda: len(names(home)) == len(before) - 1)
        await driver.press("A")
        await at(driver, "Audit")
        await driver.until(lambda: driver.place.rows.rows)  # type: ignore[attr-defined]
        await driver.press("enter")
        await driver.until(lambda: names(home) == before)


async def test_everything_is_shown_without_colours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven(home) as driver:
        assert driver.app.ink.plain
        for tab in ("results", "tracks", "identities", "detections"):
            await driver.open_episode(tab)
            assert "▀" not in driver.text()
        for place in ("people", "review", "jobs", "health", "audit"):
            driver.app.go(place)
            await at(driver, place.capitalize())
        driver.app.go("people")
        await at(driver, "People")
        await driver.until(lambda: any(char in driver.text() for char in "#%@"), "a face in characters")


async def test_proposal_of_an_agent_is_accepted(home: Path) -> None:
    client = Client(home, "person:tester")
    track = client.call("track_list", {"episode": "1"})["rows"][0]["ref"]
    agent = Client(home, "agent:helper")
    agent.call("proposal_add", {"operation": "track_assign", "parameters": {"tracks": [track], "person": "Kim", "create": True}})
    agent.call("proposal_add", {"operation": "track_assign", "parameters": {"tracks": [track], "person": "Lou", "create": True}})
    async with driven(home) as driver:
        await driver.press("R")
        await at(driver, "Review")
        await driver.press("w")
        await at(driver, "Proposals")
        assert "Kim" in driver.text() and "Lou" in driver.text() and "helper" in driver.text()
        await driver.press("down", "d")
        await driver.until(lambda: "Lou" not in driver.text())
        await driver.press("y")
        await driver.until(lambda: client.call("track_list", {"episode": "1"})["rows"][0]["person"] == "Kim")


async def test_change_by_somebody_else_appears_within_a_second_and_is_marked(home: Path) -> None:
    async with driven(home, size=(140, 40)) as driver:
        await driver.open_episode("results")
        person = Client(home).call("totals_show", {"episode": "1"})["people"][0]["person_id"]
        Client(home, "agent:helper").call("person_rename", {"person_id": person, "name": "Eve"})
        loop = asyncio.get_running_loop()
        start = loop.time()
        await driver.until(lambda: "Eve" in driver.text())
        assert loop.time() - start < 1.5
        assert "helper: person rename" in driver.text()


async def test_older_rev_is_explained_not_lost(home: Path) -> None:
    async with driven(home) as driver:
        await driver.open_episode("identities")
        cluster = driver.place.shown._shown["cluster_id"]  # type: ignore[attr-defined]
        driver.place._loading = True  # the screen is slow to hear of it
        Client(home, "person:gil").call("cluster_assign", {"cluster_id": cluster, "person": "Flo", "create": True})
        await driver.press("a")
        await driver.until(lambda: "Who is it?" in driver.text())
        await driver.type("Hal")
        await driver.press("enter")
        await driver.said("person:gil")
        assert "Hal" not in names(home)


async def test_filter_narrows_as_one_types(home: Path) -> None:
    async with driven(home) as driver:
        await driver.press("slash")
        await driver.type("second")
        assert "The second" in driver.text() and "The first" not in driver.text()
        await driver.press("enter")
        assert driver.place.focused is driver.place.rows  # type: ignore[attr-defined]
        await driver.press("escape")
        assert "The first" in driver.text()


async def test_palette_offers_every_operation_and_forms_hold_every_parameter(home: Path) -> None:
    """Whatever the registry offers for review, relabelling and export can be reached with the keyboard alone."""
    from app import spec
    from app.screens.form import FieldInput, Form

    async with driven(home) as driver:
        offered = {entry.operation for entry in entries(driver.place) if entry.operation}
        assert offered == set(driver.app.operations)
        wanted = [op for op in driver.app.operations.values() if op["toolset"] in ("review", "export")]
        assert len(wanted) > 30
        for op in wanted:
            first = matching(entries(driver.place), op["name"].replace("_", " ", 1))
            assert any(entry.operation == op["name"] for entry in first[:8]), op["name"]
            driver.app.push_screen(Form(op, {}))
            parameters = set(op["parameters"].get("properties", {})) - set(spec.IMPLICIT)
            await driver.until(lambda names=parameters: {field.field.name for field in driver.app.screen.query(FieldInput)} == names, op["name"])
            await driver.press("escape")


async def test_form_of_an_operation_runs_it_and_keeps_its_errors_beside_the_fields(home: Path) -> None:
    async with driven(home) as driver:
        await driver.press("colon")
        await driver.type("person rename")
        await driver.press("enter")
        await driver.until(lambda: "person rename" in driver.text() and "new name" in driver.text().lower())
        await driver.press("enter")
        await driver.until(lambda: "is needed" in driver.text())
        await driver.type("999")
        await driver.press("down")
        await driver.type("Nobody Such")
        await driver.press("enter")
        await driver.until(lambda: "There is no person 999" in driver.text())
        await driver.press("escape")
        assert type(driver.place).__name__ == "Library"


async def test_removing_asks_twice(home: Path) -> None:
    client = Client(home, "person:tester")
    async with driven(home) as driver:
        driver.place.rows.go_to(("episode", 2))  # type: ignore[attr-defined]
        await driver.press("D")
        await driver.until(lambda: "episode remove" in driver.text())
        await driver.press("enter")
        await driver.until(lambda: "cannot be undone" in driver.text())
        assert len(client.call("episode_list")["rows"]) == 2
        await driver.press("enter")
        await driver.until(lambda: len(client.call("episode_list")["rows"]) == 1)


async def test_place_is_remembered(home: Path) -> None:
    async with driven(home) as driver:
        await driver.open_episode("tracks")
        await driver.press("tab")
        await driver.settled()
    async with driven(home) as driver:
        await at(driver, "Episode")
        assert driver.place.shown.id == "identities"  # type: ignore[attr-defined]


def test_paths_are_completed_as_far_as_they_go_one_way(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.mp4").touch()
    (tmp_path / "clips" / "onion.mp4").touch()
    assert completed(f"{tmp_path}/cl") == f"{tmp_path}/clips/"
    assert completed(f"{tmp_path}/clips/o") == f"{tmp_path}/clips/on"
    assert completed(f"{tmp_path}/clips/one") == f"{tmp_path}/clips/one.mp4"
    for name in ("film.json", "film.mp4", "film.rttm"):
        (tmp_path / name).touch()
    assert completed(f"{tmp_path}/fi") == f"{tmp_path}/film.mp4"
    assert completed(f"{tmp_path}/film.r") == f"{tmp_path}/film.rttm"
    assert completed(f"{tmp_path}/nothing") == f"{tmp_path}/nothing"


async def test_what_another_operator_does_is_seen_within_a_second_and_who_did_it(home: Path) -> None:
    """Two apps at once, each in a task of its own: one assigns a track, the other shows it and says who it was."""
    looking, assigned = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        async with driven(home, actor="person:bea") as bea:
            await bea.open_episode("tracks")
            await looking.wait()
            await bea.press("a")
            await bea.until(lambda: "Who is it?" in bea.text())
            await bea.type("Zoe")
            await bea.press("enter")
            await bea.said("is Zoe")
            assert bea.app.rumour == ""
            assigned.set()

    task = asyncio.create_task(other())
    async with driven(home, actor="person:ana") as ana:
        await ana.open_episode("tracks")
        looking.set()
        await ana.until(lambda: assigned.is_set() or task.done(), "bea's assignment")
        start = asyncio.get_running_loop().time()
        await ana.until(lambda: "Zoe" in ana.text() and "bea: track assi" in ana.text(), "what bea did")
        assert asyncio.get_running_loop().time() - start < 5.0  # a second on a machine that does nothing else
    await task


async def test_moment_is_written_as_a_clip_and_opened_in_the_operators_player(home: Path, tmp_path: Path) -> None:
    """The player is a script that notes what it was given."""
    noted, script = tmp_path / "noted", tmp_path / "player"
    script.write_text(f'#!/bin/sh\nprintf "%s" "$2" > {noted}.partial && mv {noted}.partial {noted}\n')
    script.chmod(0o755)
    (home / "config.toml").write_text(f'[screens]\nplayer = "{script} --once"\n')
    async with driven(home) as driver:
        await driver.open_episode("tracks")
        track = driver.place.shown.rows.current  # type: ignore[attr-defined]
        await driver.press("v")
        await at(driver, "Moment")
        await driver.press("c")
        await driver.said("clip written")
        (clip,) = (home / "exports").iterdir()
        with av.open(str(clip)) as container:
            shown = [float(frame.time) for frame in container.decode(video=0)]
        first, last = max(0, track.start_us - 500_000), min(8_000_000, track.end_us + 500_000)
        assert len(shown) == math.ceil((last - first) * 25 / 1e6) and shown[0] == 0.0
        await driver.press("o")
        await driver.until(noted.exists, "the player")
        assert noted.read_text() == str(clip)


def test_where_no_player_can_be_opened_it_is_said_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    path = "/home/ana/exports/a.mp4"
    assert player.plan(path, ["mpv", path], {"SSH_CONNECTION": "10.0.0.9 5000 10.0.0.1 22"}).command == ["mpv", path]
    far = player.plan(path, [], {"SSH_CONNECTION": "10.0.0.9 5000 10.0.0.1 22", "DISPLAY": ":0"})
    assert far.command == [] and f"scp 10.0.0.1:{path} ." in far.words
    assert player.plan(path, [], {"DISPLAY": ":0"}, "linux").command == ["xdg-open", path]
    assert player.plan(path, [], {}, "darwin").command == ["open", path]
    assert "screens.player" in player.plan(path, [], {}, "linux").words
    assert "did not start" in player.start(["/nowhere/player", path])


async def test_box_leads_to_its_track(home: Path) -> None:
    async with driven(home) as driver:
        await driver.open_episode("detections")
        await driver.press("pagedown", "pagedown")
        await driver.until(lambda: driver.place.shown._shot == 2 and not driver.place._loading)  # type: ignore[attr-defined]
        await driver.settled()
        box = await driver.until(lambda: driver.place.shown.rows.current)  # type: ignore[attr-defined]
        await driver.press("enter")
        await driver.until(lambda: driver.place.shown.title == "Tracks" and driver.place.shown.rows.current.track_id == box["track_id"])  # type: ignore[attr-defined]
        assert box["track_id"] != driver.place.shown.rows.rows[1].track_id  # type: ignore[attr-defined]


async def test_place_of_the_voices_says_what_it_waits_for(home: Path) -> None:
    async with driven(home) as driver:
        await driver.open_episode("voices")
        assert "Who speaks is not analysed in this version." in driver.text()
        assert "filter" not in driver.text().splitlines()[-1]
        await driver.press("slash")
        await driver.said("There is no list here")


async def test_own_decisions_are_no_news_and_those_of_others_are(home: Path) -> None:
    other = Client(home, "person:other")
    async with driven(home) as driver:
        row = (await driver.app.link.ask("track_list", episode="1"))["rows"][0]
        seen = {"tracks": [row["ref"]], "rev": row["rev"], "create": True}
        await driver.app.link.ask("track_assign", person="Cy", **seen)
        await driver.app.link.ask("track_assign", person="Di", **seen)
        assert other.call("track_list", {"episode": "1"})["rows"][0]["person"] == "Di"
        other.call("track_assign", {"tracks": [row["ref"]], "person": "Eve", "create": True})
        with pytest.raises(RollcallError, match="person:other"):
            await driver.app.link.ask("track_assign", person="Flo", **seen)
        newest = (await driver.app.link.ask("track_list", episode="1"))["rows"][0]["rev"]
        await driver.app.link.ask("track_assign", person="Cy", **{**seen, "rev": newest})
        with pytest.raises(RollcallError):
            await driver.app.link.ask("track_assign", person="Flo", **seen)
        assert other.call("track_list", {"episode": "1"})["rows"][0]["person"] == "Cy"
