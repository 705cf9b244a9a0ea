"""Results for people: aligned tables, bars with intervals, a progress line. Plain text where colour is not wanted or understood."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

HIDDEN = {"created_at", "show_id", "aliases", "media_digest", "label_source", "chip", "sha256"}
BAR_CELLS = 24


def colour(text: str, code: str, stream: TextIO) -> str:
    """`text` in a colour when the stream is a terminal and NO_COLOR is not set."""
    return f"\x1b[{code}m{text}\x1b[0m" if stream.isatty() and not os.environ.get("NO_COLOR") else text


def cell(name: str, value: Any) -> str:
    """One value as a person reads it; `*_us` columns are shown as clock times."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_us"):
        return clock(value)
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {cell(key, inner)}" for key, inner in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(cell(name, inner) for inner in value) or "-"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(value))


def clock(microseconds: int) -> str:
    """h:mm:ss.cc of a recording's clock."""
    centiseconds = round(microseconds / 10_000)
    hours, rest = divmod(centiseconds, 360_000)
    minutes, rest = divmod(rest, 6000)
    return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


def span(seconds: float) -> str:
    """A length of time in words short enough for a progress line."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows with aligned columns; numbers to the right."""
    if not rows:
        return "(none)"
    names = list(columns or [name for name in rows[0] if name not in HIDDEN])
    texts = [[cell(name, row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in texts)) for i, name in enumerate(names)]
    right = [all(isinstance(row.get(name), int | float) or row.get(name) is None for row in rows) for name in names]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in zip(cells, widths, right, strict=True)).rstrip()

    return "\n".join([line(names), line(["-" * width for width in widths]), *(line(cells) for cells in texts)])


def details(result: dict[str, Any]) -> str:
    """One thing: its fields, then its lists as tables."""
    plain = {name: value for name, value in result.items() if not _is_rows(value)}
    width = max((len(name) for name in plain), default=0)
    parts = ["\n".join(f"{name.ljust(width)}  {cell(name, value)}" for name, value in plain.items())]
    parts += [f"{name}\n{table(value)}" for name, value in result.items() if _is_rows(value)]
    return "\n\n".join(part for part in parts if part)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def bar(low: float, value: float, high: float, full: float) -> str:
    """A bar as long as `value` of `full`, with its interval shaded."""
    if full <= 0:
        return ""
    at = [round(BAR_CELLS * min(x, full) / full) for x in (low, value, high)]
    return "".join("█" if i < at[0] else "▓" if i < at[1] else "░" if i < at[2] else " " for i in range(BAR_CELLS))


def totals(result: dict[str, Any]) -> str:
    """Seconds on screen per person with 95 % intervals."""
    episode, run, people = result["episode"], result["run"], result["people"]
    head = f"{episode['title']} ({span(episode['duration_s'])}): {run['shots']} shots, {run['tracks']} tracks, {len(people)} people"
    width = max((len(person["name"]) for person in people), default=0)
    full = max((person["visual_high_s"] for person in people), default=0.0)
    lines = [
        f"  {p['name'].ljust(width)}  {bar(p['visual_low_s'], p['visual_s'], p['visual_high_s'], full)}  "
        f"{p['visual_s']:8.1f} s  [{p['visual_low_s']:.1f} .. {p['visual_high_s']:.1f}]  alone {p['solo_s']:.1f} s"
        for p in people
    ]
    tail = [f"  seen but not identified: {result['unidentified_s']:.1f} s"] if result["unidentified_s"] >= 0.05 else []
    models = f"  {run['detector']} + {run['embedder']} ({run['profile']} profile), {run['fps']:g} frames a second, run {run['run_id']}"
    return "\n".join([head, *(lines or ["  nobody was seen"]), *tail, models])


class ProgressLine:
    """A bar on one line of a terminal; in a log, a line every ten per cent."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._shown = ""
        self._last = ""
        self._tenth = -1

    def show(self, progress: dict[str, Any]) -> None:
        """Draw `stage`, segments, share done, speed and time left."""
        if not progress.get("stage"):
            return
        share = min(1.0, progress.get("share", 0.0))
        parts = [f"{progress['stage']:<9}"]
        if self._stream.isatty():
            parts.append("█" * round(BAR_CELLS * share) + "░" * (BAR_CELLS - round(BAR_CELLS * share)))
        parts.append(f"{share:4.0%}")
        if progress.get("segments"):
            parts.append(f"segment {min(progress['segments_done'] + 1, progress['segments'])}/{progress['segments']}")
        if progress.get("speed"):
            parts.append(f"{progress['speed']:.1f}x realtime")
        if progress.get("left_s") is not None:
            parts.append(f"{span(progress['left_s'])} left")
        self._draw("  ".join(parts), int(share * 10))

    def _draw(self, text: str, tenth: int) -> None:
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r" + text[:width].ljust(len(self._shown)))
            self._shown = text[:width]
        elif tenth != self._tenth or text.split()[0] != self._last:
            self._stream.write(text + "\n")
            self._tenth, self._last = tenth, text.split()[0]
        self._stream.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._shown:
            self._stream.write("\r" + " " * len(self._shown) + "\r")
            self._stream.flush()
            self._shown = ""
