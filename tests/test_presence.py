"""Where a person is seen, over episodes and seasons, and the picture they are shown by."""

from __future__ import annotations

from store import ids
from tests.desk import Bench, Seen

PAT = "person:pat"


def totals(bench: Bench, episode: int, person: int, seconds: float) -> None:
    run_id = bench.engine.database.rows("SELECT active_run_id FROM episode WHERE episode_id = ?", [episode])[0]["active_run_id"]
    values = {"visual": seconds, "solo": seconds / 2}
    spread = {f"{name}{end}_s": value + off for name, value in values.items() for end, off in (("", 0), ("_low", -1), ("_high", 2))}
    with bench.engine.database.write() as transaction:
        transaction.insert(
            "screen_time",
            run_id=run_id,
            episode_id=episode,
            person_id=person,
            **spread,
            tracks=2,
            faces=10,
            first_us=0,
            last_us=1,
            confidence=0.9,
        )


def test_presence_is_told_by_episode_and_season(bench: Bench) -> None:
    ana, bea = bench.person("Ana"), bench.person("Bea")
    episodes = [bench.episode() for _ in range(3)]
    for episode, season, number, seconds in zip(episodes, (2, 1, 1), (1, 2, 1), (5.0, 7.0, 11.0), strict=True):
        bench.run(episode, [Seen(0, 10, 0, ana)])
        bench.call(PAT, "episode_edit", episode=str(episode), season=season, number=number)
        totals(bench, episode, ana, seconds)
    old = bench.run(episodes[0], [Seen(0, 10, 0, bea)])
    totals(bench, episodes[0], ana, 6.0)
    assert old
    found = bench.call(PAT, "person_presence", person_id=ana)
    assert [(row["season"], row["number"], row["visual_s"]) for row in found["rows"]] == [(1, 1, 11.0), (1, 2, 7.0), (2, 1, 6.0)]
    assert [(row["season"], row["episodes"], row["visual_s"], row["visual_low_s"], row["visual_high_s"]) for row in found["seasons"]] == [
        (1, 2, 18.0, 16.0, 22.0),
        (2, 1, 6.0, 5.0, 8.0),
    ]
    assert (found["total"]["episodes"], found["total"]["visual_s"], found["total"]["tracks"]) == (3, 24.0, 6)
    nobody = bench.call(PAT, "person_presence", person_id=bea)
    assert nobody["rows"] == [] and nobody["total"]["visual_s"] == 0


def test_everybody_is_shown_by_the_picture_chosen_else_by_their_best(bench: Bench) -> None:
    ana, bea, episode = bench.person("Ana"), bench.person("Bea"), bench.episode()
    run_id = bench.run(episode, [Seen(0, 10, 0, ana), Seen(20, 30, 0, ana), Seen(40, 50, 0, ana)])
    for number, (chip, quality) in enumerate((("a.jpg", 0.5), ("b.jpg", 0.9), ("c.jpg", 0.95))):
        with bench.engine.database.write() as transaction:
            transaction.execute("UPDATE track SET chip = ?, quality = ? WHERE track_id = ?", [chip, quality, ids.track_id(run_id, number)])
    bench.call(PAT, "track_exclude", tracks=[str(bench.track(episode, 2))])

    def pictures() -> dict[str, str | None]:
        return {row["name"]: row["picture"] for row in bench.call(PAT, "person_list")["rows"]}

    assert pictures() == {"Ana": "b.jpg", "Bea": None}, "not the one that is no face"
    done = bench.call(PAT, "person_feature", person_id=ana, track_id=bench.track(episode, 0))
    assert pictures() == {"Ana": "a.jpg", "Bea": None}
    assert bench.call(PAT, "person_show", person_id=ana)["picture"] == "a.jpg"
    bench.call(PAT, "decision_undo", batch=done["batch"])
    assert pictures()["Ana"] == "b.jpg" and bench.call(PAT, "person_show", person_id=bea)["picture"] is None
