"""One execution of a cell, from kernel and ramdisk to the verdict: the lab's story.

lab.yaml -> plan (cells) -> kernel + ramdisk -> host -> guest -> console records
-> trial verdict -> cell verdict -> results/ -> JUnit, page
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.console.watch import Glance
from lab.errors import LabError
from lab.evidence.run import RunFolder, TrialFolder
from lab.qemu import icount as determinism
from lab.qemu import machine
from lab.report.board import Board
from lab.supplies import program as stress
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from lab.verdict.trial import Ending, TrialFacts, TrialVerdict, judge

# From power-on to the program's first record; a Debian kernel as HVM is the slowest under TCG.
_BOOT_SECONDS = {"native": 180, "dom0": 240, "pv": 240, "pvh": 300, "hvm": 600}
# A run may take four times its seconds to reach its windows, and guest seconds may pass slower
# than ours under emulation on a busy machine.
_STRETCH = 10
# panic=1: a dead kernel reboots, which ends the machine. edd, timer check: minutes under TCG.
_ARGS = "panic=1"
_HVM_ARGS = "edd=off no_timer_check"
# Seen once on a machine with four times the load that it can carry: the check of the timer found
# its emulated interrupts late and panicked, "IO-APIC + timer doesn't work".
_NATIVE_ARGS = "no_timer_check"
# Seen in one of the first eight hvm boots on QEMU 7.2's emulated SVM, with a fixed kernel: from one
# moment on XRSTOR faulted in the guest ("Bad FPU state detected") and all registers read as zero.
# The cause is not known (XCR0 is suspected). Without XSAVE there is no XRSTOR; pv guests get the
# same, so that the three kinds differ in nothing else. MMX registers need no more than FXSAVE.
_EMULATED_ARGS = "noxsave"
CAPSULE = "replay.capsule"  # in a trial's folder


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


class Place(Protocol):
    """Where a trial boots: a QEMU of its own, or a guest on a Xen host."""

    def describe(self, task: Assignment, console: Path) -> dict[str, Any]:
        """The exact command line or configuration, before anything starts."""

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        """Boot, watch, and end it; LabError when it is our fault or the host's."""


def run_trial(
    cell: Cell,
    number: int,
    config: LabConfig,
    supplies: Supplies,
    run: RunFolder,
    place: Place,
    board: Board,
    stop: threading.Event,
    asked: Asked,
) -> TrialVerdict:
    """Boot the cell once, keep its console, judge it."""
    facts = trial_facts(cell, number, config)
    task = assignment(cell, config, supplies, facts, asked)
    folder = run.trial(cell.id, number)
    folder.open(facts, place.describe(task, folder.console))
    folder.ended(_boot(place, task, folder, board, stop))
    verdict = judge(facts, folder.read_console(), folder.ending())
    if verdict.verdict is Verdict.CORRUPTS and isinstance(place, OwnMachine):
        place.keep(task, facts, folder, verdict)
    folder.judged(verdict)
    board.boot_ended(cell.id, number)
    return verdict


def trial_facts(cell: Cell, number: int, config: LabConfig) -> TrialFacts:
    """What the verdict will depend on besides the console. The nonce ties the two together."""
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
    )


def _nonce(cell: Cell, number: int, config: LabConfig) -> str:
    """New for every trial, but for a deterministic one: it is part of what the guest sees."""
    if config.icount is None:
        return secrets.token_hex(4)
    return determinism.nonce(cell.id, config.stress.seed + number - 1)


