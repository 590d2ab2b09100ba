# SPDX-License-Identifier: GPL-2.0-or-later
"""A point in time by which something must have happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.errors import LabError


class Deadline:
    """``seconds`` from now on the monotonic clock; hand ``remaining()`` down to what waits.

    ``clock`` and ``sleep`` are replaced by tests, which never really wait.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self.seconds = seconds
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        return self.remaining() == 0.0

    def at_most(self, seconds: float) -> Deadline:
        """A deadline of its own for a step: ``seconds``, but never past this one."""
        return Deadline(min(seconds, self.remaining()), self._clock, self._sleep)

    def pause(self, seconds: float) -> None:
        """Sleep so long, but never past the deadline."""
        self._sleep(min(seconds, self.remaining()))

    def wait_for(self, event: Callable[[], bool], what: str, every: float = 0.1) -> None:
        """Poll ``event`` until it is true; a LabError naming ``what`` when time is up."""
        while not event():
            if self.expired:
                raise LabError(f"waited {self.seconds:.0f} s for {what}, which did not come")
            self.pause(every)
