"""Errors as a user meets them: bad files, wrong names, missing models, a second engine, a full disk. Every message names the thing and the next
step; all of them stand in `errors_people_meet.txt`, where a changed word is a changed line. `UPDATE_GOLDEN=1 pytest` writes it anew."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from engine.errors import RollcallError
from engine.wire import Client
from store.database import Database
from tests import clips
from tests.footage import pattern, scene, write
from tools import cli

GOLDEN = Path(__file__).with_name("errors_people_meet.txt")
NOBODY = 65534
"""The user id that owns nothing."""


class Terminal:
    """`rollcall` in this process, in a workspace of its own; what it says is held to the golden file."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self.home, self.capture = folder, folder / "home", capture

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["--home", str(self.home), *arguments])
        out, err = self.capture.readouterr()
        return int(ended.value.code or 0), out, err

    def tell(self, arguments: tuple[str, ...], status: int, said: str) -> str:
        """A transcript that is the same on every machine."""
        text = f"$ rollcall {' '.join(arguments)}\nexit {status}\n{said.strip()}\n"
        for found, name in ((str(self.home), "HOME"), (str(self.folder), "FOLDER")):
            text = text.replace(found, name)
        text = re.sub(r"process \d+", "process N", text)
        text = re.sub(r"\b((?i:episode)|create|analyse) \d+", r"\1 N", text)
        return re.sub(r"\d+ MB of disk are free", "N MB of disk are free", text)

    def fails(self, case: str, *arguments: str, status: int) -> str:
        """The command ends with that status, nothing on stdout, no traceback, and the words of the golden file."""
        ended, out, err = self(*arguments)
        assert (ended, out) == (status, ""), (ended, out, err)
        assert "Traceback" not in err
        transcript = self.tell(arguments, ended, err)
        golden(case, transcript)
        return transcript


