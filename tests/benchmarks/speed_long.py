"""Whole runs of recordings through an engine and its worker, and the cost of the episode stages on a made-up long episode."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import Settings
from engine.identity.cluster import Clustering, cluster
from engine.identity.gallery import Gallery, match
from engine.identity.similarity import Evidence, evidence
from engine.models.store import VARIABLE
from engine.sources.probe import probe
from engine.totals.labels import DECIDED, IDENTITY, Labels
from engine.totals.screen_time import screen_time
from engine.wire import Client
from tests.benchmarks.speed_sides import Cost, measured
from tests.synthetic import CALIBRATION, World, world

WATCH_EVERY_S = 0.5

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


def enlarged(clip: Path, target: Path, width: int = 1920, height: int = 1080) -> Path:
    """The clip scaled up and encoded anew, with x264's own settings."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        made = out.add_stream("libx264", rate=stream.average_rate)
        made.width, made.height, made.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(source.decode(stream)):
            scaled = frame.reformat(width, height, "yuv420p")
            scaled.pts, scaled.time_base, scaled.pict_type = number, 1 / Fraction(stream.average_rate or 25), 0
            out.mux(made.encode(scaled))
        out.mux(made.encode(None))
    return target


@dataclass(frozen=True)
class Analysed:
    """One `rollcall run` of a file: minutes of it, wall seconds, processor seconds and peak memory (MB) of the engine and of its worker."""

    minutes: float
    wall: float
    cpu: float
    engine_mb: float
    worker_mb: float


def analysed(video: Path, models: Path, home: Path, *flags: str) -> Analysed:
    """Run a file through a new engine and its workers, as a user would, and watch their memory (Linux only)."""
    environment = {**os.environ, VARIABLE: str(models)}
    base = [sys.executable, "-m", "tools.cli", "--home", str(home)]
    started = time.monotonic()
    with subprocess.Popen([*base, "run", str(video), "--json", *flags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        client, peaks, cpu = Client(home), [0.0, 0.0], dict[int, float]()
        while ran.poll() is None:
            time.sleep(WATCH_EVERY_S)
            answer = client.ping()
            for pid in [int(answer["pid"]), *_children(int(answer["pid"]))] if answer else []:
                with contextlib.suppress(OSError, StopIteration):
                    worker = pid != int(answer["pid"])
                    peaks[worker], cpu[pid] = max(peaks[worker], _peak_mb(pid)), _cpu_s(pid)
        if ran.returncode:
            raise SystemExit(f"The run of {video} failed:\n{ran.stderr.read().decode() if ran.stderr else ''}")
    wall = time.monotonic() - started
    client.stop()
    return Analysed(probe(video).duration_us / 60e6, wall, sum(cpu.values()), *peaks)


def _children(pid: int) -> list[int]:
    """Processes a process has started."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def _peak_mb(pid: int) -> float:
    """Most memory a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process and of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


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
