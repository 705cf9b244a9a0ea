"""Every format read back by a program that is not ours, and held to what the library says; on real (made) episodes with the embedded models."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import duckdb
import html5lib
import motmetrics
import numpy as np
import opentimelineio as otio
import pysubs2
import pytest
import webvtt
from pycocotools.coco import COCO

from engine.errors import BadInput, NotFound
from engine.exports.formats import FORMATS
from engine.wire import Client
from tests.test_cli import EMBEDDED, FIRST, SECOND, Rollcall
from tools.demo.compose import write_episode

NAME = 'Ana <b>&amp; {\\pos(1,1)} --> "Bo", x'
"""A name that is a command in every format, if it is let."""

WIDTH, HEIGHT = 960, 540
"""Pixels of the demo episode."""

HTML = "{http://www.w3.org/1999/xhtml}"


@dataclass
class Library:
    """A workspace with two episodes of a season; `tracks` are those of the first as `track_list` gives them, with all faces of `track_show`."""

    client: Client
    totals: dict[str, Any]
    tracks: list[dict[str, Any]]
    explained: dict[int, dict[str, Any]]

    def export(self, kind: str, **options: Any) -> Path:
        return Path(self.client.call("export_create", {"episode": "1", "format": kind, **options})["path"])

    @property
    def people(self) -> list[dict[str, Any]]:
        return list(self.totals["people"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    rollcall = Rollcall(tmp_path_factory.mktemp("exports"))
    rollcall("show", "add", "The table")
    for number, shots in ((1, FIRST), (2, SECOND)):
        video = write_episode(tmp_path_factory.mktemp(f"episode{number}"), shots, seed=3)
        rollcall("run", str(video), "--show", "the-table", "--season", "1", "--number", str(number), *EMBEDDED)
    client = Client(rollcall.home, "person:tester")
    first = client.call("totals_show", {"episode": "1"})["people"][0]["person_id"]
    client.call("person_rename", {"person_id": first, "name": NAME})
    totals = client.call("totals_show", {"episode": "1"})
    listed = client.call("track_list", {"episode": "1", "limit": 1000})["rows"]
    tracks = [{**row, "boxes": client.call("track_show", {"track_id": row["track_id"]})["boxes"]} for row in listed]
    people = [person["person_id"] for person in totals["people"]]
    explained = {person: client.call("totals_explain", {"episode": "1", "person_id": person}) for person in people}
    yield Library(client, totals, tracks, explained)
    client.stop()


def faces(library: Library) -> list[tuple[int, int, int, list[float]]]:
    """(frame from 0, track, person or 0, box in pixels) of every face of a track, in time order."""
    rate = 25
    found = []
    for track in library.tracks:
        for face in track["boxes"]:
            box = [face["x1"] * WIDTH, face["y1"] * HEIGHT, face["x2"] * WIDTH, face["y2"] * HEIGHT]
            found.append((round(face["t_us"] * rate / 1e6), track["track_id"], track["person_id"] or 0, box))
    return sorted(found, key=lambda face: face[:2])


def test_csv_holds_the_totals(library: Library) -> None:
    with library.export("csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [person["name"] for person in library.people]
    assert rows[0]["name"] == NAME
    for row, person in zip(rows, library.people, strict=True):
        for name in ("visual_s", "visual_low_s", "visual_high_s", "solo_s", "confidence"):
            assert float(row[name]) == pytest.approx(person[name])
        assert (int(row["person_id"]), int(row["tracks_count"]), int(row["faces_count"])) == (person["person_id"], person["tracks"], person["faces"])


def test_json_says_what_made_the_numbers(library: Library) -> None:
    found = json.loads(library.export("json").read_text())
    assert [row["visual_s"] for row in found["rows"]] == [person["visual_s"] for person in library.people]
    assert found["lineage"]["run"]["models"]["detector_licence"]
    assert found["lineage"]["run"]["settings"]["models.profile"] == "embedded"


def test_segments_in_parquet_are_the_tracks(library: Library) -> None:
    path = library.export("parquet", table="segments")
    rows = duckdb.sql(f"SELECT track_id, person_id, segment_start_s, segment_end_s, faces_count FROM '{path}' ORDER BY track_id").fetchall()
    truth = [(t["track_id"], t["person_id"], t["start_us"] / 1e6, t["end_us"] / 1e6, t["faces"]) for t in library.tracks]
    assert rows == sorted(truth)


@pytest.mark.filterwarnings("ignore:Operation with tuple is deprecated")  # motmetrics' way with pandas
def test_mot_is_read_by_motmetrics(library: Library) -> None:
    table = motmetrics.io.loadtxt(library.export("mot"), fmt="mot15-2D").reset_index()
    truth = faces(library)
    assert list(zip(table["FrameId"] - 1, table["Id"], strict=True)) == [(frame, track) for frame, track, _, _ in truth]
    # motmetrics takes the 1 off that the challenge's pixels count from.
    found = np.stack([table["X"], table["Y"], table["X"] + table["Width"], table["Y"] + table["Height"]], axis=1)
    assert np.abs(found - np.array([box for *_, box in truth])).max() < 0.02
    assert not table.duplicated(["FrameId", "Id"]).any()


def test_coco_is_read_by_pycocotools(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    coco = COCO(str(library.export("coco")))
    truth = faces(library)
    names = {row["name"]: row["id"] for row in coco.loadCats(coco.getCatIds())}
    for person in library.people:
        found = coco.loadAnns(coco.getAnnIds(catIds=[names[person["name"]]]))
        mine = [box for _, _, who, box in truth if who == person["person_id"]]
        assert len(found) == len(mine) == person["faces"]
        assert np.abs(np.array([[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in found)]) - np.array(mine)).max() < 0.03
        assert {coco.loadImgs(row["image_id"])[0]["width"] for row in found} == {WIDTH}
    assert len(coco.getAnnIds()) == len(truth)
    assert sorted({frame + 1 for frame, *_ in truth}) == sorted(coco.getImgIds())
    assert coco.loadRes([{**row, "score": 1.0} for row in coco.loadAnns(coco.getAnnIds())]).getAnnIds()
    capsys.readouterr()


def test_ava_rows_are_the_faces(library: Library) -> None:
    with library.export("ava").open(newline="") as file:
        rows = list(csv.reader(file))
    truth = faces(library)
    assert [(round(float(row[1]) * 25), row[7]) for row in rows] == [(frame, f"demo_episode:{who}:{track}") for frame, track, who, _ in truth]
    boxes = np.array([[float(value) for value in row[2:6]] for row in rows]) * (WIDTH, HEIGHT, WIDTH, HEIGHT)
    assert np.abs(boxes - np.clip([box for *_, box in truth], 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))).max() < 0.02
    assert {row[6] for row in rows} == {"NOT_MEASURED"}


def test_otio_markers_are_the_stretches(library: Library) -> None:
    timeline = otio.adapters.read_from_file(str(library.export("otio")))
    (clip,) = timeline.find_clips()
    assert clip.media_reference.target_url == "demo_episode.mp4"
    assert clip.duration().to_seconds() == pytest.approx(library.totals["episode"]["duration_s"], abs=0.041)
    for person in library.people:
        markers = [m for m in clip.markers if m.name == person["name"]]
        stretches = library.explained[person["person_id"]]["stretches"]
        found = [(m.marked_range.start_time.to_seconds(), m.marked_range.end_time_exclusive().to_seconds()) for m in markers]
        truth = [(s["start_us"] / 1e6, s["end_us"] / 1e6) for s in stretches]
        assert np.abs(np.array(found) - np.array(truth)).max() <= 0.0201


def test_edl_events_are_the_stretches(library: Library) -> None:
    path = library.export("edl")
    assert path.read_text().splitlines()[1] == "FCM: NON-DROP FRAME"
    track = otio.adapters.read_from_file(str(path), "cmx_3600", rate=25).tracks[0]
    clips = list(track.find_clips())
    assert {clip.name for clip in clips} == {"demo_episode.mp4"}
    seconds: dict[str, float] = defaultdict(float)
    record = 0
    for clip in clips:
        (marker,) = clip.markers
        seconds[marker.name] += clip.duration().to_seconds()
        assert round(clip.range_in_parent().start_time.value) == record
        record += round(clip.duration().value)
    assert set(seconds) == {person["name"] for person in library.people}
    for person in library.people:
        explained = library.explained[person["person_id"]]
        assert seconds[person["name"]] == pytest.approx(explained["most_probable_s"], abs=0.041 * len(explained["stretches"]))
    one = library.people[1]
    path = library.export("edl", person_id=one["person_id"])
    clips = list(otio.adapters.read_from_file(str(path), "cmx_3600", rate=25).tracks[0].find_clips())
    assert {clip.markers[0].name for clip in clips} == {one["name"]}
    assert [c.source_range.start_time.to_seconds() for c in clips] == pytest.approx(
        [s["start_us"] / 1e6 for s in library.explained[one["person_id"]]["stretches"]], abs=0.0201
    )


def test_vtt_cues_add_up_to_the_totals(library: Library) -> None:
    path = library.export("vtt")
    cues = list(webvtt.read(str(path)))
    text = {re.sub(r"[<>&]", lambda sign: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[sign[0]], p["name"]): p["person_id"] for p in library.people}
    seconds: dict[int, float] = defaultdict(float)
    for before, after in itertools.pairwise(cues):
        assert before.end_in_seconds <= after.start_in_seconds
    for cue in cues:
        for name, person in text.items():
            if name in cue.raw_text:
                start, end = (time.in_milliseconds() / 1e3 for time in (cue.start_time, cue.end_time))
                seconds[person] += end - start
    for person, explained in library.explained.items():
        assert seconds[person] == pytest.approx(explained["most_probable_s"], abs=0.002 * len(explained["stretches"]))
    assert any("," in cue.raw_text for cue in cues), "two people are seen together in this episode"


def test_ass_boxes_stand_where_the_faces_are(library: Library) -> None:
    script = pysubs2.load(str(library.export("ass")))
    assert (script.info["PlayResX"], script.info["PlayResY"]) == (str(WIDTH), str(HEIGHT))
    boxes = [event for event in script if event.style == "Box"]
    names = [event for event in script if event.style == "Name"]
    truth = faces(library)
    assert len(boxes) == len(names) == len(truth)
    people = {person["person_id"]: person["name"] for person in library.people} | {0: "unidentified"}
    for box, name, (frame, _, who, corners) in zip(boxes, names, truth, strict=True):
        assert abs(box.start / 1000 - frame / 25) <= 0.006
        assert 0 < box.end - box.start <= 1000
        numbers = [int(number) for number in re.findall(r"-?\d+", re.sub(r"{.*?}", "", box.text))]
        assert np.abs(np.array([numbers[0], numbers[1], numbers[2], numbers[5]]) - np.array(corners)).max() <= 0.51
        assert name.plaintext.translate(str.maketrans("｛｝⧵", "{}\\")) == people[who]
        assert name.text.count("{") == 1, "the name brings no commands of its own"


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_season_adds_up_its_episodes(library: Library, kind: str) -> None:
    path = Path(library.client.call("export_season", {"show": "the-table", "season": 1, "format": kind})["path"])
    rows = list(csv.DictReader(io.StringIO(path.read_text()))) if kind == "csv" else json.loads(path.read_text())["rows"]
    totals = [library.client.call("totals_show", {"episode": f"the-table-s01e0{number}"})["people"] for number in (1, 2)]
    season = {int(row["person_id"]): row for row in rows if row["level"] == "season"}
    assert set(season) == {person["person_id"] for episode in totals for person in episode}
    for person, row in season.items():
        mine = [p for episode in totals for p in episode if p["person_id"] == person]
        assert int(row["episodes"]) == len(mine)
        for name in ("visual_s", "visual_low_s", "visual_high_s", "solo_s"):
            assert float(row[name]) == pytest.approx(sum(p[name] for p in mine))
        single = [float(r["visual_s"]) for r in rows if r["level"] == "episode" and int(r["person_id"]) == person]
        assert single == pytest.approx([p["visual_s"] for p in mine])
    assert any(int(row["episodes"]) == 2 for row in season.values())


def test_bundle_holds_every_export_and_what_made_it(library: Library) -> None:
    path = library.export("zip")
    with zipfile.ZipFile(path) as bundle:
        assert bundle.testzip() is None
        manifest = json.loads(bundle.read("manifest.json"))
        assert {entry["name"] for entry in manifest["files"]} | {"manifest.json"} == set(bundle.namelist())
        for entry in manifest["files"]:
            data = bundle.read(entry["name"])
            assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
        singles: dict[str, tuple[str, dict[str, str]]] = {
            "totals.csv": ("csv", {}),
            "segments.json": ("json", {"table": "segments"}),
            "faces.mot.txt": ("mot", {}),
            "report.html": ("html", {}),
        }
        for name, (kind, options) in singles.items():
            assert bundle.read(name) == library.export(kind, **options).read_bytes(), name
    models = manifest["run"]["models"]
    assert re.fullmatch(r"[0-9a-f]{64}", models["detector_digest"]) and models["embedder_licence"]
    assert manifest["counts"]["tracks"] == len(library.tracks)
    assert manifest["run"]["settings"]["observe.fps"] == 6.0
    first = path.read_bytes()
    assert library.export("zip").read_bytes() == first, "equal analyses give equal bundles"


def text_of(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def test_report_is_whole_in_itself_and_says_the_totals(library: Library) -> None:
    raw = library.export("html").read_text()
    page = html5lib.HTMLParser(strict=True).parse(raw)
    tags = {element.tag.removeprefix(HTML) for element in page.iter() if isinstance(element.tag, str)}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base", "b-"})
    for element in page.iter():
        for name, value in element.attrib.items():
            assert name not in ("href", "srcset", "action") and not name.startswith("on"), (element.tag, name)
            assert name != "src" or value.startswith("data:image/jpeg;base64,")
    style = text_of(page.find(f".//{HTML}style"))
    assert "url(" not in style and "@import" not in style
    people = page.findall(f".//{HTML}li[@data-person]")
    assert [int(row.get("data-person")) for row in people] == [person["person_id"] for person in library.people]
    for row, person in zip(people, library.people, strict=True):
        value = row.find(f".//{HTML}data")
        assert float(value.get("value")) == person["visual_s"]
        assert value.text == f"{person['visual_s']:.1f}\u00a0s"
        assert f"{person['visual_low_s']:.1f} – {person['visual_high_s']:.1f}" in text_of(row).replace("\u00a0", " ")
        assert person["name"] in text_of(row)
    pictures = [element.get("src") for element in page.iter(f"{HTML}img")]
    assert len(pictures) >= 2 * len(people)
    for source in pictures:
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR) is not None


def test_report_draws_the_stretches_and_the_seconds_together(library: Library) -> None:
    page = html5lib.parse(library.export("html").read_text())
    svg = "{http://www.w3.org/2000/svg}"
    duration = library.totals["episode"]["duration_s"]
    lanes = {lane.get("aria-label"): lane for lane in page.iter(f"{svg}svg")}
    for person in library.people:
        rects = lanes[person["name"]].findall(f"{svg}rect")
        drawn = sum(float(rect.get("width")) for rect in rects) / 100 * duration
        assert drawn == pytest.approx(library.explained[person["person_id"]]["most_probable_s"], abs=0.01)
    assert len(lanes["Cuts"].findall(f"{svg}line")) == library.totals["run"]["shots"] - 1
    table = page.find(f".//{HTML}table[@class='matrix']")
    cells = [[cell.find(f"{HTML}data") for cell in row.findall(f"{HTML}td")] for row in table.find(f"{HTML}tbody")]
    place = {person["person_id"]: n for n, person in enumerate(library.people)}
    for pair in library.totals["co_presence"]:
        a, b = place[pair["person_a"]], place[pair["person_b"]]
        assert float(cells[a][b].get("value")) == float(cells[b][a].get("value")) == pair["seconds"] > 0.05


def test_report_lists_what_is_in_doubt(library: Library) -> None:
    page = html5lib.parse(library.export("html").read_text())
    listed = {int(row.get("data-track")): text_of(row) for row in page.iter(f"{HTML}li") if row.get("data-track")}
    doubtful = {d["track_id"] for explained in library.explained.values() for d in explained["doubts"] if d["labelled"]}
    unidentified = {track["track_id"] for track in library.tracks if track["person_id"] is None}
    mixed = {track["track_id"] for track in library.tracks if track["mixed"]}
    assert set(listed) == doubtful | unidentified | mixed
    for track in unidentified:
        assert "Not identified" in listed[track]


def test_every_format_can_be_asked_for_and_leaves_one_file(library: Library) -> None:
    folder = library.client.home / "exports"
    for kind in FORMATS:
        path = library.export(kind)
        assert path.parent == folder and path.name.endswith(FORMATS[kind].suffix) and path.stat().st_size > 0
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    listed = {row["path"]: row for row in library.client.call("export_list", {"limit": 1000})["rows"]}
    for path in folder.iterdir():
        assert listed[str(path)]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["../out.csv", "/tmp/out.csv", "a/b.csv", "..", ".hidden", "", "a\n.csv", "a" * 200])
def test_export_stays_inside_its_folder(library: Library, name: str) -> None:
    before = sorted(library.client.home.parent.rglob("*.csv"))
    with pytest.raises(BadInput, match="file name"):
        library.export("csv", name=name)
    assert sorted(library.client.home.parent.rglob("*.csv")) == before


def test_link_in_the_folder_is_replaced_and_not_followed(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("mine")
    link = library.client.home / "exports" / "linked.csv"
    link.symlink_to(outside)
    assert library.export("csv", name="linked.csv") == link
    assert not link.is_symlink() and outside.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "mot", "table": "segments"}, "holds no table"),
        ({"format": "csv", "person_id": 1}, "about everybody"),
        ({"format": "edl", "person_id": 999}, "not seen in episode 1"),
        ({"format": "docx"}, "one of csv, json"),
        ({"name": "taken"}, "is a folder"),
    ],
)
def test_what_cannot_be_exported_is_said(library: Library, options: dict[str, Any], words: str) -> None:
    (library.client.home / "exports" / "taken").mkdir(parents=True, exist_ok=True)
    with pytest.raises(BadInput, match=words):
        library.client.call("export_create", {"episode": "1", **options})
    (library.client.home / "exports" / "taken").rmdir()


def test_season_nobody_analysed_is_not_an_empty_file(library: Library) -> None:
    with pytest.raises(NotFound, match="No episode of season 9 of the-table has been analysed"):
        library.client.call("export_season", {"show": "the-table", "season": 9})


def test_exports_follow_what_people_decide_at_once(library: Library) -> None:
    """A track cut in two, one half given to somebody else, and a face that is none; the last test here, and it takes back what it did."""
    long = max((track for track in library.tracks if track["person_id"]), key=lambda track: track["end_us"] - track["start_us"])
    other = next(person for person in library.people if person["person_id"] != long["person_id"])
    gone = next(track for track in library.tracks if track["track_id"] != long["track_id"])
    middle = round((long["start_us"] + long["end_us"]) / 2e6, 3)
    batches = [library.client.call("track_split", {"track": str(long["track_id"]), "at_s": [middle]})["batch"]]
    pieces = library.client.call("track_show", {"track_id": long["track_id"]})["pieces"]
    batches.append(library.client.call("track_assign", {"tracks": [pieces[1]["ref"]], "person": str(other["person_id"])})["batch"])
    batches.append(library.client.call("track_exclude", {"tracks": [str(gone["track_id"])]})["batch"])
    rows = json.loads(library.export("json", table="segments").read_text())["rows"]
    halves = [(row["person_id"], row["source"] != "machine", row["faces_count"]) for row in rows if row["track_id"] == long["track_id"]]
    cut = round(middle * 1e6)
    faces_before = sum(face["t_us"] < cut for face in long["boxes"])
    assert [(person, faces) for person, _, faces in halves] == [
        (long["person_id"], faces_before),
        (other["person_id"], len(long["boxes"]) - faces_before),
    ]
    assert halves[1][1]
    assert gone["track_id"] not in {row["track_id"] for row in rows}
    lines = [line.split(",") for line in library.export("mot").read_text().splitlines()]
    ids = [line[1] for line in lines]
    assert str(gone["track_id"]) not in ids and ids.count(str(long["track_id"])) == faces_before
    page = html5lib.parse(library.export("html").read_text())
    shown = {int(row.get("data-person")): float(row.find(f".//{HTML}data").get("value")) for row in page.iter(f"{HTML}li") if row.get("data-person")}
    totals = {person["person_id"]: person["visual_s"] for person in library.client.call("totals_show", {"episode": "1"})["people"]}
    assert shown == totals != {person["person_id"]: person["visual_s"] for person in library.people}
    for batch in reversed(batches):
        library.client.call("decision_undo", {"batch": batch})
    assert json.loads(library.export("json").read_text())["rows"][0]["visual_s"] == library.people[0]["visual_s"]
