"""What can be wrong with a library as a whole. The engine turns these into errors with a next step."""

from __future__ import annotations


class Locked(Exception):
    """Another process owns the library; `owner` is its process id as text."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"the library is owned by process {owner or 'unknown'}")
        self.owner = owner


class NewerSchema(Exception):
    """The library's schema is newer than this version knows."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the library has schema {found}, this version knows {known}")
        self.found = found
        self.known = known
