"""The catalog corrected, and seasons added at once: names of files, lists, bad files among good ones, a look before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, Conflict, NotFound
from engine.naming import Named, read_name
from engine.wire import Client
from tests.footage import scene, write


def video(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, [scene(seed)] * 5, range(5))


@pytest.fixture
def show(client: Client) -> str:
    return str(client.call("show_add", {"title": "My Show"})["slug"])


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("My.Show.S01E02.The.Party.1080p.WEB-DL.x264", Named(1, 2, "The Party")),
        ("my show - s3e14 - Two words", Named(3, 14, "Two words")),
        ("Show 1x05 (final)", Named(1, 5, "final")),
        ("Season 2 Episode 11", Named(2, 11, None)),
        ("S2026E001", Named(2026, 1, None)),
        ("The.Movie.2160p.HEVC", Named(None, None, "The Movie")),
        ("1920x1080 test", Named(None, None, "1920x1080 test")),
        ("holiday", Named(None, None, "holiday")),
    ],
)
def test_names_say_which_episode_a_file_is(stem: str, expected: Named) -> None:
    assert read_name(stem) == expected


def test_episode_is_corrected_and_keeps_what_is_not_given(client: Client, show: str, tmp_path: Path) -> None:
    client.call("episode_add", {"path": str(video(tmp_path / "a.mp4", 1)), "show": show, "season": 1, "number": 1})
    client.call("episode_add", {"path": str(video(tmp_path / "b.mp4", 2)), "show": show, "season": 1, "number": 2, "air_date": "2026-03-01"})
    edited = client.call("episode_edit", {"episode": "my-show-s01e01", "title": "Pilot", "air_date": "2026-02-22"})
    assert (edited["title"], edited["air_date"], edited["season"], edited["number"]) == ("Pilot", "2026-02-22", 1, 1)
    with pytest.raises(Conflict, match="Season 1 episode 2 of this show is episode 2"):
        client.call("episode_edit", {"episode": "1", "number": 2})
    client.call("episode_edit", {"episode": "1", "number": 3})
    client.stop()
    assert client.call("episode_show", {"episode": "my-show-s01e03"})["title"] == "Pilot"
    assert client.call("episode_show", {"episode": "2"})["air_date"] == "2026-03-01"
    with pytest.raises(BadInput, match="Nothing to change"):
        client.call("episode_edit", {"episode": "1"})
    with pytest.raises(BadInput, match="air_date"):
        client.call("episode_edit", {"episode": "1", "air_date": "yesterday"})


def test_show_is_retitled_and_found_by_its_other_names(client: Client, show: str) -> None:
    client.call("show_add", {"title": "Another"})
    edited = client.call("show_edit", {"show": show, "title": "My Great Show", "add_alias": "MGS"})
    assert (edited["slug"], edited["title"], edited["aliases"]) == ("my-show", "My Great Show", ["MGS"])
    assert client.call("show_show", {"show": "mgs"})["show_id"] == edited["show_id"]
    for taken in ("Another", "mgs"):
        with pytest.raises(Conflict):
            client.call("show_edit", {"show": "another", "add_alias": taken if taken == "mgs" else "my-show"})
    with pytest.raises(BadInput, match="taken for an id"):
        client.call("show_edit", {"show": show, "add_alias": "42"})
    client.call("show_edit", {"show": show, "remove_alias": "MGS"})
    with pytest.raises(NotFound):
        client.call("show_show", {"show": "mgs"})
    with pytest.raises(NotFound, match="does not go by"):
        client.call("show_edit", {"show": show, "remove_alias": "MGS"})


def season(folder: Path) -> Path:
    """Four good episodes (one twice), a broken file, a place taken twice, one without a place, and things that are no videos."""
    video(folder / "My.Show.S01E01.Pilot.1080p.mp4", 1)
    video(folder / "My.Show.S01E02.mp4", 2)
    video(folder / "extras" / "My.Show.S01E03.Third.mkv", 3)
    (folder / "My.Show.S01E02.copy.mp4").write_bytes((folder / "My.Show.S01E02.mp4").read_bytes())
    (folder / "My.Show.S01E04.mp4").write_bytes(b"this is no video" * 100)
    video(folder / "My.Show.S01E03.Other.cut.mp4", 5)
    video(folder / "Making of.mp4", 6)
    (folder / "notes.txt").write_text("S01E09")
    (folder / ".hidden.S01E08.mp4").write_bytes(b"x")
    return folder


def outcome(result: dict[str, Any], folder: Path) -> dict[str, tuple[str, Any, Any, Any]]:
    return {str(Path(row["path"]).relative_to(folder)): (row["status"], row["season"], row["number"], row["title"]) for row in result["rows"]}


def test_folder_is_imported_and_a_bad_file_stops_nothing(client: Client, show: str, tmp_path: Path) -> None:
    folder = season(tmp_path / "in")
    looked = client.call("episode_import", {"source": str(folder), "show": show, "dry_run": True})
    assert client.call("episode_list")["rows"] == []
    assert (looked["added"], looked["already_there"], looked["failed"]) == (4, 1, 2)
    done = client.call("episode_import", {"source": str(folder), "show": show})
    expected = {
        "Making of.mp4": ("added", None, None, "Making of"),
        "My.Show.S01E01.Pilot.1080p.mp4": ("added", 1, 1, "Pilot"),
        "My.Show.S01E02.copy.mp4": ("added", 1, 2, "copy"),
        "My.Show.S01E02.mp4": ("already there", 1, 2, "My.Show.S01E02"),
        "My.Show.S01E03.Other.cut.mp4": ("added", 1, 3, "Other cut"),
        "My.Show.S01E04.mp4": ("failed", 1, 4, None),
        "extras/My.Show.S01E03.Third.mkv": ("failed", 1, 3, "Third"),
    }
    assert outcome(done, folder) == expected
    assert outcome(looked, folder) == {name: (row[0].replace("added", "would add"), *row[1:]) for name, row in expected.items()}
    reasons = {Path(row["path"]).name: row["reason"] for row in done["rows"]}
    assert "My.Show.S01E04.mp4 is not a video" in reasons["My.Show.S01E04.mp4"]
    assert "My.Show.S01E03.Other.cut.mp4 is season 1 episode 3 as well" in reasons["My.Show.S01E03.Third.mkv"]
    assert "does not say which episode" in reasons["Making of.mp4"]
    assert len(client.call("episode_list", {"show": show})["rows"]) == 4
    again = client.call("episode_import", {"source": str(folder), "show": show})
    assert (again["added"], again["already_there"]) == (0, 5)


def test_list_is_imported_line_by_line(client: Client, show: str, tmp_path: Path) -> None:
    video(tmp_path / "one.mp4", 1)
    video(tmp_path / "sub" / "S02E07.mp4", 2)
    lines = [
        "path,season,number,title,air_date",
        "one.mp4,1,1,The first,2026-01-02",
        "sub/S02E07.mp4,,,,",
        "gone.mp4,1,2,,",
        "one.mp4,x,2,,",
        ",1,4,,",
    ]
    listed = tmp_path / "list.csv"
    listed.write_text("\ufeff" + "\r\n".join(lines) + "\r\n")
    rows = client.call("episode_import", {"source": str(listed), "show": show})["rows"]
    assert [row["status"] for row in rows] == ["added", "added", "failed", "failed", "failed"]
    first = client.call("episode_show", {"episode": "my-show-s01e01"})
    assert (first["title"], first["air_date"]) == ("The first", "2026-01-02")
    assert client.call("episode_show", {"episode": "my-show-s02e07"})["path"] == str(tmp_path / "sub" / "S02E07.mp4")
    assert f"There is no file {tmp_path / 'gone.mp4'}" in rows[2]["reason"]
    assert "Line 5 of list.csv" in rows[3]["reason"] and "it names no file" in rows[4]["reason"]


@pytest.mark.parametrize(
    ("content", "words"),
    [("a,b\n1,2\n", "not a list of episodes"), ("", "not a list of episodes"), (b"\xff\xfe\x00 binary", "neither a folder nor a CSV")],
)
def test_other_files_are_no_lists(client: Client, show: str, tmp_path: Path, content: str | bytes, words: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=words):
        client.call("episode_import", {"source": str(file), "show": show})


def test_nothing_to_import_is_said(client: Client, show: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no video file"):
        client.call("episode_import", {"source": str(tmp_path), "show": show})
    with pytest.raises(NotFound, match="no folder or file"):
        client.call("episode_import", {"source": str(tmp_path / "gone"), "show": show})
    with pytest.raises(NotFound, match="no show 'nowhere'"):
        client.call("episode_import", {"source": str(tmp_path), "show": "nowhere"})
