"""What was read of tables that seldom change, kept until one of them is written: the store has one owner, so nobody else can have changed it."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")

_WRITTEN = re.compile(r'\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)"?', re.IGNORECASE)
_READ = re.compile(r"\s*SELECT\b", re.IGNORECASE)


class Epochs:
    """How often each table was written. A table that is being written is read anew until its transaction is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: dict[str, int] = {}
        self._everything = 0
        self._open: set[str] = set()
        self._all_open = False

    def statement(self, sql: str) -> None:
        """A transaction is about to run this; one that is not plainly a read or a write of one table may write any."""
        if _READ.match(sql):
            return
        written = _WRITTEN.match(sql)
        with self._lock:
            if written:
                self._open.add(written[1])
            else:
                self._all_open = True

    def over(self) -> None:
        """The transaction ended, however it did."""
        with self._lock:
            for table in self._open:
                self._count[table] = self._count.get(table, 0) + 1
            self._everything += self._all_open
            self._open.clear()
            self._all_open = False

    def forget(self) -> None:
        """The library is another one."""
        with self._lock:
            self._everything += 1

    def of(self, tables: tuple[str, ...]) -> tuple[int, ...] | None:
        """What changes when one of these tables does; None while one is being written."""
        with self._lock:
            if self._all_open or (self._open and not self._open.isdisjoint(tables)):
                return None
            return (self._everything, *[self._count.get(table, 0) for table in tables])


class Remembered:
    """The newest `limit` things that were read, by key. What is kept is given out again and again: nobody changes it."""

    def __init__(self, epochs: Epochs, limit: int) -> None:
        self._epochs, self._limit = epochs, limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[tuple[int, ...], object]] = OrderedDict()

    def clear(self) -> None:
        """Keep nothing: what was erased stays nowhere."""
        with self._lock:
            self._kept.clear()

    def get(self, tables: tuple[str, ...], key: Hashable, load: Callable[[], T]) -> T:
        """What `load` gave when it was last called under this key, unless one of the tables it reads was written since."""
        epoch = self._epochs.of(tables)
        if epoch is None:
            return load()
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found[0] == epoch:
                self._kept.move_to_end(key)
                return found[1]  # type: ignore[return-value]
        value = load()
        with self._lock:
            self._kept[key] = (epoch, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        return value
