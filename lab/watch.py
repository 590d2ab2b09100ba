"""When to stop watching a console: the pure rules, and what a person sees meanwhile."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab import consoletext, records

_STARTED = re.compile(rb"@mmx 0 start ")
# A kernel that died prints its trace for a moment; then it reboots, which ends the machine.
DEATH_GRACE = 5.0
# The program speaks once a second; TCG on a busy machine may stretch that, not to this.
SILENCE = 90.0


@dataclass(frozen=True)
class Glance:
    """What a look at a console shows while it grows."""

    started: bool = False
    finished: bool = False
    dead: bool = False
    windows: int = 0
    corruptions: int = 0


def glance(console: bytes) -> Glance:
    """Look at the end of a console; cheap enough for several times a second."""
    end = records.parse(console[-16384:])
    counted = end.last("end") or end.last("progress")
    corruptions = max(
        [record.number("corruptions") for record in end.records if record.type != "start"]
        + [len(end.of("corrupt"))],
        default=0,
    )
    return Glance(
        started=bool(_STARTED.search(console)),
        finished=end.last("end") is not None,
        dead=consoletext.death(console[-16384:]) is not None,
        windows=counted.number("windows") if counted else 0,
        corruptions=corruptions,
    )


def finished(console: bytes) -> bool:
    """Whether the program has said its last word."""
    return glance(console).finished
