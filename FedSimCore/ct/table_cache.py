"""A bounded store for tables that are costly to make and used again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Table = TypeVar("Table")

DEFAULT_LIMIT_BYTES = 1 << 30


class TableCache:
    """Keeps tables by owner (one projector's set) and item (one table), at most ``limit_bytes`` in all.

    When room is needed the owners that were not used for longest lose all their tables. An owner that needs more than
    everything keeps what fits and makes the rest anew each time: dropping its own tables in turn would lose every one
    of them just before its next use.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._owners: OrderedDict[Hashable, dict[Hashable, tuple[Any, int]]] = OrderedDict()
        self._held = 0
        self._lock = threading.RLock()

    @property
    def limit_bytes(self) -> int:
        """Most bytes that are kept."""
        return self._limit

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept now."""
        return self._held

    def set_limit(self, limit_bytes: int) -> None:
        """Change the bound and drop what no longer fits; 0 keeps nothing."""
        with self._lock:
            self._limit = limit_bytes
            while self._held > self._limit:
                self._drop_oldest()

    def clear(self) -> None:
        """Drop all tables."""
        with self._lock:
            self._owners.clear()
            self._held = 0

    def get(self, owner: Hashable, item: Hashable, make: Callable[[], tuple[Table, int]]) -> Table:
        """Return the owner's table, made by ``make`` (table and its bytes) unless it is at hand."""
        with self._lock:
            tables = self._owners.get(owner)
            if tables is not None:
                self._owners.move_to_end(owner)
                if item in tables:
                    return tables[item][0]
        table, size = make()
        with self._lock:
            if self._make_room(owner, size):
                tables = self._owners.setdefault(owner, {})
                self._held += size - tables.get(item, (None, 0))[1]
                tables[item] = (table, size)
                self._owners.move_to_end(owner)
        return table

    def _make_room(self, owner: Hashable, size: int) -> bool:
        own = sum(held for _, held in self._owners.get(owner, {}).values())
        if own + size > self._limit:
            return False
        if owner in self._owners:
            self._owners.move_to_end(owner)
        while self._held + size > self._limit:
            self._drop_oldest()
        return True

    def _drop_oldest(self) -> None:
        _, tables = self._owners.popitem(last=False)
        self._held -= sum(size for _, size in tables.values())


_projection_tables = TableCache()


def projection_tables() -> TableCache:
    """Return the cache that all projectors and reconstructions of this process share."""
    return _projection_tables
