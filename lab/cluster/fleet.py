# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster's machines as a run uses them: which there are, what each boots with, what it lacks."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.cluster import store, work
from lab.cluster.extra import require
from lab.cluster.grid import MACHINE, Grid, LostWorkerError, WorkerFacts
from lab.cluster.version import explain_difference, name_version
from lab.config.cluster import ClusterConfig
from lab.errors import LabError, UserError
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline

PATIENCE = 60.0  # seconds that a machine without a worker may take to have one again
_PIECE = 8 << 20  # bytes of a file in one message


@dataclass(frozen=True)
class Machine:
    """A machine with one or more workers. ``facts``: for the manifest."""

    name: str
    cores: int
    memory_mib: int
    qemu: Qemu
    accel: Accel
    facts: Mapping[str, Any]

    def equip(self, supplies: Supplies) -> Supplies:
        """The run's supplies as this machine boots them: with its own QEMU and accelerator."""
        return replace(supplies, qemu=self.qemu, accel=self.accel, firmware=self.facts["firmware"])


class Fleet:
    """The machines that a run began with."""

    def __init__(self, grid: Grid, machines: Sequence[Machine], address: str) -> None:
        self.grid = grid
        self.machines = {machine.name: machine for machine in machines}
        self._address = address
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        machines = {name: dict(machine.facts) for name, machine in self.machines.items()}
        return {"address": self._address, "machines": machines}

    def find_workers(self, machine: str) -> list[WorkerFacts]:
        return [worker for worker in self.grid.workers() if worker.machine == machine]

    def await_worker(self, machine: str, stop: threading.Event) -> WorkerFacts:
        """A worker of the machine; LabError after a minute without one."""
        limit = Deadline(PATIENCE)
        while not (found := self.find_workers(machine)):
            if limit.expired or stop.wait(1):
                raise LabError(f"the machine {machine} has no worker any more")
        return found[0]

    def supply(self, machine: str, files: Mapping[str, Path], stop: threading.Event) -> None:
        """Send what the machine lacks. ``files``: by their SHA-256."""
        with self._locks[machine]:
            worker = self.await_worker(machine, stop)
            try:
                for digest in self.grid.call_on(worker, store.list_missing, list(files)):
                    self._send(worker, digest, files[digest])
            except LostWorkerError as lost:
                raise LabError(
                    f"the worker {lost} of {machine} was lost while it was sent files"
                ) from None

    def _send(self, worker: WorkerFacts, digest: str, path: Path) -> None:
        writer, size = secrets.token_hex(4), path.stat().st_size
        with path.open("rb") as source:
            while True:
                piece = source.read(_PIECE)
                last = source.tell() == size
                self.grid.call_on(worker, store.put, digest, writer, piece, last)
                if last:
                    return


@contextlib.contextmanager
def open_fleet(
    config: ClusterConfig, accelerator: str, report: Callable[[str, str], None]
) -> Iterator[Fleet]:
    """Connect, and ask every machine what it is.

    UserError where there is no worker, or one with another version of the lab. A machine that
    cannot boot is left out; ``report`` is given its name and the reason.
    """
    require()
    assert config.address is not None
    grid = Grid(config.address, config.keys, f"lab-{secrets.token_hex(8)}")
    try:
        workers = grid.workers()
        if not workers:
            raise UserError(
                f"{config.address}: has no worker of this lab; `lab worker {config.address}` on a "
                "machine is one"
            )
        _refuse_other_versions(workers, grid.versions())
        yield Fleet(grid, _survey(grid, workers, accelerator, report), config.address)
    finally:
        grid.close()


def _refuse_other_versions(workers: Sequence[WorkerFacts], versions: Mapping[str, str]) -> None:
    ours = name_version()
    for worker in workers:
        theirs = versions.get(worker.address, ours)
        if theirs != ours:
            where = f"the worker {worker.name} on {worker.machine}"
            raise UserError(explain_difference(where, theirs, ours))


def _survey(
    grid: Grid,
    workers: Sequence[WorkerFacts],
    accelerator: str,
    report: Callable[[str, str], None],
) -> list[Machine]:
    names = list(dict.fromkeys(worker.machine for worker in workers))
    asked = {}
    for name in names:
        report(name, "asked what it boots with")
        asked[name] = grid.task(
            work.survey, accelerator,
            key=f"survey-{name}-{secrets.token_hex(4)}",
            resources={f"{MACHINE}{name}": 1, "cores": 1},
        )  # fmt: skip
    made, problems = [], []
    for name, task in asked.items():
        own = [worker for worker in workers if worker.machine == name]
        try:
            while not task.wait(60):
                pass  # another run may have all of its cores
            made.append(_make_machine(name, own, task.result()))
            report(name, f"ready: {_say_machine(made[-1])}")
        except (LabError, LostWorkerError) as error:
            problems.append(f"{name}: {error}")
            report(name, f"left out: {error}")
    if not made:
        raise LabError(f"no machine of the cluster can boot: {'; '.join(problems)}")
    return made


def _make_machine(name: str, workers: Sequence[WorkerFacts], facts: dict[str, Any]) -> Machine:
    qemu, accel = facts["qemu"], facts["accelerator"]
    return Machine(
        name,
        sum(worker.cores for worker in workers),
        sum(worker.memory_mib for worker in workers),
        Qemu(**{**qemu, "path": Path(qemu["path"]), "kinds": tuple(qemu["kinds"])}),
        Accel(**{**accel, "without": tuple(accel["without"])}),
        {**facts, "cores": sum(worker.cores for worker in workers)},
    )


def _say_machine(machine: Machine) -> str:
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return f"QEMU {machine.qemu.version} ({machine.accel.name}), {cores}"
