"""Damage drills: whatever happened to the files of a library, it opens again or says what to do, and every decision is there."""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from engine import upkeep
from engine.errors import BadInput, NotFound, Refused, StoreError
from engine.exemplars import rebuild
from engine.operations import registry
from engine.service import Engine
from engine.wire import Client
from store import backups, repair
from store.database import Database
from tests.agents import Analysed
from tools.doctor import examine

HEADER, BLOCK, PAGE = 12_288, 262_144, 4096


async def _use(home: Path, *slugs: str) -> list[str]:
    """Start an engine as the daemon does, add shows, and return the slugs of all there are."""
    engine = Engine(home)
    try:
        async with engine.lifespan():
            await engine.recover()
            for slug in slugs:
                await registry.invoke(engine, "show_add", {"slug": slug, "title": slug}, actor="person:ana")
            rows = (await registry.invoke(engine, "show_list", {}, actor="person:ana"))["rows"]
    finally:
        engine.close()
    return sorted(row["slug"] for row in rows)


def use(home: Path, *slugs: str) -> list[str]:
    return anyio.run(_use, home, *slugs)


def killed_in_a_checkpoint(home: Path, torn: list[int], slugs: list[str], whole: bool = False) -> None:
    """Leave the library as a kill does that reached only some pages of each block a checkpoint rewrote: the header and the log are the old ones.

    Args:
        whole: nothing was torn; the checkpoint had not begun.
    """
    database = Database(home)
    before, wal = home / "before", home / "before.wal"
    for slug in slugs:
        with database.command("show_add", {"slug": slug, "title": slug}, actor="person:ana", key=slug) as command:
            show_id = command.transaction.next_id("show", "show_id")
            command.transaction.insert("show", show_id=show_id, slug=slug, title=slug, created_at="2026-01-01")
    backups.copy(database.path, before)
    backups.copy(database.path.with_name("library.duckdb.wal"), wal)
    database.close()
    old, new = bytearray(before.read_bytes()), database.path.read_bytes()
    blocks = [at for at in range(HEADER, len(old), BLOCK) if old[at : at + BLOCK] != new[at : at + BLOCK]]
    for at in blocks:
        for page in torn:
            old[at + page * PAGE : at + (page + 1) * PAGE] = new[at + page * PAGE : at + (page + 1) * PAGE]
    assert whole or bytes(old) != before.read_bytes()
    database.path.write_bytes(old)
    wal.rename(home / "library.duckdb.wal")
    before.unlink()


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_torn_checkpoint_block_is_mended(tmp_path: Path, seed: int | None) -> None:
    use(tmp_path, "first")
    torn = [0] if seed is None else [0, *random.Random(seed).sample(range(1, 64), 20)]
    killed_in_a_checkpoint(tmp_path, torn, ["second", "third"])
    damaged = (tmp_path / "library.duckdb").read_bytes()
    shutil.rmtree(tmp_path / "journal")
    assert use(tmp_path) == ["first", "second", "third"], "the log alone held the last two, and no journal was there to help"
    kept = [path for path in repair.kept(tmp_path) if path.suffix not in (".txt", ".wal")]
    assert [path.read_bytes() for path in kept] == [damaged]
    assert len(repair.notes(tmp_path)) == 1 and "sealed" in repair.notes(tmp_path)[0]
    assert use(tmp_path, "fourth") == ["first", "fourth", "second", "third"]
    assert len(repair.notes(tmp_path)) == 1, "it is mended once"


def test_library_that_cannot_be_mended_comes_back_from_the_newest_backup_and_the_journal(tmp_path: Path) -> None:
    use(tmp_path, "first")
    for number, name in enumerate(("old", "new", "unreadable")):
        path = backups.folder(tmp_path) / f"library-2026010{number + 1}T000000.duckdb"
        database = Database(tmp_path)
        database.back_up(path)
        database.close()
        use(tmp_path, name)
    path.write_bytes(b"\0" * 5000)
    library = tmp_path / "library.duckdb"
    library.write_bytes(bytes(HEADER) + library.read_bytes()[HEADER:])
    assert use(tmp_path) == ["first", "new", "old", "unreadable"], "two of them are in the journal alone"
    assert "library-20260102T000000.duckdb was brought back" in repair.notes(tmp_path)[0]


