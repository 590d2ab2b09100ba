# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cells on boards: one boot at a time on each, beside whatever else runs.

Imported only by a run that has such cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lab.board.board import open_board
from lab.board.health import find_fault
from lab.board.netboot import NetBootServers
from lab.config.board import BoardConfig
from lab.config.cells import Cell
from lab.errors import LabError
from lab.run.outcomes import Outcomes
from lab.run.slots import Slots
from lab.trial.board import BoardPlace
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
        """A board's cells, one boot at a time; none on a board that failed its check."""
        config = self._job.config.boards[name]
        assert config.boot is not None
        assert config.boot.kind == "network"  # as is checked when the file is read
        fault = find_fault(name, config)
        if fault:
            self._outcomes.fail(cells, fault)
            return
        try:
            server = self._servers.get(config.boot.listen, config.boot.port)
            with open_board(name, config) as machine:
                xen_args = self._job.config.xen.args
                place = BoardPlace(machine, name, config, self._job.supplies, server, xen_args)
                slots = Slots(1)
                for cell in cells:
                    self._run_cell(cell, place, slots)
        except LabError as error:
            self._outcomes.fail(cells, str(error))
        except BaseException as error:
            self._outcomes.fail_unforeseen(cells, error)
            raise


def find_macs(boards: Mapping[str, BoardConfig]) -> dict[tuple[str, int], set[str]]:
    """The boards that boot from each address and port of this machine, by MAC: pure."""
    macs: dict[tuple[str, int], set[str]] = {}
    for board in boards.values():
        if board.boot is not None and board.boot.kind == "network" and board.mac:
            macs.setdefault((board.boot.listen, board.boot.port), set()).add(board.mac)
    return macs
