# SPDX-License-Identifier: GPL-2.0-or-later
"""One corruption in time: a boot recorded, its failed check found, the events before that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lab.console import records
from lab.console.watch import Glance
from lab.errors import LabError
from lab.kernel import symbols
from lab.qemu.boot import Boot
from lab.replay.capsule import Capsule
from lab.report.terminal import Terminal
from lab.trace import seek, story
from lab.trace.event import Event, Trace
from lab.trace.landmarks import Landmarks
from lab.trace.recording import Recording, record, stopped
from lab.trace.tracer import Tracer

# How long before the corruption single events are recorded, and again when that is too short to
# hold the load of the value that was read. Virtual nanoseconds of instructions.
BEFORE_NS = (20_000_000, 200_000_000)
ROW = "dom0"  # of the terminal's board
# A failed check is noted by the program a little before it asks for its process id.
_EARLIER = 0.002  # seconds


def record_shown(
    boot: Boot, folder: Path, row: str, terminal: Terminal, options: Sequence[str] = ()
) -> Recording:
    """Record a boot, with its progress in a row of the terminal's board."""

    def show(look: Glance) -> None:
        terminal.board.state(row, "recording: stressing" if look.started else "recording: booting")

    terminal.board.add(row)
    terminal.board.state(row, "recording: booting")
    return record(boot, folder, show, options)


def trace_corruption(
    capsule: Capsule, recording: Recording, marks: Landmarks, terminal: Terminal
) -> Trace:
    """The events around the first failed check of a recorded boot; LabError without one."""
    identical = recording.console.read_bytes() == capsule.console
    if not identical:
        terminal.say("this boot is not the capsule's; `lab replay` says where they part")
    terminal.board.state(ROW, "looking for the failed check")
    at = find_failed_check(recording, (marks.start, marks.failed))
    boot = recording.boot
    made = Trace(
        "", boot.xen is not None, symbols.read_version(boot.kernel), marks.names, identical
    )
    for before in BEFORE_NS:
        terminal.board.state(ROW, f"recording the last {before // 1_000_000} ms")
        start = at - (before >> (boot.icount or 0))
        made.events = record_events(recording, marks, start, corrupts=True)
        if story.has_source(made):
            break
    made.title = f"Linux {made.kernel} {'as dom0 (PV)' if made.pv else 'natively'}"
    terminal.board.finish(ROW, None, f"{len(made.events)} events", None)
    return made


def find_failed_check(recording: Recording, places: tuple[int, int]) -> int:
    """The instruction, by its number, at which the program notes its first corruption.

    ``places``: the program's start and what it calls for a failed check. LabError without one.
    """
    corrupt = next(iter(records.parse(recording.console.read_bytes()).of("corrupt")), None)
    if corrupt is None:
        raise LabError("this boot does not corrupt here: nothing to trace")
    after = (corrupt.seconds() or 0.0) - _EARLIER
    with stopped(recording) as stub:
        at = seek.run_to_failed_check(stub, *places, after)
    if at is None:
        raise LabError("the failed check was not found in the replay")
    return at


def record_events(
    recording: Recording, marks: Landmarks, start: int, *, corrupts: bool
) -> list[Event]:
    """From instruction ``start`` until the events hold a whole story, or the boot ends."""
    enough: Callable[[list[Event]], bool] = lambda events: story.complete(events, corrupts)  # noqa: E731
    with stopped(recording) as stub:
        seek.run_to_start(stub, marks)
        if start > stub.instructions():
            stub.run_to(start)
        return Tracer(stub, marks, enough).run()
