"""Times and lengths as a producer reads them."""

from __future__ import annotations

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""Distances between the marks of a time axis."""

_SPACE = "\u00a0"
"""Between a number and its unit: they stay on one line."""


def length(seconds: float) -> str:
    """A length of time: `18.0 s`, `4 min 05 s`, `1 h 02 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{_SPACE}h {minutes % 60:02d}{_SPACE}min"


def interval(low: float, high: float) -> str:
    """Two lengths: `17.9 – 18.1 s`."""
    if high < 59.95:
        return f"{low:.1f} – {high:.1f}{_SPACE}s"
    return f"{length(low)} – {length(high)}"


def clock(seconds: float) -> str:
    """A time of the recording, m:ss or h:mm:ss."""
    whole = int(seconds)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    minutes = f"{whole // 60 % 60:02d}" if hours else f"{whole // 60}"
    return f"{hours}{minutes}:{whole % 60:02d}"


def exact_clock(seconds: float) -> str:
    """A time of the recording with tenths."""
    tenths = round(seconds * 10)
    return f"{clock(tenths // 10)}.{tenths % 10}"


def percent(share: float) -> str:
    """A share that is never rounded to certainty."""
    if 0.995 <= share < 1:
        return f"over{_SPACE}99{_SPACE}%"
    if 0 < share < 0.01:
        return f"under{_SPACE}1{_SPACE}%"
    return f"{share:.0%}".replace("%", f"{_SPACE}%")


def marks(duration_s: float) -> list[int]:
    """Seconds of the marks of a time axis, nine at most."""
    step = next((step for step in STEPS_S if duration_s / step <= 8), 14400)
    return [at for at in range(0, int(duration_s) + 1, step) if at <= duration_s - step * 0.4 or at == 0]
