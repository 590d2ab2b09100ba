# SPDX-License-Identifier: GPL-2.0-or-later
"""The place of native and dom0 cells on a board whose own GRUB boots them once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from lab.config.board import BoardConfig, GrubBoot
from lab.console.watch import Ending, Watch
from lab.errors import LabError
from lab.evidence.trial import TrialFolder
from lab.host import grub
from lab.host.grub import Loaded
from lab.report.board import Board as Progress
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.system.files import sha256_of
from lab.trial.assignment import Assignment
from lab.trial.board import Machine, linux_words, watch, xen_words
from lab.trial.goodsystem import ComesBack, GoodSystem
from lab.trial.place import show
from lab.verdict.facts import TrialFacts, TrialVerdict

_NOWHERE = Loaded("", "", "")


class GrubPlace:
    """``machine`` is had already; ``good`` is its own system."""

    def __init__(
        self,
        machine: Machine,
        good: GoodSystem,
        config: BoardConfig,
        supplies: Supplies,
        xen_args: str = "",
    ) -> None:
        assert isinstance(config.boot, GrubBoot)
        self._machine = machine
        self._good = good
        self._config = config
        self._folder = config.boot.folder
        self._supplies = supplies
        self._xen_args = xen_args
        self._last = ""  # the entry that was booted last

    def _xen(self, task: Assignment) -> tuple[Path, str] | None:
        """The hypervisor of a dom0 cell, and its words."""
        if task.cell.guest == "native":
            return None
        found = self._supplies.hypervisor(task.cell.xen)
        assert found is not None
        more = found.args if task.cell.xen else self._xen_args
        return found.image, xen_words(self._config, task, more)

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        xen = self._xen(task)
        files = {"kernel": str(task.kernel), "ramdisk": str(task.ramdisk)}
        args = {"kernel": linux_words(self._config, task)}
        if xen is not None:
            files["xen"], args["xen"] = str(xen[0]), xen[1]
        return {"place": "board", "board": self._good.name, "boot": "grub", "files": files,
                "args": args}  # fmt: skip

    def boot(
        self, task: Assignment, console: Path, progress: Progress, stop: threading.Event
    ) -> Ending:
        def report(state: str) -> None:
            progress.boot(task.cell.id, task.trial, state)

        console.touch()
        self._good.bring_up(report)
        report("copying the kernel")
        token, text, found = self._prepare(task)
        back = ComesBack(self._good)
        with self._machine.console.follow(console) as following:
            # What came before is not this boot's time.
            watched = Watch(
                Deadline(task.deadline.seconds), lambda look: show(progress, task, look), stop
            )
            try:
                report("booting")
                grub.boot_once(self._good.shell, found, token, text, self._good.name)
                how = watch(console, watched, following.find_problem, back.look)
            finally:
                self._machine.power.off()
        if how != "finished":
            following.refuse_losses()
        detail = "its own system answered again" if back.since is not None else ""
        return Ending(how, detail, watched.seconds(), watched.booted)

    def _prepare(self, task: Assignment) -> tuple[str, str, grub.Grub]:
        """Copy the files; the entry's token, which GRUB prints (not the nonce), and its text."""
        shell, name = self._good.shell, self._good.name
        found = grub.read_grub(shell, self._folder, name)
        if found.next_entry:  # of a boot that GRUB did not clear, or of a lab that was killed
            grub.forget(shell, found)
            if found.next_entry == self._last:
                raise LabError(
                    f"{name}: GRUB does not clear next_entry in {found.folder}/grubenv, so that "
                    "what is booted once would be booted for ever: boot it by network"
                )
        xen = self._xen(task)
        loaded = Loaded(
            grub.put_file(shell, task.kernel, self._folder, found),
            grub.put_file(shell, task.ramdisk, self._folder, found),
            linux_words(self._config, task),
            grub.put_file(shell, xen[0], self._folder, found) if xen else "",
            xen[1] if xen else "",
        )
        token = sha256_of(task.nonce)[:12]
        self._last = grub.entry_id(token)
        return token, grub.write_boot(token, loaded, found.own), found

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Nothing: no boot of a real machine can be repeated exactly."""
