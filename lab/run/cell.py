# SPDX-License-Identifier: GPL-2.0-or-later
"""All boots of one cell: as many as its rule wants, and the cell's own verdict."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lab.config.cells import Cell
from lab.errors import LabError, UserError
from lab.run.slots import Slots
from lab.trial.job import Job
from lab.trial.place import Place
from lab.trial.trial import run_trial
from lab.verdict.cell import CellVerdict, combine
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked, Rule
from lab.verdict.trial import judge


@dataclass
class CellRun:
    """``many``: slots that one boot takes; all of them where the guest must be alone."""

    job: Job
    cell: Cell
    place: Place
    slots: Slots
    rule: Rule
    many: int = 1

    def run(self) -> CellVerdict:
        """Boot until the cell has its verdict; trials of an interrupted run count."""
        boots = Boots(self._earlier(), last=self.job.folder.last_trial(self.cell.id))
        stop, rule = self.job.stop, self.rule

        def boot(asked: Asked) -> None:
            self.job.board.wait(self.cell.id, "a free place")
            with self.slots.held(0 if rule.calibrates else 1, self.many):
                # Boots beside this one may have settled the cell while it waited.
                if not stop.is_set() and rule.wants_more(boots.verdicts):
                    number = boots.begin()
                    boots.end(number, self._trial(number, asked))

        while not stop.is_set() and rule.wants_more(boots.verdicts):
            number = rule.batch(boots.verdicts, self.slots.count // self.many)
            asked = rule.ask(boots.verdicts, number)
            with ThreadPoolExecutor(number) as pool:
                list(pool.map(boot, [asked] * number))
        if not boots.verdicts:
            return CellVerdict(self.cell, Verdict.LAB_ERROR, "interrupted before it began")
        return combine(self.cell, boots.verdicts, boots.seconds)

    def _trial(self, number: int, asked: Asked) -> TrialVerdict:
        try:
            return run_trial(self.job, self.cell, number, self.place, asked)
        except LabError as error:
            return self._salvage(number, str(error))
        except OSError as error:
            said = error.strerror or str(error)
            where = f"{error.filename}: " if error.filename else ""
            return self._salvage(number, f"the trial could not be kept: {where}{said}")

    def _salvage(self, number: int, why: str) -> TrialVerdict:
        """A trial whose evidence could not be written. What its console shows of a corruption
        counts: it may not be retried away.
        """
        with contextlib.suppress(OSError, UserError):
            trial = self.job.folder.trial(self.cell.id, number)
            seen = judge(trial.facts(), trial.read_console(), None)
            if seen.verdict is Verdict.CORRUPTS:
                return replace(seen, notes=[*seen.notes, why])
        return TrialVerdict(Verdict.LAB_ERROR, why)

    def _earlier(self) -> dict[int, TrialVerdict]:
        """Trials that a resumed run already has; an interrupted one is judged by what it left."""
        verdicts = {}
        for trial in self.job.folder.trials(self.cell.id):
            verdict = judge(trial.facts(), trial.read_console(), trial.ending())
            if trial.verdict() is None:
                trial.write_verdict(verdict)
            verdicts[trial.number] = verdict
        # A killed controller is not counted as a fault of the lab.
        return {n: v for n, v in verdicts.items() if v.verdict is not Verdict.LAB_ERROR}


class Boots:
    """The boots of one cell, by number; several may run at once."""

    def __init__(self, earlier: dict[int, TrialVerdict], last: int) -> None:
        self._verdicts = earlier
        self._last = last
        self._began: float | None = None
        self._lock = threading.Lock()

    @property
    def verdicts(self) -> list[TrialVerdict]:
        """Of those that have ended, in the order in which they began."""
        with self._lock:
            return [self._verdicts[number] for number in sorted(self._verdicts)]

    @property
    def seconds(self) -> float:
        """Since the first of them began, without its wait for a slot."""
        return time.monotonic() - self._began if self._began is not None else 0.0

    def begin(self) -> int:
        """The next one's number."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self._last += 1
            return self._last

    def end(self, number: int, verdict: TrialVerdict) -> None:
        with self._lock:
            self._verdicts[number] = verdict
