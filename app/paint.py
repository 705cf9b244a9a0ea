"""Lines of text with named inks, turned into strips. Widgets say what a piece of text means; the theme says how that looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Piece = tuple[str, str] | tuple[str, str, str] | Segment
"""(text, ink), or (text, ink, action run by a click), or a finished segment of a picture."""

Line = Sequence[Piece]

BOLD = {"strong", "title", "accent", "key", "bad", "warn"}


class Ink:
    """The styles of one theme. Without colours (NO_COLOR) the same meanings are told by bold, dim and reverse."""

    def __init__(self, colours: Mapping[str, str], plain: bool = False) -> None:
        self.colours = colours
        self.plain = plain
        self._made: dict[tuple[str, str, str], Style] = {}

    def style(self, ink: str, on: str = "", action: str = "") -> Style:
        """How `ink` looks on a background (`cursor`, `mark`, `bar`, `panel`, or the screen's own)."""
        key = (ink, on, action)
        if key not in self._made:
            self._made[key] = self._make(ink, on, action)
        return self._made[key]

    def _make(self, ink: str, on: str, action: str) -> Style:
        if self.plain:
            made = Style(bold=ink in BOLD, dim=ink in ("dim", "faint"), reverse=on == "cursor", underline=on == "mark")
        else:
            behind = {"cursor": "cursor", "mark": "mark", "bar": "bar", "panel": "panel"}.get(on, "background")
            colour = self.colours["text" if ink in ("strong", "title") else "accent" if ink == "key" else ink]
            made = Style(color=colour, bgcolor=self.colours[behind], bold=ink in BOLD)
        return made + Style.from_meta({"@click": action}) if action else made

    def strip(self, line: Line, width: int, on: str = "") -> Strip:
        """A line cut or filled to a width in cells."""
        return Strip(self.segments(line, width, on), width)

    def segments(self, line: Line, width: int, on: str = "") -> list[Segment]:
        """The pieces of such a line."""
        segments: list[Segment] = []
        used = 0
        for piece in line:
            if used >= width:
                break
            if isinstance(piece, Segment):
                segments.append(piece)
                used += cell_len(piece.text)
                continue
            text, ink = piece[0], piece[1]
            style = self.style(ink, on, piece[2] if len(piece) == 3 else "")
            size = wide(text)
            if used + size > width:
                text, size = fit(text, width - used), width - used
            segments.append(Segment(text, style))
            used += size
        if used < width:
            segments.append(Segment(" " * (width - used), self.style("text", on)))
        return segments


def wide(text: str) -> int:
    """Cells a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int) -> str:
    """The text in exactly that many cells, with an ellipsis where it was cut."""
    size = wide(text)
    if size == width:
        return text
    if size < width:
        return text + " " * (width - size)
    return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]


def right(text: str, width: int) -> str:
    """The text at the right of that many cells."""
    return " " * (width - wide(text)) + text if wide(text) < width else fit(text, width)


def clean(text: object) -> str:
    """Text that cannot disturb the screen: names come from files and people."""
    given = str(text)
    return given if given.isprintable() else "".join(char if char.isprintable() else "·" for char in given)


def wrap(text: str, width: int) -> list[str]:
    """Words in lines no longer than `width` cells."""
    lines, line = [], ""
    for word in text.split():
        while wide(word) > width > 0:
            if line:
                lines.append(line)
                line = ""
            cut = next(n for n in range(len(word), 0, -1) if wide(word[:n]) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        if line and wide(line) + 1 + wide(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line] if line else lines


EIGHTHS = " ▏▎▍▌▋▊▉█"


def meter(share: float, width: int) -> str:
    """A bar of `share` (0..1) of a width, in eighths of a cell."""
    filled = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(filled, 8)
    return fit("█" * whole + (EIGHTHS[rest] if rest else ""), width)


BAR = "▆"
"""A bar that leaves air above it, so that bars in a list stay apart."""


def interval(low: float, value: float, high: float, full: float, width: int) -> Line:
    """A bar from 0 to `high`: what is sure (up to `low`), what is expected beyond that (up to `value`), what is possible (up to `high`)."""
    if full <= 0 or width <= 0:
        return [(" " * max(0, width), "text")]
    a, b, c = (min(width, round(x / full * width)) for x in (min(low, value), value, max(high, value)))
    b = max(b, 1 if value > 0 else 0)
    a, c = min(a, b), max(b, c)
    return [(BAR * a, "accent"), ("▅" * (b - a), "soft"), ("▂" * (c - b), "soft"), (" " * (width - c), "text")]


def spread(start: float, end: float, low: float, high: float, width: int) -> tuple[int, int]:
    """Cells from..to (at least one) that a stretch takes on a line that shows low..high."""
    span = max(1e-9, high - low)
    a = int((start - low) / span * width)
    b = max(a + 1, round((end - low) / span * width))
    return max(0, min(a, width - 1)), max(1, min(b, width))


def runs(cells: Sequence[str], inks: Sequence[str]) -> Line:
    """Cells with an ink each as a line of as few pieces as there are changes."""
    pieces: list[tuple[str, str]] = []
    for cell, ink in zip(cells, inks, strict=True):
        if pieces and pieces[-1][1] == ink:
            pieces[-1] = (pieces[-1][0] + cell, ink)
        else:
            pieces.append((cell, ink))
    return pieces


@lru_cache(4096)
def clock(microseconds: int) -> str:
    """m:ss.cc, with hours where there are any."""
    centiseconds = round(microseconds / 10_000)
    hours, rest = divmod(centiseconds, 360_000)
    minutes, rest = divmod(rest, 6000)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 100:02d}.{rest % 100:02d}"


def span(seconds: float) -> str:
    """A length of time, short."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d}"
    return f"{whole // 3600} h {whole % 3600 // 60:02d}"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def percent(probability: float | None) -> str:
    """A probability; never 100 % unless it is exactly that."""
    if probability is None:
        return "-"
    return "100 %" if probability == 1 else f"{min(99, round(probability * 100))} %"