def test_damaged_library_without_a_backup_is_left_as_it_is_and_named(tmp_path: Path) -> None:
    use(tmp_path, "first")
    library = tmp_path / "library.duckdb"
    library.write_bytes(b"\0" * 20_000)
    with pytest.raises(StoreError, match=r"library\.duckdb cannot be opened.*no backup could be read"):
        Engine(tmp_path)
    assert library.read_bytes() == b"\0" * 20_000 and repair.kept(tmp_path) == []


def test_locked_library_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    use(tmp_path, "first")
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "library.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match="Could not set lock"):
            Engine(tmp_path)
        other.communicate("")
    assert repair.kept(tmp_path) == []


def _log_of_two(home: Path) -> bytes:
    """A library whose log holds two shows, as a kill leaves it; returns the log."""
    use(home, "first")
    killed_in_a_checkpoint(home, [], ["second", "third"], whole=True)
    return (home / "library.duckdb.wal").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9])
def test_truncated_log_loses_nothing(tmp_path: Path, share: float) -> None:
    log = _log_of_two(tmp_path)
    (tmp_path / "library.duckdb.wal").write_bytes(log[: int(len(log) * share)])
    assert use(tmp_path) == ["first", "second", "third"]


def _damage(home: Path, log: bytes, at: int) -> None:
    (home / "library.duckdb.wal").write_bytes(log[:at] + bytes(byte ^ 0xFF for byte in log[at : at + 32]) + log[at + 32 :])


@pytest.mark.parametrize("words", [b"second", b"third"])
@pytest.mark.parametrize("last", [False, True])
def test_log_damaged_in_the_middle_is_cut_there_and_the_journal_knows_the_rest(tmp_path: Path, words: bytes, last: bool) -> None:
    log = _log_of_two(tmp_path)
    _damage(tmp_path, log, (log.rindex if last else log.index)(words))
    assert use(tmp_path) == ["first", "second", "third"]
    assert "write-ahead log" in repair.notes(tmp_path)[0]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.6, 0.8, 0.9])
def test_log_damaged_anywhere_loses_nothing(tmp_path: Path, share: float) -> None:
    """Also where the length of an entry is: to DuckDB the log ends there, as one does that was cut short."""
    log = _log_of_two(tmp_path)
    _damage(tmp_path, log, int(len(log) * share))
    assert use(tmp_path) == ["first", "second", "third"]


def test_backup_is_made_without_dropping_the_lock_and_holds_everything(tmp_path: Path) -> None:
    database = Database(tmp_path)
    target = backups.folder(tmp_path) / "library-20260101T000000.duckdb"
    database.back_up(target)
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    intruder = subprocess.run([sys.executable, "-c", code, str(database.path)], capture_output=True, text=True, check=False)
    assert "Could not set lock" in intruder.stderr
    assert backups.examine(target) == 0
    database.close()


def test_backup_is_brought_back_and_the_journal_with_it(client: Client) -> None:
    client.call("show_add", {"slug": "before", "title": "Before"})
    made = client.call("store_backup")
    client.call("show_add", {"slug": "after", "title": "After"})
    name = Path(made["file"]).name
    assert client.call("store_restore", {"backup": name, "dry_run": True})["replayed"] == 1
    done = client.call("store_restore", {"backup": name})
    assert done["replayed"] == 1 and Path(done["kept"]).is_file()
    assert {row["slug"] for row in client.call("show_list")["rows"]} == {"before", "after"}
    client.call("show_add", {"slug": "later", "title": "Later"})
    client.stop()
    assert {row["slug"] for row in client.call("show_list")["rows"]} == {"before", "after", "later"}
    with pytest.raises(NotFound, match="no backup nothing"):
        client.call("store_restore", {"backup": "nothing"})
    with pytest.raises(BadInput, match="cannot be brought back"):
        client.call("store_restore", {"backup": str(client.home / "journal" / "commands.jsonl")})
    with pytest.raises(Refused):
        Client(client.home, "agent:curious").call("store_restore", {"backup": name})


