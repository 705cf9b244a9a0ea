"""Forgetting somebody for good: out of rows and every version of vectors, finished stages, pictures, journal, copies, exports and log.

A marker is written first; once it is there the forgetting is finished, by this engine or the next one to start. Every step can be done again.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import StoreError
from engine.review import forget_artefacts, forget_faces, forget_scan, rerun
from engine.review.decision import LABELS, Cover
from engine.review.forget_plan import Going, holds
from engine.review.scrub import Scrub
from engine.review.state import covers_of_run
from store import anchored, backups, covered, decisions, erase, repair, results, work
from store.atomic import atomic_path
from store.commit_point import commit_point
from store.database import Reader, Transaction

if TYPE_CHECKING:
    from engine.service import Engine

log = logging.getLogger("rollcall.review")

Span = tuple[int, int]
SPARE_BYTES = 64_000_000


def check_space(engine: Engine) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        StoreError: too little is free for a second library, a backup and a second vector store.
    """
    size = engine.database.path.stat().st_size
    vectors = sum(path.stat().st_size for path in engine.vectors.folder.rglob("*") if path.is_file())
    needed, free = 2 * size + vectors + SPARE_BYTES, shutil.disk_usage(engine.home).free
    if free < needed:
        raise StoreError(f"Forgetting needs {needed / 1e6:.0f} MB of free disk; {free / 1e6:.0f} MB are.", "Make room; nothing was changed.")


def resume(engine: Engine) -> None:
    """Finish a forgetting that an earlier engine began."""
    going = Going.read(engine.home)
    if going is not None:
        log.warning("finishing to forget person %d, which was begun at %s", going.person_id, going.at)
        complete(engine, going)


def begin(engine: Engine, going: Going) -> dict[str, Any]:
    """Forget, from the point of no return on; returns the answer. The caller holds the writer lane."""
    going.save(engine.home)
    commit_point("forget.marked")
    return complete(engine, going)


def complete(engine: Engine, going: Going) -> dict[str, Any]:
    """Every step, whichever of them were done before.

    Raises:
        OSError, duckdb.Error: a step failed; the marker stays, and the next engine goes on.
    """
    with engine.database.exclusive():
        for run_id, held in going.stretches.items():
            forget_artefacts.clean(engine, run_id, forget_faces.faces(engine, run_id, held))
        forget_artefacts.sweep(engine)
        commit_point("forget.artefacts")
        people_of = erase.about(engine.database)
        _commit(engine, going, people_of)
        engine.review.forget()
        commit_point("forget.committed")
        engine.vectors.sweep(engine.database)
        engine.vectors.erase(going.vector_ids(engine))
        commit_point("forget.vectors")
        backup = backups.folder(engine.home) / f"library-forgotten-{datetime.fromisoformat(going.at):%Y%m%dT%H%M%S}.duckdb"
        engine.database.rewrite(lambda fresh: _back_up(fresh, backup))
        cut = _others_on_them(engine.database, going)
        engine.database.journal.rewrite(lambda line: _line(line, going, people_of, cut))
        commit_point("forget.journal")
        _files(engine, going, backup)
        commit_point("forget.files")
        after = forget_scan.scan(engine, going.canary())
        answer = {**_answer(engine, going), "proof": {"before": going.before, "after": after}}
        with engine.database.write() as transaction:
            transaction.execute("UPDATE command SET result = ? WHERE idem_key = ?", [json.dumps(answer), going.key])
        commit_point("forget.proved")
        engine.database.checkpoint()
        going.done(engine.home)
        return answer


def _commit(engine: Engine, going: Going, people_of: dict[str, frozenset[int]]) -> None:
    """The tables, in one transaction, and the tombstone of the act."""
    database, scrub = engine.database, going.scrub()
    parameters = {"person_id": going.person_id, "confirm": str(going.person_id)}
    with database.command("person_forget", parameters, actor=going.actor, key=going.key) as command:
        if command.replayed is not None:
            return
        transaction = command.transaction
        erase.bury_anchors(transaction, going.people, _others_on_them(transaction, going))
        _tombstones(transaction, going, scrub)
        erase.rewrite_texts(transaction, lambda value, about: value if scrub.spares(about) else scrub.value(value), people_of)
        erase.bury(transaction, going.people)
        erase.bury_pictures(transaction, going.pictures)
        erase.bury_vectors(transaction, {track for held in going.stretches.values() for track, *_ in held})
        erase.unsettle(transaction, going.runs)
        work.forget_exported(transaction, going.exports)
        decision_id = _tombstone(transaction, going, scrub)
        for run_id, held in going.stretches.items():
            episode_id = results.episode_of_run(transaction, run_id)
            covers = [Cover(decision_id, number, 0, *stretch) for number, stretch in enumerate(held)]
            covered.add(transaction, run_id, episode_id, covers)
        for run_id in going.runs:
            rerun.apply(database, transaction, results.episode_of_run(transaction, run_id), run_id)
        command.result = {**_answer(engine, going), "proof": None}


def _others_on_them(transaction: Reader, going: Going) -> erase.Cut:
    """Anchors of labels about others that lie on faces that go, with the stretches: the label must not come back to the faces."""
    rows = transaction.rows("SELECT decision_id, verb, person_id FROM decision")
    labels = {row["decision_id"] for row in rows if row["person_id"] not in going.people and row["verb"] in LABELS}
    found: erase.Cut = defaultdict(list)
    for run_id, held in going.stretches.items():
        by_track: dict[int, list[Span]] = defaultdict(list)
        for track, start, end, _ in held:
            by_track[track].append((start, end))
        for cover in covers_of_run(transaction, run_id):
            spans = [(max(a, cover.start_us), min(b, cover.end_us)) for a, b in by_track.get(cover.track_id, [])]
            if cover.decision_id in labels:
                found[cover.decision_id, cover.number] += [span for span in spans if span[0] < span[1]]
    return {anchor: spans for anchor, spans in found.items() if spans}


