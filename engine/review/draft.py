"""What a verb wants to write, before it is written: the same drafts answer a dry run and a change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.review.decision import Verb
from engine.review.fold import Piece


class Target(NamedTuple):
    """A stretch of a track that a decision is about."""

    track_id: int
    start_us: int
    end_us: int
    part: int = 0


@dataclass(frozen=True)
class Draft:
    """A decision to be. A negative person_id is somebody new, created in the same batch."""

    verb: Verb
    level: str | None = None
    show_id: int | None = None
    episode_id: int | None = None
    person_id: int | None = None
    targets: tuple[Target, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    source: str = "direct"
    voids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A face for the bank, put in by the decision that draft number `draft` becomes. vector: (dims,) float32, L2-normalised, of `space`."""

    draft: int
    space: str
    vector: NDArray[np.float32]
    quality: float
    origin: str
    chip: str | None = None
    picture: str | None = None
    episode_id: int | None = None
    track_id: int | None = None


@dataclass
class Plan:
    """Drafts of one batch in their order; `kept`: what keeps its label although it was meant, `notes`: what else to know. One sentence each.

    rev: the newest decision that touches the targets. also: episodes whose labels change though no draft is about their faces.
    entries: faces for the bank.
    """

    drafts: list[Draft] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rev: int = 0
    also: set[int] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)


def targets_of(pieces: Iterable[Piece], part: int = 0) -> tuple[Target, ...]:
    """Pieces as targets, neighbours of one track joined."""
    spans = list(map(_span, pieces))
    tracks, starts, ends = zip(*spans, strict=True) if spans else ((), (), ())
    if len(set(tracks)) == len(tracks):
        return tuple(map(_made_target, zip(tracks, starts, ends, repeat(part), strict=False)))
    found: list[Target] = []
    last = None
    for track_id, start, end in spans:
        if last is not None and last.track_id == track_id and last.end_us == start:
            last = found[-1] = Target(track_id, found[-1].start_us, end, part)
        else:
            last = Target(track_id, start, end, part)
            found.append(last)
    return tuple(found)


_span = itemgetter(*map(Piece._fields.index, ("track_id", "start_us", "end_us")))
_made_target: Callable[[Iterable[Any]], Target] = partial(tuple.__new__, Target)
