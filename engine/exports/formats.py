"""Every format an episode can be exported in: the one table that operations and bundles go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.exports import ass, audit, ava, bundle, coco, corrections, csv, edl, html, json, mot, otio, parquet, webvtt
from engine.exports.content import Content
from engine.exports.ledger import LedgerContent


@dataclass(frozen=True)
class Format:
    """`write` fills a file and returns how many rows, faces, markers or people it holds. `tables`: it holds the table asked for.
    `one_person`: it can be about one person."""

    suffix: str
    write: Callable[[Path, Content], int]
    meaning: str
    tables: bool = False
    one_person: bool = False


PLAIN: dict[str, Format] = {
    "csv": Format(".csv", csv.write, "a table for spreadsheets", tables=True),
    "json": Format(".json", json.write, "a table with its lineage", tables=True),
    "parquet": Format(".parquet", parquet.write, "a typed table with its lineage", tables=True),
    "mot": Format(".mot.txt", mot.write, "faces as MOTChallenge tracks"),
    "coco": Format(".coco.json", coco.write, "faces as COCO boxes, a category for each person"),
    "ava": Format(".ava.csv", ava.write, "faces as AVA-ActiveSpeaker rows"),
    "otio": Format(".otio", otio.write, "an OpenTimelineIO timeline with a marker for each appearance", one_person=True),
    "edl": Format(".edl", edl.write, "a CMX 3600 list of appearances", one_person=True),
    "vtt": Format(".vtt", webvtt.write, "a subtitle track saying who is on screen", one_person=True),
    "ass": Format(".ass", ass.write, "boxes and names to lay over the video"),
    "html": Format(".html", html.write, "a report to open in a browser"),
}

FORMATS: dict[str, Format] = {
    **PLAIN,
    "zip": Format(".zip", lambda path, content: bundle.write(path, content, members(content)), "everything about the analysis in one file"),
}


@dataclass(frozen=True)
class LedgerFormat:
    """A format of decisions rather than of results; `write` returns how many it holds."""

    suffix: str
    write: Callable[[Path, LedgerContent], int]
    meaning: str


LEDGER: dict[str, LedgerFormat] = {
    "audit.jsonl": LedgerFormat(".audit.jsonl", audit.write_jsonl, "every decision, a JSON object a line"),
    "audit.csv": LedgerFormat(".audit.csv", audit.write_csv, "every decision, for spreadsheets"),
    "corrections.json": LedgerFormat(".corrections.json", corrections.write, "the standing decisions about faces, for another library or tool"),
}
"""Formats that need no analysis, and hold the whole library's decisions when no episode is given."""

MEANINGS = {**{name: kind.meaning for name, kind in FORMATS.items()}, **{name: kind.meaning for name, kind in LEDGER.items()}}


def members(content: Content) -> list[bundle.Member]:
    """What a bundle holds: every other format, with both tables where there are two."""
    tables = ("totals", "segments")
    found = [bundle.Member(f"{table}{kind.suffix}", kind.write, table) for kind in PLAIN.values() if kind.tables for table in tables]
    found += [bundle.Member(NAMES[name] + kind.suffix, kind.write, content.table) for name, kind in PLAIN.items() if not kind.tables]
    return found


NAMES = {
    "mot": "faces",
    "coco": "faces",
    "ava": "faces",
    "otio": "appearances",
    "edl": "appearances",
    "vtt": "who",
    "ass": "overlay",
    "html": "report",
}
"""What the file of a format that holds no table is called."""
