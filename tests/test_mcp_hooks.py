"""Webhooks against a real receiver: signed, at least once, retried with pauses, given up visibly, retried by hand; told with what they report."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, NotFound, Refused
from engine.wire import Client
from store.database import Database


class Receiver:
    """An address that keeps what it is sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.before_answer: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                outer.before_answer()
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, client: Client) -> Client:
    """A client whose engine gives up after three attempts with short pauses."""
    for name, value in (("FIRST_PAUSE_S", "0.05"), ("PAUSE_FACTOR", "2"), ("ATTEMPTS", "3"), ("TIMEOUT_S", "5")):
        monkeypatch.setenv(f"ROLLCALL_HOOKS__{name}", value)
    return client


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def put(home: Path, event: str) -> None:
    """What a change does in its own transaction, by a library nobody serves."""
    from store import outbox

    database = Database(home)
    with database.write() as transaction:
        outbox.announce(transaction, event, episode_id=None)
    database.close()


def test_message_is_signed_as_standard_webhooks_says(hasty: Client, receiver: Receiver) -> None:
    hook = hasty.call("hook_add", {"url": receiver.url})
    delivery = hasty.call("hook_test", {"hook_id": hook["hook_id"]})
    assert (delivery["state"], delivery["answer"]) == ("delivered", "204 No Content")
    ((headers, body),) = receiver.got
    assert json.loads(body)["event"] == "test"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(hook["secret"].removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30


def test_secret_is_shown_once_and_kept_out_of_database_and_journal(hasty: Client, receiver: Receiver) -> None:
    secret = hasty.call("hook_add", {"url": receiver.url})["secret"]
    assert "secret" not in hasty.call("hook_list")["rows"][0]
    assert stat.S_IMODE((hasty.home / "hooks.key").stat().st_mode) == 0o600
    hasty.stop()
    for path in hasty.home.rglob("*"):
        if path.is_file():
            assert secret.removeprefix("whsec_").encode() not in path.read_bytes(), path


def test_failing_address_is_retried_then_given_up_and_can_be_retried_by_hand(hasty: Client, receiver: Receiver) -> None:
    receiver.status = 500
    hook = hasty.call("hook_add", {"url": receiver.url, "events": ["review.finished"]})["hook_id"]
    hasty.stop()
    put(hasty.home, "review.finished")
    until(lambda: hasty.call("hook_list")["rows"][0]["dead"] == 1)
    (dead,) = hasty.call("delivery_list", {"state": "dead"})["rows"]
    assert (dead["attempts"], dead["answer"]) == (3, "500 Internal Server Error")
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1, "a repeat must be told from a new message"
    receiver.status = 200
    assert hasty.call("hook_retry", {"hook_id": hook}) == {"hook_id": hook, "retried": 1}
    until(lambda: hasty.call("hook_list")["rows"][0]["delivered"] == 1)
    assert len(receiver.got) == 4


def test_address_that_does_not_answer_holds_up_nobody_else(hasty: Client, receiver: Receiver) -> None:
    hasty.call("hook_add", {"url": "http://127.0.0.1:9/"})
    hasty.call("hook_add", {"url": receiver.url})
    hasty.stop()
    put(hasty.home, "totals.changed")
    hasty.call("hook_list")
    until(lambda: len(receiver.got) == 1)
    until(lambda: hasty.call("hook_list")["rows"][0]["dead"] == 1)
    assert "Connect" in hasty.call("hook_list")["rows"][0]["answer"]


def test_only_events_asked_for_are_told_and_removed_hooks_are_told_nothing(hasty: Client, receiver: Receiver) -> None:
    hook = hasty.call("hook_add", {"url": receiver.url, "events": ["totals.changed"]})["hook_id"]
    hasty.stop()
    put(hasty.home, "review.finished")
    put(hasty.home, "totals.changed")
    hasty.call("hook_list")
    until(lambda: len(receiver.got) == 1)
    assert json.loads(receiver.got[0][1])["event"] == "totals.changed"
    hasty.call("hook_remove", {"hook_id": hook})
    assert hasty.call("hook_list")["rows"] == []
    with pytest.raises(NotFound):
        hasty.call("hook_test", {"hook_id": hook})


def test_message_sent_by_an_engine_that_died_before_noting_it_is_sent_again(client: Client, receiver: Receiver) -> None:
    """At least once: the id tells the receiver that it is the same one."""
    client.call("hook_add", {"url": receiver.url})
    client.stop()
    put(client.home, "totals.changed")
    # The engine dies while the receiver still has the message in its hands.
    receiver.before_answer = lambda: os.kill(int((client.ping() or {})["pid"]), signal.SIGKILL)
    client.ensure_running()
    until(lambda: len(receiver.got) == 1 and client.ping() is None)
    receiver.before_answer = lambda: None
    Client(client.home, client.actor).call("hook_list")
    until(lambda: len(receiver.got) == 2)
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_agents_do_not_set_up_webhooks(client: Client) -> None:
    with pytest.raises(Refused, match="installation"):
        Client(client.home, "agent:helper").call("hook_add", {"url": "http://127.0.0.1:1/"})


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "http://", "nonsense"])
def test_address_must_be_one(client: Client, url: str) -> None:
    with pytest.raises(BadInput, match="http"):
        client.call("hook_add", {"url": url})


def test_hook_from_the_journal_keeps_its_secret(client: Client, receiver: Receiver) -> None:
    """A library restored from a backup goes on signing as before."""
    hook = client.call("hook_add", {"url": receiver.url})
    client.stop()
    (client.home / "library.duckdb").unlink()
    client.call("hook_test", {"hook_id": hook["hook_id"]})
    headers, body = receiver.got[-1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(base64.b64decode(hook["secret"].removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert os.path.exists(client.home / "hooks.key")
