# SPDX-License-Identifier: GPL-2.0-or-later
"""What a QEMU of ours boots, and the command line that says so: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lab.qemu import icount, options

_XEN_MIB = 256  # Xen's own part, on top of dom0's


@dataclass(frozen=True)
class Boot:
    """What a machine boots. ``args`` are the kernel's; memory in MiB is the guest's own."""

    qemu: str
    accelerator: str  # kvm or tcg
    kernel: Path
    ramdisk: Path
    args: str
    vcpus: int
    memory_mib: int
    xen: Path | None = None  # given: the kernel is dom0 on this hypervisor
    xen_args: str = ""
    icount: int | None = None  # given: deterministic, 2^icount ns of guest time an instruction
    without: tuple[str, ...] = ()  # CPU features that are left out under KVM


def command(boot: Boot, console: Path) -> list[str]:
    """QEMU's command line. No network, no disk, one serial port into ``console``."""
    memory = boot.memory_mib if boot.xen is None else boot.memory_mib + _XEN_MIB
    base = options.bare_machine(
        boot.qemu, boot.accelerator, _cpu(boot), boot.vcpus, memory, console
    )
    if boot.icount is not None:
        base += icount.options(boot.icount)
    if boot.xen is None:
        args = f"console=ttyS0 {boot.args}".strip()
        return [*base, "-kernel", str(boot.kernel), "-initrd", str(boot.ramdisk), "-append", args]
    dom0 = f"{boot.kernel} console=hvc0 {boot.args}".strip()
    return [
        *base,
        "-kernel", str(boot.xen),
        "-append", xen_args(boot),
        "-initrd", options.modules(dom0, str(boot.ramdisk)),
    ]  # fmt: skip


def portable(boot: Boot) -> Boot:
    """The boot with its members' names for paths."""
    xen = Path("xen") if boot.xen is not None else None
    return replace(boot, kernel=Path("kernel"), ramdisk=Path("ramdisk"), xen=xen)


def members(boot: Boot) -> dict[str, Path]:
    """What a machine boots, by the names that ``portable`` gives them."""
    found = {"kernel": boot.kernel, "ramdisk": boot.ramdisk}
    return found if boot.xen is None else {**found, "xen": boot.xen}


def xen_args(boot: Boot) -> str:
    """Xen's command line. Its own messages share the serial port with dom0's console."""
    size = options.dom0_size(boot.memory_mib, boot.vcpus)
    ours = icount.XEN_ARGS if boot.icount is not None else ""
    words = (options.XEN_CONSOLE, size, "noreboot=0", ours, boot.xen_args)
    return " ".join(word for word in words if word)


def _cpu(boot: Boot) -> str:
    plain = options.cpu(boot.accelerator, boot.without)
    return plain if boot.icount is None or boot.accelerator != "tcg" else f"{plain},{icount.CPU}"