def _tombstones(transaction: Transaction, going: Going, scrub: Scrub) -> None:
    """Parameters of decisions: of those about them nothing stays but ids and switches, of others everything but the name."""
    cells: dict[int, str] = {}
    for row in transaction.rows("SELECT rowid AS id, person_id, parameters, parameters->>'into' AS \"into\" FROM decision"):
        before = json.loads(row["parameters"])
        about = [int(one) for one in (row["person_id"], row["into"]) if one is not None]
        gone, spared = row["person_id"] in going.people, scrub.spares(about)
        after = before if spared else _parameters(before, gone, scrub)
        if after != before:
            cells[row["id"]] = json.dumps(after)
    erase.replace_cells(transaction, "decision", "parameters", cells)


def _tombstone(transaction: Transaction, going: Going, scrub: Scrub) -> int:
    """The decision that says it was done."""
    decision_id = transaction.next_id("decision", "decision_id")
    row = {
        "decision_id": decision_id,
        "batch": decision_id,
        "logged_at": datetime.fromisoformat(going.at),
        "actor": going.actor,
        "verb": "person_forget",
        "level": None,
        "show_id": going.show_id,
        "episode_id": None,
        "person_id": going.person_id,
        "parameters": {"people": going.people},
        "reason": scrub.text(going.reason) if going.reason else None,
        "source": "direct",
        "voids": [],
    }
    decisions.append(transaction, going.key, [row])
    return decision_id


def _back_up(fresh: Path, target: Path) -> None:
    """A copy of the library as it is from now on."""
    with atomic_path(target) as path:
        shutil.copyfile(fresh, path)


def _line(line: dict[str, Any], going: Going, people_of: dict[str, frozenset[int]], cut: erase.Cut) -> dict[str, Any]:
    """A line of the journal without them; its key, time, maker and operation stay, so that it is known when it is repeated or replayed."""
    scrub = going.scrub()
    key = line.get("key")
    if scrub.spares(people_of.get(str(key), ())) or line.get("operation") in erase.ABOUT_RECORDINGS:
        return line
    kept = {name: value for name, value in line.items() if name in ("key", "at", "actor", "operation", "abort", "refused")}
    rest = {name: scrub.value(value) for name, value in line.items() if name not in kept and name != "facts"}
    if "facts" in line:
        rest["facts"] = _facts(line["facts"], going, scrub, cut)
    return {**kept, **rest}


def _facts(facts: dict[str, Any], going: Going, scrub: Scrub, cut: erase.Cut) -> dict[str, Any]:
    """What a batch can be written again by, without them."""
    gone = {row["decision_id"] for row in facts.get("decisions", []) if row["person_id"] in going.people}
    changed = dict(scrub.value({name: value for name, value in facts.items() if name not in ("decisions", "anchors")}))
    changed["decisions"] = [
        {
            **scrub.value({**row, "parameters": {}}),
            "actor": row["actor"],
            "parameters": _parameters(row["parameters"], row["decision_id"] in gone, scrub),
        }
        for row in facts.get("decisions", [])
    ]
    changed["anchors"] = anchored.joined(anchored.repacked(erase.anchors_without(anchored.unpacked(facts.get("anchors", [])), gone, cut)))
    return changed


def _parameters(parameters: dict[str, Any], gone: bool, scrub: Scrub) -> Any:
    return scrub.tombstone(parameters) if gone else scrub.value(parameters)


def _files(engine: Engine, going: Going, backup: Path) -> None:
    """Pictures, exports, copies, log lines and what killed workers left."""
    named = erase.pictures_named(engine.database)
    for name in [*going.pictures, *(name for name in engine.media.names() if name not in named)]:
        engine.media.remove(name)
    for name in going.exports:
        (engine.exports / name).unlink(missing_ok=True)
    for path in sorted(backups.folder(engine.home).glob("*.duckdb")):
        if path != backup and holds(path, going):
            path.unlink()
    for path in repair.kept(engine.home):  # nobody can say what a damaged library holds
        path.unlink()
    for path in engine.home.glob("engine.log*"):
        _mask(path, going.scrub())
    for path in (engine.home / "tmp").glob("*"):
        if path.is_dir() and path.name.startswith("job-"):
            shutil.rmtree(path, ignore_errors=True)


def _mask(path: Path, scrub: Scrub) -> None:
    """Make names in a log unreadable where they are, so that whoever is writing to it goes on."""
    with path.open("rb+") as file:
        before = file.read()
        after = scrub.masked(before)
        if after != before:
            file.seek(0)
            file.write(after)
            file.flush()


def _answer(engine: Engine, going: Going) -> dict[str, Any]:
    """What is said of it afterwards; the name is not."""
    row = engine.database.row("SELECT decision_id FROM decision WHERE idem_key = ? AND verb = 'person_forget'", [going.key])
    return {
        "dry_run": False,
        "person_id": going.person_id,
        "called": going.word,
        "people": going.people,
        "decision": row["decision_id"] if row else None,
        **going.counts,
        "kept": [going.scrub().text(sentence) for sentence in going.sentences],
    }
