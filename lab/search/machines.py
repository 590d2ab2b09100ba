# SPDX-License-Identifier: GPL-2.0-or-later
"""The real boots of a search: trials of a cell for each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.config.cells import Cell
from lab.errors import LabError
from lab.search.halving import Boot
from lab.trial.job import Job
from lab.trial.place import Place
from lab.trial.trial import run_trial
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from lab.verdict.trial import judge


@dataclass
class Machines:
    """Boots real machines; trials that the folder holds already are not repeated."""

    job: Job
    cells: list[Cell]
    place: Place
    at_once: int

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> list[Boot]:
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                return list(pool.map(lambda one: self._boot(*one), wanted))
            except BaseException:
                self.job.stop.set()
                raise

    def _boot(self, candidate: int, number: int) -> Boot:
        cell = self.cells[candidate]
        verdict = self._earlier(cell, number)
        if verdict is None:
            self.job.board.add(cell.id)
            self.job.board.state(cell.id, f"boot {number}")
            verdict = run_trial(self.job, cell, number, self.place, Asked())
        if self.job.stop.is_set():
            raise KeyboardInterrupt
        if verdict.verdict in (Verdict.LAB_ERROR, Verdict.CRASHED):
            raise LabError(f"{cell.id}, boot {number}: {verdict.verdict.value}: {verdict.reason}")
        return Boot(verdict.windows, verdict.hits, verdict.stressed or float(self._seconds))

    @property
    def _seconds(self) -> int:
        return self.job.config.stress.seconds

    def _earlier(self, cell: Cell, number: int) -> TrialVerdict | None:
        trial = self.job.folder.trial(cell.id, number)
        if not trial.path.exists():
            return None
        if trial.verdict() is None:
            trial.discard()
            return None
        return judge(trial.facts(), trial.read_console(), trial.ending())
