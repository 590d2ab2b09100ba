# SPDX-License-Identifier: GPL-2.0-or-later
"""The names of a trace's tasks, out of the memory of a kernel whose structures are not known."""

from __future__ import annotations

from typing import Any

from lab.trace.event import Event
from lab.trace.tasks import Tasks, find_pid

_COMM = 64  # where it lies in the task_structs of this test


def task(pid: int, flags: int) -> bytes:
    words = [7, 7, flags, pid, pid, flags, 0, 0]
    return b"".join(word.to_bytes(4, "little") for word in words)


def test_the_pid_is_found_by_what_lies_there() -> None:
    assert find_pid([task(pid, pid + 1) for pid in (0, 5, 9, 31)]) == 12
    assert find_pid([task(5, 6), task(9, 10)]) is None, "two tasks are too few to be sure"
    assert find_pid([task(5, 6)] * 5) is None


class FakeStub:
    """The guest's memory: task_structs by their addresses."""

    def __init__(self, tasks: dict[int, tuple[int, str]]) -> None:
        self.tasks = tasks

    def memory(self, address: int, size: int) -> bytes | None:
        if address not in self.tasks:
            return None
        pid, comm = self.tasks[address]
        raw = task(pid, 3 * pid).ljust(_COMM, b"\0") + comm.encode().ljust(16, b"\0")
        return raw.ljust(size, b"\xff")[:size]


def event(kind: str, running: int, following: int = 0) -> Event:
    return Event(kind, 0, running, 0, 0, [0] * 8, next=following)


def test_each_event_has_the_names_that_its_tasks_had_then() -> None:
    stub: Any = FakeStub({1: (0, "swapper/0"), 2: (31, "init"), 3: (32, "init"), 4: (33, "init")})
    tasks = Tasks(stub, 1)
    made = [event("load", 9), event("switch", 1, 2), event("switch", 2, 3), event("load", 3)]
    for one in made:
        tasks.note(one)
    stub.tasks[2] = (31, "victim")  # it has called exec
    last = event("switch", 3, 2)
    tasks.note(last)
    tasks.name_all()
    assert (made[0].pid, made[0].comm) == (None, "")
    assert [(one.pid, one.comm) for one in made[1:]] == [
        (0, "swapper/0"),
        (31, "init"),
        (32, "init"),
    ]
    assert (made[1].next_pid, made[1].next_comm) == (31, "init")
    assert (last.next_pid, last.next_comm) == (31, "victim")
