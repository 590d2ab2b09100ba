# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cells on boards: one boot at a time on each, beside whatever else runs.

Imported only by a run that has such cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lab.board.board import Board, open_board
from lab.board.health import find_fault
from lab.board.netboot import NetBootServers
from lab.config.board import BoardConfig
from lab.config.cells import Cell
from lab.errors import LabError
from lab.run.batches import batches
from lab.run.outcomes import Outcomes
from lab.run.slots import Slots
from lab.trial.board import BoardPlace
from lab.trial.boardxen import BoardXen
from lab.trial.goodsystem import GoodSystem
from lab.trial.grubboard import GrubPlace
from lab.trial.guest import HostPlace
from lab.trial.job import Job
from lab.trial.place import Place

RunCell = Callable[[Cell, Place, Slots], None]


class Boards:
    """All boards of one run and the servers that they boot from; these end with the block."""

    def __init__(self, job: Job, outcomes: Outcomes, run_cell: RunCell) -> None:
        """``run_cell``: all boots of a cell at a place, to its verdict."""
        self._job = job
        self._outcomes = outcomes
        self._run_cell = run_cell
        self._servers = NetBootServers(find_macs(job.config.boards))

    def __enter__(self) -> Boards:
        self._servers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.__exit__()

    def run(self, name: str, cells: Sequence[Cell]) -> None:
        """A board's cells, one boot at a time; none on a board that failed its check.

        Controls are first, whatever they are booted by.
        """
        fault = find_fault(name, self._job.config.boards[name])
        if fault:
            self._outcomes.fail(cells, fault)
            return
        try:
            with open_board(name, self._job.config.boards[name]) as machine:
                bench = Bench(self._job, name, cells[0].host, machine, self._servers)
                slots = Slots(1)
                try:
                    for batch in batches(cells, find_station):
                        self._run_batch(bench, batch, slots)
                finally:
                    bench.close()
        except LabError as error:
            self._outcomes.fail(cells, str(error))
        except BaseException as error:
            self._outcomes.fail_unforeseen(cells, error)
            raise

    def _run_batch(self, bench: Bench, cells: Sequence[Cell], slots: Slots) -> None:
        """Cells of one station; a Xen that does not come up fails its own cells alone."""
        try:
            place = bench.find_place(cells[0])
        except LabError as error:
            self._outcomes.fail(cells, str(error))
            return
        for cell in cells:
            self._run_cell(cell, place, slots)
        bench.collect()


class Bench:
    """A board that is had, and the places on it. ``host``: a name from hosts."""

    def __init__(
        self, job: Job, name: str, host: str, machine: Board, servers: NetBootServers
    ) -> None:
        self._job = job
        self._name = name
        self._host = host
        self._machine = machine
        self._servers = servers
        self._config = job.config.boards[name]
        self._xen: BoardXen | None = None
        self._system: GoodSystem | None = None

    @property
    def good(self) -> GoodSystem:
        """The board's own system, reached when it is first used."""
        if self._system is None:
            folder = self._job.folder.host / f"@{self._host}"
            self._system = GoodSystem(
                self._machine, self._name, self._config,
                self._job.config.hosts[self._host].boot_seconds,
                folder / f"{self._name}-console.log", self._job.stop,
            )  # fmt: skip
        return self._system

    def find_place(self, cell: Cell) -> Place:
        """Where such cells boot; a Xen host is up then. LabError, a sentence, when it is not."""
        job, way, self._xen = self._job, self._config.boot, None
        if cell.nested:
            self._xen = BoardXen(job, cell.xen, self._host, self._machine, self.good, self._config)
            self._xen.start()
            return HostPlace(self._xen)
        xen_args = job.config.xen.args
        if way is not None and way.kind == "grub":
            return GrubPlace(self._machine, self.good, self._config, job.supplies, xen_args)
        assert way is not None  # as is checked when the file is read
        server = self._servers.get(way.listen, way.port)
        return BoardPlace(self._machine, self._name, self._config, job.supplies, server, xen_args)

    def collect(self) -> None:
        """A Xen host's logs, into the run's folder."""
        if self._xen is not None:
            self._xen.collect()

    def close(self) -> None:
        if self._system is not None:
            self._system.close()


def find_station(cell: Cell) -> str:
    """What cells of a board must have in common to be booted one after the other: pure."""
    return f"guests {cell.xen}" if cell.nested else "own"


def find_macs(boards: Mapping[str, BoardConfig]) -> dict[tuple[str, int], set[str]]:
    """The boards that boot from each address and port of this machine, by MAC: pure."""
    macs: dict[tuple[str, int], set[str]] = {}
    for board in boards.values():
        if board.boot is not None and board.boot.kind == "network" and board.mac:
            macs.setdefault((board.boot.listen, board.boot.port), set()).add(board.mac)
    return macs
