# SPDX-License-Identifier: GPL-2.0-or-later
"""What a trace stops at, by name: data, with the versions in which a name is used.

Of each tuple the first name that a kernel has is taken, so that a new version is a new name.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import UserError
from lab.kernel.symbols import Symbols

# The #NM handler's C function.
NM = (
    "exc_device_not_available",  # 5.8 on
    "do_device_not_available",  # up to 5.7
)
# What may sleep in it. All that are there; only the first one reached in an #NM is noted.
ALLOCATORS = (
    "kmem_cache_alloc",  # 2.6.26 to 4.1: from the cache task_xstate
    "kmalloc_trace", "kmem_cache_alloc_trace", "__kmalloc",  # the control kernel's kmalloc()
)  # fmt: skip
SWITCH = ("__switch_to",)
# A PV guest's own writes of CR0.TS go through these; nothing else in it writes that bit.
PV_CR0 = ("xen_write_cr0",)
PV_CLTS = ("xen_clts",)  # up to 4.x
# Per processor: the task pointer, or a pointer into the task, whose registers are loaded.
OWNER = (
    "fpu_fpregs_owner_ctx",  # 4.2 on
    "fpu_owner_task",  # 3.3 to 4.1
)
CURRENT = (
    "current_task",  # up to 6.1
    "pcpu_hot",  # 6.2 on: its first member
)
PER_CPU = ("__per_cpu_offset",)  # absent without SMP
INIT_TASK = ("init_task",)

# The stress program's (repro/registers.c, check.c).
START = ("_start",)
LOAD = ("registers_load",)
STORE = ("registers_store",)
FAILED = ("sys_getpid",)  # called for a finding


@dataclass(frozen=True)
class Landmarks:
    """Addresses of one kernel and one stress program. None: this one does not have it."""

    nm: int
    switch: int
    allocators: dict[int, str]
    cr0: int | None
    clts: int | None
    owner: int | None
    per_cpu: int | None
    init_task: int
    start: int
    load: int
    store: int
    failed: int
    names: dict[str, str]  # what was chosen, for the page


def find_failing(program: Symbols) -> tuple[int, int]:
    """The stress program's start and the place that it calls for a failed check."""
    start, failed = program.first(START), program.first(FAILED)
    if start is None or failed is None:
        raise UserError(f"{program.origin} has no symbols: its failed check cannot be found")
    return start[1], failed[1]


def find_landmarks(kernel: Symbols, program: Symbols, pv: bool) -> Landmarks:
    """UserError, naming what is missing, when a trace of these is impossible."""
    names: dict[str, str] = {}

    def require(symbols: Symbols, what: str, wanted: tuple[str, ...]) -> int:
        found = symbols.first(wanted)
        if found is None:
            raise UserError(
                f"{symbols.origin} has no symbol for {what} (looked for {', '.join(wanted)}): "
                "such a boot cannot be traced"
            )
        names[what] = found[0]
        return found[1]

    def perhaps(wanted: tuple[str, ...]) -> int | None:
        found = kernel.first(wanted)
        return found[1] if found else None

    allocators = {at: name for name, at in kernel.all(ALLOCATORS).items()}
    if not allocators:
        require(kernel, "the allocation", ALLOCATORS)
    return Landmarks(
        nm=require(kernel, "#NM", NM),
        switch=require(kernel, "the context switch", SWITCH),
        allocators=allocators,
        cr0=perhaps(PV_CR0) if pv else None,
        clts=perhaps(PV_CLTS) if pv else None,
        owner=perhaps(OWNER),
        per_cpu=perhaps(PER_CPU),
        init_task=require(kernel, "the first task", INIT_TASK),
        start=require(program, "its start", START),
        load=require(program, "the load of the registers", LOAD),
        store=require(program, "the check of the registers", STORE),
        failed=require(program, "a failed check", FAILED),
        names=names,
    )
