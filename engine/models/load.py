"""Choosing the models of a profile, and opening them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, ModelInvalid, ModelMissing
from engine.models.base import Calibration, FaceDetector, FaceEmbedder
from engine.models.entry import Installed, ModelEntry
from engine.models.listing import how
from engine.models.registry import ENTRIES, PACKS, PROFILE_NAMES, PROFILES, named
from engine.models.runtime import ProviderReport, cpu_only, open_session
from engine.models.store import Models


@dataclass(frozen=True)
class Choice:
    """The models to use: the profile they belong to, why they were chosen, and how to get better ones (empty when there are none)."""

    profile: str
    detector: Installed
    embedder: Installed
    why: str
    better: str


@dataclass(frozen=True)
class Loaded:
    """Models ready to run; `reports` says where each runs, the detector first."""

    detector: FaceDetector
    embedder: FaceEmbedder
    calibration: Calibration
    reports: tuple[ProviderReport, ...]


def choose(profile: str, folder: Path, entries: Sequence[ModelEntry] = ENTRIES) -> Choice:
    """The best complete pair of a profile that is installed.

    Args:
        profile: insightface | open | embedded, or auto: the first of these, in this order, with a complete pair.
        folder: the workspace's folder of models.

    Raises:
        ModelMissing: no pair of the profile is complete.
        BadInput: there is no such profile.
    """
    if profile not in ("auto", *PROFILES):
        raise BadInput(f"There is no profile {profile!r}.", f"Choose auto, {', '.join(PROFILE_NAMES)}.")
    installed = Models(folder, entries).installed()
    for name in PROFILE_NAMES if profile == "auto" else (profile,):
        for rank, (detector, embedder) in enumerate(PROFILES[name]):
            if detector in installed and embedder in installed:
                pair = installed[detector], installed[embedder]
                why = f"{name} profile: {detector} finds faces and {embedder} compares them, the best pair installed"
                why += " of all profiles." if profile == "auto" else " of the profile asked for."
                return Choice(name, *pair, why, _better(name, rank))
    raise _missing(profile, installed)


def load(choice: Choice, provider: str, threads: int) -> Loaded:
    """Open the models of a choice.

    Args:
        provider: auto | cpu | cuda | coreml.
        threads: processor threads of the worker; one of them decodes while the others find faces, and all of them embed.

    Raises:
        ProviderMismatch: an accelerator asked for by name is not really used.
        ModelInvalid: a file cannot be opened as what the registry says.
    """
    beside = max(1, threads - 1)
    detector, found = open_detector(choice.detector, provider, beside)
    embedder, compared = open_embedder(choice.embedder, provider, threads)
    calibration = choice.embedder.calibration
    if calibration is None or embedder.dims != choice.embedder.entry.dims:
        raise ModelInvalid(f"{embedder.name} gives {embedder.dims} numbers a face, the registry says {choice.embedder.entry.dims}.")
    return Loaded(detector, embedder, calibration, (found, compared))


def open_detector(model: Installed, provider: str, threads: int) -> tuple[FaceDetector, ProviderReport]:
    """One detector, and where it runs. The runtimes are imported here: a process that only asks what is installed pays for none."""
    import cv2

    # Scaling a frame is too little to share: OpenCV's threads cost twice what they do. Only its own networks gain from them.
    cv2.setNumThreads(threads if model.entry.runtime == "yunet" else 1)
    if model.entry.runtime == "scrfd":
        from engine.models import scrfd

        session, report = open_session(model.paths[0], provider, threads, scrfd.PROBE)
        return scrfd.Scrfd(model.name, model.digest, session), report
    report = cpu_only(model.name, provider)
    if model.entry.runtime == "yunet":
        from engine.models.yunet import YuNet

        return YuNet(model.name, model.digest, model.paths[0]), report
    from engine.models.dlib_hog import DlibHog

    return DlibHog(model.name, model.digest, model.paths[0]), report


def open_embedder(model: Installed, provider: str, threads: int) -> tuple[FaceEmbedder, ProviderReport]:
    """One embedder, and where it runs; a network that knows only the CPU works on two faces at a time, each with half of the threads."""
    if model.entry.runtime == "dlib_resnet":
        from engine.models.dlib_resnet import DlibResnet, runs_on_cuda

        report = ProviderReport(provider, "cuda", reason="this dlib was built for CUDA") if runs_on_cuda() else cpu_only(model.name, provider)
        return DlibResnet(model.name, model.digest, model.space, *model.paths), report
    from engine.models import arcface
    from engine.models.sface import SFace

    session, report = open_session(model.paths[0], provider, max(1, threads // arcface.AT_ONCE), arcface.PROBE)
    at_once = arcface.AT_ONCE if report.used == "cpu" and threads > 1 else 1
    if model.entry.runtime == "sface":
        return SFace(model.name, model.digest, model.space, session, at_once), report
    return arcface.ArcFace(model.name, model.digest, model.space, session, *arcface.scaling_of(model.paths[0]), at_once), report


def _better(profile: str, rank: int) -> str:
    """How to get better models than a profile's pair of some rank, with their licences."""
    parts = []
    if profile != "insightface" or rank > 0:
        parts.append(_offer("buffalo_l"))
    if profile == "embedded" or (profile == "open" and rank > 0):
        parts.append(_offer("open"))
    return " ".join(parts)


def _offer(pack: str) -> str:
    models = named(pack)
    licences = " and ".join(sorted({model.licence for model in models}))
    size = round(sum(model.size for model in models) / 1e6)
    return f"`rollcall model pull {pack}` installs better ones ({size} MB; licence: {licences})."


def _missing(profile: str, installed: dict[str, Installed]) -> ModelMissing:
    """What a profile lacks, and the shortest way to complete it."""
    names = [name for pair in PROFILES.get(profile, PROFILES["embedded"]) for name in pair]
    lacking = ", ".join(dict.fromkeys(name for name in names if name not in installed))
    pack = {"insightface": "buffalo_l", "open": "open"}.get(profile)
    if pack:
        step = f"`rollcall model pull {pack}` gets {' and '.join(PACKS[pack])}, or `rollcall model import FOLDER` takes files you have."
    else:
        step = f"{PROFILES['embedded'][0][1]} {how(named('dlib_resnet')[0])}: install rollcall again with `uv sync`."
    return ModelMissing(f"No pair of models of the {profile} profile is complete; not installed: {lacking}.", step, profile=profile)