def golden(case: str, transcript: str) -> None:
    """Hold a transcript to its section of the golden file."""
    sections = dict(re.findall(r"^== (.+)\n((?:(?!== ).*\n)*)", GOLDEN.read_text() if GOLDEN.exists() else "", re.MULTILINE))
    if os.environ.get("UPDATE_GOLDEN"):
        sections[case] = transcript + "\n"
        GOLDEN.write_text("".join(f"== {name}\n{text.rstrip()}\n\n" for name, text in sorted(sections.items())))
    assert sections.get(case, "").strip() == transcript.strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose workspace has one engine for all files."""
    folder = tmp_path_factory.mktemp("people")
    folder.chmod(0o755)
    yield folder
    Client(folder / "home", "person:tester").stop()


@pytest.fixture
def rollcall(place: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(place, capsys)


def frames(count: int) -> list[Any]:
    return [np.random.default_rng(i).integers(0, 256, (72, 128, 3), dtype=np.uint8) for i in range(count)]


def no_video(path: Path) -> None:
    path.write_text("Dear diary, this is no video.\n" * 50)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    """An MP4 keeps its index at the end: without it nothing can be read."""
    write(path, frames(30), range(30))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def only_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))


def a_picture(path: Path) -> None:
    cv2.imwrite(str(path), pattern())


def unknown_codec(path: Path) -> None:
    write(path, [pattern()] * 5, range(5))
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_NOBODY/KNOWS/"))


def no_frames(path: Path) -> None:
    """Every packet is there, and holds nothing but zeros."""
    write(path, [pattern()] * 5, range(5))
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


BAD: dict[str, tuple[str, Callable[[Path], None]]] = {
    "not a video": ("diary.txt", no_video),
    "an empty file": ("empty.mp4", empty),
    "a truncated file": ("truncated.mp4", truncated),
    "no video stream": ("sound.wav", only_sound),
    "a picture": ("picture.png", a_picture),
    "an unknown codec": ("unknown.mkv", unknown_codec),
    "no frame that can be decoded": ("blank.mp4", no_frames),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_named_and_not_added(rollcall: Terminal, case: str) -> None:
    name, make = BAD[case]
    make(rollcall.folder / name)
    said = rollcall.fails(case, "run", str(rollcall.folder / name), status=2)
    assert name in said.split("\n", 2)[2]
    assert name not in {Path(row["path"]).name for row in json.loads(rollcall("episode", "list", "--json")[1])["rows"]}


def test_missing_file_and_folder_are_named(rollcall: Terminal) -> None:
    rollcall.fails("no such file", "run", str(rollcall.folder / "gone.mp4"), status=2)
    (rollcall.folder / "folder").mkdir()
    rollcall.fails("a folder", "run", str(rollcall.folder / "folder"), status=2)


def test_file_that_may_not_be_read(rollcall: Terminal) -> None:
    """Asked by the probe itself as somebody else, when the tests run as root: the engine of this test may read everything."""
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        check_permission(rollcall, write(Path(open_folder) / "secret.mp4", [pattern()] * 3, range(3)))


def check_permission(rollcall: Terminal, path: Path) -> None:
    rollcall.folder = path.parent
    path.chmod(0)
    if os.geteuid():
        rollcall.fails("no permission to read", "run", str(path), status=2)
        return
    from engine.errors import BadMedia
    from engine.sources.probe import probe

    os.seteuid(NOBODY)
    try:
        with pytest.raises(BadMedia) as refusal:
            probe(path)
    finally:
        os.seteuid(0)
    golden("no permission to read", rollcall.tell(("run", str(path)), refusal.value.exit_status, f"error: {refusal.value}"))


def test_odd_videos_are_taken_as_they_are(rollcall: Terminal) -> None:
    """Variable rate, turned pictures, pictures that start late, a file cut short: all can be analysed, and what is odd is said."""
    made = {
        "vfr.mkv": lambda path: write(
            path, [scene(i) for i in range(12)], [0, 40, 80, 133, 400, 433, 900, 917, 934, 2000, 2033, 2500], Fraction(1, 1000)
        ),
        "turned.mp4": lambda path: write(path, [pattern()] * 5, range(5), rotation=90),
        "late.mkv": lambda path: write(path, [scene(1)] * 20, range(21, 41), sound_s=1.5),
        "short.mov": cut_short,
    }
    lines = []
    for name, make in made.items():
        make(rollcall.folder / name)
        status, out, err = rollcall("episode", "add", str(rollcall.folder / name), "--json")
        found = json.loads(out)
        assert (status, err, found["added"]) == (0, "", True)
        lines.append(f"{name}: {found['width']} x {found['height']}, {found['duration_s']:.2f} s. {' '.join(found['warnings'])}".strip())
    golden("odd videos that can be analysed", rollcall.tell(("episode", "add", "FILE"), 0, "\n".join(lines)))


def cut_short(path: Path) -> None:
    """The index is at the front and promises more than is there."""
    whole = write(path.with_name("whole.mov"), frames(100), range(100), codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])


def test_same_file_twice_is_one_episode(rollcall: Terminal) -> None:
    path = write(rollcall.folder / "twice.mp4", [scene(3)] * 5, range(5))
    copy = rollcall.folder / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    first = json.loads(rollcall("episode", "add", str(path), "--json")[1])
    second = json.loads(rollcall("episode", "add", str(copy), "--json")[1])
    assert (first["added"], second["added"], second["episode_id"]) == (True, False, first["episode_id"])


def test_names_that_mean_nothing(rollcall: Terminal) -> None:
    path = write(rollcall.folder / "fine.mp4", [scene(4)] * 5, range(5))
    rollcall.fails("an unknown show", "run", str(path), "--show", "nowhere", status=2)
    rollcall.fails("an unknown episode", "totals", "show", "the-show-s01e01", status=2)
    rollcall.fails("an unknown setting", "config", "show", "nothing", status=2)
    rollcall.fails("a setting that is none, of a run", "run", str(path), "--set", "observe.speed=2", status=2)
    assert str(path) not in rollcall("episode", "list", "--json")[1], "nothing was added"
    added = json.loads(rollcall("episode", "add", str(path), "--json")[1])
    rollcall.fails("an episode that was not analysed", "export", "create", str(added["episode_id"]), status=2)
    said = rollcall.fails("a wrong value of a setting", "episode", "analyse", str(added["episode_id"]), "--set", "observe.fps=fast", status=2)
    assert "observe.fps" in said


def test_models_that_are_missing_or_not_what_they_say(rollcall: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLCALL_MODELS", raising=False)
    path = write(rollcall.folder / "model.mp4", [scene(5)] * 5, range(5))
    terminal = Terminal(rollcall.folder / "without", rollcall.capture)
    terminal.folder.mkdir()
    terminal("episode", "add", str(path))
    terminal("episode", "analyse", "1", "--set", "models.profile=insightface")
    ended = terminal("job", "wait", "1", "--json")[0]
    assert ended == 4
    error = json.loads(terminal("job", "show", "1", "--json")[1])["error"]
    golden("a model that is missing", terminal.tell(("job", "wait", "1"), ended, f"error: {error['message']} {error['hint']}"))
    wrong = terminal.folder / "det_10g.onnx"
    wrong.write_bytes(b"no model")
    terminal.fails("a file that is no known model", "model", "import", str(wrong), status=2)
    assert not [p for p in (terminal.home / "models").glob("**/*.onnx")], "nothing of it is kept"
    damaged = terminal.home / "models" / "det_10g.onnx"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(b"half of a model")
    terminal.fails("a model whose digest is wrong", "model", "verify", status=4)
    Client(terminal.home, "person:tester").stop()


def test_second_engine_is_refused(rollcall: Terminal) -> None:
    rollcall("show", "list")
    command = [sys.executable, "-m", "tools.serve", "--home", str(rollcall.home)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    golden("a second engine on one library", rollcall.tell(("engine", "run"), second.returncode, second.stderr))
    assert rollcall("show", "list")[0] == 0, "the first one goes on"


def test_library_another_program_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(tmp_path, capsys)
    database = Database(terminal.home)
    try:
        terminal.fails("a library another program holds", "show", "list", status=5)
    finally:
        database.close()


def test_engine_of_another_version(rollcall: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    rollcall("show", "list")
    real = hashlib.sha256
    monkeypatch.setattr("engine.wire.hashlib.sha256", lambda data=b"": real(data + b" of tomorrow"))
    rollcall.fails("an engine of another version", "show", "list", status=69)


def test_newer_library_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(tmp_path, capsys)
    database = Database(terminal.home)
    with database.write() as transaction:
        transaction.insert("schema_version", version=999, applied_at="2026-01-01")
    known = database.rows("SELECT max(version) AS v FROM schema_version WHERE version < 999")[0]["v"]
    database.close()
    ended, _, err = terminal("show", "list")
    golden("a library of a newer version", terminal.tell(("show", "list"), ended, err.replace(f"this version knows {known}", "this version knows N")))


def test_two_onnxruntimes_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions on the path that provide one module, as pip leaves them."""
    packages = tmp_path / "packages"
    for name in ("onnxruntime", "onnxruntime_gpu"):
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    terminal = Terminal(tmp_path, capsys)
    problems = json.loads(terminal("health", "show", "--json")[1])["problems"]
    Client(terminal.home, "person:tester").stop()
    golden("two onnxruntimes", terminal.tell(("health", "show"), 0, "\n".join(problem for problem in problems if "onnxruntime" in problem)))


