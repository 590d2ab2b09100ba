# SPDX-License-Identifier: GPL-2.0-or-later
"""The search for a deterministic boot in which a cell corrupts.

Seeds of the stress program and lengths of an instruction (icount's shift) are tried, as many
side by side as there are processors, until a boot corrupts. Its folder then holds a capsule.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from lab.config.cells import Cell
from lab.config.deterministic import configure
from lab.replay.capsule import NAME
from lab.replay.machine import ReplayableMachine
from lab.system.machine import cores
from lab.trial.job import Job
from lab.trial.trial import run_trial
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked


@dataclass(frozen=True)
class Candidate:
    """One boot to try: trial ``number`` of the cell."""

    number: int
    seed: int
    shift: int


def candidates(first_seed: int, seeds: int, shifts: list[int]) -> Iterator[Candidate]:
    """Every seed with the first shift, then with the next: pure."""
    number = 0
    for shift in shifts:
        for seed in range(first_seed, first_seed + seeds):
            number += 1
            yield Candidate(number, seed, shift)


@dataclass
class Hunt:
    """The boots of one cell. ``job.stop`` ends those that are running."""

    job: Job
    cell: Cell

    def run(self, wanted: Iterator[Candidate]) -> Path | None:
        """The first capsule found; None when no candidate corrupts."""
        running: dict[Future[TrialVerdict], Candidate] = {}
        with ThreadPoolExecutor(cores()) as pool:
            try:
                while not self.job.stop.is_set():
                    while len(running) < cores() and (one := next(wanted, None)) is not None:
                        running[pool.submit(self._try, one)] = one
                    if not running:
                        return None
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        candidate = running.pop(future)
                        if future.result().verdict is Verdict.CORRUPTS:
                            return self._capsule(candidate)
            finally:
                self.job.stop.set()
        return None

    def _try(self, one: Candidate) -> TrialVerdict:
        config = configure(self.job.config, one.shift)
        # A trial's seed is the configured one plus its number minus 1.
        seed = one.seed - one.number + 1
        stress = config.stress.model_copy(update={"seed": seed})
        config = config.model_copy(update={"stress": stress})
        row = f"seed {one.seed} shift {one.shift}"
        self.job.board.add(row)
        self.job.board.state(row, "booting")
        place = ReplayableMachine(self.job.supplies, config.xen.args, one.shift)
        made = run_trial(
            replace(self.job, config=config), self.cell, one.number, place, Asked(stop=1)
        )
        self.job.board.finish(row, made.verdict, made.reason, None)
        return made

    def _capsule(self, one: Candidate) -> Path:
        return self.job.folder.trial(self.cell.id, one.number).path / NAME
