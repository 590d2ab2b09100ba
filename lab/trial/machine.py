# SPDX-License-Identifier: GPL-2.0-or-later
"""Where native and dom0 cells boot: a QEMU for each trial."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from lab.console.watch import Ending, Glance
from lab.evidence.trial import TrialFolder
from lab.qemu import machine
from lab.qemu.boot import Boot, command, members, portable
from lab.report.board import Board
from lab.supplies.gather import Supplies
from lab.trial.assignment import Assignment
from lab.trial.place import show
from lab.verdict.facts import TrialFacts, TrialVerdict


class OwnMachine:
    """``icount`` given: deterministic boots."""

    def __init__(self, supplies: Supplies, xen_args: str = "", icount: int | None = None) -> None:
        self.supplies = supplies
        self._xen_args = xen_args
        self.icount = icount

    def make_boot(self, task: Assignment) -> Boot:
        dom0 = task.cell.guest == "dom0"
        hypervisor = self.supplies.hypervisor(task.cell.xen) if dom0 else None
        return Boot(
            qemu=str(self.supplies.qemu.path),
            accelerator=self.supplies.accel.name,
            kernel=task.kernel,
            ramdisk=task.ramdisk,
            args=task.args,
            vcpus=task.cell.vcpus,
            memory_mib=task.memory_mib,
            xen=hypervisor.image if hypervisor else None,
            xen_args=hypervisor.args if hypervisor and task.cell.xen else self._xen_args,
            icount=self.icount,
            without=self.supplies.accel.without,
        )

    def describe(self, task: Assignment, console: Path) -> dict[str, Any]:
        boot = self.make_boot(task)
        if self.icount is None:
            return {"place": "own machine", "qemu": command(boot, console)}
        return {
            "place": "own machine, deterministic",
            "qemu": command(portable(boot), console),
            "files": {name: str(path) for name, path in members(boot).items()},
        }

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        board.boot(task.cell.id, task.trial, "booting")

        def show_look(look: Glance) -> None:
            show(board, task, look)

        boot = self.make_boot(task)
        if self.icount is None:
            argv = command(boot, console)
            return machine.run(argv, console, task.deadline, show_look, stop)
        return machine.run_exactly(boot, console, task.deadline, show_look, stop)

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Does nothing: a boot at the machine's own speed cannot be repeated."""
