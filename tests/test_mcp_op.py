"""`rollcall op` and lists on the command line: what scripts give arrives as they gave it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from engine.wire import Client


def rollcall(client: Client, *arguments: str, stdin: str | None = None, status: int = 0) -> Any:
    command = [sys.executable, "-m", "tools.cli", "--home", str(client.home), "--actor", "script:nightly", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else done.stderr


def test_any_operation_takes_and_gives_json(client: Client) -> None:
    made = rollcall(client, "op", "show_add", "--json", '{"title": "First"}', "--key", "k")
    assert rollcall(client, "op", "show_add", "--json", '{"title": "First"}', "--key", "k") == made
    assert [row["slug"] for row in rollcall(client, "op", "show_list", "--json", "-", stdin="{}")["rows"]] == ["first"]
    assert client.call("query_run", {"sql": "SELECT actor, operation FROM changes"})["rows"] == [["script:nightly", "show_add"]]


def test_refusals_keep_their_exit_status(client: Client) -> None:
    assert rollcall(client, "op", "show_show", "--json", '{"show": "none"}', status=2)["error"]["code"] == "not_found"
    assert rollcall(client, "op", "show_list", "--json", "{", status=2)["error"]["code"] == "bad_input"
    assert rollcall(client, "op", "show_list", "--json", "[]", status=2)["error"]["code"] == "bad_input"


def test_lists_are_given_one_after_the_other(client: Client) -> None:
    hook = rollcall(client, "hook", "add", "http://127.0.0.1:9/", "--events", "totals.changed", "review.finished", "--json")
    assert hook["events"] == ["totals.changed", "review.finished"]
    assert "no track 1" in json.dumps(rollcall(client, "track", "assign", "1", "2", "--person", "Ana", "--json", status=2))
