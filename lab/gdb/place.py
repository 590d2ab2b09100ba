# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a replayed boot is stopped for gdb, and how to get there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.gdb import scene
from lab.kernel import symbols
from lab.replay.capsule import Capsule
from lab.report.terminal import Terminal
from lab.trace import elf
from lab.trace.corruption import find_failed_check, trace_corruption
from lab.trace.landmarks import find_failing, find_landmarks
from lab.trace.recording import Recording
from lab.trace.stub import GdbStub

_EARLIER_NS = 1_000_000  # before the failed check, where nothing better is known
_SNAPSHOT = "before"


@dataclass(frozen=True)
class Elfs:
    """Files with symbols; the kernel's and Xen's where there are any."""

    program: Path
    kernel: Path | None
    xen: Path | None

    @property
    def all(self) -> list[Path]:
        """Those that exist, the kernel's first."""
        return [file for file in (self.kernel, self.program, self.xen) if file is not None]


@dataclass(frozen=True)
class Place:
    """Where the machine is stopped, and the lines that describe it."""

    at: int  # instructions since power-on
    back: int  # the earliest that gdb can step back to
    lines: list[str]
    tasks: dict[int, str]  # by the address of their task_struct


def find_place(
    capsule: Capsule, recording: Recording, elfs: Elfs, stop: str, terminal: Terminal
) -> Place:
    """The moment ``stop`` of the corruption, or a little before its failed check.

    The latter where the kernel has no symbols or the window is not seen. UserError when the boot
    has no such moment.
    """
    program = symbols.read(elfs.program, "the stress program")
    if elfs.kernel is None:
        return _before_the_check(recording, program, "no symbols of the kernel (--vmlinux)")
    kernel = elf.read_kernel(elfs.kernel)
    marks = find_landmarks(kernel, program, pv=recording.boot.xen is not None)
    trace = trace_corruption(capsule, recording, marks, terminal)
    try:
        found = scene.build(trace)
    except LabError as error:
        return _before_the_check(recording, program, str(error))
    chosen = found.at(stop)
    if chosen is None:
        names = ", ".join(moment.name for moment in found.moments)
        raise UserError(f"--stop {stop}: not seen in this boot, which has {names}")
    lines = scene.describe(found, chosen, bool(recording.options))
    return Place(chosen.at, trace.events[0].at, lines, found.tasks)


def _before_the_check(recording: Recording, program: symbols.Symbols, why: str) -> Place:
    failed = find_failed_check(recording, find_failing(program))
    at = failed - (_EARLIER_NS >> (recording.boot.icount or 0))
    return Place(at, at, scene.describe_no_window(why, failed - at), {})


def go_to(stub: GdbStub, place: Place, rewindable: bool) -> None:
    """Run the replay to the place, with a snapshot on the way where it is ``rewindable``."""
    if rewindable and place.back < place.at:
        _run_to(stub, place.back)
        stub.keep(_SNAPSHOT)
    _run_to(stub, place.at)


def _run_to(stub: GdbStub, at: int) -> None:
    if not stub.run_to(at) or stub.instructions() != at:
        raise LabError(f"the replay did not reach instruction {at:,}")
