# SPDX-License-Identifier: GPL-2.0-or-later
"""Naming the tasks of a trace: their pids and commands, read out of the kernel's own task_structs.

A name can change during a boot (exec), so each event keeps what its tasks were then. The place
of the pid in a task_struct is found only when enough of them have been seen: at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.trace.event import Event
from lab.trace.stub import GdbStub

_TASK_BYTES = 16384  # at most, of a task_struct, up to its comm
_PAGE = 4096
_COMM_BYTES = 16
_PIDS = 1 << 22


@dataclass
class Tasks:
    """``init_task``: the address of the kernel's first task_struct, whose comm is known."""

    stub: GdbStub
    init_task: int
    _length: int = 0  # of a task_struct up to and with its comm; 0: not known yet
    _latest: dict[int, bytes] = field(default_factory=dict)  # task_structs by their address
    _noted: list[tuple[Event, bytes, bytes]] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Keep what the event's tasks are now; they are read when the processor goes over."""
        if event.kind == "switch":
            self._noted.append((event, self._read(event.task), self._read(event.next)))
        else:
            self._noted.append((event, self._latest.get(event.task, b""), b""))

    def name_all(self) -> None:
        """Give every event noted the pids and commands of its tasks."""
        place = find_pid([raw for _, *pair in self._noted for raw in pair if raw])
        for event, running, following in self._noted:
            event.pid, event.comm = _name(running, place)
            event.next_pid, event.next_comm = _name(following, place)

    def _read(self, address: int) -> bytes:
        """A task_struct up to and with its comm; pages that are not mapped end it."""
        if not self._latest:
            at = self._read_memory(self.init_task).find(b"swapper")
            self._length = at + _COMM_BYTES if at > 0 else 0
        self._latest[address] = found = self._read_memory(address)[: self._length]
        return found

    def _read_memory(self, address: int) -> bytes:
        size = self._length or _TASK_BYTES
        return self.stub.memory(address, size) or self.stub.memory(address, _PAGE) or b""


def _name(raw: bytes, place: int | None) -> tuple[int | None, str]:
    """Pid and command of a task_struct; ``place`` is the offset of the pid."""
    if not raw:
        return None, ""
    comm = raw[-_COMM_BYTES:].split(b"\0")[0].decode("ascii", "replace")
    pid = None if place is None else int.from_bytes(raw[place : place + 4], "little")
    return pid, comm


def find_pid(tasks: list[bytes]) -> int | None:
    """The offset of the pid in a task_struct: pure.

    No debugging information is needed: every task here is the only thread of its process, so
    pid and tgid are adjacent, are equal, and differ from task to task. None when unsure.
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
