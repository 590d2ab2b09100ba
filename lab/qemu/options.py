# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that several of QEMU's command lines share, and words of Xen's that they carry: pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# A PV dom0 dies under QEMU 7.2's SMAP (a #PF in Xen's bounce frame). All kinds get one model.
FEATURES_OFF = ("smap", "smep")
_TCG_CPU = ",".join(["max", *(f"-{feature}" for feature in FEATURES_OFF)])
XEN_CONSOLE = "console=com1 com1=115200,8n1"


def escape(text: str) -> str:
    """QEMU reads a comma in an option as a separator, and two as one comma."""
    return text.replace(",", ",,")


def modules(*found: str) -> str:
    """The value of ``-initrd`` for a multiboot kernel: modules, each a path and its arguments."""
    return ",".join(map(escape, found))


def cpu(accelerator: str, without: Sequence[str] = ()) -> str:
    """The value of ``-cpu``; ``accelerator`` is kvm or tcg.

    Under KVM it is the processor itself, SMAP and SMEP included, but for the features in
    ``without``: those that this KVM offers and then refuses (lab/qemu/kvm.py).
    """
    if accelerator != "kvm":
        return _TCG_CPU
    return ",".join(["host", *(f"-{feature}" for feature in without)])


def bare_machine(
    qemu: str, accelerator: str, processor: str, vcpus: int, memory_mib: int, console: Path
) -> list[str]:
    """The beginning of a command line: no network, no disk, one serial port into a file."""
    return [
        qemu, "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-nic", "none",
        "-accel", accelerator,
        "-cpu", processor,
        "-smp", str(vcpus),
        "-m", str(memory_mib),
        "-chardev", f"file,id=console,path={escape(str(console))}",
        "-serial", "chardev:console",
    ]  # fmt: skip


def dom0_size(memory_mib: int, vcpus: int) -> str:
    """Xen's words for how much of the machine dom0 gets."""
    return f"dom0_mem={memory_mib}M,max:{memory_mib}M dom0_max_vcpus={vcpus}"
