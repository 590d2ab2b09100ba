# SPDX-License-Identifier: GPL-2.0-or-later
"""Recording events from a replayed boot: where it stops, and what is read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.trace.event import Event
from lab.trace.landmarks import Landmarks
from lab.trace.recording import virtual_ns
from lab.trace.stub import TS, GdbStub, in_user_space
from lab.trace.tasks import Tasks


@dataclass
class Tracer:
    """Collects events until ``enough`` of them say so, or the boot ends."""

    stub: GdbStub
    marks: Landmarks
    enough: Callable[[list[Event]], bool]
    limit: int = 20_000
    events: list[Event] = field(default_factory=list)
    _returns: set[int] = field(default_factory=set)  # of registers_load: the load is done
    _checks: set[int] = field(default_factory=set)  # of registers_store: the task has its values
    _current: int = 0
    _believed: int | None = None
    _loading: set[int] = field(default_factory=set)  # tasks between load and loaded
    _in_nm: set[int] = field(default_factory=set)  # of these, in #NM before the allocation
    _began: int | None = None
    _last: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self._tasks = Tasks(self.stub, self.marks.init_task)

    def run(self) -> list[Event]:
        """Record from where the machine is stopped."""
        marks = self.marks
        for place in (marks.nm, marks.switch, marks.load, marks.store, marks.failed):
            self.stub.set_breakpoint(place)
        for optional in (marks.cr0, marks.clts):
            if optional is not None:
                self.stub.set_breakpoint(optional)
        while len(self.events) < self.limit and self.stub.resume():
            self._look()
            if self.events and self.enough(self.events):
                break
            if not self.stub.step():
                break
        self._tasks.name_all()
        return self.events

    def _look(self) -> None:
        registers = self.stub.registers()
        place = registers["rip"]
        user = in_user_space(registers) and place < 1 << 47
        # An instruction that faults first (its page is not there yet) comes here twice.
        again = (place, registers["rsp"], self._current)
        if user and again == self._last:
            return
        self._last = again if user else (0, 0, 0)
        marks = self.marks
        if place == marks.switch:
            self._switch(registers)
        elif place in (marks.cr0, marks.clts):
            self._write(registers, place)
        elif place == marks.nm:
            self._nm(registers)
        elif place in marks.allocators:
            self._allocate(registers, place)
        elif user:
            self._program(registers, place)

    def _program(self, registers: dict[str, int], place: int) -> None:
        marks = self.marks
        if place == marks.load:
            wants = self.stub.long(registers["rdi"])
            self._add("load", registers, wants=wants or 0)
            self._loading.add(self._current)
            self._stop_at_return(registers, self._returns)
        elif place == marks.store:
            self._stop_at_return(registers, self._checks)
        elif place in self._returns:
            self._add("loaded", registers)
            self._loading.discard(self._current)
            self._leave_nm()
        elif place in self._checks:
            self._add("check", registers)
        elif place == marks.failed:
            self._add("failed", registers)

    def _stop_at_return(self, registers: dict[str, int], known: set[int]) -> None:
        place = self.stub.long(registers["rsp"])
        if place is not None and place not in known:
            known.add(place)
            self.stub.set_breakpoint(place)

    def _switch(self, registers: dict[str, int]) -> None:
        before, after = registers["rdi"], registers["rsi"]
        self._current = before
        event = self._add("switch", registers, next=after)
        event.owner_task = self._read_owner()
        self._current = after

    def _nm(self, registers: dict[str, int]) -> None:
        event = self._add("nm", registers)
        event.owner_task = self._read_owner()
        if self._current in self._loading:
            # Allocations are frequent: they are stopped at only where one is awaited.
            self._in_nm.add(self._current)
            for place in self.marks.allocators:
                self.stub.set_breakpoint(place)

    def _allocate(self, registers: dict[str, int], place: int) -> None:
        if self._current in self._in_nm:
            self._add("allocate", registers, detail=self.marks.allocators[place])
            self._leave_nm()

    def _leave_nm(self) -> None:
        self._in_nm.discard(self._current)
        if not self._in_nm:
            for place in self.marks.allocators:
                self.stub.clear_breakpoint(place)

    def _write(self, registers: dict[str, int], place: int) -> None:
        wanted = place == self.marks.cr0 and bool(registers["rdi"] & TS)
        self._add("set" if wanted else "clear", registers)
        self._believed = int(wanted)

    def _add(
        self, kind: str, registers: dict[str, int], *, detail: str = "", wants: int = 0,
        next: int = 0,  # noqa: A002 - the event's own word
    ) -> Event:  # fmt: skip
        now = virtual_ns(self.stub)
        self._began = now if self._began is None else self._began
        ts = int(bool(registers["cr0"] & TS))
        event = Event(
            kind=kind,
            ns=now - self._began,
            task=self._current,
            ts=ts,
            # Outside a PV guest only the kernel writes the bit.
            believed=self._believed if self.marks.cr0 is not None else ts,
            mm=[registers[f"st{number}"] & (1 << 64) - 1 for number in range(8)],
            detail=detail,
            wants=wants,
            next=next,
            at=self.stub.instructions(),
        )
        self.events.append(event)
        self._tasks.note(event)
        return event

    def _read_owner(self) -> int | None:
        """Per processor data of processor 0: its offset, added to the symbol's value."""
        if self.marks.owner is None:
            return None
        offset = self.stub.long(self.marks.per_cpu) if self.marks.per_cpu is not None else 0
        if offset is None:
            return None
        return self.stub.long(self.marks.owner + offset & (1 << 64) - 1)
