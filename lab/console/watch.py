# SPDX-License-Identifier: GPL-2.0-or-later
"""Watching a console while it grows: what it shows, and when to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.console import records
from lab.console import text as consoletext
from lab.system.deadline import Deadline

# A kernel that died prints its trace for a moment; then it reboots, which ends the machine.
DEATH_GRACE = 5.0
# The program writes a record each second; TCG on a busy machine is slower, but not this slow.
SILENCE = 90.0
MOST_BYTES = 64 << 20  # of a console; at 115200 baud an hour and a half
OVERLAP = 16384  # bytes that are looked at again when it has grown: a record may have been cut


@dataclass(frozen=True)
class Ending:
    """How the guest's run ended (ended.json). ``how`` is one of

    ``finished`` (its last record was seen), ``exited`` (the machine stopped on its own),
    ``deadline`` (it was stopped by us), ``flooded`` (it printed more than is kept),
    ``interrupted`` (by a person), ``lab_error``.
    """

    how: str
    detail: str = ""
    seconds: float = 0.0
    boot_seconds: float | None = None  # wall time from power-on to the program's first record


@dataclass(frozen=True)
class Glance:
    """What a look at a console shows while it grows."""

    started: bool = False
    finished: bool = False
    dead: bool = False
    windows: int = 0
    corruptions: int = 0


def glance(console: bytes, mark: bytes = records.MARK) -> Glance:
    """Look at the end of a console; cheap enough for several times a second.

    ``mark``: of the records that are looked for.
    """
    end = records.parse(console[-16384:], mark)
    counted = end.last("end") or end.last("progress")
    corruptions = max(
        [record.number("corruptions") for record in end.records if record.type != "start"]
        + [len(end.of("corrupt"))],
        default=0,
    )
    return Glance(
        started=mark + b"0 start " in console,
        finished=end.last("end") is not None,
        dead=consoletext.death(console[-16384:]) is not None,
        windows=counted.number("windows") if counted else 0,
        corruptions=corruptions,
    )


class Watch:
    """One boot's console, from power-on to the end; the same for a machine and for a guest.

    ``seen`` gets a look at every growth; ``stop`` is set by Ctrl-C.
    """

    def __init__(
        self,
        deadline: Deadline,
        seen: Callable[[Glance], None],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        mark: bytes = records.MARK,
    ) -> None:
        self._deadline = deadline
        self._seen = seen
        self._stop = stop
        self._clock = clock
        self._mark = mark
        self._began = self._grew = clock()
        self._died: float | None = None
        self.booted: float | None = None  # wall seconds to the program's first record

    def grew(self, console: bytes) -> bool:
        """What has come, after enough of what was there before; true when the program's last
        record is in it.
        """
        self._grew = self._clock()
        look = glance(console, self._mark)
        self._seen(look)
        if look.started and self.booted is None:
            self.booted = round(self._grew - self._began, 2)
        if look.dead and self._died is None:
            self._died = self._grew
        return look.finished

    def find_reason_to_stop(self) -> str | None:
        """Why to stop waiting (the word of an ``Ending``); None to continue."""
        if self._stop.is_set():
            return "interrupted"
        now = self._clock()
        silent = self.booted is not None and now - self._grew > SILENCE
        dead = self._died is not None and now - self._died > DEATH_GRACE
        return "deadline" if self._deadline.expired or silent or dead else None

    def seconds(self) -> float:
        """Wall seconds since power-on."""
        return round(self._clock() - self._began, 2)