def assignment(
    cell: Cell, config: LabConfig, supplies: Supplies, facts: TrialFacts, asked: Asked
) -> Assignment:
    """Kernel, ramdisk and the whole command line of one trial."""
    bootable = supplies.kernels[cell.kernel]
    words = [_ARGS, _HVM_ARGS if cell.guest == "hvm" else "", needed(cell, bootable.needed_args)]
    emulated = config.host.kind == "nested" and supplies.accel.name == "tcg"
    if cell.guest == "native" and emulated:
        words.append(_NATIVE_ARGS)
    if cell.nested and emulated:
        words.append(_EMULATED_ARGS)
    if config.icount is not None:
        words.append(determinism.LINUX_ARGS)
    settings = stress.settings(config.stress, cell, facts.nonce, facts.trial, asked)
    words += [cell.args, stress.boot_words(settings)]
    seconds = _BOOT_SECONDS[cell.guest] + _STRETCH * config.stress.seconds
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


def needed(cell: Cell, args: str) -> str:
    """Arguments that the kernel's version calls for, unless the user spoke about them."""
    return args if args and "eagerfpu" not in cell.args else ""


def _boot(
    place: Place, task: Assignment, folder: TrialFolder, board: Board, stop: threading.Event
) -> Ending:
    if stop.is_set():
        return Ending("interrupted", "interrupted before it began")
    try:
        return place.boot(task, folder.console, board, stop)
    except LabError as error:
        return Ending("lab_error", str(error))


def show(board: Board, task: Assignment, look: Glance) -> None:
    """Bring a look at a console to the board."""
    if look.started:
        board.boot(task.cell.id, task.trial, "stressing")
    if look.windows or look.corruptions:
        board.counts(task.cell.id, look.windows, look.corruptions, task.trial)


class OwnMachine:
    """The place of native and dom0 cells: a QEMU for each trial."""

    def __init__(self, supplies: Supplies, xen_args: str = "", icount: int | None = None) -> None:
        self._supplies = supplies
        self._xen_args = xen_args
        self._icount = icount

    def _machine(self, task: Assignment) -> machine.Boot:
        dom0 = task.cell.guest == "dom0"
        hypervisor = self._supplies.hypervisor(task.cell.xen) if dom0 else None
        return machine.Boot(
            qemu=str(self._supplies.qemu.path),
            accelerator=self._supplies.accel.name,
            kernel=task.kernel,
            ramdisk=task.ramdisk,
            args=task.args,
            vcpus=task.cell.vcpus,
            memory_mib=task.memory_mib,
            xen=hypervisor.image if hypervisor else None,
            xen_args=hypervisor.args if hypervisor and task.cell.xen else self._xen_args,
            icount=self._icount,
        )

    def describe(self, task: Assignment, console: Path) -> dict[str, Any]:
        boot = self._machine(task)
        if self._icount is None:
            return {"place": "own machine", "qemu": machine.command(boot, console)}
        return {
            "place": "own machine, deterministic",
            "qemu": machine.command(machine.portable(boot), console),
            "files": {name: str(path) for name, path in machine.members(boot).items()},
        }

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        board.boot(task.cell.id, task.trial, "booting")

        def seen(look: Glance) -> None:
            show(board, task, look)

        boot = self._machine(task)
        if self._icount is None:
            command = machine.command(boot, console)
            return machine.run(command, console, task.deadline, seen, stop)
        return machine.run_exactly(boot, console, task.deadline, seen, stop)

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Make a capsule of a deterministic boot, in the trial's folder; of others, nothing."""
        if self._icount is None:
            return
        from lab.qemu.identity import identity
        from lab.replay import capsule  # here: other runs need not load what it needs

        kernel = self._supplies.kernels[task.cell.kernel].kernel
        provenance = {"kernel": kernel.provenance}
        hypervisor = self._supplies.hypervisor(task.cell.xen)
        if hypervisor and task.cell.guest == "dom0":
            provenance["xen"] = hypervisor.provenance()
        content = capsule.Content(
            facts=facts,
            boot=self._machine(task),
            qemu=identity(self._supplies.qemu),
            console=folder.console,
            shows=verdict.reason,
            provenance=provenance,
            vmlinux=kernel.vmlinux,
        )
        capsule.write(folder.path / CAPSULE, content)
