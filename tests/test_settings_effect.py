"""Every setting changes what the program does, in the direction its description says: for each, a small scenario measured at two values."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pyarrow as pa
import pytest

from engine import analyse as analysis
from engine import config, upkeep
from engine.config import Settings
from engine.errors import BadMedia, ProviderMismatch, RollcallError
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import match
from engine.identity.persons import carry_over, decide
from engine.identity.similarity import STRANGER_LOG_ODDS, evidence, hub_excess
from engine.models.base import Calibration, Faces, Image
from engine.models.load import choose, open_detector
from engine.models.runtime import cpu_only
from engine.review.bank import Bank, Face
from engine.service import Engine
from engine.sources.file import read
from engine.sources.photo import Photo
from engine.sources.probe import MediaInfo, probe
from engine.sources.windows import plan
from engine.tables import Episode
from engine.totals.screen_time import Totals, screen_time
from engine.vision.detect import FULL, FaceFinder
from engine.vision.portrait import portrait
from engine.wire import Client
from engine.workers import pool_size
from store import work
from tests import clips, synthetic
from tests.footage import Still, write
from tests.test_identity_persons import earlier, gallery, members
from tests.test_sources_spare import frames_of, write_film
from tests.test_totals_screen_time import labelled
from tests.test_vision_episode import CALIBRATION, ColourEmbedder, DiscFinder, Result, analyse, made_shot
from tests.test_vision_shots import cuts_of, shot
from tests.test_vision_track import Path2D, follow

Measure = Callable[[Settings, Path], float]
MEASURES: dict[str, tuple[Any, Any, Measure]] = {}
"""setting -> (value that gives the smaller measure, value that gives the larger, measure)."""


def measure(name: str, smaller: Any, larger: Any) -> Callable[[Measure], Measure]:
    def register(function: Measure) -> Measure:
        assert name not in MEASURES
        MEASURES[name] = smaller, larger, function
        return function

    return register


def test_every_setting_has_its_scenario() -> None:
    assert sorted(MEASURES) == sorted(config.names())


@pytest.mark.parametrize("name", config.names())
def test_setting_changes_what_the_program_does(name: str, tmp_path: Path) -> None:
    smaller, larger, function = MEASURES[name]
    found = []
    for number, value in enumerate((smaller, larger)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.append(function(config.build({name: value}), folder))
    assert found[0] < found[1], f"{name} {smaller!r} gives {found[0]}, {larger!r} gives {found[1]}"


# engine


def _home(folder: Path, settings: Settings, name: str) -> Path:
    """A workspace whose file sets one setting, as a user would."""
    section, _, key = name.partition(".")
    (folder / "config.toml").write_text(f"[{section}]\n{key} = {getattr(getattr(settings, section), key)}\n")
    return folder


@measure("engine.idle_exit_s", 0.2, 600)
def _engine_lives(settings: Settings, folder: Path) -> float:
    """Whether it is there a little after the last request."""
    client = Client(_home(folder, settings, "engine.idle_exit_s"), "person:tester")
    client.call("show_list")
    until = time.monotonic() + (10 if settings.engine.idle_exit_s < 1 else 2.5)
    while client.ping() and time.monotonic() < until:
        time.sleep(0.1)
    alive = client.ping()
    client.stop()
    return float(bool(alive))


@measure("engine.memory_limit_mb", 128, 512)
def _spilled_rows(settings: Settings, folder: Path) -> float:
    """What DuckDB may hold before it spills; more than that without a disk to spill to is an error."""
    engine = Engine(_home(folder, settings, "engine.memory_limit_mb"))
    try:
        engine.database.rows("SET temp_directory = ''")
        engine.database.rows("SELECT count(*) FROM (SELECT DISTINCT hash(i) AS h, repeat('x', 20) || i AS s FROM range(2000000) t(i))")
    except Exception:  # noqa: BLE001 - DuckDB has several kinds of it
        return 0
    finally:
        engine.close()
    return 1


@measure("engine.readers", 1, 3)
def _reads_at_once(settings: Settings, folder: Path) -> float:
    engine, lock, running, most = Engine(_home(folder, settings, "engine.readers")), threading.Lock(), [0], [0]

    def slow() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.1)
        with lock:
            running[0] -= 1

    async def ask() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(engine.in_thread, slow)

    anyio.run(ask)
    engine.close()
    return most[0]


@measure("engine.workers", 1, 3)
def _processes(settings: Settings, folder: Path) -> float:
    return pool_size(settings.engine.workers)[0]


@measure("engine.free_space_floor_mb", 0, 1 << 40)
def _refused(settings: Settings, folder: Path) -> float:
    engine = Engine(folder)
    try:
        analysis._check_space(engine, settings)
    except RollcallError:
        return 1
    finally:
        engine.close()
    return 0


@measure("engine.keep_days", 1, 30)
def _stage_results_kept(settings: Settings, folder: Path) -> float:
    """Of a job that was cancelled ten days ago."""
    engine = Engine(_home(folder, settings, "engine.keep_days"))
    engine.artefacts.write("observe", "ab" * 16, tables={}, arrays={}, meta={})
    left = engine.artefacts.path("observe", "ab" * 16)
    ten_days_ago = time.time() - 10 * 86_400
    os.utime(left, (ten_days_ago, ten_days_ago))
    with engine.database.write() as transaction:
        job = work.add_job(transaction, "analyse", 1, {}, "person:tester")
        transaction.execute("UPDATE job SET state = 'cancelled', created_at = created_at - INTERVAL 11 DAY WHERE job_id = ?", [job])
    upkeep.remove(upkeep.unused_artefacts(engine))
    engine.close()
    return float(left.exists())


# models


@measure("models.profile", "insightface", "embedded")
def _found_models(settings: Settings, folder: Path) -> float:
    """The embedded profile finds faces with dlib; the other with a network, or refuses where none is installed."""
    try:
        return float(choose(settings.models.profile, folder).detector.name == "dlib_hog")
    except RollcallError:
        return 0


@measure("models.provider", "cpu", "cuda")
def _refusals(settings: Settings, folder: Path) -> float:
    """A model that only the CPU can run is refused where an accelerator is asked for by name."""
    try:
        cpu_only("dlib_hog", settings.models.provider)
    except ProviderMismatch:
        return 1
    return 0


# observe


@cache
def _video() -> Path:
    """Eight seconds at 25 frames a second: two shots, two people in each."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="settings-"))
    pictures = [*made_shot(1, 100, {0: (80, 0.4), 1: (220, -0.3)}), *made_shot(2, 100, {2: (60, 1.0), 3: (230, 0)})]
    return write(folder / "made.mp4", pictures, range(len(pictures)), Fraction(1, 25), gop=20)


