"""Recording events from a replayed boot: where to stop, and what to read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.trace.event import Event, owner
from lab.trace.landmarks import Landmarks
from lab.trace.recording import virtual_ns
from lab.trace.stub import GdbStub

_TS = 1 << 3  # CR0.TS
_USER = 3  # privilege level of user space, in the low bits of CS
_TASK_BYTES = 16384  # at most, of a task_struct, up to its comm
_PIDS = 1 << 22
_LONG = 8


def failed_check(stub: GdbStub, start: int, failed: int, after: float) -> int | None:
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


def sleeping_window(stub: GdbStub, marks: Landmarks, skip: int) -> int | None:
    """Run to an opener that sleeps in its #NM's allocation, without Xen; ``skip`` passed over.

    Returns the instruction's number; None when the boot ends without one.
    """
    to_start(stub, marks)
    stub.set_breakpoint(marks.load)
    inside = (*marks.allocators, marks.switch)
    done, allocating = 0, False  # where registers_load returns to; the last stop's place
    while stub.resume():
        registers = stub.registers()
        place = registers["rip"]
        if place == marks.load and _opener(stub, registers):
            done = _long(stub, registers["rsp"]) or 0
            for other in (done, *inside):
                stub.set_breakpoint(other)
        elif place in marks.allocators:
            allocating = True
        elif place in (marks.switch, done):
            # TS still set: the #NM has not come to its end, as after a return to user space.
            if place == marks.switch and allocating and registers["cr0"] & _TS:
                if not skip:
                    return stub.instructions()
                skip -= 1
            allocating = False
            for other in (done, *inside):
                stub.clear_breakpoint(other)
        if not stub.step():
            break
    return None


def _opener(stub: GdbStub, registers: dict[str, int]) -> bool:
    found = owner(_long(stub, registers["rdi"]) or 0)
    return found is not None and found.role == "opener"


def _long(stub: GdbStub, address: int) -> int | None:
    raw = stub.memory(address, _LONG)
    return int.from_bytes(raw, "little") if raw else None


def to_start(stub: GdbStub, marks: Landmarks) -> None:
    """Run to the stress program's start; LabError when it never comes."""
    stub.set_breakpoint(marks.start)
    while stub.resume():
        if stub.registers()["cs"] & _USER == _USER:
            stub.clear_breakpoint(marks.start)
            return
        stub.step()
    raise LabError("the traced boot ended before the stress program's start")


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
    _tasks: dict[int, bytes] = field(default_factory=dict)
    _raw: list[tuple[bytes, bytes]] = field(default_factory=list)

    def run(self) -> list[Event]:
        """Record from where the machine stands."""
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
        self._name_tasks()
        return self.events

    def _look(self) -> None:
        registers = self.stub.registers()
        place = registers["rip"]
        user = registers["cs"] & _USER == _USER and place < 1 << 47
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
            wants = _long(self.stub, registers["rdi"])
            self._add("load", registers, wants=wants or 0)
            self._loading.add(self._current)
            self._stop_at_return(registers, self._returns)
        elif place == marks.store:
            self._stop_at_return(registers, self._checks)
        elif place in self._returns:
            self._add("loaded", registers)
            self._loading.discard(self._current)
            self._left_nm()
        elif place in self._checks:
            self._add("check", registers)
        elif place == marks.failed:
            self._add("failed", registers)

    def _stop_at_return(self, registers: dict[str, int], known: set[int]) -> None:
        place = _long(self.stub, registers["rsp"])
        if place is not None and place not in known:
            known.add(place)
            self.stub.set_breakpoint(place)

    def _switch(self, registers: dict[str, int]) -> None:
        before, after = registers["rdi"], registers["rsi"]
        self._current = before
        event = self._add("switch", registers, next=after)
        event.owner_task = self._owner()
        self._raw[-1] = (self._task(before), self._task(after))
        self._current = after

    def _nm(self, registers: dict[str, int]) -> None:
        event = self._add("nm", registers)
        event.owner_task = self._owner()
        if self._current in self._loading:
            # Allocations are frequent: they are stopped at only where one is awaited.
            self._in_nm.add(self._current)
            for place in self.marks.allocators:
                self.stub.set_breakpoint(place)

    def _allocate(self, registers: dict[str, int], place: int) -> None:
        if self._current in self._in_nm:
            self._add("allocate", registers, detail=self.marks.allocators[place])
            self._left_nm()

    def _left_nm(self) -> None:
        self._in_nm.discard(self._current)
        if not self._in_nm:
            for place in self.marks.allocators:
                self.stub.clear_breakpoint(place)

    def _write(self, registers: dict[str, int], place: int) -> None:
        wanted = place == self.marks.cr0 and bool(registers["rdi"] & _TS)
        self._add("set" if wanted else "clear", registers)
        self._believed = int(wanted)

    def _add(
        self, kind: str, registers: dict[str, int], *, detail: str = "", wants: int = 0,
        next: int = 0,  # noqa: A002 - the event's own word
    ) -> Event:  # fmt: skip
        now = virtual_ns(self.stub)
        self._began = now if self._began is None else self._began
        ts = int(bool(registers["cr0"] & _TS))
        event = Event(
            kind=kind,
            ns=now - self._began,
            task=self._current,
            ts=ts,
            # Outside a PV guest nobody but the kernel writes the bit.
            believed=self._believed if self.marks.cr0 is not None else ts,
            mm=[registers[f"st{number}"] & (1 << 64) - 1 for number in range(8)],
            detail=detail,
            wants=wants,
            next=next,
            at=self.stub.instructions(),
        )
        self.events.append(event)
        self._raw.append((self._tasks.get(self._current, b""), b""))
        return event

    def _owner(self) -> int | None:
        """Per processor data of processor 0: its offset, added to the symbol's value."""
        if self.marks.owner is None:
            return None
        offset = _long(self.stub, self.marks.per_cpu) if self.marks.per_cpu is not None else 0
        if offset is None:
            return None
        return _long(self.stub, self.marks.owner + offset & (1 << 64) - 1)

    def _task(self, address: int) -> bytes:
        """A task_struct up to and with its comm; pages that are not mapped end it."""
        if not self._tasks:
            first = self._read(self.marks.init_task)
            at = first.find(b"swapper")
            self._length = at + 16 if at > 0 else 0
        found = self._read(address)[: self._length]
        self._tasks[address] = found
        return found

    _length: int = 0

    def _read(self, address: int) -> bytes:
        size = self._length or _TASK_BYTES
        return self.stub.memory(address, size) or self.stub.memory(address, 4096) or b""

    def _name_tasks(self) -> None:
        place = pid_place([raw for pair in self._raw for raw in pair if raw])
        for event, (one, other) in zip(self.events, self._raw, strict=True):
            event.pid, event.comm = _named(one, place)
            event.next_pid, event.next_comm = _named(other, place)


def _named(raw: bytes, place: int | None) -> tuple[int | None, str]:
    if not raw:
        return None, ""
    comm = raw[-16:].split(b"\0")[0].decode("ascii", "replace")
    pid = None if place is None else int.from_bytes(raw[place : place + 4], "little")
    return pid, comm


def pid_place(tasks: list[bytes]) -> int | None:
    """Where in a task_struct its pid lies: pure.

    No debugging information is needed: every task here is the only thread of its process, so
    pid and tgid lie side by side, are equal, and differ from task to task. None when unsure.
    """
    distinct = list(dict.fromkeys(tasks))
    if len(distinct) < 3:
        return None
    places = []
    for place in range(0, min(len(raw) for raw in distinct) - 8, 4):
        pairs = {(raw[place : place + 4], raw[place + 4 : place + 8]) for raw in distinct}
        values = {int.from_bytes(one, "little") for one, _ in pairs}
        if all(one == two for one, two in pairs) and len(values) > 2 and max(values) < _PIDS:
            places.append(place)
    return places[0] if len(places) == 1 else None
