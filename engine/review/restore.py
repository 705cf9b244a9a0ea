"""A batch of decisions written again from the journal, into a library that was brought back from before it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.errors import Conflict
from engine.review import people, rerun
from engine.review.decision import Decision
from engine.review.state import People
from store import anchored, decisions, facebank

if TYPE_CHECKING:
    from engine.service import Engine


def restore(engine: Engine, line: dict[str, Any]) -> None:
    """Write the decisions of a journal line; their anchors find the faces in whatever run there is now, or in a later one.

    Raises:
        Conflict: other decisions have the ids meanwhile.
    """
    facts = line["facts"]
    rows = [{**row, "logged_at": datetime.fromisoformat(str(row["logged_at"]))} for row in facts["decisions"]]
    database = engine.database
    with database.exclusive():
        with database.command(line["operation"], line["parameters"], actor=line["actor"], key=line["key"]) as command:
            if command.replayed is not None:
                return
            if decisions.some(database, [row["decision_id"] for row in rows]):
                raise Conflict(f"Decision {rows[0]['decision_id']} is another one by now.", "It is kept in the journal.")
            decisions.append(command.transaction, line["key"], rows)
            command.transaction.reserve("decision", "decision_id", max((row["decision_id"] for row in rows), default=0))
            command.transaction.reserve("person", "person_id", max((row["person_id"] or 0 for row in rows), default=0))
            decisions.append_anchors(command.transaction, anchored.repacked(anchored.unpacked(facts["anchors"])))
            for entry in facts.get("entries", []):
                facebank.add(command.transaction, **entry)
                command.transaction.reserve("facebank", "entry_id", entry["entry_id"])
            new = [Decision(**{**row, "voids": tuple(row["voids"])}) for row in rows]
            ledger = People.load(database).decisions
            people.refresh(command.transaction, ledger, new)
            touched = {d.episode_id for d in new if d.episode_id is not None} | people.episodes_touched(database, new)
            undone = decisions.some(database, [one for d in new for one in d.voids])
            touched |= {row["episode_id"] for row in undone if row["episode_id"] is not None}
            for episode_id in sorted(people.analysed(database, touched)):
                active = command.transaction.rows("SELECT active_run_id FROM episode WHERE episode_id = ?", [episode_id])[0]["active_run_id"]
                rerun.apply(database, command.transaction, episode_id, active)
            command.result, command.facts = facts["result"], {name: facts[name] for name in ("decisions", "anchors", "entries") if name in facts}
        engine.review.forget()