class SmallDisk:
    """A file system of its own with little room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, free: int) -> None:
        """Fill it until only so much is free; None of it when that is more than there is."""
        found = os.statvfs(self.folder)
        more = found.f_bavail * found.f_frsize - free
        with (self.folder / "filler").open("ab") as file:
            if more < 0:
                file.truncate(max(0, file.tell() + more))
            else:
                file.write(b"x" * more)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield SmallDisk(folder)
    Client(folder / "home", "person:tester").stop()
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_full_disk_is_said_and_nothing_is_lost(disk: SmallDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Full before a job, during a segment and at the end; each time the job goes on once there is room, to the same totals."""
    path = clips.write(tmp_path / "clip.mp4", [clips.framing(*clips.FACES["left"])] * 40)
    terminal = Terminal(disk.folder, capsys)
    terminal("episode", "add", str(path))
    disk.leave(10 << 20)
    terminal("episode", "analyse", "1", "--set", "models.profile=embedded")
    ended, _, _ = terminal("job", "wait", "1", "--json")
    told = [transcript(terminal, 1, ended)]
    for free, change in ((4096, "track.picks=2"), (150_000, "track.picks=3")):
        disk.leave(free)
        settings = ("models.profile=embedded", "engine.free_space_floor_mb=0", change)
        flags = [word for setting in settings for word in ("--set", setting)]
        job = json.loads(terminal("episode", "analyse", "1", *flags, "--json")[1])["job_id"]
        ended, _, _ = terminal("job", "wait", str(job), "--json")
        told.append(transcript(terminal, job, ended))
        assert json.loads(terminal("episode", "show", "1", "--json")[1])["runs"] == []
        disk.leave(50 << 20)
    golden("a full disk", "\n".join(told))
    (disk.folder / "filler").unlink()
    for job in (2, 3):
        terminal("job", "retry", str(job))
        assert terminal("job", "wait", str(job), "--json")[0] == 0
    assert {person["visual_s"] for person in json.loads(terminal("totals", "show", "1", "--json")[1])["people"]} == {1.6}


