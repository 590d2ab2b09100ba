# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic boots: equal input, byte-identical console, corruption included.

Under QEMU's icount every instruction takes a fixed time (2^shift ns) of the machine's own
clock, which jumps ahead when the guest idles; nothing of the host's time reaches the guest.
What else could differ from boot to boot is fixed here, and each setting says why. Emulation
only (KVM has no icount), one processor only, and only what one QEMU boots on its own
(``lab.config.deterministic`` says so of a cell).
"""

from __future__ import annotations

from pathlib import Path

from lab.qemu.options import escape

# x2apic: with it QEMU 10.0.2 dies of "Bad icount read"; the deadline timer goes with it.
CPU = "-x2apic,-tsc-deadline"
XEN_ARGS = "x2apic=0"  # Xen must not ask for what the processor no longer has
# User-space addresses are the same in every boot; nokaslr the same for the kernel's own.
LINUX_ARGS = "norandmaps nokaslr"


def options(shift: int) -> list[str]:
    """QEMU's options: pure. ``-seed`` makes RDRAND and the boot loader's seed repeatable."""
    return [
        "-icount", f"shift={shift},sleep=off,align=off",
        "-rtc", "base=2020-01-01,clock=vm",
        "-seed", "1",
    ]  # fmt: skip


def log_execution(argv: list[str], mode: str, file: Path) -> list[str]:
    """The same command line with QEMU's execution log: ``mode`` is record or replay.

    A debugger must not stop a machine that only counts instructions: while it is stopped, QEMU
    lets its clock jump to the next timer, and it is another boot from there on. The log makes
    a replay immune to that. Recording does not change the boot.
    """
    place = argv.index("-icount") + 1
    log = escape(str(file))
    return [*argv[:place], f"{argv[place]},rr={mode},rrfile={log}", *argv[place + 1 :]]
