"""The engine as its clients meet it: one owner, answers and errors, events, journal replay, idle exit, a socket only its user can open."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.errors import BadInput, Conflict, NotFound, Refused, StoreLocked, StoreVersion
from engine.platform import socket_path
from engine.wire import Client
from store.database import Database


def test_first_call_starts_an_engine_and_the_second_uses_it(client: Client) -> None:
    first = client.call("health_show")
    assert client.call("health_show")["pid"] == first["pid"]
    assert first["problems"] == []


def test_clients_starting_at_once_share_one_engine(tmp_path: Path) -> None:
    pids: list[int] = []
    clients = [Client(tmp_path / "home", "person:tester") for _ in range(4)]
    threads = [threading.Thread(target=lambda c=c: pids.append(c.call("health_show")["pid"])) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clients[0].stop()
    assert len(pids) == 4
    assert len(set(pids)) == 1
    assert "is in use" not in (tmp_path / "home" / "engine.log").read_text(), "one of them started it, the others waited"


def test_socket_and_its_folder_are_private(client: Client) -> None:
    client.ensure_running()
    path = socket_path(client.home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_engine_listens_on_nothing_but_its_socket(client: Client) -> None:
    pid = client.call("health_show")["pid"]
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if os.path.lexists(f"/proc/{pid}/fd/{fd}")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        assert not [line for line in lines if f"socket:[{line.split()[9]}]" in inodes], table


def test_what_was_written_is_there_after_a_restart(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    assert client.stop()
    assert [row["slug"] for row in client.call("show_list")["rows"]] == ["first"]


def test_what_was_acknowledged_is_there_after_a_kill(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    pid = client.call("health_show")["pid"]
    os.kill(pid, 9)
    assert [row["slug"] for row in client.call("show_list")["rows"]] == ["first"]
    assert client.call("health_show")["pid"] != pid


def test_change_that_is_only_in_the_journal_is_replayed(client: Client) -> None:
    """A library restored from a backup catches up from the journal."""
    client.call("show_add", {"title": "First"})
    client.call("person_add", {"name": "Ana", "show": "first"})
    client.call("person_rename", {"person_id": 1, "name": "Anna"})
    client.stop()
    (client.home / "library.duckdb").unlink()
    assert client.call("person_show", {"person_id": 1})["name"] == "Anna"
    assert client.call("person_show", {"person_id": 1})["aliases"] == ["Ana"]
    assert client.call("health_show")["problems"] == []


def test_repeated_key_does_a_thing_once(client: Client) -> None:
    first = client.call("show_add", {"title": "First"}, idem_key="k")
    assert client.call("show_add", {"title": "First"}, idem_key="k") == first
    assert len(client.call("show_list")["rows"]) == 1
    with pytest.raises(Conflict):
        client.call("show_add", {"title": "First"})


def test_bad_parameters_are_all_named(client: Client) -> None:
    with pytest.raises(BadInput) as caught:
        client.call("person_add", {"nmae": "Ana"})
    assert "name" in str(caught.value) and "show" in str(caught.value) and "nmae" in str(caught.value)


def test_unknown_things_are_not_found(client: Client) -> None:
    for operation, parameters in (
        ("show_show", {"show": "nowhere"}),
        ("episode_show", {"episode": "9"}),
        ("person_show", {"person_id": 9}),
        ("track_show", {"track_id": 9}),
        ("cluster_show", {"cluster_id": 9}),
        ("job_show", {"job_id": 9}),
        ("no_such", {}),
    ):
        with pytest.raises(NotFound):
            client.call(operation, parameters)


def test_actor_must_be_somebody(client: Client) -> None:
    with pytest.raises(BadInput):
        Client(client.home, "root").call("show_list")


def test_agents_may_read_and_name_but_not_destroy(client: Client) -> None:
    agent = Client(client.home, "agent:helper")
    client.call("show_add", {"title": "First"})
    client.call("person_add", {"name": "Ana", "show": "first"})
    agent.call("person_rename", {"person_id": 1, "name": "Anna"})
    assert agent.call("person_show", {"person_id": 1})["name"] == "Anna"
    with pytest.raises(Refused):
        agent.call("episode_remove", {"episode": "1"})
    commands = (client.home / "journal" / "commands.jsonl").read_text().splitlines()
    assert json.loads(commands[-1])["actor"] == "agent:helper"


def test_events_tell_of_changes_by_others(client: Client) -> None:
    client.ensure_running()
    seen: list[dict[str, object]] = []

    def listen() -> None:
        for event in Client(client.home, "person:other").events():
            seen.append(event)
            if event["kind"] == "changed":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    while not seen:
        time.sleep(0.01)
    client.call("show_add", {"title": "First"})
    listener.join(10)
    assert seen[0]["kind"] == "hello"
    assert (seen[-1]["operation"], seen[-1]["actor"]) == ("show_add", "person:tester")


def test_listener_that_missed_too_much_is_told_to_start_afresh(client: Client) -> None:
    client.ensure_running()
    events = client.events(after=1)
    assert [next(events)["kind"], next(events)["kind"]] == ["hello", "reset"]
    events.close()


def test_pages_add_up_to_the_whole(client: Client) -> None:
    for n in range(7):
        client.call("show_add", {"title": f"Show {n}"})
    slugs, cursor = [], None
    while True:
        page = client.call("show_list", {"limit": 3, "cursor": cursor})
        slugs += [row["slug"] for row in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert slugs == [f"show-{n}" for n in range(7)]
    with pytest.raises(BadInput):
        client.call("show_list", {"cursor": "x' OR 1=1"})


def test_idle_engine_ends_itself_and_is_started_again(client: Client) -> None:
    client.home.mkdir(parents=True)
    (client.home / "config.toml").write_text("[engine]\nidle_exit_s = 0.5\n")
    pid = client.call("health_show")["pid"]
    deadline = time.monotonic() + 60
    while client.ping() is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.ping() is None
    client._checked = False
    assert client.call("health_show")["pid"] != pid


def test_newer_library_is_refused_with_its_reason(tmp_path: Path) -> None:
    home = tmp_path / "home"
    database = Database(home)
    with database.write() as transaction:
        transaction.insert("schema_version", version=999, applied_at="2026-01-01")
    database.close()
    with pytest.raises(StoreVersion) as caught:
        Client(home, "person:tester").call("health_show")
    assert "999" in str(caught.value)


def test_wrong_settings_file_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("[track]\nmach_cost = 1\n")
    with pytest.raises(BadInput) as caught:
        Client(home, "person:tester").call("health_show")
    assert "track.mach_cost" in str(caught.value)


def test_library_owned_by_another_program_is_an_error_not_a_hang(tmp_path: Path) -> None:
    home = tmp_path / "home"
    database = Database(home)
    try:
        with pytest.raises(StoreLocked) as caught:
            Client(home, "person:tester").call("health_show")
        assert str(os.getpid()) in str(caught.value)
    finally:
        database.close()


def test_command_line_answers_without_heavy_imports() -> None:
    """Start-up time is a feature: the command line speaks to the engine with the standard library alone."""
    code = "import sys; from tools.cli import build_parser; build_parser(); print(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pydantic", "duckdb", "numpy", "pyarrow", "anyio", "starlette", "httpx2", "cv2", "av", "textual", "mcp"}
    assert heavy.isdisjoint(modules)


def test_nothing_is_imported_from_the_folder_the_user_is_in(tmp_path: Path) -> None:
    elsewhere = tmp_path / "project"
    (elsewhere / "tools").mkdir(parents=True)
    (elsewhere / "tools" / "__init__.py").write_text("raise SystemExit('a stranger was imported')")
    (elsewhere / "logging.py").write_text("raise SystemExit('a stranger was imported')")
    rollcall = Path(sys.executable).parent / "rollcall"
    environ = {**os.environ, "ROLLCALL_HOME": str(tmp_path / "home")}
    done = subprocess.run([rollcall, "show", "list", "--json"], cwd=elsewhere, env=environ, capture_output=True, text=True, check=False)
    Client(tmp_path / "home").stop()
    assert done.returncode == 0, done.stderr


def test_ids_are_never_given_twice(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    client.call("person_add", {"name": "Ana", "show": "first"})
    client.call("person_add", {"name": "Bea", "show": "first"})
    client.stop()
    database = Database(client.home)
    with database.write() as transaction:
        transaction.execute("DELETE FROM person WHERE person_id = 2")
    database.close()
    assert client.call("person_add", {"name": "Cy", "show": "first"})["person_id"] == 3


def test_refused_journal_line_is_settled_and_never_meets_somebody_else(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    client.call("person_add", {"name": "Ana", "show": "first"})
    client.call("cast_add", {"person_id": 1})
    client.stop()
    _lose_second_line(client)
    assert any("cast_add" in problem for problem in client.call("health_show")["problems"])
    client.call("person_add", {"name": "Bea", "show": "first"})
    client.stop()
    assert client.call("person_show", {"person_id": 1})["name"] == "Bea"
    assert client.call("cast_list", {"show": "first"})["rows"] == []


def test_decision_comes_back_from_the_journal_without_what_it_was_about(client: Client) -> None:
    """And nobody new gets the number of the person it names."""
    client.call("show_add", {"title": "First"})
    client.call("person_add", {"name": "Ana", "show": "first"})
    client.call("person_rename", {"person_id": 1, "name": "Anna"})
    client.stop()
    _lose_second_line(client)
    assert client.call("person_show", {"person_id": 1})["name"] == "Anna"
    assert client.call("person_add", {"name": "Bea", "show": "first"})["person_id"] == 2
    assert client.call("health_show")["problems"] == []


def _lose_second_line(client: Client) -> None:
    """The library is gone, and of the journal one line."""
    (client.home / "library.duckdb").unlink()
    journal = client.home / "journal" / "commands.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], "5", lines[2]]) + "\n")


def test_engine_asked_to_end_by_a_signal_closes_the_library(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    pid = client.call("health_show")["pid"]
    os.kill(pid, 15)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (client.home / "library.duckdb.wal").exists()
    assert not socket_path(client.home).exists()


def _gone(pid: int) -> bool:
    """Whether a process has ended, also when nobody has taken note of it."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split()[2] == "Z"


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while not _gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workspace_deleted_under_its_engine_is_a_new_one_and_the_old_engine_ends(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    old = client.call("health_show")["pid"]
    shutil.rmtree(client.home)
    client.call("show_add", {"title": "Second"})
    _wait_gone(old)
    client.stop()
    assert [row["slug"] for row in client.call("show_list")["rows"]] == ["second"]


def test_engine_of_a_deleted_workspace_leaves_the_new_one_alone_when_it_ends(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    old = client.call("health_show")["pid"]
    os.kill(old, signal.SIGSTOP)  # it learns of the deletion when another engine is at work there
    try:
        shutil.rmtree(client.home)
        client.call("show_add", {"title": "Second"})
        new = client.call("health_show")["pid"]
        held = {path: path.stat().st_ino for path in (socket_path(client.home), client.home / "library.duckdb")}
    finally:
        os.kill(old, signal.SIGCONT)
    _wait_gone(old)
    assert {path: path.stat().st_ino for path in held} == held
    assert client.call("health_show")["pid"] == new != old
    os.kill(new, signal.SIGKILL)
    assert [row["slug"] for row in client.call("show_list")["rows"]] == ["second"]


def test_references_are_whole_numbers_or_names(client: Client) -> None:
    client.call("show_add", {"title": "First"})
    for reference in ("1.0", "0.6", "1e0", "+1", "²"):
        with pytest.raises(NotFound):
            client.call("show_show", {"show": reference})
    with pytest.raises(BadInput):
        client.call("show_add", {"title": "24"})
    assert client.call("show_add", {"title": "24", "slug": "twenty-four"})["slug"] == "twenty-four"
