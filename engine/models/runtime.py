"""onnxruntime sessions that run where they were asked to, with proof.

onnxruntime falls back to the CPU without an error when an accelerator cannot be used, and `get_providers()` lists what was offered, not what
ran. So a new session is profiled for one run and the provider of every node is read from the profile (the method of InsightFace Server).
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import BadInput, ModelInvalid, ProviderMismatch

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "coreml": "CoreMLExecutionProvider"}
HEAVY = ("Conv", "Gemm", "MatMul")
"""Operators, by a part of their name, that hold nearly all of a network's work: each must run on the accelerator asked for."""

_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-silicon")
_FALLBACK = "Use `--set models.provider=cpu` (or auto, which falls back and says so), or repair the accelerator's installation."


@dataclass(frozen=True)
class ProviderReport:
    """Where a model runs: asked for, really used, nodes of the graph by provider as profiled, and why it is not what was asked for."""

    requested: str
    used: str
    nodes: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def available_providers() -> list[str]:
    """What this build of onnxruntime offers, by our names, best first."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    return [name for name in ("cuda", "coreml", "cpu") if PROVIDERS[name] in offered]


def two_runtimes() -> tuple[str, ...]:
    """Installed distributions that provide the module onnxruntime, when there is more than one: they overwrite each other's files."""
    found = []
    for name in _DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return tuple(found) if len(found) > 1 else ()


def obstacle(provider: str) -> str:
    """Why an accelerator cannot be used here, one clause; empty when nothing speaks against it."""
    import onnxruntime

    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        both = two_runtimes()
        why = f" ({' and '.join(both)} are both installed; one hides the other's providers)" if both else ""
        return f"this build of onnxruntime offers only {', '.join(available_providers())}{why}"
    if provider != "cuda":
        return ""
    if _cuda_libraries():
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()
    return _cuda_libraries()


def _cuda_libraries() -> str:
    """What the loader says of onnxruntime's CUDA provider; empty when it loads."""
    import onnxruntime

    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(library.with_name("libonnxruntime_providers_shared.so")), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))
    except OSError as error:
        return f"a library CUDA needs was not found: {error}"
    return ""


def open_session(model: Path, provider: str, threads: int, probe: Sequence[int]) -> tuple[Any, ProviderReport]:
    """An onnxruntime session and the proof of where it runs.

    Args:
        model: an ONNX file with one input.
        provider: auto | cpu | cuda | coreml. auto takes CUDA when it works, never CoreML (its speed on graphs of changing size is not known
            here), and falls back to the CPU with a reason in the report.
        threads: threads inside one run; 0 lets onnxruntime choose.
        probe: shape of the zeros given to the one profiled run.

    Raises:
        ProviderMismatch: the accelerator asked for by name cannot be used, or was not used for all heavy nodes.
        ModelInvalid: the file is not a model onnxruntime can open.
        BadInput: there is no such provider.
    """
    if provider not in ("auto", *PROVIDERS):
        raise BadInput(f"There is no provider {provider!r}.", f"Choose auto, {', '.join(PROVIDERS)}.")
    if provider == "cpu":
        return _attempt(model, "cpu", "cpu", threads, probe)
    wanted = "cuda" if provider == "auto" else provider
    if provider == "auto" and wanted not in available_providers():
        return _attempt(model, "auto", "cpu", threads, probe)
    try:
        if reason := obstacle(wanted):
            raise ProviderMismatch(f"{wanted} was asked for but cannot be used: {reason}.", _FALLBACK, provider=wanted, reason=reason)
        return _attempt(model, provider, wanted, threads, probe)
    except ProviderMismatch as error:
        if provider != "auto":
            raise
        session, report = _attempt(model, "auto", "cpu", threads, probe)
        return session, ProviderReport("auto", "cpu", report.nodes, f"{wanted} cannot be used: {error.data['reason']}")


def cpu_only(model: str, provider: str) -> ProviderReport:
    """The report of a model whose runtime knows only the CPU.

    Raises:
        ProviderMismatch: an accelerator was asked for by name.
    """
    if provider not in ("auto", "cpu"):
        reason = f"{model} runs on the CPU only"
        raise ProviderMismatch(
            f"{provider} was asked for but {reason}.", f"{_FALLBACK} The insightface profile can use {provider}.", provider=provider, reason=reason
        )
    return ProviderReport(provider, "cpu", reason="its runtime has no accelerator" if provider == "auto" else "")


def _attempt(model: Path, requested: str, used: str, threads: int, probe: Sequence[int]) -> tuple[Any, ProviderReport]:
    with tempfile.TemporaryDirectory(prefix="rollcall-profile-") as folder:
        session = _create(model, used, threads, Path(folder))
        session.run(None, {session.get_inputs()[0].name: np.zeros(probe, np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes, astray = audit(events, PROVIDERS[used])
    if used != "cpu":
        judge(used, nodes, astray, model.name)
    return session, ProviderReport(requested, used, nodes)


def _create(model: Path, used: str, threads: int, folder: Path) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait by spinning take the cores from the decoder beside them: without it the same work costs 40 % less processor time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "run")
    providers = [PROVIDERS[used]] if used == "cpu" else [PROVIDERS[used], PROVIDERS["cpu"]]
    onnxruntime.set_default_logger_severity(4)  # the fallback is reported below as an error of ours, not as a line on stderr
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:
        # onnxruntime's errors share no base class but Exception; whatever it says, this file cannot be used.
        raise ModelInvalid(f"{model} cannot be opened as an ONNX model: {error}.", "Run `rollcall model verify`.") from error
    finally:
        onnxruntime.set_default_logger_severity(2)


def audit(events: list[dict[str, Any]], provider: str) -> tuple[dict[str, int], list[str]]:
    """Nodes by provider in a profile of onnxruntime, and the operators of heavy nodes that ran elsewhere than on `provider`."""
    ran = [event for event in events if event.get("cat") == "Node" and event.get("args", {}).get("provider")]
    nodes = Counter(str(event["args"]["provider"]) for event in ran)
    operators = [str(event["args"].get("op_name", "")) for event in ran if event["args"]["provider"] != provider]
    return dict(nodes), [operator for operator in operators if any(part in operator for part in HEAVY)]


def judge(used: str, nodes: dict[str, int], astray: list[str], model: str) -> None:
    """Refuse a session whose work did not run on the accelerator.

    Raises:
        ProviderMismatch: no node ran there, or heavy ones ran elsewhere.
    """
    counted = ", ".join(f"{count} on {provider}" for provider, count in sorted(nodes.items()))
    if not nodes.get(PROVIDERS[used]):
        reason = f"no node of {model} ran there ({counted}); the device or its driver was refused"
    elif astray:
        reason = f"{len(astray)} heavy nodes of {model} ran elsewhere ({counted})"
    else:
        return
    raise ProviderMismatch(f"{used} was asked for but is not used: {reason}.", _FALLBACK, provider=used, nodes=nodes, reason=reason)
