"""Taking somebody's names and pictures out of text and of JSON, and leaving everybody else's."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LONGEST_LIST = 16
"""More numbers than this in a list are a vector."""

_PICTURE = re.compile(r"[0-9a-f]{64}\.[a-z]+")
_CALLED = ("name", "alias", "person", "called")
_THEIRS = ("role", "origin", "featured")
_BEFORE: dict[str, Any] = {"name": None, "aliases": [], "featured": None}


@dataclass(frozen=True)
class Scrub:
    """What goes and what stays.

    people: ids of those who go; word: what stands in their place; names: all they were ever called; kept: other text that holds such a name and is
    left alone; namesakes: other people called the same; pictures: files of the media folder that go.
    """

    people: frozenset[int]
    word: str
    names: tuple[str, ...]
    kept: tuple[str, ...] = ()
    namesakes: frozenset[int] = frozenset()
    pictures: frozenset[str] = frozenset()

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        kept, names = ("|".join(re.escape(one) for one in sorted(found, key=len, reverse=True)) for found in (self._longer(), self.names))
        if not names:
            return None
        first = f"(?P<kept>{kept})|" if kept else "(?P<kept>(?!))|"
        return re.compile(rf"(?<!\w)(?:{first}{names})(?!\w)", re.IGNORECASE)

    def _longer(self) -> Iterable[str]:
        """Names of others that hold one of those that go as a word."""
        own = {name.casefold() for name in self.names}
        return {one for one in self.kept if one.casefold() not in own}

    def spares(self, about: Collection[int]) -> bool:
        """Whether a line about these people means a namesake."""
        return bool(self.namesakes & set(about)) and not self.people & set(about)

    def text(self, text: str) -> str:
        """The text without names and pictures."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: found[0] if found["kept"] else self.word, text)
        return _PICTURE.sub(lambda found: "" if found[0] in self.pictures else found[0], text)

    def masked(self, data: bytes) -> bytes:
        """Lines of a log with names made unreadable, as long as they were."""
        if self._pattern is None:
            return data
        text = data.decode("utf-8", "surrogateescape")
        for written in {json.dumps(name)[1:-1] for name in self.names if not name.isascii()}:
            text = re.sub(re.escape(written), lambda found: "*" * len(found[0]), text, flags=re.IGNORECASE)
        masked = self._pattern.sub(lambda found: found[0] if found["kept"] else "*" * len(found[0].encode("utf-8", "surrogateescape")), text)
        return masked.encode("utf-8", "surrogateescape")

    def value(self, value: Any) -> Any:
        """A JSON value without names and pictures, and without figures about those who go."""
        if isinstance(value, str):
            return None if value in self.pictures else self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value if not self._figures(one)]
        if isinstance(value, dict):
            about = value.get("person_id") in self.people
            return {self.text(key): self._of(key, part) if about else self.value(part) for key, part in value.items()}
        return value

    def _of(self, key: str, value: Any) -> Any:
        """One fact about somebody who goes."""
        if key in _CALLED and value:
            return self.word
        return None if key in _THEIRS else self.value(value)

    def _figures(self, value: Any) -> bool:
        return isinstance(value, dict) and value.get("person_id") in self.people and "before_s" in value

    def tombstone(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters of a decision about somebody who goes: ids and switches stay."""
        return {name: self._buried(name, value) for name, value in parameters.items()}

    def _buried(self, name: str, value: Any) -> Any:
        if name == "before" and isinstance(value, dict):
            return {**value, **{key: blank for key, blank in _BEFORE.items() if key in value}}
        if name in _CALLED and value:
            return self.word
        if name == "labels":
            return value
        if isinstance(value, list) and (len(value) > LONGEST_LIST or any(isinstance(one, float) for one in value)):
            return []
        return self.value(value)

    def mentions(self, text: str) -> bool:
        """Whether a text holds a name or a picture that goes."""
        return self.text(text) != text
