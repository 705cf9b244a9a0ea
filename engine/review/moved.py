"""What a change moves: the tracks whose pieces it makes differ, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress
from operator import attrgetter, ne, sub
from typing import Any

from engine.review.fold import Piece

Columns = dict[str, tuple[Any, ...]]
"""Pieces field by field."""

LABEL = ("person_id", "excluded", "locked", "cluster_id", "label_source", "rejected")
"""Fields of a piece that tell whose face it is, and who says so."""

_label = attrgetter(*LABEL)


def columns_of(pieces: Iterable[Piece]) -> Columns:
    """Pieces field by field."""
    cells = list(zip(*pieces, strict=True))
    return dict(zip(Piece._fields, cells or [()] * len(Piece._fields), strict=True))


@dataclass(frozen=True)
class Moved:
    """Tracks whose pieces differ, ascending, and all pieces of each before and after."""

    tracks: tuple[int, ...] = ()
    old: tuple[tuple[Piece, ...], ...] = ()
    new: tuple[tuple[Piece, ...], ...] = ()

    @classmethod
    def between(cls, tracks: Iterable[int], old: Mapping[int, tuple[Piece, ...]], new: Mapping[int, tuple[Piece, ...]]) -> Moved:
        """Of some tracks, from the pieces of all."""
        chosen = tuple(sorted(tracks))
        return cls(chosen, tuple(map(old.__getitem__, chosen)), tuple(map(new.__getitem__, chosen)))

    @cached_property
    def before(self) -> Columns:
        """All pieces before."""
        return columns_of(chain.from_iterable(self.old))

    @cached_property
    def after(self) -> Columns:
        """All pieces after."""
        return columns_of(chain.from_iterable(self.new))

    def differing(self, fields: Iterable[str]) -> list[str]:
        """Fields that are not what they were."""
        return [name for name in fields if self.before[name] != self.after[name]]

    def staying(self) -> Moved:
        """Those whose pieces begin and end where they did, with the same people decided not to be there; or the same for all of them now."""
        if not self.differing(("start_us", "end_us")) and (not self.differing(("rejected",)) or len(set(self.after["rejected"])) == 1):
            return self
        return self._where([_stay(old, new) for old, new in zip(self.old, self.new, strict=True)])

    def _where(self, chosen: Sequence[bool]) -> Moved:
        return Moved(tuple(compress(self.tracks, chosen)), tuple(compress(self.old, chosen)), tuple(compress(self.new, chosen)))

    def labels(self) -> tuple[int, int]:
        """How many tracks have a stretch whose label, lock or cluster differs, and how many microseconds those stretches last."""
        whole = [len(old) == len(new) == 1 for old, new in zip(self.old, self.new, strict=True)]
        simple = self if all(whole) else self._where(whole)
        spans = [span for old, new, one in zip(self.old, self.new, whole, strict=True) if not one for span in _differing(old, new)]
        changed = [map(ne, simple.before[name], simple.after[name]) for name in simple.differing(LABEL)]
        here = list(map(any, zip(*changed, strict=True)))
        lengths = compress(map(sub, simple.after["end_us"], simple.after["start_us"]), here)
        return sum(here) + len({track for track, _ in spans}), sum(lengths) + sum(us for _, us in spans)


def _stay(old: tuple[Piece, ...], new: tuple[Piece, ...]) -> bool:
    return [(p.start_us, p.end_us, p.rejected) for p in old] == [(p.start_us, p.end_us, p.rejected) for p in new]


def _differing(old: tuple[Piece, ...], new: tuple[Piece, ...]) -> Iterator[tuple[int, int]]:
    """(track, microseconds) of the stretches of a track, cut at the bounds of both sides, whose label, lock or cluster differs."""
    for one in old:
        for other in new:
            start, end = max(one.start_us, other.start_us), min(one.end_us, other.end_us)
            if start < end and _label(one) != _label(other):
                yield one.track_id, end - start
