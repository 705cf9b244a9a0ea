"""Peak memory on long recordings, and the cost of the episode stages on a made-up long episode.

As a module of its own it is the child whose memory is measured: `python -m tests.benchmarks.speed_long FILE FOLDER`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine import pipeline
from engine.config import Settings, flatten
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import Gallery, match
from engine.identity.similarity import Evidence, evidence
from engine.models.load import choose
from engine.models.store import VARIABLE
from engine.people import KnownFaces
from engine.sources.probe import probe
from engine.sources.windows import plan
from engine.totals.labels import DECIDED, IDENTITY, Labels
from engine.totals.screen_time import screen_time
from tests.benchmarks.speed_sides import DETECTOR, EMBEDDER, THREADS, Cost, measured
from tests.synthetic import CALIBRATION, World, world

ACTORS, SCENES = 40, 200


def looped(clip: Path, minutes: float, target: Path) -> Path:
    """A recording of about this length: the packets of a clip copied again and again with later times, nothing encoded anew."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        assert stream.time_base is not None
        packets = [packet for packet in source.demux(stream) if packet.size and packet.pts is not None]
        length = max((p.pts or 0) + (p.duration or 0) for p in packets) - min(p.pts or 0 for p in packets)
        stamps = [(packet.pts or 0, packet.dts or 0, packet.time_base) for packet in packets]
        for turn in range(round(minutes * 60 / (length * Fraction(stream.time_base)))):
            for packet, (pts, dts, time_base) in zip(packets, stamps, strict=True):
                packet.stream, packet.time_base = copy, time_base
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                out.mux(packet)
    return target


def memory(video: Path, models: Path) -> dict[str, Any]:
    """Analyse a recording in a fresh process, segment by segment as a worker does; see `child`."""
    environment = {**os.environ, VARIABLE: str(models)}
    command = [sys.executable, "-m", "tests.benchmarks.speed_long", str(video), str(video.with_suffix(".work"))]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"The process whose memory is measured failed:\n{ran.stderr}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """Most memory this process has had. Linux hands the parent's peak down in getrusage, so its own count comes first."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]
        return int(kilobytes) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def child(video: Path, folder: Path) -> dict[str, Any]:
    """Peak memory (MB) after the models' first segment, after all segments, and after the episode's identity stage."""
    settings, media = Settings(), probe(video)
    choice = choose("insightface", folder)
    assert (choice.detector.name, choice.embedder.name) == (DETECTOR, EMBEDDER)
    calibration = choice.embedder.calibration
    assert calibration is not None
    segments = pipeline.plan_segments(plan(media, settings.observe), "digest", settings, choice.detector.digest, choice.embedder.digest)
    common = {"artefacts": str(folder / "artefacts"), "settings": flatten(settings), "path": str(video), "media": media.as_dict()}
    common |= {"profile": choice.profile, "models": str(folder), "threads": THREADS, "missing": ["observe", "track"], "kind": "segment"}
    common["model_digests"] = [choice.detector.digest, choice.embedder.digest]
    peaks = []
    for part in segments:
        task = {**common, "window": vars(part.window), "observe_key": part.observe_key, "track_key": part.track_key}
        pipeline.perform(task, lambda _: None)
        peaks.append(peak_mb())
    nobody = KnownFaces(np.zeros((0, choice.embedder.entry.dims), np.float32), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.float32))
    nobody.save(folder / "gallery.npz")
    keys = [{"observe_key": part.observe_key, "track_key": part.track_key} for part in segments]
    identify = {**common, "kind": "identify", "key": "identify", "segments": keys, "calibration": vars(calibration)}
    done = pipeline.perform({**identify, "gallery": str(folder / "gallery.npz")}, lambda _: None)
    return {
        "minutes": media.duration_us / 60e6,
        "segments": len(segments),
        "first_mb": peaks[0],
        "segments_mb": peaks[-1],
        "identify_mb": peak_mb(),
        "identify": done["log"][0]["detail"],
    }


def episode_stages() -> tuple[int, dict[str, Cost]]:
    """Number of tracks of a made-up episode (about 5,000), and what each episode stage cost on it."""
    made, settings = world(7, cast=ACTORS, scenes=SCENES, poor=0.3, extras=0.1), Settings()
    found, judged = measured(lambda: evidence(made.episode, CALIBRATION, settings.identity))
    clustering, clustered = measured(lambda: cluster(made.episode, found, settings.identity))
    posterior, compared = measured(lambda: _match(made, clustering, found, settings))
    labels = Labels(clustering.membership, _identity(posterior, settings), DECIDED.empty_table())
    _, totalled = measured(lambda: screen_time(made.episode, labels, settings.totals))
    costs = {"evidence": judged, "cluster": clustered, "match": compared, "totals": totalled}
    return made.episode.tracks.num_rows, costs


def _match(made: World, clustering: Clustering, found: Evidence, settings: Settings) -> pa.Table:
    """Against three exemplars of each of the actors."""
    person = np.repeat(np.arange(ACTORS, dtype=np.int32), 3)
    gallery = Gallery(made.faces[person].astype(np.float32), person, np.full(len(person), 0.8, np.float32))
    return match(made.episode, clustering, found, gallery, CALIBRATION, settings.identity)


def _identity(posterior: pa.Table, settings: Settings) -> pa.Table:
    """The posterior as the totals want it: the label is a person above the acceptance, and nobody has no number."""
    nobody = pc.less(posterior["candidate"], 0)
    named = pc.greater_equal(posterior["probability"], settings.identity.accept_probability)
    person = pc.if_else(nobody, pa.scalar(None, pa.int64()), posterior["candidate"].cast(pa.int64()))
    return pa.table([posterior["cluster"], person, posterior["probability"], named], schema=IDENTITY)


if __name__ == "__main__":
    place = Path(sys.argv[2])
    place.mkdir(parents=True, exist_ok=True)
    print(json.dumps(child(Path(sys.argv[1]), place)))
