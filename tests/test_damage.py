"""Damage drills: whatever happened to the files of a library, it opens again or says what to do, and every decision is there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import anyio
import pytest

from engine.operations import registry
from engine.service import Engine
from store import backups, repair
from store.database import Database

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


def killed_in_a_checkpoint(home: Path, torn: list[int], slugs: list[str]) -> None:
    """Leave the library as a kill does that reached only some pages of each block a checkpoint rewrote: the header and the log are the old ones."""
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
    assert blocks and bytes(old) != before.read_bytes()
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