def _analysed(settings: Settings) -> Result:
    return analyse(_video(), settings, DiscFinder(), ColourEmbedder())


@measure("observe.fps", 3, 6)
def _frames(settings: Settings, folder: Path) -> float:
    return sum(observed.frames.num_rows for observed, _ in _analysed(settings).segments)


@measure("observe.every_frame", False, True)
def _frames_decoded(settings: Settings, folder: Path) -> float:
    return len(frames_of(write_film(folder / "film.mp4"), every_frame=settings.observe.every_frame))


@measure("observe.segment_s", 8, 2)
def _segments(settings: Settings, folder: Path) -> float:
    return len(plan(probe(_video()), settings.observe))


@measure("observe.overlap_s", 0.5, 1.5)
def _frames_read_of_the_first_segment(settings: Settings, folder: Path) -> float:
    media: MediaInfo = probe(_video())
    observe = settings.observe.model_copy(update={"segment_s": 4})
    first = plan(media, observe)[0]
    return max(frame.t_us for frame, _ in read(_video(), media, first, observe))


class Sizes(DiscFinder):
    """Remembers how large the pictures were that it was given."""

    def __init__(self) -> None:
        self.long_sides: list[int] = []

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Any:
        self.long_sides.append(max(image.shape[:2]))
        return super().detect(image, min_score=min_score, nms_iou=nms_iou)


def _looks(settings: Settings, *, still: bool = False) -> tuple[list[int], int]:
    """Sizes of the pictures looked at, and the number of full looks, in three seconds of one shot."""
    detector = Sizes()
    finder = FaceFinder(detector, settings.observe.model_copy(update={} if still else {"still_below": 0.0}))
    pictures = [Still(np.kron(made_shot(1, 1, {0: (80, 0)})[0], np.ones((4, 4, 1), np.uint8)), n * 166_667) for n in range(18)]
    kinds = [finder.look(picture, n == 0).kind for n, picture in enumerate(pictures)]
    return detector.long_sides, kinds.count(FULL)


@measure("observe.full_size", 640, 960)
def _largest_look(settings: Settings, folder: Path) -> float:
    return max(_looks(settings)[0])


@measure("observe.small_size", 192, 320)
def _smallest_look(settings: Settings, folder: Path) -> float:
    return min(_looks(settings)[0])


@measure("observe.still_below", 8.0, 0.0)
def _pixels_looked_at(settings: Settings, folder: Path) -> float:
    return sum(_looks(settings, still=True)[0])


