# SPDX-License-Identifier: GPL-2.0-or-later
"""All trials of one command: what runs beside what."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab.config.cellname import is_cluster
from lab.config.cells import Cell, control_of, controls_of
from lab.config.claim import measured_by
from lab.errors import LabError
from lab.run.batches import batches
from lab.run.cell import CellRun
from lab.run.durations import Durations
from lab.run.outcomes import Outcomes
from lab.run.slots import Slots
from lab.trial.guest import HostPlace
from lab.trial.job import Job
from lab.trial.limits import alone, guests_at_once, machines_at_once
from lab.trial.machine import OwnMachine
from lab.trial.place import Place
from lab.trial.xenhost import XenHost
from lab.verdict.cell import CellVerdict
from lab.verdict.exposure import calibrate_control
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Rule

if TYPE_CHECKING:
    from lab.cluster.fleet import Fleet


class Schedule:
    """Own machines side by side, guests on Xen hosts, boards one boot at a time, controls first."""

    def __init__(
        self,
        job: Job,
        cells: Sequence[Cell],
        outcomes: Outcomes,
        keep_host: bool = False,
        fleet: Fleet | None = None,
    ) -> None:
        """``fleet``: the machines of a cluster, where cells go to one."""
        self._job = job
        self._cells = cells
        self._outcomes = outcomes
        self._keep_host = keep_host
        self._fleet = fleet
        self._durations = Durations()

    def execute(self) -> list[CellVerdict]:
        """Run what has no verdict yet; every cell's verdict."""
        began = time.monotonic()
        job = self._job
        for cell in self._cells:
            job.board.add(cell.id, self._durations.usual(self._key(cell)))
        self._outcomes.write_reports()
        todo = [cell for cell in self._cells if not self._impossible(cell)]
        # Controls first: they say early whether the run can prove anything.
        todo.sort(key=lambda cell: not cell.is_control)
        on_boards = [cell for cell in todo if job.config.boards_of(cell.host)]
        on_machines = [cell for cell in todo if is_cluster(cell.host)]
        nested = [cell for cell in todo if cell.nested and cell not in on_boards]
        slots = Slots(machines_at_once(job.config, beside_host=bool(nested)))
        # A thread for each: most wait, for their control or for a slot.
        many = len(self._fleet.machines) if self._fleet is not None else 0
        threads = len(todo) + len(job.config.boards) + many + 1
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
            work: list[Future[None]] = []
            if nested:
                # The host keeps a processor busy while it boots and while it has guests. It
                # may not have the only slot: its cells wait for controls that need one.
                held = Slots(1) if slots.count == 1 else slots
                held.take()
                work.append(pool.submit(self._on_hosts, nested, held.give_back))
            if on_boards:
                from lab.run.boards import Boards  # other runs do without it

                boards = stack.enter_context(Boards(job, on_boards, self._outcomes, self._cell))
                work += [pool.submit(boards.run, name) for name in boards.names]
            if on_machines:
                from lab.run.machines import Machines  # the same

                assert self._fleet is not None
                machines = Machines(job, on_machines, self._fleet, self._outcomes, self._cell)
                work += [pool.submit(machines.run, name) for name in machines.names]
            own, elsewhere = self._own_machine(), [*nested, *on_boards, *on_machines]
            for cell in (c for c in todo if c not in elsewhere):
                work.append(pool.submit(self._on_own, cell, own, slots))
            self._join(work)
        self._outcomes.write_reports()
        job.folder.time("all cells", time.monotonic() - began)
        job.folder.seal()
        return self._outcomes.all()

    def _own_machine(self) -> Place:
        job = self._job
        if job.config.icount is None:
            return OwnMachine(job.supplies, job.config.xen.args)
        from lab.replay.machine import ReplayableMachine  # other runs do without it

        return ReplayableMachine(job.supplies, job.config.xen.args, job.config.icount)

    def _join(self, work: list[Future[None]]) -> None:
        """Wait for all. Ctrl-C asks everything to end; the wait continues."""
        for future in work:
            while True:
                try:
                    future.result()
                    break
                except KeyboardInterrupt:
                    self._job.stop.set()

    def _impossible(self, cell: Cell) -> bool:
        why = self._job.supplies.impossible.get(cell.id)
        if why:
            self._outcomes.settle(CellVerdict(cell, None, why))
        return why is not None

    def _on_own(self, cell: Cell, place: Place, slots: Slots) -> None:
        try:
            self._cell(cell, place, slots)
        except BaseException as error:
            self._outcomes.fail_unforeseen([cell], error)
            raise

    def _on_hosts(self, cells: list[Cell], release: Callable[[], None]) -> None:
        """A host for each name and Xen, one after the other."""
        try:
            for name in dict.fromkeys(cell.host for cell in cells):
                for batch in batches([cell for cell in cells if cell.host == name]):
                    self._on_host(batch, batch[0].xen, name)
        except BaseException as error:
            self._outcomes.fail_unforeseen(cells, error)
            raise
        finally:
            release()

    def _on_host(self, cells: list[Cell], xen: str, name: str) -> None:
        host = XenHost(self._job, xen, name)
        try:
            host.start()
            slots = Slots(guests_at_once(self._job.config, name))
            with ThreadPoolExecutor(slots.count) as pool:
                place = HostPlace(host)
                list(pool.map(lambda cell: self._cell(cell, place, slots), cells))
            host.collect()
        except LabError as error:
            self._outcomes.fail(cells, str(error))
        finally:
            host.stop(self._keep_host)

    def _cell(self, cell: Cell, place: Place, slots: Slots, job: Job | None = None) -> None:
        """``job``: with the supplies of the machine, where it is another one."""
        job = job or self._job
        rule = self._rule(cell)  # may wait for the control; a slot is not held meanwhile
        many = slots.count if alone(cell.guest, job.emulates(cell)) else 1
        outcome = CellRun(job, cell, place, slots, rule, many).run()
        if outcome.trials and outcome.verdict is not Verdict.LAB_ERROR:
            self._durations.record(self._key(cell), outcome.seconds)
        self._outcomes.settle(outcome)

    def _rule(self, cell: Cell) -> Rule:
        """When the cell has enough boots; waits until its control, if it has one, is settled."""
        config = self._job.config
        control = control_of(cell, self._possible())
        if control:
            self._job.board.wait(cell.id, f"its control {control.id}")
        measured = calibrate_control(self._outcomes.trials_of(control)) if control else None
        return Rule(
            cell, config.trials, config.stress, config.confidence, self._measures(cell), measured
        )

    def _measures(self, cell: Cell) -> bool:
        """Whether other cells, or a claim, are measured by what this one shows."""
        plan = self._possible()
        measured = any(one.id == cell.id for other in plan for one in controls_of(other, plan))
        return measured or measured_by(self._job.config.claims, cell.id)

    def _possible(self) -> list[Cell]:
        return [cell for cell in self._cells if cell.id not in self._job.supplies.impossible]

    def _key(self, cell: Cell) -> str:
        """A name for the cell's duration: a control that measures others boots more often."""
        measures = " measures" if self._measures(cell) else ""
        seconds = self._job.config.stress.seconds
        return f"{self._job.supplies.accel.name} {cell.id} {seconds}s{measures}"
