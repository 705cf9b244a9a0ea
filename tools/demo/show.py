"""`rollcall demo`: make a labelled episode, run the whole program on it as a user would, print its totals beside the truth."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.wire import Client
from tools.demo import judge
from tools.demo.compose import compose
from tools.follow import follow
from tools.render import ProgressLine, bar

SHOW = "demo"


def run(home: Path, actor: str, profile: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Compose, analyse, compare. The demo has a workspace of its own inside the user's, so that it leaves no trace in the library.

    Returns:
        see `judge.compare`, and `episode_id`, `run_id`, `profile`, `video`, `co_presence`.
    """
    client = Client(home / "demo", actor)
    line = ProgressLine(sys.stderr)
    say("making an episode from pictures that come with the packages ...")
    video = compose(client.home / "video", progress=lambda share: line.show({"stage": "compose", "share": share}))
    line.close()
    truth = json.loads(video.with_suffix(".json").read_text())
    if not any(row["slug"] == SHOW for row in client.call("show_list")["rows"]):
        client.call("show_add", {"title": "Demo", "slug": SHOW})
    added = client.call("episode_add", {"path": str(video), "show": SHOW, "title": "Demo episode"})
    say("analysing it ...")
    job = client.call("episode_analyse", {"episode": str(added["episode_id"]), "settings": {"models.profile": profile}})
    result = follow(client, job["job_id"])["result"]
    say(result["models"])
    totals = client.call("totals_show", {"episode": str(added["episode_id"])})
    outcome = judge.compare(totals, _faces(client, str(added["episode_id"])), truth)
    outcome.update(episode_id=result["episode_id"], run_id=result["run_id"], profile=totals["run"]["profile"], video=str(video))
    client.stop()
    return outcome


def _faces(client: Client, episode: str) -> list[dict[str, Any]]:
    """Every face of every track that has a person."""
    faces: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.call("track_list", {"episode": episode, "cursor": cursor})
        for track in page["rows"]:
            if track["person_id"] is not None:
                boxes = client.call("track_show", {"track_id": track["track_id"]})["boxes"]
                faces += [{**box, "person_id": track["person_id"]} for box in boxes]
        cursor = page["next_cursor"]
        if cursor is None:
            return faces


def text(outcome: dict[str, Any]) -> str:
    """The table: who was shown, for how long in truth, for how long by our account."""
    width = max(len(row["truth_name"]) for row in outcome["people"])
    full = max(max(row["truth_s"], row["visual_high_s"]) for row in outcome["people"])
    head = f"{'shown'.ljust(width)}  {'truth':>8}  {'found':>8}  {'95 % interval':^17}  {'error':>7}"
    lines = [head, "-" * len(head)]
    for row in outcome["people"]:
        interval = f"[{row['visual_low_s']:6.2f} .. {row['visual_high_s']:6.2f}]"
        found = row["name"] or "nobody found"
        shape = bar(row["visual_low_s"], row["visual_s"], row["visual_high_s"], full)
        lines.append(
            f"{row['truth_name'].ljust(width)}  {row['truth_s']:6.2f} s  {row['visual_s']:6.2f} s  {interval}  {row['error']:+6.1%}  {shape} {found}"
        )
    lines += [f"nobody shown is {person['name']}: {person['visual_s']:.2f} s" for person in outcome["extra"]]
    verdict = "every person is within" if outcome["ok"] else "NOT every person is within"
    lines += ["", f"{verdict} {judge.TOLERANCE:.0%} of the truth (worst {outcome['worst_error']:.1%}). Watch it: {outcome['video']}"]
    return "\n".join(lines)