@measure("observe.full_every_s", 2.0, 0.5)
def _full_looks(settings: Settings, folder: Path) -> float:
    return _looks(settings)[1]


@cache
def _hog() -> Any:
    choice = choose("embedded", Path("/nonexistent"))
    return open_detector(choice.detector, "cpu", 1)[0]


@measure("observe.min_score", 0.995, 0.1)
def _faces_of_the_group(settings: Settings, folder: Path) -> float:
    found = FaceFinder(_hog(), settings.observe.model_copy(update={"full_size": 1280})).look(Still(clips.photo(), 0), True)
    return len(found.faces.scores)


class Doubles(DiscFinder):
    """Finds every disc twice, in boxes that overlap by half of their union, and leaves it to the program to merge them."""

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Any:
        found = super().detect(image, min_score=min_score, nms_iou=nms_iou)
        if max(image.shape[:2]) <= 320:
            return found
        shift = (found.boxes[:, 2:] - found.boxes[:, :2]).repeat(2, axis=1) * np.array([1, 0, 1, 0], np.float32) / 3
        return replace(found, boxes=(found.boxes + shift).astype(np.float32))


@measure("observe.nms_iou", 0.3, 0.7)
def _faces_after_merging(settings: Settings, folder: Path) -> float:
    picture = np.kron(made_shot(1, 1, {0: (80, 0)})[0], np.ones((4, 4, 1), np.uint8))
    return len(FaceFinder(Doubles(), settings.observe).look(Still(picture, 0), True).faces.scores)


@measure("observe.cut_threshold", 1000, 3)
def _cuts(settings: Settings, folder: Path) -> float:
    return len(cuts_of([*shot(1, 50), *shot(2, 50)], settings=settings.observe))


@measure("observe.min_shot_s", 0.4, 0.2)
def _cuts_around_a_short_shot(settings: Settings, folder: Path) -> float:
    return len(cuts_of([*shot(1, 30), *shot(2, 6), *shot(3, 30)], settings=settings.observe))


@measure("observe.chip_every_s", 2.0, 0.5)
def _pictures_kept(settings: Settings, folder: Path) -> float:
    return sum(observed.chips.num_rows for observed, _ in _analysed(settings).segments)


# track


STILL: Path2D = [(400, 300)] * 10


@measure("track.high_score", 0.7, 0.4)
def _tracks_of_a_middling_face(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track, scores={(0, frame): 0.6 for frame in range(10)}))


@measure("track.low_score", 0.45, 0.2)
def _faces_of_a_track_that_dips(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track, scores={(0, frame): 0.4 for frame in (4, 5, 9)})[0])


@measure("track.match_cost", 2.0, 0.2)
def _tracks_of_a_jump(settings: Settings, folder: Path) -> float:
    return len(follow([[(400, 300)] * 5 + [(500, 300)] * 5], settings=settings.track))


@measure("track.max_gap_s", 1.5, 0.3)
def _tracks_of_a_face_lost_for_a_while(settings: Settings, folder: Path) -> float:
    return len(follow([[(400, 300) if i < 5 or i > 8 else None for i in range(20)]], settings=settings.track))


@measure("track.min_faces", 20, 1)
def _tracks_that_are_kept(settings: Settings, folder: Path) -> float:
    return len(follow([STILL], settings=settings.track))


@measure("track.picks", 2, 6)
def _faces_embedded(settings: Settings, folder: Path) -> float:
    return sum(len(tracked.vectors) for _, tracked in _analysed(settings).segments)


@cache
def _changing(split: float, mixed: float) -> Episode:
    """One face that becomes another without a cut."""
    import tempfile

    pictures = [*made_shot(1, 50, {0: (100, 0)}, radius=45), *made_shot(1, 50, {1: (100, 0)}, radius=45)]
    path = write(Path(tempfile.mkdtemp(prefix="settings-")) / "morph.mp4", pictures, range(100))
    settings = config.build({"observe.cut_threshold": 1000, "track.split_log_odds": split, "track.mixed_log_odds": mixed})
    return analyse(path, settings, DiscFinder(), ColourEmbedder(), CALIBRATION).episode


@measure("track.split_log_odds", -1000, -3)
def _tracks_of_a_face_that_changes(settings: Settings, folder: Path) -> float:
    return _changing(settings.track.split_log_odds, -1.0).tracks.num_rows


@measure("track.mixed_log_odds", -1000, 15)
def _tracks_called_mixed(settings: Settings, folder: Path) -> float:
    return sum(_changing(-1000, settings.track.mixed_log_odds).tracks["mixed"].to_pylist())


