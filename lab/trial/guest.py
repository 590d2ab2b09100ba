# SPDX-License-Identifier: GPL-2.0-or-later
"""Where pv, pvh and hvm cells boot: a guest on the Xen host."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.console.watch import Ending
from lab.evidence.trial import TrialFolder
from lab.host import guest
from lab.host.guest import GuestSpec
from lab.report.board import Board
from lab.trial.assignment import Assignment
from lab.trial.place import show
from lab.trial.xenhost import XenHost
from lab.verdict.facts import TrialFacts, TrialVerdict

if TYPE_CHECKING:
    from lab.host.shell import Shell


class HostPlace:
    """``host`` is started already."""

    def __init__(self, host: XenHost) -> None:
        self._host = host

    def _spec(self, task: Assignment, kernel: str, ramdisk: str) -> GuestSpec:
        return GuestSpec(
            # Names are one for each host, and two labs may share a real one.
            name=f"{guest.PREFIX}{task.cell.id}-{task.nonce}",
            kind=task.cell.guest,
            kernel=kernel,
            ramdisk=ramdisk,
            args=task.args,
            vcpus=task.cell.vcpus,
            memory_mib=task.memory_mib,
            native_tsc=self._host.job.emulates(task.cell),
            console=task.console,
        )

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        spec = self._spec(task, str(task.kernel), str(task.ramdisk))
        return {"place": "Xen host", "xl": guest.xl_config(spec).splitlines()}

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        self._host.check()
        with self._host.own_shell() as shell:
            return self._boot(shell, task, console, board, stop)

    def _boot(
        self, shell: Shell, task: Assignment, console: Path, board: Board, stop: threading.Event
    ) -> Ending:
        board.boot(task.cell.id, task.trial, "copying the kernel")
        kernel, ramdisk = (guest.upload(shell, path) for path in (task.kernel, task.ramdisk))
        board.boot(task.cell.id, task.trial, "booting")
        return guest.run_guest(
            shell,
            self._spec(task, kernel, ramdisk),
            console,
            task.deadline,
            lambda look: show(board, task, look),
            stop,
        )

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Does nothing: a nested host runs in the machine's time, its boots cannot be repeated."""
