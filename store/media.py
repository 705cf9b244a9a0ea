"""Pixels by content: a file's name is the SHA-256 of its bytes, so storing one twice is free and a half-written one never has a name."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from store.atomic import atomic_write

NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}")
"""What a file is called; anything else is not one of ours."""


class Media:
    """Content-addressed files under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, suffix: str = ".jpg") -> str:
        """Store bytes; returns their digest with the suffix, which `path` understands."""
        name = self.name(data, suffix)
        target = self.path(name)
        if target.exists():
            os.utime(target)  # somebody is about to refer to it: the sweep leaves young files alone
        else:
            atomic_write(target, data)
        return name

    @staticmethod
    def name(data: bytes, suffix: str = ".jpg") -> str:
        """What a file with these bytes is called."""
        return hashlib.sha256(data).hexdigest() + suffix

    def path(self, name: str) -> Path:
        """Where the file of that name is, or would be."""
        return self.folder / name[:2] / name

    def names(self) -> list[str]:
        """Names of all files kept."""
        return sorted(path.name for path in self.folder.glob("*/*") if path.is_file())

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        self.path(name).unlink(missing_ok=True)
