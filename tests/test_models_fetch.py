"""Downloads against real servers on loopback: whole, broken, resumed, refused, through a proxy, out of an archive."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.errors import ModelInvalid, RollcallError
from engine.models.entry import ModelEntry, ModelFile
from engine.models.fetch import pull
from engine.models.store import Models

CONTENT = bytes(range(256)) * 4000
TAG = '"v1"'


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROLLCALL_MODELS", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


class Server:
    """A file server that can break off, ignore ranges, and remembers what it was asked."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.tag = TAG
        self.ranges = True
        self.break_after: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append((handler.path, wanted))
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range") == self.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        else:
            handler.send_response(200)
        body = self.content[start:]
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.tag)
        handler.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
        handler.wfile.write(body)
        self.sent += len(body)


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: tests keep stderr clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def model(url: str, content: bytes = CONTENT, member: str = "", name: str = "tiny") -> ModelEntry:
    file = ModelFile(f"{name}.onnx", len(content), hashlib.sha256(content).hexdigest(), url, member)
    return ModelEntry(name, "detect", "scrfd", (file,), "MIT", True, "a test")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".digests.json")


def test_download_is_installed_with_progress(tmp_path: Path) -> None:
    server, seen = Server(), list[tuple[int, int]]()
    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path / "models", [entry])
        assert pull([entry], models, lambda done, total: seen.append((done, total))) == ["tiny"]
        assert pull([entry], models) == []
    assert models.find("tiny").paths[0].read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(server.asked) == 1
    assert left_in(tmp_path) == ["tiny.onnx"]


def test_broken_connection_is_resumed(tmp_path: Path) -> None:
    server = Server()
    server.break_after = [300_000, 400_000]
    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path, [entry])
        pull([entry], models)
    ranges = [wanted for _, wanted in server.asked]
    assert ranges[0] is None
    assert all(wanted is not None for wanted in ranges[1:])
    assert len(ranges) == 3
    assert server.sent == len(CONTENT)
    assert models.find("tiny").paths[0].read_bytes() == CONTENT


def test_what_arrived_is_kept_for_the_next_pull(tmp_path: Path) -> None:
    server = Server()

    def stop(done: int, total: int) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path, [entry])
        with pytest.raises(KeyboardInterrupt):
            pull([entry], models, stop)
        assert models.installed() == {}
        pull([entry], models)
    assert server.asked[1][1] is not None
    assert models.find("tiny").paths[0].read_bytes() == CONTENT


def test_changed_file_is_not_joined_to_the_old_part(tmp_path: Path) -> None:
    server = Server(bytes(len(CONTENT)))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path, [entry])
        with pytest.raises(KeyboardInterrupt):
            pull([entry], models, stop)
        server.content, server.tag = CONTENT, '"v2"'
        pull([entry], models)
    assert models.find("tiny").paths[0].read_bytes() == CONTENT


def test_server_without_ranges_starts_again(tmp_path: Path) -> None:
    server = Server()
    server.ranges, server.break_after = False, [300_000]
    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path, [entry])
        pull([entry], models)
    assert [wanted is None for _, wanted in server.asked] == [True, False]
    assert models.find("tiny").paths[0].read_bytes() == CONTENT


def test_wrong_content_leaves_nothing(tmp_path: Path) -> None:
    server = Server(CONTENT[::-1])
    with serving(server.answer) as base:
        entry = model(f"{base}/tiny.onnx")
        models = Models(tmp_path, [entry])
        with pytest.raises(ModelInvalid, match=r"tiny\.onnx") as caught:
            pull([entry], models)
    assert "rollcall model import" in caught.value.hint
    assert models.installed() == {}
    assert left_in(tmp_path) == []


def test_refusal_and_silence_name_the_next_step(tmp_path: Path) -> None:
    with serving(lambda handler: handler.send_error(404)) as base:
        entry = model(f"{base}/tiny.onnx")
        with pytest.raises(RollcallError, match="answered 404") as caught:
            pull([entry], Models(tmp_path, [entry]))
    assert "rollcall model import" in caught.value.hint
    with pytest.raises(RollcallError, match="could not be downloaded: ConnectError"):  # nobody listens there any more
        pull([entry], Models(tmp_path, [entry]))


def test_model_without_an_address_is_not_pulled(tmp_path: Path) -> None:
    entry = model("")
    with pytest.raises(RollcallError, match="no confirmed address"):
        pull([entry], Models(tmp_path, [entry]))


def test_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server()
    with serving(proxy.answer) as base:
        monkeypatch.setenv("http_proxy", base)
        entry = model("http://models.invalid/tiny.onnx")
        models = Models(tmp_path, [entry])
        pull([entry], models)
    assert proxy.asked == [("http://models.invalid/tiny.onnx", None)]
    assert "tiny" in models.installed()


def test_two_members_of_one_archive_are_one_download(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack/a.onnx", CONTENT)
        archive.writestr("pack/b.onnx", CONTENT[::-1])
        archive.writestr("pack/other.onnx", b"not asked for")
    server = Server(packed.getvalue())
    with serving(server.answer) as base:
        entries = [model(f"{base}/pack.zip", CONTENT, "a.onnx", "a"), model(f"{base}/pack.zip", CONTENT[::-1], "b.onnx", "b")]
        models = Models(tmp_path, entries)
        assert pull(entries, models) == ["a", "b"]
    assert len(server.asked) == 1
    assert left_in(tmp_path) == ["a.onnx", "b.onnx"]


def test_archive_without_the_member_and_no_archive_at_all(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("other.onnx", CONTENT)
    server = Server(packed.getvalue())
    with serving(server.answer) as base:
        entry = model(f"{base}/pack.zip", member="a.onnx")
        models = Models(tmp_path, [entry])
        for content in (packed.getvalue(), CONTENT):
            server.content = content
            with pytest.raises(ModelInvalid):
                pull([entry], models)
    assert left_in(tmp_path) == []
