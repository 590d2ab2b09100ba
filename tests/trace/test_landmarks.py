# SPDX-License-Identifier: GPL-2.0-or-later
"""Symbols of the real stress program, and the messages without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.kernel import symbols
from lab.kernel.symbols import Symbols
from lab.qemu.boot import Boot
from lab.qemu.icount import log_execution
from lab.supplies import program as stress
from lab.supplies.ramdisk import file_in, ramdisk
from lab.trace.landmarks import find_landmarks
from lab.trace.native import without_xen

KERNEL = Symbols(
    "vmlinux",
    {"exc_device_not_available": 1, "__switch_to": 2, "__kmalloc": 3, "init_task": 4,
     "xen_write_cr0": 5, "fpu_fpregs_owner_ctx": 6},
)  # fmt: skip


def program() -> Symbols:
    content = file_in(ramdisk(stress.program(64).read_bytes()), "init")
    assert content is not None
    return symbols.read(content, "the stress program")


def test_the_stress_program_has_what_a_trace_needs() -> None:
    marks = find_landmarks(KERNEL, program(), pv=True)
    assert marks.load != marks.store
    assert (marks.nm, marks.cr0, marks.clts) == (1, 5, None)
    assert marks.allocators == {3: "__kmalloc"}
    assert find_landmarks(KERNEL, program(), pv=False).cr0 is None


def test_a_missing_symbol_is_named() -> None:
    old = Symbols("vmlinux", {"do_device_not_available": 1, "kmem_cache_alloc": 3, "init_task": 4})
    with pytest.raises(UserError, match="no symbol for the context switch"):
        find_landmarks(old, program(), pv=True)
    with pytest.raises(UserError, match="no symbol for the allocation"):
        find_landmarks(Symbols("vmlinux", {"init_task": 1}), program(), pv=True)


def test_the_native_boot_of_a_capsule() -> None:
    dom0 = Boot(
        "/q", "tcg", Path("k"), Path("r"), "panic=1 mmx.seed=3 mmx.windows=0 mmx.stop=1", 1, 256,
        Path("x"), "", 1,
    )  # fmt: skip
    made = without_xen(dom0)
    assert made.xen is None
    assert made.icount == 5
    words = made.args.split()
    assert words[:2] == ["panic=1", "mmx.seed=3"]
    assert len(words) == len({word.split("=")[0] for word in words}), "no setting twice"


def test_a_recording_changes_one_word() -> None:
    argv = ["q", "-icount", "shift=1", "-rtc", "x"]
    made = log_execution(argv, "record", Path("/a,b"))
    assert made == ["q", "-icount", "shift=1,rr=record,rrfile=/a,,b", "-rtc", "x"]
