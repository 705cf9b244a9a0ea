"""Corrections: the standing decisions about faces, told without any id of this library, so that another one (or another tool) can apply them.

Each says what was decided, of which recording (by digest), and where: stretches of its time with the path of boxes through them, normalised to the
displayed picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.exports.ledger import LedgerContent
from engine.fingerprint import fingerprint
from engine.review.decision import Decision

FORMAT = "rollcall corrections 1"


def write(path: Path, content: LedgerContent) -> int:
    """Write `{"format", "rollcall", "episodes": {digest: ...}, "corrections": [...]}`; returns the number of corrections."""
    found = [_correction(content, d, anchors) for d, anchors in content.anchors()]
    used = {one["media_digest"] for one in found}
    names = ("show", "season", "number", "title", "duration_s", "fps", "width", "height")
    episodes = {row["media_digest"]: {name: row[name] for name in names} for row in content.episodes.values() if row["media_digest"] in used}
    whole = {"format": FORMAT, "rollcall": content.lineage["rollcall"], "episodes": episodes, "corrections": found}
    path.write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return len(found)


def keys(content: LedgerContent) -> set[str]:
    """What tells the standing decisions about faces from others, those imported under the key they came with."""
    own = {_correction(content, d, anchors)["key"] for d, anchors in content.anchors()}
    standing = (d for d in content.chosen if d.decision_id not in content.gone)
    return own | {d.parameters["imported"]["key"] for d in standing if "imported" in d.parameters}


def _correction(content: LedgerContent, d: Decision, anchors: list[dict[str, Any]]) -> dict[str, Any]:
    assert d.episode_id is not None
    told = {
        "verb": d.verb,
        "level": d.level,
        "media_digest": content.episodes[d.episode_id]["media_digest"],
        "person": person(content, d.person_id),
        "actor": d.actor,
        "at": d.logged_at.isoformat(timespec="milliseconds") + "Z",
        "direct": d.direct,
        "reason": d.reason,
        "labels": [{"person": person(content, one["person_id"]), "excluded": one["excluded"]} for one in d.parameters.get("labels", [])],
        "anchors": [
            {
                "part": row["part"],
                "start_us": row["start_us"],
                "end_us": row["end_us"],
                "path": [[t, *(round(side, 5) for side in row["boxes"][4 * k : 4 * k + 4])] for k, t in enumerate(row["t_us"])],
            }
            for row in anchors
        ],
    }
    return {"key": fingerprint(**told), **told}


def person(content: LedgerContent, person_id: int | None) -> dict[str, Any] | None:
    """Somebody by name; an unknown by a number that tells them from other unknowns of the file; None: nobody in particular."""
    if person_id is None:
        return None
    name = content.named.get(person_id)
    return {"name": name} if name is not None else {"unknown": content.standing_for.get(person_id, person_id)}