# identity


@cache
def _world() -> synthetic.World:
    return synthetic.world(9, poor=0.4, lookalikes=2, extras=0.3)


def _evidence(settings: Settings) -> Any:
    return evidence(_world().episode, synthetic.CALIBRATION, settings.identity)


def _clustered(settings: Settings) -> Any:
    return cluster(_world().episode, _evidence(settings), settings.identity)


@measure("identity.join_log_odds", -20, 7)
def _clusters(settings: Settings, folder: Path) -> float:
    return _clustered(settings).clusters.num_rows


@measure("identity.face_limit", 2, 8)
def _strongest_evidence_of_faces(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).face).max())


@measure("identity.poor_quality", 0.6, 0.2)
def _trust_in_all_faces(settings: Settings, folder: Path) -> float:
    return float(_evidence(settings).trust.sum())


@measure("identity.hub_neighbours", 50, 1)
def _nearness_to_strangers(settings: Settings, folder: Path) -> float:
    """The mean of few nearest strangers is nearer than that of many."""
    found, pooled = _evidence(settings), _world().episode.pooled
    assert STRANGER_LOG_ODDS < 0
    return float(hub_excess(pooled @ pooled.T, found.trust, found.together, synthetic.CALIBRATION, settings.identity).sum())


@measure("identity.together_cost", 1, 8)
def _cost_of_being_seen_together(settings: Settings, folder: Path) -> float:
    return float(_evidence(settings).together.cost.max())


@measure("identity.body_weight", 0, 1)
def _evidence_of_clothes(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).body.toarray()).sum())


@measure("identity.thread_weight", 0, 1)
def _evidence_of_places(settings: Settings, folder: Path) -> float:
    return float(np.abs(_evidence(settings).thread.toarray()).sum())


@measure("identity.scene_s", 10, 200)
def _pairs_whose_clothes_are_compared(settings: Settings, folder: Path) -> float:
    return float((_evidence(settings).body.toarray() != 0).sum())


@measure("identity.stranger_prior", 0.9, 0.05)
def _belonging_of_poor_tracks(settings: Settings, folder: Path) -> float:
    poor = np.flatnonzero(_world().episode.tracks["quality"].to_numpy() < 0.3)
    rows = _clustered(settings).membership
    return float(rows["probability"].to_numpy()[np.isin(rows["track"].to_numpy(), poor)].sum())


@measure("identity.keep_probability", 0.3, 0.001)
def _memberships_kept(settings: Settings, folder: Path) -> float:
    return _clustered(settings).membership.num_rows


def _matched(settings: Settings, each: int = 5) -> tuple[pa.Table, Clustering]:
    found = _evidence(settings)
    clusters = cluster(_world().episode, found, settings.identity)
    bank = gallery(_world(), [0, 1, 2], each)
    return match(_world().episode, clusters, found, bank, synthetic.CALIBRATION, settings.identity), clusters


@measure("identity.exemplars", 10, 1)
def _belief_in_one_face(settings: Settings, folder: Path) -> float:
    """With one picture of each known person: the more faces have to agree, the less it proves."""
    posterior = _matched(settings, each=1)[0]
    return float(posterior["probability"].to_numpy()[posterior["candidate"].to_numpy() >= 0].max())


@measure("identity.unknown_prior", 0.99, 0.05)
def _belief_in_known_people(settings: Settings, folder: Path) -> float:
    posterior = _matched(settings)[0]
    return float(posterior["probability"].to_numpy()[posterior["candidate"].to_numpy() >= 0].sum())


@measure("identity.accept_probability", 0.999_999_9, 0.5)
def _names_given(settings: Settings, folder: Path) -> float:
    posterior, clusters = _matched(settings)
    return sum(candidate >= 0 for candidate in decide(_world().episode, clusters, posterior, settings.identity)["candidate"].to_pylist())


@measure("identity.person_quality", 0.94, 0.05)
def _clusters_that_are_somebody(settings: Settings, folder: Path) -> float:
    posterior, clusters = _matched(settings)
    return sum(candidate >= -1 for candidate in decide(_world().episode, clusters, posterior, settings.identity)["candidate"].to_pylist())


