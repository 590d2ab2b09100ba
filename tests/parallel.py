# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.parallel`: what boots side by side cost each other, and when all are done.

The same boots of one cell are done one at a time, as many at once as there are processors, and
twice as many; rounds of the three are interleaved. Nothing here is a test: it prints figures.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from lab.config.cells import Cell, cells, select
from lab.config.lab import LabConfig
from lab.config.load import load
from lab.report.board import Board
from lab.supplies.gather import Supplies, gather
from lab.system.machine import cores
from lab.trial.assignment import gather_facts, make_assignment
from lab.trial.job import Job
from lab.trial.machine import OwnMachine
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from lab.verdict.trial import judge
from tests.helpers.project import PROJECT

Boot = tuple[float, TrialVerdict]  # wall seconds, and what it showed


@dataclass
class Figures:
    """Of all rounds with so many boots at once; seconds are wall time."""

    wall: list[float] = field(default_factory=list)  # of each round
    boots: list[float] = field(default_factory=list)  # of each boot
    windows: int = 0
    hits: int = 0  # windows in which a check failed
    corrupting: int = 0  # boots

    def row(self, at_once: int) -> str:
        rate = self.windows / sum(self.wall)
        share = self.hits / self.windows if self.windows else 0.0
        return (
            f"{at_once:7} {median(self.wall):9.1f} {median(self.boots):10.1f} {rate:12.1f} "
            f"{self.windows:8} {share:13.3f} {self.corrupting:5} of {len(self.boots)}"
        )


def boot(cell: Cell, number: int, config: LabConfig, supplies: Supplies, asked: Asked) -> Boot:
    """One boot, judged as a run would judge it; a fault of the lab ends the measurement."""
    facts = gather_facts(cell, number, config)
    nothing: Any = None
    task = make_assignment(Job(config, supplies, nothing, nothing, nothing), cell, facts, asked)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lab-parallel-") as folder:
        console = Path(folder) / "console.log"
        ending = OwnMachine(supplies).boot(task, console, Board(), threading.Event())
        verdict = judge(facts, console.read_bytes(), ending)
    if verdict.verdict not in (Verdict.CORRUPTS, Verdict.CLEAN):
        raise SystemExit(f"boot {number}: {verdict.verdict.value}: {verdict.reason}")
    return time.monotonic() - began, verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boots", type=int, default=4, help="in each round")
    parser.add_argument("--cell", default="dom0-control-bad")
    parser.add_argument("--hits", type=int, default=0, help="end a boot then; 0: never early")
    parser.add_argument("--seconds", type=int, default=4, help="of stress, guest time")
    args = parser.parse_args()
    config = load(PROJECT / "lab.yaml")
    least = {"min_windows": 1, "min_checks": 1}  # rates are wanted, not verdicts
    stress = config.stress.model_copy(update={"seconds": args.seconds, **least})
    config = config.model_copy(update={"stress": stress})
    (cell,) = (c for c in select(cells(config), [args.cell]) if c.id == args.cell)
    supplies = gather(config, [cell], lambda *_words: None, [cell.id])
    found = {1: Figures(), cores(): Figures(), 2 * cores(): Figures()}
    print(f"{cell.id}, {args.boots} boots a round; load before: {os.getloadavg()[0]:.1f}")
    for number in range(args.rounds):
        for at_once, figures in found.items():
            measure(figures, at_once, args, number, cell, config, supplies)
        print(f"round {number + 1} of {args.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    print("at once  round, s    boot, s    windows/s  windows  hits a window  corrupt")
    for at_once, figures in found.items():
        print(figures.row(at_once))


def measure(
    figures: Figures,
    at_once: int,
    args: argparse.Namespace,
    number: int,
    cell: Cell,
    config: LabConfig,
    supplies: Supplies,
) -> None:
    """One round: the same seeds, whatever runs beside."""
    trials = range(number * args.boots + 1, (number + 1) * args.boots + 1)
    asked = Asked(0, args.hits)
    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        boots = list(pool.map(lambda trial: boot(cell, trial, config, supplies, asked), trials))
    figures.wall.append(time.monotonic() - began)
    for seconds, verdict in boots:
        figures.boots.append(seconds)
        figures.windows += verdict.windows
        figures.hits += verdict.hits
        figures.corrupting += verdict.verdict is Verdict.CORRUPTS


if __name__ == "__main__":
    main()
