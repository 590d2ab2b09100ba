# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cells on a cluster's machines: on each its controls first, then whatever is waiting.

Imported only by a run that has such cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lab.cluster.fleet import Fleet, Machine
from lab.cluster.place import WorkerPlace
from lab.config.cells import Cell
from lab.errors import LabError
from lab.run.boards import Queue
from lab.run.outcomes import Outcomes
from lab.run.slots import Slots
from lab.trial.job import Job
from lab.trial.limits import find_room_for
from lab.trial.place import Place

RunCell = Callable[[Cell, Place, Slots, Job], None]
_GONE = "the machine {} is not in the cluster now"
_NOBODY = "no machine of the cluster is left to boot it on"


class Machines:
    """All machines of one run."""

    def __init__(
        self, job: Job, cells: Sequence[Cell], fleet: Fleet, outcomes: Outcomes, run_cell: RunCell
    ) -> None:
        """``cells``: all that boot there. ``run_cell``: all boots of one, to its verdict."""
        self._job = job
        self._fleet = fleet
        self._outcomes = outcomes
        self._run_cell = run_cell
        self._controls: dict[str, list[Cell]] = {}
        for cell in cells:
            if cell.board:
                self._controls.setdefault(cell.board, []).append(cell)
        # A machine without a control could prove nothing; without any control all are alike.
        self._names = list(self._controls) or list(fleet.machines)
        self._queue = Queue([cell for cell in cells if not cell.board], self._find_machines)

    def _find_machines(self, cell: Cell) -> list[str]:
        """All of them; of a resumed run the one that has booted it before."""
        trials = self._job.folder.trials(cell.id)
        earlier = [trial.facts().machine for trial in trials]
        return earlier[-1:] or list(self._names)

    @property
    def names(self) -> list[str]:
        """The machines that have something to do, or may have."""
        return list(dict.fromkeys([*self._names, *self._queue.boards]))

    def run(self, name: str) -> None:
        """A machine's controls, then of those that may go to several machines."""
        controls, fault = self._controls.get(name, []), ""
        try:
            machine = self._fleet.machines.get(name)
            if machine is None:
                fault = _GONE.format(name)
            else:
                self._work(machine, controls)
        except LabError as error:
            fault = str(error)
        except BaseException as error:
            left = self._queue.leave(name)
            self._outcomes.fail_unforeseen([*controls, *left], error)
            raise
        left = self._queue.leave(name)
        self._outcomes.fail([*controls, *left] if fault else left, fault or _NOBODY)

    def _work(self, machine: Machine, controls: Sequence[Cell]) -> None:
        job = replace(self._job, supplies=machine.equip(self._job.supplies))
        place = WorkerPlace(self._fleet, machine, job.supplies, job.config.xen.args)
        room = find_room_for(job.config, machine.memory_mib)
        slots = Slots(max(1, min(machine.cores, room)))

        def run(cell: Cell) -> None:
            self._run_cell(cell, place, slots, job)

        def take(_number: int) -> None:
            while not job.stop.is_set():
                self._fleet.await_worker(machine.name, job.stop)
                cell = self._queue.take(machine.name, "")
                if cell is None:
                    return
                run(cell)

        with ThreadPoolExecutor(max(len(controls), slots.count)) as pool:
            list(pool.map(run, controls))
            list(pool.map(take, range(slots.count)))
