"""The facebank: what may go in, what comes back out, and whom the machine finds by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine.errors import BadInput, Conflict, NotFound, Refused
from engine.people import gallery_for
from engine.wire import Client
from store import catalog, ids
from tests import clips
from tests.desk import Bench, Seen

PAT, AGENT = "person:pat", "agent:bot"
DIMS = 16
CALIBRATION = {"slope": 10.0, "intercept": -4.0, "source": "made for the test"}


class Faces(Bench):
    """A bench whose tracks have embeddings."""

    def show_faces(self, episode: int, seen: list[Seen], vectors: list[np.ndarray], quality: list[float] | None = None) -> None:
        run_id = self.run(episode, seen)
        key = f"{run_id:032x}"
        pooled = np.stack(vectors).astype(np.float32)
        self.engine.artefacts.write("identify", key, tables={}, arrays={"pooled": pooled, "vectors": pooled}, meta={})
        with self.engine.database.write() as transaction:
            transaction.execute(
                "UPDATE run SET space = 'test', models = ?, stages = ? WHERE run_id = ?",
                [json.dumps({"calibration": CALIBRATION}), json.dumps({"identify": key, "segments": []}), run_id],
            )
            for number, value in enumerate(quality or []):
                transaction.execute("UPDATE track SET quality = ? WHERE track_id = ?", [value, ids.track_id(run_id, number)])

    def bank(self, **given: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(PAT, "facebank_list", **given)["rows"]
        return rows

    def refs(self, episode: int, *numbers: int) -> list[str]:
        return [str(self.track(episode, number)) for number in numbers]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Faces]:
    made = Faces(tmp_path / "home")
    yield made
    made.close()


def near(base: np.ndarray, cosine: float, seed: int = 0) -> np.ndarray:
    """A unit vector of that cosine to another."""
    other = np.random.default_rng(seed).normal(size=len(base))
    other -= other @ base * base
    return np.asarray(cosine * base + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other), np.float32)


def axis(place: int) -> np.ndarray:
    return np.eye(DIMS, dtype=np.float32)[place]


def test_tracks_go_in_are_labelled_and_come_out_by_undo_and_redo(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0), Seen(20, 30, 1), Seen(40, 50, 2)], [axis(0), near(axis(0), 0.8), axis(3)])
    before = bench.content()
    told = bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0, 1), person="Ana", create=True, dry_run=True)
    assert told["tracks"] == 2 and bench.content() == before
    done = bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0, 1), person="Ana", create=True)
    assert bench.who(episode) == ["Ana", "Ana", None]
    rows = bench.bank()
    assert [(row["person"], row["space"], row["episode_id"]) for row in rows] == [("Ana", "test", episode)] * 2
    assert [row["track_id"] for row in rows] == [bench.track(episode, 1), bench.track(episode, 0)]
    stored = bench.engine.database.rows("SELECT vector FROM facebank ORDER BY entry_id")
    assert np.array_equal(np.array(stored[1]["vector"], np.float32), near(axis(0), 0.8))
    within = bench.content()
    undone = bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.content() == before and bench.bank() == []
    bench.call(PAT, "decision_redo", batch=undone["batch"])
    assert bench.content() == within and len(bench.bank()) == 2


def test_a_repeated_call_puts_a_face_in_once(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0), Seen(20, 30, 1)], [axis(0), near(axis(0), 0.999)])
    given = {"tracks": bench.refs(episode, 0), "person": "Ana", "create": True}
    first = bench.call(PAT, "facebank_add", key="k", **given)
    assert bench.call(PAT, "facebank_add", key="k", **given) == first
    assert len(bench.bank()) == 1
    with pytest.raises(Conflict, match="in the bank already"):
        bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 1), person="Ana")


def test_poor_and_mixed_faces_stay_out_and_the_rest_goes_in(bench: Faces) -> None:
    episode = bench.episode()
    seen = [Seen(0, 10, 0), Seen(20, 30, 1), Seen(40, 50, 2, mixed=True)]
    bench.show_faces(episode, seen, [axis(0), near(axis(0), 0.8), near(axis(0), 0.7)], [0.8, 0.3, 0.8])
    done = bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0, 1, 2), person="Ana", create=True)
    assert [row["track_id"] for row in bench.bank()] == [bench.track(episode, 0)]
    assert any("quality 0.30, under bank.min_quality 0.5" in note for note in done["notes"])
    assert any("more than one person" in note for note in done["notes"])
    with pytest.raises(Conflict, match=r"quality 0\.30"):
        bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 1), person="Ana")


def test_a_face_more_like_somebody_else_is_refused_by_name_unless_forced(bench: Faces) -> None:
    episode = bench.episode()
    seen = [Seen(10 * k, 10 * k + 8, k) for k in range(4)]
    bench.show_faces(episode, seen, [axis(0), axis(1), near(axis(1), 0.9), near(axis(0), 0.2, seed=4)])
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0), person="Ana", create=True)
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 1), person="Bea", create=True)
    with pytest.raises(Conflict, match=r"more like Bea \(similarity 0\.90\)"):
        bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 2), person="Ana")
    assert bench.who(episode) == ["Ana", "Bea", None, None], "a refused face labels nothing"
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 2), person="Ana", force=True)
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 3), person="Bea")
    assert [row["person"] for row in bench.bank()] == ["Bea", "Ana", "Bea", "Ana"]


def test_what_was_decided_about_a_track_holds_for_the_bank(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0), Seen(20, 30, 1)], [axis(0), axis(1)])
    bench.call(PAT, "track_assign", tracks=bench.refs(episode, 0), person="Bea", create=True)
    with pytest.raises(Conflict, match="decided to be Bea"):
        bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0), person="Ana", create=True, force=True)
    bench.call(PAT, "track_reject", tracks=bench.refs(episode, 1), person="Bea")
    with pytest.raises(Conflict, match="decided not to be Bea"):
        bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 1), person="Bea", force=True)
    with pytest.raises(Conflict, match="stretch"):
        bench.call(PAT, "facebank_add", tracks=[f"{bench.track(episode, 0)}@2-5"], person="Bea")


def test_a_face_out_of_the_bank_is_out_and_agents_leave_those_of_people(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0), Seen(20, 30, 1)], [axis(0), near(axis(0), 0.5)])
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0, 1), person="Ana", create=True)
    entry = bench.bank()[0]["entry_id"]
    with pytest.raises(Refused, match="by a person"):
        bench.call(AGENT, "facebank_remove", entry_id=entry)
    before = bench.content()
    done = bench.call(PAT, "facebank_remove", entry_id=entry)
    assert [row["entry_id"] for row in bench.bank()] == [entry - 1]
    with pytest.raises(NotFound):
        bench.call(PAT, "facebank_remove", entry_id=entry)
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.content() == before


def test_the_bank_is_all_in_the_gallery_before_other_faces(bench: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    episode, other = bench.episode(), bench.episode()
    vectors = [near(axis(0), 0.4, seed=seed) for seed in range(6)]
    bench.show_faces(episode, [Seen(10 * k, 10 * k + 8, k) for k in range(6)], vectors)
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, *range(6)), person="Ana", create=True)
    monkeypatch.setattr("engine.people.EXEMPLARS_PER_PERSON", 2)
    found = gallery_for(bench.engine, catalog.find_episode(bench.engine.database, str(other)) or {}, "test")
    assert np.allclose(found.vectors, np.stack(vectors)) and found.known.all()
    assert len(gallery_for(bench.engine, catalog.find_episode(bench.engine.database, str(other)) or {}, "other space").person_id) == 0
    elsewhere = bench.episode(slug="another")
    assert len(gallery_for(bench.engine, catalog.find_episode(bench.engine.database, str(elsewhere)) or {}, "test").person_id) == 0


def test_faces_of_people_merged_are_those_of_whom_they_went_into(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0), Seen(20, 30, 1)], [axis(0), axis(1)])
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0), person="Ana", create=True)
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 1), person="Annie", create=True)
    ana, annie = sorted({row["person_id"] for row in bench.bank()})
    done = bench.call(PAT, "person_merge", person_id=annie, into_person_id=ana)
    assert [row["person"] for row in bench.bank(person_id=ana)] == ["Ana", "Ana"]
    assert set(gallery_for(bench.engine, {"show_id": 1, "episode_id": 99}, "test").person_id.tolist()) == {ana}
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert [row["person"] for row in bench.bank()] == ["Annie", "Ana"]


def test_a_library_brought_back_from_before_has_its_bank_again(bench: Faces) -> None:
    episode = bench.episode()
    bench.show_faces(episode, [Seen(0, 10, 0)], [near(axis(0), 0.37)])
    bench.call(PAT, "facebank_add", tracks=bench.refs(episode, 0), person="Ana", create=True)
    within, line = bench.content(), [line for line in bench.engine.database.journal.lines() if line.get("operation") == "facebank_add"][-1]
    with bench.engine.database.write() as transaction:
        for table in ("decision", "anchor", "coverage", "facebank", "command", "person"):
            transaction.execute(f"DELETE FROM {table}")
    bench.engine.review.forget()
    from engine.review.restore import restore

    restore(bench.engine, line)
    assert bench.content() == within


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Pictures of two people cut from the group photo, and files that are no good."""
    folder, photo = tmp_path / "people", clips.photo()
    for name in ("Left", "Middle", "Nobody"):
        (folder / name).mkdir(parents=True)
    left, middle = photo[0:400, 200:480], photo[120:480, 430:800]
    assert cv2.imwrite(str(folder / "Left" / "1.png"), cv2.resize(left, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    assert cv2.imwrite(str(folder / "Middle" / "1.png"), cv2.resize(middle, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    assert cv2.imwrite(str(folder / "Left" / "group.png"), photo)
    assert cv2.imwrite(str(folder / "Nobody" / "wall.png"), np.full((300, 300, 3), 90, np.uint8))
    (folder / "Left" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (folder / "Left" / "empty.jpg").write_bytes(b"")
    (folder / "Left" / "notes.txt").write_text("no picture")
    (folder / "Left" / "again.png").write_bytes((folder / "Left" / "1.png").read_bytes())
    return folder


def imported(client: Client, folder: Path, **given: Any) -> dict[str, Any]:
    job = client.call("facebank_import", {"folder": str(folder), "show": "s", "settings": {"models.profile": "embedded"}, **given})
    ended = client.call("job_wait", {"job_id": job["job_id"]})
    assert ended["state"] == "done", ended["error"]
    result: dict[str, Any] = ended["result"]
    return result


def test_a_folder_of_pictures_becomes_a_bank_and_bad_files_are_told(client: Client, people: Path) -> None:
    client.call("show_add", {"slug": "s", "title": "S"})
    told = imported(client, people, dry_run=True)
    assert client.call("person_list", {})["rows"] == [] and client.call("facebank_list", {})["rows"] == []
    result = imported(client, people)
    assert told["pictures"] == result["pictures"]
    why = {row["file"]: row["why"] for row in result["pictures"]}
    assert [name for name, reason in why.items() if reason is None] == ["Left/1.png", "Middle/1.png"], why
    assert "in the bank already" in why["Left/again.png"]
    assert "none is clearly the largest" in why["Left/group.png"]
    assert "not a picture that can be read" in why["Left/broken.jpg"] and "not a picture that can be read" in why["Left/empty.jpg"]
    assert "no picture by its name" in why["Left/notes.txt"]
    assert "shows no face" in why["Nobody/wall.png"]
    assert sorted(row["name"] for row in client.call("person_list", {})["rows"]) == ["Left", "Middle"], "nobody is made of whom nothing was taken"
    rows = client.call("facebank_list", {})["rows"]
    media = client.home / "media"
    for row in rows:
        assert (media / row["picture"][:2] / row["picture"]).read_bytes() == (people / row["origin"].removeprefix("picture ")).read_bytes()
        assert cv2.imread(str(media / row["chip"][:2] / row["chip"])) is not None
    again = imported(client, people)
    assert again["batch"] is None and not any(row["taken"] for row in again["pictures"])
    client.call("decision_undo", {"batch": result["batch"]})
    assert client.call("facebank_list", {})["rows"] == [] and client.call("person_list", {})["rows"] == []


@pytest.mark.parametrize("point", ["journal.appended:3", "command.committed:3"])
def test_an_import_whose_engine_is_killed_is_made_once(point: str, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show, job and batch are commands one to three."""
    died = tmp_path / "died"
    monkeypatch.setenv("ROLLCALL_CRASH_AT", point)
    monkeypatch.setenv("ROLLCALL_CRASH_ONCE", str(died))
    client = Client(tmp_path / "home", "person:tester")
    try:
        client.call("show_add", {"slug": "s", "title": "S"})
        result = imported(client, people)
        assert died.exists()
        rows = client.call("facebank_list", {})["rows"]
        assert sorted(row["person"] for row in rows) == ["Left", "Middle"]
        assert result["batch"] is not None and len(result["decisions"]) == 4
        client.call("decision_undo", {"batch": result["batch"]})
        assert client.call("facebank_list", {})["rows"] == [] and client.call("person_list", {})["rows"] == []
    finally:
        client.stop()


def test_imports_are_no_agents_and_start_only_when_they_can(client: Client, people: Path, tmp_path: Path) -> None:
    client.call("show_add", {"slug": "s", "title": "S"})
    with pytest.raises(Refused):
        Client(client.home, AGENT).call("facebank_import", {"folder": str(people), "show": "s"})
    with pytest.raises(NotFound):
        client.call("facebank_import", {"folder": str(people), "show": "none"})
    with pytest.raises(BadInput, match="cannot be listed"):
        client.call("facebank_import", {"folder": str(tmp_path / "gone"), "show": "s"})
    (tmp_path / "bare").mkdir()
    with pytest.raises(BadInput, match="no sub-folder"):
        client.call("facebank_import", {"folder": str(tmp_path / "bare"), "show": "s"})


def analysed(client: Client, clip: Path) -> str:
    """Add a clip unless it is there, and analyse it (again); returns the episode."""
    episode = str(client.call("episode_add", {"path": str(clip), "show": "s"})["episode_id"])
    job = client.call("episode_analyse", {"episode": episode})
    ended = client.call("job_wait", {"job_id": job["job_id"]})
    assert ended["state"] == "done", ended["error"]
    return episode


def seen(client: Client, episode: str) -> list[str]:
    return [row["name"] for row in client.call("totals_show", {"episode": episode})["people"]]


def test_a_face_promoted_in_one_clip_finds_its_person_in_another_until_it_is_taken_out(
    tmp_path: Path, media: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = tmp_path / "models"
    only.mkdir()
    for name in ("det_500m.onnx", "mobilefacenet_foamliu.onnx"):
        (only / name).symlink_to(weights / name)
    monkeypatch.setenv("ROLLCALL_MODELS", str(only))
    client = Client(tmp_path / "home", "person:tester")
    try:
        client.call("show_add", {"slug": "s", "title": "S"})
        first = analysed(client, media / "grid_s1" / "bbaf2n.mpg")
        (track,) = client.call("track_list", {"episode": first})["rows"]
        client.call("facebank_add", {"tracks": [str(track["track_id"])], "person": "Ana", "create": True})
        assert seen(client, analysed(client, media / "grid" / "brbk7n.mpg")) != ["Ana"], "a stranger is not found"
        second = analysed(client, media / "grid_s1" / "bgbh6p.mpg")
        assert seen(client, second) == ["Ana"]
        client.call("episode_remove", {"episode": first})
        assert seen(client, analysed(client, media / "grid_s1" / "bgbh6p.mpg")) == ["Ana"], "by the face in the bank alone"
        (entry,) = client.call("facebank_list", {})["rows"]
        removed = client.call("facebank_remove", {"entry_id": entry["entry_id"]})
        (note,) = removed["notes"]
        assert note.startswith(f"Episode {second} (bgbh6p) takes cluster") and "for Ana by face (similarity 0." in note
        assert seen(client, second) == ["Ana"], "labels change with the next analysis"
        assert seen(client, analysed(client, media / "grid_s1" / "bgbh6p.mpg"))[0].startswith("Unknown ")
        client.call("decision_undo", {"batch": removed["batch"]})
        assert seen(client, analysed(client, media / "grid_s1" / "bgbh6p.mpg")) == ["Ana"]
    finally:
        client.stop()