@pytest.mark.slow
def test_disk_full_at_a_checkpoint_is_survived_and_told_to_whoever_changes_something(disk: SmallDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """The checkpoint of an idle engine finds no room, and DuckDB gives the library up; it is opened again, and everything acknowledged is there."""
    client, terminal = Client(disk.folder / "home", "person:tester"), Terminal(disk.folder, capsys)
    slugs = {f"show-{number}" for number in range(20)}
    for slug in sorted(slugs):
        client.call("show_add", {"slug": slug, "title": slug * 20})
    engine = (client.ping() or {})["pid"]
    disk.leave(30_000)  # for the log of it; a checkpoint writes blocks of 256 KiB
    log, deadline = client.home / "engine.log", time.monotonic() + 60
    while "the checkpoint failed" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "FatalException" in log.read_text()
    disk.leave(0)
    assert {row["slug"] for row in client.call("show_list")["rows"]} == slugs
    disk.leave(0)  # opened again, the library may have given some of it back
    for longer in (10, 1):  # its files have room left in their last pages
        with contextlib.suppress(RollcallError):
            for number in range(100):
                slug = f"filling-{longer}-{number}"
                client.call("show_add", {"slug": slug, "title": slug * longer})
                slugs.add(slug)
    terminal.fails("a disk that was full at a checkpoint", "show", "add", "One more", status=5)
    (disk.folder / "filler").unlink()
    client.call("show_add", {"slug": "later", "title": "Later"})
    assert (client.ping() or {})["pid"] == engine, "it went on"
    client.stop()
    assert {row["slug"] for row in client.call("show_list")["rows"]} == slugs | {"later"}
    assert [problem for problem in client.call("health_show")["problems"] if "of disk are free" not in problem] == []


def transcript(terminal: Terminal, job: int, ended: int) -> str:
    error = json.loads(terminal("job", "show", str(job), "--json")[1])["error"]
    return terminal.tell(("job", "wait", str(job)), ended, f"error: {error['message']} {error['hint']}")
