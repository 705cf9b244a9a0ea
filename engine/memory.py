"""Memory that was freed, given back to the system.

glibc keeps a heap for every thread that ever allocated, and gives back only its end: after a few segments, each decoded and looked at by new
threads, a worker held 150 MB that nobody used.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import pyarrow as pa


def give_back() -> None:
    """Give back what is free, in the heaps of all threads and in Arrow's own; takes a hundredth of a second. Without glibc, Arrow's only."""
    pa.default_memory_pool().release_unused()
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """glibc's function; musl and other systems have none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
