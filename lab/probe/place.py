# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the probe boots: in a QEMU of its own (native, dom0), or as a guest of the Xen host."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config.kinds import GuestKind
from lab.console.records import PROBE_MARK
from lab.console.watch import Ending
from lab.host import guest
from lab.host.guest import GuestSpec
from lab.qemu import machine, options
from lab.supplies.gather import Supplies
from lab.supplies.program import probe
from lab.system.deadline import Deadline

if TYPE_CHECKING:
    from lab.host.shell import Shell

MEMORY_MIB = 64  # of the probe; it needs less, xl and Xen a little more
_XEN_MIB = 192  # besides dom0
# Two virtual processors on one: Xen must switch between them. The other kinds have one.
_VCPUS = 2
SECONDS = 60.0  # an emulated boot takes three; a machine that is busy with builds gets more


def make_command(
    supplies: Supplies, kind: GuestKind, xen_args: str, words: str, console: Path
) -> list[str]:
    """QEMU's command line for native and dom0. ``words``: for the probe's command line."""
    memory = MEMORY_MIB if kind == "native" else MEMORY_MIB + _XEN_MIB
    accel = supplies.accel
    base = options.bare_machine(str(supplies.qemu.path), accel.name, accel.cpu, 1, memory, console)
    if kind == "native":
        return [*base, "-kernel", str(probe(32)), "-append", words]
    assert supplies.xen is not None
    size = options.dom0_size(MEMORY_MIB, _VCPUS)
    xen_words = f"{options.XEN_CONSOLE} {size} noreboot=0 {xen_args}".strip()
    dom0 = f"{probe(64)} {words}"
    return [
        *base, "-kernel", str(supplies.xen.image), "-append", xen_words,
        "-initrd", options.modules(dom0),
    ]  # fmt: skip


def boot_machine(argv: list[str], console: Path, stop: threading.Event) -> Ending:
    """Until the probe's last record, the machine's end, or the deadline."""
    return machine.run(argv, console, Deadline(SECONDS), lambda _look: None, stop, mark=PROBE_MARK)


def make_spec(
    kind: GuestKind, name: str, kernel: str, words: str, cpus: int, emulated: bool
) -> GuestSpec:
    """A guest of the host: pure. ``kernel``: a path there; ``cpus``: how many the host has."""
    pv = kind == "pv"
    return GuestSpec(
        name=f"{guest.PREFIX}probe-{name}", kind=kind, kernel=kernel, ramdisk="", args=words,
        vcpus=_VCPUS if pv else 1, memory_mib=MEMORY_MIB, native_tsc=emulated,
        cpus=str(cpus - 1) if pv else "",
    )  # fmt: skip


def boot_guest(shell: Shell, spec: GuestSpec, console: Path, stop: threading.Event) -> Ending:
    """The same on the Xen host."""
    return guest.run_guest(
        shell, spec, console, Deadline(SECONDS), lambda _look: None, stop, mark=PROBE_MARK
    )
