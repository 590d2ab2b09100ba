# SPDX-License-Identifier: GPL-2.0-or-later
"""Slots for boots: a limited number at once, the important ones first."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Iterator


class Slots:
    """``count`` boots may run at once. The queue is served by rank, lowest first, then in turn.

    The first in the queue is always served first, also when it wants more slots than are free.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._waiting: list[tuple[int, int]] = []
        self._tickets = itertools.count()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """The length of the queue."""
        with self._changed:
            return len(self._waiting)

    @contextlib.contextmanager
    def held(self, rank: int = 0, many: int = 1) -> Iterator[None]:
        """Hold ``many`` slots for the block; waits until they are free."""
        self.take(rank, many)
        try:
            yield
        finally:
            self.give_back(many)

    def take(self, rank: int = 0, many: int = 1) -> None:
        with self._changed:
            ticket = (rank, next(self._tickets))
            heapq.heappush(self._waiting, ticket)
            self._changed.wait_for(lambda: self._free >= many and self._waiting[0] == ticket)
            heapq.heappop(self._waiting)
            self._free -= many
            self._changed.notify_all()

    def give_back(self, many: int = 1) -> None:
        with self._changed:
            self._free += many
            self._changed.notify_all()
