# SPDX-License-Identifier: GPL-2.0-or-later
"""The place of native and dom0 cells on a board: booted once by network, watched, switched off."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lab.board.netboot import LOG, NetBoot, NetBootServer, Offer, write_script
from lab.config.board import BoardConfig, NetworkBoot
from lab.console.watch import MOST_BYTES, OVERLAP, Ending, Watch
from lab.errors import LabError
from lab.evidence.trial import TrialFolder
from lab.qemu.options import dom0_size
from lab.report.board import Board as Progress
from lab.supplies.gather import Supplies
from lab.system.files import read_from, sha256_of
from lab.trial.assignment import Assignment
from lab.trial.place import show
from lab.verdict.facts import TrialFacts, TrialVerdict

_POLL = 0.1
# From the request that shows that a board has rebooted to the end: what its console still says.
_COME_BACK_GRACE = 5.0


class Power(Protocol):
    """Each raises LabError, a sentence, where it fails."""

    def on(self) -> None: ...

    def off(self) -> None: ...


class Console(Protocol):
    """A serial port that is read."""

    def follow(self, path: Path) -> AbstractContextManager[Any]:
        """While the block runs, every byte is appended to ``path``."""


class Machine(Protocol):
    """What of a board (lab/board/board.py) a trial needs."""

    @property
    def power(self) -> Power: ...

    @property
    def console(self) -> Console: ...


class BoardPlace:
    """``machine`` is had already; ``server`` is the one that its network boot asks."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        config: BoardConfig,
        supplies: Supplies,
        server: NetBootServer,
        xen_args: str = "",
    ) -> None:
        self._machine = machine
        self._name = name
        self._config = config
        self._supplies = supplies
        self._server = server
        self._xen_args = xen_args
        self._secret = secrets.token_hex(16)

    def make_boot(self, task: Assignment) -> NetBoot:
        """The same for the same trial. The nonce is in no path: firmware may print those."""
        way, mac = self._config.boot, self._config.mac
        assert isinstance(way, NetworkBoot)
        assert mac is not None  # as is checked when the file is read
        native = task.cell.guest == "native"
        hypervisor = None if native else self._supplies.hypervisor(task.cell.xen)
        more = hypervisor.args if hypervisor and task.cell.xen else self._xen_args
        return NetBoot(
            mac=mac,
            token=sha256_of(self._secret, task.nonce)[:16],
            server=f"{way.address}:{way.port}",
            kernel=task.kernel,
            ramdisk=task.ramdisk,
            args=linux_words(self._config, task),
            xen=hypervisor.image if hypervisor else None,
            xen_args=xen_words(self._config, task, more) if hypervisor else "",
            address=way.board_address,
        )

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        boot = self.make_boot(task)
        return {
            "place": "board",
            "board": self._name,
            "mac": boot.mac,
            "ipxe": write_script(boot).splitlines(),
            "files": {name: str(path) for name, path in boot.files().items()},
        }

    def boot(
        self, task: Assignment, console: Path, progress: Progress, stop: threading.Event
    ) -> Ending:
        def report(state: str) -> None:
            progress.boot(task.cell.id, task.trial, state)

        report("switching the board off")
        console.touch()
        boot, log = self.make_boot(task), console.with_name(LOG)
        with (
            self._server.offer(boot, log) as offer,
            self._machine.console.follow(console) as following,
        ):
            self._machine.power.off()
            watched = Watch(task.deadline, lambda look: show(progress, task, look), stop)
            try:
                report("switching the board on")
                self._machine.power.on()
                report("booting")
                how = watch(
                    console,
                    watched,
                    lambda: offer.problem or following.find_problem(),
                    lambda: offer.came_back,
                )
            finally:
                report("switching the board off")
                self._machine.power.off()
        if how != "finished":
            following.refuse_losses()
        return Ending(how, _describe(offer), watched.seconds(), watched.booted)

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Nothing: no boot of a real machine can be repeated exactly."""


def linux_words(config: BoardConfig, task: Assignment) -> str:
    """The kernel's command line on a board: its console, and what the trial wants."""
    port = {"com1": "ttyS0", "com2": "ttyS1"}[config.serial]
    speaks = f"{port},{config.speed}n8" if task.cell.guest == "native" else "hvc0"
    return f"console={speaks} {task.args}"


def xen_words(config: BoardConfig, task: Assignment, more: str) -> str:
    """Xen's command line on a board; ``lab=`` ties what it prints to the trial."""
    port = config.serial
    words = (
        f"console={port} {port}={config.speed},8n1",
        dom0_size(task.memory_mib, task.cell.vcpus),
        f"noreboot=0 lab={task.nonce}",
        more,
    )
    return " ".join(word for word in words if word)


def watch(
    console: Path,
    watched: Watch,
    find_problem: Callable[[], str],
    came_back: Callable[[], float | None],
) -> str:
    """How the boot ends, in the word of an ``Ending``; LabError for a problem that is found.

    ``came_back``: when the board was seen to boot something else, on the monotonic clock.
    """
    size, finished = 0, False
    while True:
        grown = console.stat().st_size
        if grown != size:
            finished = watched.grew(read_from(console, size - OVERLAP, MOST_BYTES))
            size = grown
        if finished:
            return "finished"
        if size > MOST_BYTES:
            return "flooded"
        problem = find_problem()
        if problem:
            raise LabError(problem)
        given_up = watched.find_reason_to_stop()
        if given_up:
            return given_up
        back = came_back()
        if back is not None and time.monotonic() - back > _COME_BACK_GRACE:
            return "exited"
        time.sleep(_POLL)


def _describe(offer: Offer) -> str:
    """What the board asked for, for the verdict's reason."""
    if not offer.given:
        return "it never asked the lab what to boot"
    return "it asked the lab again what to boot" if offer.came_back is not None else ""