@measure("identity.carry_share", 0.9, 0.05)
def _people_who_keep_their_ids(settings: Settings, folder: Path) -> float:
    """Every third of the tracks belonged to one person before; all of them are one cluster now."""
    made = _world()
    tracks = len(made.person)
    before = earlier(made, np.where(np.arange(tracks) < tracks // 3, 7, 8))
    mine = before.filter(pa.compute.equal(before["person_id"], 7))
    late = np.where(np.arange(mine.num_rows) % 2 == 0, 0, 10**10)
    mine = mine.set_column(2, "t_us", pa.array(mine["t_us"].to_numpy() + late, pa.int64()))
    membership = members([(track, 0, 1.0) for track in range(tracks)])
    return len(carry_over(mine, made.episode.detections, membership, settings.identity))


# totals


def _totals(settings: Settings, member: float = 0.9, score: float = 0.8) -> Totals:
    made = synthetic.world(9, turns=0.8)
    position = made.episode.detections.column_names.index("score")
    scores = pa.array(np.full(made.episode.detections.num_rows, score), pa.float32())
    episode = Episode(**{**vars(made.episode), "detections": made.episode.detections.set_column(position, "score", scores)})
    return screen_time(episode, labelled(made.person, member), settings.totals)


def _width(totals: Totals) -> float:
    rows = totals.screen_time
    return float((rows["visual_high_s"].to_numpy() - rows["visual_low_s"].to_numpy()).sum())


@measure("totals.gap_s", 0.0, 1.6)
def _seconds_with_gaps_closed(settings: Settings, folder: Path) -> float:
    return float(_totals(settings).screen_time["visual_s"].to_numpy().sum())


@measure("totals.sure_probability", 0.95, 0.85)
def _seconds_of_nearly_sure_tracks(settings: Settings, folder: Path) -> float:
    return float(_totals(settings, member=0.9).screen_time["visual_s"].to_numpy().sum())


@measure("totals.firm_score", 0.4, 1.0)
def _doubt_about_ends(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0, score=0.5))


@measure("totals.loose_end", 0, 6)
def _doubt_about_faint_ends(settings: Settings, folder: Path) -> float:
    return _width(_totals(settings, member=1.0, score=0.4))


def _noise(settings: Settings) -> float:
    """How far intervals drawn from two seeds are apart."""
    other = settings.model_copy(update={"totals": settings.totals.model_copy(update={"seed": 5})})
    ends = [np.concatenate([_totals(s).screen_time[name].to_numpy() for name in ("visual_low_s", "visual_high_s")]) for s in (settings, other)]
    return float(np.abs(ends[0] - ends[1]).sum())


@measure("totals.draws", 5000, 50)
def _noise_of_intervals(settings: Settings, folder: Path) -> float:
    return _noise(settings)


@measure("totals.seed", 5, 20260101)
def _difference_to_seed_five(settings: Settings, folder: Path) -> float:
    return _noise(settings)


# bank


def _offered(settings: Settings, face: Face) -> float:
    """Whether a face goes into the bank of somebody who has one face in it."""
    first = Face("first", np.array([1.0, 0.0], np.float32), 0.9)
    bank = Bank(Empty(), 1, "space", Calibration(10, -4, "made up"), settings)  # type: ignore[arg-type]
    bank.take(first, 1)
    return float(bank.poor(face) is None and not bank.duplicate(face, 1))


class Empty:
    """A library whose bank is empty."""

    def arrow(self, sql: str, parameters: Any = ()) -> pa.Table:
        return pa.table({"person_id": pa.array([], pa.int64()), "vector": pa.array([], pa.list_(pa.float32()))})


@measure("bank.min_quality", 0.6, 0.2)
def _poor_face_taken(settings: Settings, folder: Path) -> float:
    return _offered(settings, Face("poor", np.array([0.6, 0.8], np.float32), 0.4))


@measure("bank.duplicate_similarity", 0.9, 0.99)
def _alike_face_taken(settings: Settings, folder: Path) -> float:
    return _offered(settings, Face("alike", np.array([0.95, 0.3122], np.float32), 0.9))


@measure("bank.clearly_larger", 3, 1.5)
def _larger_face_taken(settings: Settings, folder: Path) -> float:
    """Two faces in a picture, one twice as high as the other."""
    try:
        portrait(Photo(np.full((400, 400, 3), 128, np.uint8)), "two.png", TwoFaces(), ColourEmbedder(), settings)
    except BadMedia:
        return 0
    return 1


class TwoFaces:
    name, digest, min_size = "two", "two", 64

    def detect(self, image: Image, *, min_score: float, nms_iou: float) -> Faces:
        boxes = np.array([[0.1, 0.1, 0.4, 0.5], [0.6, 0.5, 0.75, 0.7]], np.float32) * image.shape[0]
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        landmarks = boxes[:, None, :2] + points[None] * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Faces(boxes, np.array([0.9, 0.9], np.float32), landmarks.astype(np.float32))
