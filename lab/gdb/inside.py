# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for the gdb of `lab replay --gdb`; gdb itself imports this, its Python is not the lab's.

Only the standard library and what of the lab needs no more than that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gdb  # type: ignore[import-not-found,import-untyped,unused-ignore]

from lab.trace.event import owner

_TS = 3  # the bit of CR0
_LONG = 8


@dataclass
class Facts:
    """What the lab knows and gdb does not; addresses as numbers."""

    tasks: dict[int, str] = field(default_factory=dict)
    current: int | None = None  # the pointer to the running task, in per-processor data
    per_cpu: int | None = None  # where the first processor's offset of that data is


FACTS = Facts()


def begin(file: str) -> None:
    """Read the lab's facts and define the commands."""
    body: dict[str, Any] = json.loads(Path(file).read_text())
    FACTS.tasks = {int(task): name for task, name in body["tasks"].items()}
    FACTS.current, FACTS.per_cpu = body["current"], body["per_cpu"]
    Mm()
    Who()


def _register(name: str) -> int:
    """Its bytes, whatever type gdb gives it."""
    text = gdb.parse_and_eval(f"${name}").format_string(format="x")
    return int(text.split()[0], 16)


def _running() -> str:
    if FACTS.current is None:
        return "unknown"
    try:
        offset = 0 if FACTS.per_cpu is None else _long(FACTS.per_cpu)
        return _name(_long((FACTS.current + offset) % (1 << 64)))
    except gdb.MemoryError:  # a PV guest's user space does not map its kernel
        return "in user space"


def _long(address: int) -> int:
    raw = gdb.selected_inferior().read_memory(address, _LONG)
    return int.from_bytes(bytes(raw), "little")


def _name(task: int) -> str:
    return FACTS.tasks.get(task, f"task_struct {task:#x}")


class Mm(gdb.Command):  # type: ignore[misc,unused-ignore]
    """mm0 to mm7 and who loaded these values, CR0.TS and the running task."""

    def __init__(self) -> None:
        super().__init__("mm", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:  # noqa: ARG002 - gdb's call
        ts = _register("cr0") >> _TS & 1
        gdb.write(f"CR0.TS={ts}  running: {_running()}\n")
        for number in range(8):
            value = _register(f"st{number}") & (1 << 64) - 1
            who = owner(value)
            gdb.write(f"mm{number} {value:016x}  {'' if who is None else who}".rstrip() + "\n")


class Who(gdb.Function):  # type: ignore[misc,unused-ignore]
    """$who(ADDRESS): the task whose task_struct is at ADDRESS."""

    def __init__(self) -> None:
        super().__init__("who")

    def invoke(self, task: Any) -> str:
        return _name(int(task) & (1 << 64) - 1)
