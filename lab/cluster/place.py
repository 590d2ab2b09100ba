# SPDX-License-Identifier: GPL-2.0-or-later
"""Where native and dom0 cells boot on another machine: by one of its workers.

A lost worker is a fault of the lab: the trial is LAB_ERROR, unless its console had shown a
corruption before. What is certain never to have begun is sent again.
"""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import Any

from lab.cluster import grid, work
from lab.cluster.attempt import CONSOLE, Answer, Attempt, Said
from lab.cluster.fleet import Fleet, Machine
from lab.cluster.grid import MACHINE, LostSchedulerError, LostWorkerError, Task
from lab.cluster.version import name_version
from lab.console.watch import Ending, glance
from lab.errors import LabError
from lab.evidence.trial import TrialFolder
from lab.qemu.boot import Boot, command, members, portable
from lab.report.board import Board
from lab.supplies.gather import Supplies
from lab.system.answers import cached_sha256
from lab.system.files import write_atomic
from lab.trial.assignment import Assignment
from lab.trial.limits import QEMU_MIB
from lab.trial.machine import OwnMachine
from lab.trial.place import show
from lab.verdict.facts import TrialFacts, TrialVerdict

_TRIES = 4  # to have a boot begun
_GRACE = 60.0  # seconds after a boot's own deadline, until its worker is given up
_LOOK = 0.5


class WorkerPlace:
    """One machine of the cluster. ``supplies``: with that machine's QEMU."""

    def __init__(
        self, fleet: Fleet, machine: Machine, supplies: Supplies, xen_args: str = ""
    ) -> None:
        self._fleet = fleet
        self._machine = machine
        self._own = OwnMachine(supplies, xen_args)

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        boot = self._own.make_boot(task)
        return {
            "place": "a machine of the cluster",
            "machine": self._machine.name,
            "qemu": make_command(boot),
            "files": {name: cached_sha256(path) for name, path in members(boot).items()},
        }

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        console.touch()
        boot, watched = self._own.make_boot(task), Watched(task, console, board, self._machine.name)
        watched.say(f"waiting for a core of {self._machine.name}")
        for _ in range(_TRIES):
            try:
                answer = self._try(boot, task, watched, stop)
            except LostSchedulerError as error:
                stop.set()  # of other boots nothing can be known either: the run is resumed later
                return Ending("interrupted", str(error), watched.seconds())
            except LostWorkerError as lost:
                if watched.begun:
                    where = f"the worker {lost} on {self._machine.name}"
                    return Ending("lab_error", f"{where} was lost", watched.seconds())
                continue
            if answer.refused:
                raise LabError(answer.refused)
            if answer.ending is not None:
                write_atomic(console, answer.console)
                write_atomic(console.with_name("qemu.log"), answer.log)
                watched.look()
                return answer.ending
        raise LabError(f"a boot on {self._machine.name} could not be begun")

    def _try(self, boot: Boot, task: Assignment, watched: Watched, stop: threading.Event) -> Answer:
        files = {cached_sha256(path): path for path in members(boot).values()}
        self._fleet.supply(self._machine.name, files, stop)
        attempt = self._make_attempt(boot, task)
        ours = self._fleet.grid
        with ours.listening(attempt.id, watched.hear):
            sent = ours.task(
                grid.run_attempt, attempt.as_words(),
                key=f"{task.cell.id}-{task.trial}-{attempt.id}",
                resources={
                    "cores": 1, f"{MACHINE}{self._machine.name}": 1,
                    "mem": find_need(boot),
                },
            )  # fmt: skip
            try:
                self._follow(sent, attempt, watched, stop)
                return sent.answer()
            finally:
                sent.forget()

    def _make_attempt(self, boot: Boot, task: Assignment) -> Attempt:
        return Attempt(
            id=secrets.token_hex(8),
            topic=self._fleet.grid.topic,
            argv=make_command(boot),
            files={name: cached_sha256(path) for name, path in members(boot).items()},
            seconds=task.deadline.seconds,
            to_power_off=False,
            version=name_version(),
        )

    def _follow(
        self, sent: Task, attempt: Attempt, watched: Watched, stop: threading.Event
    ) -> None:
        """Wait for its end; LostWorkerError when nothing of it is heard for too long."""
        asked, searched = False, time.monotonic()
        while not sent.wait(_LOOK):
            watched.look()
            now = time.monotonic()
            if stop.is_set() and not asked:
                asked = True
                self._interrupt(attempt.id)
            if stop.is_set() and not watched.begun:
                raise LabError("interrupted before it began")
            if watched.begun and watched.seconds() > attempt.seconds + _GRACE:
                self._interrupt(attempt.id)
                raise LostWorkerError(f"{watched.worker}, of which nothing was heard,")
            if not watched.begun and now - searched > 5:
                searched = now
                self._fleet.await_worker(self._machine.name, stop)

    def _interrupt(self, attempt: str) -> None:
        for worker in self._fleet.find_workers(self._machine.name):
            try:
                self._fleet.grid.call_on(worker, work.interrupt, attempt)
            except (LostWorkerError, LabError):
                continue

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """Does nothing: a boot at the machine's own speed cannot be repeated."""


class Watched:
    """What is heard of a boot: its console as far as it has come, for evidence and progress."""

    def __init__(self, task: Assignment, console: Path, board: Board, machine: str) -> None:
        self._task = task
        self._console = console
        self._board = board
        self._machine = machine
        self._began: float | None = None
        self._grown = False
        self.worker = ""

    @property
    def begun(self) -> bool:
        return self._began is not None

    def seconds(self) -> float:
        """Since it was heard to begin."""
        return round(time.monotonic() - self._began, 2) if self._began is not None else 0.0

    def say(self, state: str) -> None:
        self._board.boot(self._task.cell.id, self._task.trial, state)

    def hear(self, said: Said) -> None:
        """Called in the connection's own thread, so it only notes."""
        if said.kind == "begun":
            self._began, self.worker = time.monotonic(), said.by
            self._board.place(self._task.cell.id, said.by)
            self.say("booting")
            return
        with self._console.open("r+b") as out:
            out.seek(said.offset)
            out.write(said.data)
        self._grown = True

    def look(self) -> None:
        """Show what the console has come to."""
        if self._grown:
            self._grown = False
            show(self._board, self._task, glance(self._console.read_bytes()))


def make_command(boot: Boot) -> list[str]:
    """QEMU's command line as the worker starts it, in the attempt's folder: pure."""
    return command(portable(boot), Path(CONSOLE))


def find_need(boot: Boot) -> int:
    """Memory that a boot takes, in MiB: pure."""
    argv = make_command(boot)
    return int(argv[argv.index("-m") + 1]) + QEMU_MIB
