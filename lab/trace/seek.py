# SPDX-License-Identifier: GPL-2.0-or-later
"""Running a replayed boot to the places where something worth recording is about to happen."""

from __future__ import annotations

from lab.errors import LabError
from lab.trace.event import owner
from lab.trace.landmarks import Landmarks
from lab.trace.recording import virtual_ns
from lab.trace.stub import TS, GdbStub, in_user_space


def run_to_failed_check(stub: GdbStub, start: int, failed: int, after: float) -> int | None:
    """Run to the first failed check ``after`` seconds from the program's start.

    ``start`` and ``failed`` are the program's addresses of these names. Returns the
    instruction's number; None when the boot ends without one.
    """
    stub.set_breakpoint(start)
    stub.set_breakpoint(failed)
    began = None
    while stub.resume():
        registers = stub.registers()
        now = virtual_ns(stub)
        if registers["rip"] == start:
            began = now
        elif began is not None and now - began >= after * 1e9:
            return stub.instructions()
        if not stub.step():
            break
    return None


def run_to_sleeping_window(stub: GdbStub, marks: Landmarks, skip: int) -> int | None:
    """Run to an opener that sleeps in its #NM's allocation, without Xen; ``skip`` passed over.

    Returns the instruction's number; None when the boot ends without one.
    """
    run_to_start(stub, marks)
    stub.set_breakpoint(marks.load)
    inside = (*marks.allocators, marks.switch)
    done, allocating = 0, False  # where registers_load returns to; the last stop's place
    while stub.resume():
        registers = stub.registers()
        place = registers["rip"]
        if place == marks.load and _is_opener(stub, registers):
            done = stub.long(registers["rsp"]) or 0
            for other in (done, *inside):
                stub.set_breakpoint(other)
        elif place in marks.allocators:
            allocating = True
        elif place in (marks.switch, done):
            # TS still set: the #NM has not come to its end, as after a return to user space.
            if place == marks.switch and allocating and registers["cr0"] & TS:
                if not skip:
                    return stub.instructions()
                skip -= 1
            allocating = False
            for other in (done, *inside):
                stub.clear_breakpoint(other)
        if not stub.step():
            break
    return None


def _is_opener(stub: GdbStub, registers: dict[str, int]) -> bool:
    found = owner(stub.long(registers["rdi"]) or 0)
    return found is not None and found.role == "opener"


def run_to_start(stub: GdbStub, marks: Landmarks) -> None:
    """Run to the stress program's start; LabError when it never comes."""
    stub.set_breakpoint(marks.start)
    while stub.resume():
        if in_user_space(stub.registers()):
            stub.clear_breakpoint(marks.start)
            return
        stub.step()
    raise LabError("the traced boot ended before the stress program's start")
