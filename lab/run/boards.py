# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cells on boards: one boot at a time on each, beside whatever else runs.

Imported only by a run that has such cells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lab.board.board import Board, open_board
from lab.board.health import find_fault
from lab.board.netboot import NetBootServers
from lab.config.board import BoardConfig
from lab.config.cells import Cell
from lab.errors import LabError
from lab.run.batches import batches, by_board
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

    def __init__(
        self, job: Job, cells: Sequence[Cell], outcomes: Outcomes, run_cell: RunCell
    ) -> None:
        """``cells``: all that boot on boards. ``run_cell``: all boots of one, to its verdict."""
        self._job = job
        self._outcomes = outcomes
        self._run_cell = run_cell
        self._servers = NetBootServers(find_macs(job.config.boards))
        self._own = by_board(cells)
        waiting = [cell for cell in cells if not cell.board]
        self._queue = Queue(waiting, self._find_boards)

    def __enter__(self) -> Boards:
        self._servers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.__exit__()

    def _find_boards(self, cell: Cell) -> list[str]:
        """All of its host's; of a resumed run the one that has booted it before."""
        trials = self._job.folder.trials(cell.id)
        earlier = [trial.facts().board for trial in trials]
        return earlier[-1:] or self._job.config.pool_of(cell.host)

    @property
    def names(self) -> list[str]:
        """The boards that have something to do, or may have."""
        return list(dict.fromkeys([*self._own, *self._queue.boards]))

    def run(self, name: str) -> None:
        """A board's own cells, controls first, then of those that may go to several boards.

        One boot at a time; none on a board that failed its check.
        """
        cells, fault = self._own.get(name, []), ""
        try:
            fault = find_fault(name, self._job.config.boards[name]) or ""
            if not fault:
                self._work(name, cells)
        except LabError as error:
            fault = str(error)
        except BaseException as error:
            left = self._queue.leave(name)
            self._outcomes.fail_unforeseen([*cells, *left], error)
            raise
        left = self._queue.leave(name)
        self._outcomes.fail([*cells, *left] if fault else left, fault or _NOBODY)

    def _work(self, name: str, cells: Sequence[Cell]) -> None:
        with open_board(name, self._job.config.boards[name]) as machine:
            bench = Bench(self._job, name, machine, self._servers)
            slots = Slots(1)
            try:
                for batch in batches(cells, find_station):
                    self._run_batch(bench, batch, slots)
                while (cell := self._queue.take(name, bench.station)) is not None:
                    try:
                        place = bench.find_place(cell)
                    except LabError:
                        self._queue.give_back(cell)  # another board may do better
                        raise
                    self._run_cell(cell, place, slots)
            finally:
                bench.close()

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


_NOBODY = "no board is left to boot it on"


class Queue:
    """Cells that may go to several boards. Each board's thread takes from it when it is free."""

    def __init__(self, cells: Sequence[Cell], find_boards: Callable[[Cell], list[str]]) -> None:
        """``find_boards``: those that a cell may go to, by name."""
        self._waiting = list(cells)
        self._boards = {cell.id: find_boards(cell) for cell in cells}
        self._lock = threading.Lock()

    @property
    def boards(self) -> list[str]:
        """Those that a cell may go to."""
        return list(dict.fromkeys(name for names in self._boards.values() for name in names))

    def take(self, name: str, station: str) -> Cell | None:
        """The next cell for a board, one that needs what is up where there is one."""
        with self._lock:
            fitting = [cell for cell in self._waiting if name in self._boards[cell.id]]
            fitting.sort(key=lambda cell: find_station(cell) != station)
            if not fitting:
                return None
            self._waiting.remove(fitting[0])
            return replace(fitting[0], board=name)

    def give_back(self, cell: Cell) -> None:
        """It was not booted."""
        with self._lock:
            self._waiting.insert(0, replace(cell, board=""))

    def leave(self, name: str) -> list[Cell]:
        """The board takes no more; what only it could have taken."""
        with self._lock:
            for boards in self._boards.values():
                if name in boards:
                    boards.remove(name)
            left = [cell for cell in self._waiting if not self._boards[cell.id]]
            self._waiting = [cell for cell in self._waiting if cell not in left]
            return left


class Bench:
    """A board that is had, and the places on it."""

    def __init__(self, job: Job, name: str, machine: Board, servers: NetBootServers) -> None:
        self._job = job
        self._name = name
        self.station = ""  # of the cells that it booted last
        self._machine = machine
        self._servers = servers
        self._config = job.config.boards[name]
        self._xen: BoardXen | None = None
        self._system: GoodSystem | None = None

    def find_good(self, host: str) -> GoodSystem:
        """The board's own system, reached when it is first used."""
        if self._system is None:
            folder = self._job.folder.host / f"@{host}"
            self._system = GoodSystem(
                self._machine, self._name, self._config,
                self._job.config.boot_seconds(host),
                folder / f"{self._name}-console.log", self._job.stop,
            )  # fmt: skip
        return self._system

    def find_place(self, cell: Cell) -> Place:
        """Where such cells boot; a Xen host is up then. LabError, a sentence, when it is not."""
        job, way = self._job, self._config.boot
        same, self.station = self.station == find_station(cell), find_station(cell)
        if cell.nested:
            if same and self._xen is not None:
                return HostPlace(self._xen)
            good = self.find_good(cell.host)
            self._xen = BoardXen(job, cell.xen, cell.host, self._machine, good, self._config)
            self._xen.start()
            return HostPlace(self._xen)
        self._xen = None
        xen_args = job.config.xen.args
        if way is not None and way.kind == "grub":
            good = self.find_good(cell.host)
            return GrubPlace(self._machine, good, self._config, job.supplies, xen_args)
        assert way is not None  # as is checked when the file is read
        server = self._servers.get(way.listen, way.port)
        return BoardPlace(self._machine, self._name, self._config, job.supplies, server, xen_args)

    def collect(self) -> None:
        """A Xen host's logs, into the run's folder."""
        if self._xen is not None:
            self._xen.collect()

    def close(self) -> None:
        if self._system is not None:
            self._system.leave()


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
