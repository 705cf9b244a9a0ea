"""A yes to a sheet of the queue: everything on it is as proposed, somebody by name or nobody in particular."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadInput
from engine.review import settle
from tests.desk import Bench, Seen

PAT = "person:pat"


def asked(bench: Bench, episode: int, units: list[tuple[str, int | None, list[int]]]) -> str:
    """The queue asks about tracks as the settler would have written it: kind, whom it proposes, positions of the tracks."""
    labels = bench.labels(episode)
    parts: list[dict[str, Any]] = []
    for kind, proposed, numbers in units:
        spans = [[bench.track(episode, number), *(round(t * 1e6) for t in labels[number][1:3])] for number in numbers]
        part = {"kind": kind, "targets": spans, "shown": spans, "whole_cluster": False, "proposed": proposed, "probability": 0.7}
        parts.append({**part, "candidates": [{"person_id": proposed, "probability": 0.7}]})
    run_id = bench.cluster(episode, 0) // 100_000
    with bench.engine.database.write() as transaction:
        item = json.dumps({"id": "abc", "units": parts})
        transaction.insert("queue_item", run_id=run_id, episode_id=episode, rank=0, at_risk_s=5.0, item=item)
    return "abc"


def named(tmp_path: Path, kind: str, proposed: int | None) -> str:
    """The id an item gets when it is made of one piece, asked like this."""
    pieces = pa.table({"track_id": [100001], "start_us": [0], "end_us": [2_000_000]})
    empty = pa.table({"piece": pa.array([], pa.int64()), "person_id": pa.array([], pa.int64()), "probability": pa.array([], pa.float32())})
    pq.write_table(empty, tmp_path / "suggestions.parquet")
    unit = {"kind": kind, "rows": [0], "shown": [0], "proposed": proposed}
    (tmp_path / "items.json").write_text(json.dumps([{"at_risk_s": 2.0, "units": [unit]}]))
    answer = {"suggestions": str(tmp_path / "suggestions.parquet"), "items": str(tmp_path / "items.json")}
    _, items = settle._questions(settle.Settling(1, 1, 1, pieces, {}), answer)
    return str(json.loads(items["item"][0].as_py())["id"])


def test_an_item_is_another_when_it_proposes_somebody_else(tmp_path: Path) -> None:
    made = [named(tmp_path, "suggestion", 1), named(tmp_path, "suggestion", 2), named(tmp_path, "suggestion", None), named(tmp_path, "name", None)]
    assert len(set(made)) == 4 and named(tmp_path, "suggestion", 1) == made[0]


@pytest.fixture
def episode(bench: Bench) -> int:
    number = bench.episode()
    bench.run(number, [Seen(0, 10, 0), Seen(20, 30, 1), Seen(40, 45, 2)])
    return number


def test_a_yes_names_who_is_proposed_and_settles_who_is_nobody(bench: Bench, episode: int) -> None:
    ana = bench.person("Ana")
    item = asked(bench, episode, [("suggestion", ana, [0]), ("suggestion", None, [1, 2])])
    (shown,) = bench.call(PAT, "queue_list", episode=str(episode))["rows"]
    assert [part["proposed"]["person_id"] for part in shown["asked"]] == [ana, None]
    done = bench.call(PAT, "queue_accept", item=item)
    assert bench.who(episode) == ["Ana", None, None] and done["tracks"] == 3
    assert bench.call(PAT, "queue_list", episode=str(episode))["rows"] == [], "who was said to be nobody is not asked about again"
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert bench.who(episode) == [None, None, None]
    assert len(bench.call(PAT, "queue_list", episode=str(episode))["rows"]) == 1


def test_left_out_of_nobody_has_to_be_named_first(bench: Bench, episode: int) -> None:
    ana = bench.person("Ana")
    item = asked(bench, episode, [("suggestion", ana, [0]), ("suggestion", None, [1, 2])])
    track = str(bench.track(episode, 1))
    with pytest.raises(BadInput, match=rf"Track {track} is proposed to be nobody") as refused:
        bench.call(PAT, "queue_accept", item=item, leave_out=[track])
    assert f"rollcall track assign {track}" in str(refused.value.hint)
    assert bench.who(episode) == [None, None, None], "nothing of the sheet was taken"
    bench.call(PAT, "track_assign", tracks=[track], person="Ana")
    assert bench.call(PAT, "queue_accept", item=item)["tracks"] == 2
    assert bench.who(episode) == ["Ana", "Ana", None]


def test_an_open_question_has_no_yes(bench: Bench, episode: int) -> None:
    item = asked(bench, episode, [("name", None, [0])])
    (shown,) = bench.call(PAT, "queue_list", episode=str(episode))["rows"]
    assert shown["asked"][0]["proposed"] is None
    with pytest.raises(BadInput, match="Nobody is proposed"):
        bench.call(PAT, "queue_accept", item=item)
    bench.call(PAT, "queue_accept", item=item, person="unknown")
    assert bench.call(PAT, "queue_list", episode=str(episode))["rows"] == []


def test_a_part_is_answered_by_itself_and_the_others_are_still_asked(bench: Bench, episode: int) -> None:
    ana = bench.person("Ana")
    item = asked(bench, episode, [("suggestion", ana, [0]), ("suggestion", None, [1, 2])])
    track = str(bench.track(episode, 2))
    assert bench.call(PAT, "queue_accept", item=item, parts=[track], person="Ben", create=True)["tracks"] == 2
    assert bench.who(episode) == [None, "Ben", "Ben"]
    assert [row["level"] for row in bench.call(PAT, "track_show", track_id=int(track))["pieces"]] == ["track"], "it was looked at"
    (left,) = bench.call(PAT, "queue_list", episode=str(episode))["rows"]
    assert [part["shown"] for part in left["asked"]] == [[str(bench.track(episode, 0))]]
    with pytest.raises(BadInput, match="not in this item"):
        bench.call(PAT, "queue_accept", item=item, parts=[track])
    assert bench.call(PAT, "queue_accept", item=item)["tracks"] == 1
    assert bench.who(episode) == ["Ana", "Ben", "Ben"]
