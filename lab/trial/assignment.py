# SPDX-License-Identifier: GPL-2.0-or-later
"""What is booted for one trial: kernel, ramdisk, and every word of the boot line. Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from lab.config import deterministic
from lab.config.cells import Cell
from lab.config.kinds import GuestKind
from lab.config.lab import LabConfig
from lab.config.stress import StressConfig
from lab.qemu import icount
from lab.system.deadline import Deadline
from lab.trial.job import Job
from lab.verdict.facts import TrialFacts
from lab.verdict.stopping import Asked

# From power-on to the program's first record; a Debian kernel as HVM is the slowest under TCG.
_BOOT_SECONDS = {"native": 180, "dom0": 240, "pv": 240, "pvh": 300, "hvm": 600}
# Under KVM. The slowest seen, a KVM in an emulated machine on a busy one, took 109 for dom0.
_KVM_BOOT_SECONDS = {"native": 90, "dom0": 120, "pv": 120, "pvh": 120, "hvm": 180}
# A run may take four times its seconds to reach its windows, and guest time may be slower than
# wall time under emulation on a busy machine.
_STRETCH = 10
_KVM_STRETCH = 6
# panic=1: a dead kernel reboots, which ends the machine. edd, timer check: minutes under TCG.
_ARGS = "panic=1"
_HVM_ARGS = "edd=off no_timer_check"
# Seen once on a machine with four times the load that it can carry: the check of the timer found
# its emulated interrupts late and panicked, "IO-APIC + timer doesn't work".
_NATIVE_ARGS = "no_timer_check"
# Seen in one of the first eight hvm boots on QEMU 7.2's emulated SVM, with a fixed kernel: at some
# moment XRSTOR began to fault in the guest ("Bad FPU state detected") and all registers read as
# zero. The cause is not known (XCR0 is suspected). Without XSAVE there is no XRSTOR; pv guests get
# the same, so that the three kinds differ in nothing else. MMX needs no more than FXSAVE.
_EMULATED_ARGS = "noxsave"


@dataclass(frozen=True)
class Assignment:
    """What is to be booted for one trial."""

    cell: Cell
    kernel: Path
    ramdisk: Path
    args: str
    memory_mib: int
    nonce: str
    deadline: Deadline
    trial: int
    console: str = "hvc0"  # of a guest on a Xen host


def gather_facts(cell: Cell, number: int, config: LabConfig, reading: str = "") -> TrialFacts:
    """What the verdict depends on besides the console. The nonce ties the two together.

    ``reading``: what the kernel's source says, for a note.
    """
    on_board = bool(config.boards_of(cell.host))
    return TrialFacts(
        cell=cell.id,
        trial=number,
        nonce=_nonce(cell, number, config),
        guest=cell.guest,
        kernel=cell.kernel,
        min_windows=config.stress.min_windows,
        min_checks=config.stress.min_checks,
        control=config.kernels[cell.kernel].control,
        carries=config.kernels[cell.kernel].carries,
        reading=reading,
        board=cell.board if on_board else "",
        machine="" if on_board else cell.board,
    )


def _nonce(cell: Cell, number: int, config: LabConfig) -> str:
    """New for every trial, but for a deterministic one: it is part of what the guest sees."""
    if config.icount is None:
        return secrets.token_hex(4)
    return deterministic.nonce(cell.id, config.stress.seed + number - 1)


def make_assignment(job: Job, cell: Cell, facts: TrialFacts, asked: Asked) -> Assignment:
    """Kernel, ramdisk and the whole command line of one trial."""
    config, supplies = job.config, job.supplies
    bootable = supplies.kernels[cell.kernel]
    words = [
        _ARGS,
        _HVM_ARGS if cell.guest == "hvm" else "",
        pick_needed_args(cell, bootable.needed_args),
    ]
    if cell.guest == "native" and job.emulates(cell):
        words.append(_NATIVE_ARGS)
    if cell.nested and job.emulates(cell):
        words.append(_EMULATED_ARGS)
    if config.icount is not None:
        words.append(icount.LINUX_ARGS)
    settings = program_settings(config.stress, cell, facts.nonce, facts.trial, asked)
    words += [cell.args, boot_words(settings)]
    if facts.board and not cell.nested:
        words.append(f"maxcpus={cell.vcpus}")  # elsewhere the machine has no more
        seconds = config.boot_seconds(cell.host) + _STRETCH * config.stress.seconds
    else:
        seconds = find_deadline(cell.guest, config.stress.seconds, job.accelerated(cell))
    return Assignment(
        cell=cell,
        kernel=bootable.kernel.image,
        ramdisk=supplies.ramdisk,
        args=" ".join(word for word in words if word),
        memory_mib=config.guests.memory_mib,
        nonce=facts.nonce,
        deadline=Deadline(seconds),
        trial=facts.trial,
        console=bootable.console_as(cell.guest),
    )


def find_deadline(guest: GuestKind, stress_seconds: int, kvm: bool) -> int:
    """Seconds from power-on until a trial is given up; ``kvm``: its machine runs under KVM."""
    if kvm:
        return _KVM_BOOT_SECONDS[guest] + _KVM_STRETCH * stress_seconds
    return _BOOT_SECONDS[guest] + _STRETCH * stress_seconds


def pick_needed_args(cell: Cell, args: str) -> str:
    """Arguments that the kernel's version needs, unless the user has set them."""
    return args if args and "eagerfpu" not in cell.args else ""


def program_settings(
    stress: StressConfig, cell: Cell, nonce: str, trial: int, asked: Asked
) -> dict[str, str]:
    """The program's settings for one trial, by its own names; each trial has its own seed."""
    return {
        "run": nonce,
        "seed": str(stress.seed + trial - 1),
        "seconds": str(stress.seconds),
        "windows": str(asked.windows),
        "tried": str(asked.tried),
        "at_least": str(stress.min_windows),
        "checks": str(stress.min_checks),
        "stop": str(asked.stop),
        **{key: str(value) for key, value in cell.settings.items()},
    }


def boot_words(values: dict[str, str]) -> str:
    """Settings as words of a kernel command line; the kernel ignores dotted names."""
    return " ".join(f"mmx.{key}={value}" for key, value in values.items())