def test_backup_is_made_once_a_day(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert not upkeep.backup_is_due(engine), "an empty library needs none"
    with engine.database.command("show_add", {}, actor="person:ana", key="k"):
        pass
    assert upkeep.backup_is_due(engine)
    made, _ = upkeep.back_up(engine)
    assert not upkeep.backup_is_due(engine)
    made.rename(made.with_name("library-20260101T000000.duckdb"))
    assert upkeep.backup_is_due(engine)
    engine.close()


def told(client: Client, state: str) -> str:
    """What `rollcall doctor` finds of one state."""
    return "\n".join(f"{finding['found']} {finding['todo']}" for finding in examine(client) if finding["state"] == state)


def analyse_again(client: Client) -> dict[str, Any]:
    job = client.call("episode_analyse", {"episode": "1", "settings": {"models.profile": "embedded", "identity.join_log_odds": -30}})
    return client.call("job_wait", {"job_id": job["job_id"]})


def test_lost_index_of_vectors_is_told_and_made_again(analysed: Analysed, tmp_path: Path) -> None:
    client = analysed.copy(tmp_path)
    assert "index of vectors" not in told(client, "note")
    client.stop()
    [table] = client.home.glob("vectors/*.lance")
    engine = Engine(client.home)
    run = engine.database.rows("SELECT run_id, space FROM run")[0]
    ids, before = engine.vectors.of_runs(run["space"], [run["run_id"]])
    engine.close()
    shutil.rmtree(table)
    assert "index of vectors" in told(client, "note")
    client.stop()
    engine = Engine(client.home)
    rebuild(engine, run["run_id"])
    again, after = engine.vectors.of_runs(run["space"], [run["run_id"]])
    engine.close()
    assert len(ids) and np.array_equal(ids, again) and np.array_equal(before, after)
    assert "index of vectors" not in told(client, "note")
    client.stop()


def test_deleted_picture_is_named_and_made_again_by_an_analysis(analysed: Analysed, tmp_path: Path) -> None:
    client = analysed.copy(tmp_path)
    track = client.call("track_list", {"episode": "1"})["rows"][0]["track_id"]
    before = client.call("picture_read", {"track": str(track)})["data"]
    gone = client.home / "media"
    [path] = [path for path in gone.glob("*/*") if base64.b64encode(path.read_bytes()).decode() == before]
    path.unlink()
    with pytest.raises(NotFound, match="Analyse the episode again"):
        client.call("picture_read", {"track": str(track)})
    assert f"Episode 1 lacks 1 pictures (of track {track}). `rollcall episode analyse 1`" in told(client, "wrong")
    assert analyse_again(client)["state"] == "done"
    assert client.call("picture_read", {"track": str(track)})["data"] == before
    assert "pictures" not in told(client, "wrong")
    client.stop()


def test_half_written_and_damaged_stage_results(analysed: Analysed, tmp_path: Path) -> None:
    """Half-written ones go at the next start; a whole one that was damaged since is named, and computed again once it is gone."""
    client = analysed.copy(tmp_path)
    [folder, *_] = sorted(client.home.glob("artefacts/track/*/*"))
    half = folder.with_name(f".{folder.name}.999999999.tmp")
    shutil.copytree(folder, half)
    table = folder / "tracked.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    found = told(client, "wrong")
    assert not half.exists()
    assert str(table) in found and "damaged" in found and f"Remove {folder}" in found
    shutil.rmtree(folder)
    assert f"track/{folder.name} of episode 1 is gone" in told(client, "wrong")
    assert analyse_again(client)["state"] == "done"
    assert table.read_bytes() == whole and told(client, "wrong") == ""
    client.stop()


def test_decisions_made_after_the_library_was_copied_come_back_from_the_journal(analysed: Analysed, tmp_path: Path) -> None:
    client = analysed.copy(tmp_path)
    older = (client.home / "library.duckdb").read_bytes()
    [track, *_] = [row for row in client.call("track_list", {"episode": "1"})["rows"] if not row["excluded"]]
    client.call("track_assign", {"tracks": [str(track["track_id"])], "person": "Ana", "create": True})
    decided = client.call("decision_list", {})["rows"]
    assert decided
    client.stop()
    (client.home / "library.duckdb").write_bytes(older)
    assert client.call("decision_list", {})["rows"] == decided
    assert {row["person"] for row in client.call("track_list", {"episode": "1"})["rows"] if row["track_id"] == track["track_id"]} == {"Ana"}
    assert told(client, "wrong") == ""
    client.stop()


def test_doctor_tells_of_a_mended_library(tmp_path: Path) -> None:
    home = tmp_path / "home"
    use(home, "first")
    killed_in_a_checkpoint(home, [0], ["second"])
    client = Client(home, "person:pat")
    assert "was damaged" in told(client, "note") and "is kept as library.duckdb.damaged-" in told(client, "note")
    assert {row["slug"] for row in client.call("show_list")["rows"]} == {"first", "second"}
    client.stop()
