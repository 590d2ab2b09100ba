"""Deterministic boots: equal input, byte-identical console, corruption included.

Under QEMU's icount every instruction takes a fixed time (2^shift ns) of the machine's own
clock, which jumps ahead when the guest idles; nothing of the host's time reaches the guest.
What else could differ from boot to boot is fixed here, and each setting says why. Emulation
only (KVM has no icount), one processor only, and only what one QEMU boots by itself.
"""

from __future__ import annotations

from pathlib import Path

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.system.files import sha256_of

SHIFT = 1  # 2 ns for an instruction: a guest of 500 MIPS; seen to corrupt within 2 virtual seconds
MAX_SHIFT = 10  # QEMU's own limit
# x2apic: with it QEMU 10.0.2 dies of "Bad icount read"; the deadline timer goes with it.
CPU = "-x2apic,-tsc-deadline"
XEN_ARGS = "x2apic=0"  # Xen must not ask for what the processor no longer has
# User-space addresses are the same in every boot; nokaslr the same for the kernel's own.
LINUX_ARGS = "norandmaps nokaslr"


# Where every instruction takes the same time, victims that aim fall into step with the openers
# and miss every window (seen: none hit in 10,655). One register file is enough to follow.
_SETTINGS: dict[str, int | str] = {"aim": 0, "openers": 3, "files": "mmx"}


def configured(config: LabConfig, shift: int = SHIFT) -> LabConfig:
    """The configuration for deterministic boots; what the user set in it stays."""
    host = config.host.model_copy(update={"accelerator": "tcg"})
    stress = config.stress.model_copy(update={"settings": _SETTINGS | config.stress.settings})
    return config.model_copy(update={"host": host, "stress": stress, "icount": shift})


def options(shift: int) -> list[str]:
    """QEMU's options: pure. ``-seed`` makes RDRAND and the boot loader's seed repeatable."""
    return [
        "-icount", f"shift={shift},sleep=off,align=off",
        "-rtc", "base=2020-01-01,clock=vm",
        "-seed", "1",
    ]  # fmt: skip


def recording(argv: list[str], mode: str, file: Path) -> list[str]:
    """The same command line with QEMU's execution log: ``mode`` is record or replay.

    A debugger must not stop a machine that only counts instructions: while it stands, QEMU
    lets its clock jump to the next timer, and it is another boot from there on. The log makes
    a replay immune to that. Recording does not change the boot.
    """
    place = argv.index("-icount") + 1
    log = str(file).replace(",", ",,")
    return [*argv[:place], f"{argv[place]},rr={mode},rrfile={log}", *argv[place + 1 :]]


def nonce(cell: str, seed: int) -> str:
    """The word that ties a console to its trial; fixed, as it is on the guest's command line."""
    return sha256_of("deterministic", cell, str(seed))[:8]


def impossible(cell: Cell) -> str | None:
    """Why a cell cannot be run deterministically; None when it can."""
    if cell.nested:
        return (
            f"{cell.guest} guests need a nested Xen host, whose time is the host's: "
            "only native and dom0 cells can be deterministic"
        )
    if cell.vcpus > 1:
        return f"it has {cell.vcpus} processors: only cells with one can be deterministic"
    return None
