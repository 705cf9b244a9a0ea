"""ASS: boxes and names to lay over the video in any player; a box stands from its face to the next one of the track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config import build
from engine.exports.content import Content
from engine.exports.palette import Colour

_HEAD = """[Script Info]
; {label}
Title: {label}
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
WrapStyle: 2
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, \
Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Box,Arial,{size},&HFFFFFFFF,&HFFFFFFFF,&H00FFFFFF,&HFF000000,0,0,0,0,100,100,0,0,1,{line},0,7,0,0,0,1
Style: Name,Arial,{size},&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,-1,0,0,0,100,100,0,0,3,{line},0,1,0,0,0,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_ALIKE = str.maketrans({"{": "｛", "}": "｝", "\\": "⧵", "\n": " ", "\r": " "})
"""Signs that are commands in ASS, and ones that look like them."""


def write(path: Path, content: Content) -> int:
    """Write a box and a name for every face of a track; returns the number of faces."""
    width, height = content.episode["width"], content.episode["height"]
    size, line = max(12, round(height / 32)), max(1, round(height / 360))
    label = plain(content.label)
    faces = content.faces().to_pylist()
    step = content.run["step_us"]
    ends = _ends(faces, step, step + round(build(content.run["settings"]).track.max_gap_s * 1e6))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD.format(label=label, width=width, height=height, size=size, line=line))
        for face, end in zip(faces, ends, strict=True):
            x1, x2 = (round(face[side] * width) for side in ("x1", "x2"))
            y1, y2 = (round(face[side] * height) for side in ("y1", "y2"))
            name, colour = plain(content.names[face["person_id"]]), _colour(content.colours[face["person_id"]])
            times = f"{clock(face['t_us'])},{clock(end)}"
            speaker = name.replace(",", " ")
            outline = f"m {x1} {y1} l {x2} {y1} l {x2} {y2} l {x1} {y2}"
            file.write(f"Dialogue: 0,{times},Box,{speaker},0,0,0,,{{\\pos(0,0)\\3c{colour}\\p1}}{outline}{{\\p0}}\n")
            file.write(f"Dialogue: 1,{times},Name,{speaker},0,0,0,,{{\\pos({x1},{max(size, y1 - line)})\\3c{colour}}}{name}\n")
    return len(faces)


def _ends(faces: list[dict[str, Any]], step_us: int, longest_us: int) -> list[int]:
    """When the box of each face goes: at the next face of its piece if that comes soon enough, else after a step or with the piece."""
    found = [0] * len(faces)
    after: dict[tuple[int, int], int] = {}
    for n in range(len(faces) - 1, -1, -1):
        face = faces[n]
        key, at = (face["track_id"], face["piece_start_us"]), face["t_us"]
        following = after.get(key, -1)
        found[n] = following if 0 <= following - at <= longest_us else min(face["piece_end_us"], at + step_us)
        after[key] = at
    return found


def plain(text: str) -> str:
    """Text no player takes for a command."""
    return " ".join(text.translate(_ALIKE).split())


def clock(t_us: int) -> str:
    """h:mm:ss.cc"""
    centiseconds = round(t_us / 10_000)
    return f"{centiseconds // 360_000}:{centiseconds // 6000 % 60:02d}:{centiseconds // 100 % 60:02d}.{centiseconds % 100:02d}"


def _colour(colour: Colour) -> str:
    """&HBBGGRR& of a colour."""
    return f"&H{colour.hex[5:7]}{colour.hex[3:5]}{colour.hex[1:3]}&".upper()
