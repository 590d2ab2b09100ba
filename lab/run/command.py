# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab run`, `lab run --resume` and `lab prepare`, from arguments to exit code."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config.cells import Cell, cells, select
from lab.config.deterministic import impossible
from lab.config.lab import LabConfig
from lab.config.spread import spread
from lab.evidence.run import PAGES, RunFolder
from lab.exitcodes import Exit
from lab.report.terminal import Terminal
from lab.run.batches import by_board
from lab.run.claims import conclude
from lab.run.experiment import (
    KernelsChangedError,
    describe,
    execute,
    open_machines,
    record_plan,
    reopen,
)
from lab.supplies.gather import gather_showing
from lab.system.files import shorten
from lab.system.machine import cores
from lab.trial.job import Job
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

if TYPE_CHECKING:
    from lab.cluster.fleet import Fleet


def run(
    config: LabConfig, path: Path, wanted: list[str], results: Path, keep_host: bool, repeat: str
) -> int:
    """`lab run`: a new run's folder, all its cells, the closing table."""
    terminal = Terminal()
    chosen = select(cells(config), wanted)
    if config.stress.search:
        from lab.search.tune import tune

        config = tune(config, chosen, results)
        chosen = select(cells(config), wanted)
    with open_machines(config, chosen, terminal) as fleet:
        if fleet is not None:
            chosen = spread(chosen, cells(config), list(fleet.machines))
        began = time.monotonic()
        exact = [name for name in wanted if "*" not in name]
        supplies = gather_showing(config, chosen, terminal, exact)
        folder = RunFolder.create(results)
        folder.time("gathering", time.monotonic() - began)
        folder.write_text("lab.yaml", path.read_text())
        marks = {"cluster": fleet.describe()} if fleet is not None else None
        record_plan(folder, config, chosen, supplies, repeat, marks)
        job = Job(config, supplies, folder, terminal.board, threading.Event())
        return _run(job, chosen, terminal, keep_host, repeat, fleet)


def resume(path: Path, keep_host: bool) -> int:
    """`lab run --resume`: finished cells stay, the rest is run."""
    folder = RunFolder.open(path)
    terminal = Terminal()
    try:
        job, chosen = reopen(folder, terminal, threading.Event())
    except KernelsChangedError as error:
        terminal.say(str(error))
        return Exit.LAB_ERROR
    with open_machines(job.config, chosen, terminal) as fleet:
        return _run(job, chosen, terminal, keep_host, str(folder.manifest()["command"]), fleet)


def prepare(config: LabConfig, chosen: list[Cell]) -> None:
    """`lab prepare`: gather everything that a run would need, without a boot."""
    terminal = Terminal()
    gather_showing(config, chosen, terminal, [])
    terminal.say("everything is ready")


def _run(
    job: Job,
    chosen: list[Cell],
    terminal: Terminal,
    keep_host: bool,
    repeat: str,
    fleet: Fleet | None = None,
) -> int:
    """Run the cells, then print the table and what to do next."""
    began = time.monotonic()
    what = "1 cell" if len(chosen) == 1 else f"{len(chosen)} cells"
    folder, supplies = job.folder, job.supplies
    boards = "".join(f", on board {name}" for name in by_board(chosen))
    where = f"{cores()} cores{boards}"
    if fleet is not None:
        where += f", machines of a cluster: {', '.join(fleet.machines)}"
    terminal.say(
        f"{what} on QEMU {supplies.qemu.version} "
        f"({supplies.accel.name}), {where}; evidence in {shorten(folder.path)}"
    )
    outcomes = execute(job, chosen, terminal, keep_host, repeat, fleet=fleet)
    found = outcomes.all()
    terminal.say("")
    terminal.table(found, job.config.confidence.safety)
    wrong = [cell.cell.id for cell in found if cell.verdict is not None and not cell.as_expected]
    verdict = (
        "every cell shows what it should" if not wrong else f"not as expected: {', '.join(wrong)}"
    )
    terminal.say(f"\n{verdict} ({time.monotonic() - began:.0f} s)")
    if job.stop.is_set():
        terminal.say(f"interrupted; resume with: lab run --resume {shorten(folder.path)}")
    claims = conclude(job.config, found, describe(supplies), repeat, folder, terminal)
    terminal.say(_write_pages(folder))
    for line in _replayable(job.config, found, folder):
        terminal.say(line)
    terminal.say(f"evidence  {shorten(folder.path)}")
    terminal.say(f"again     {repeat}")
    terminal.say(f"check it  lab verify {shorten(folder.path)}")
    return Exit.INTERRUPTED if job.stop.is_set() else outcomes.exit_code() or claims


def _write_pages(folder: RunFolder) -> str:
    """The run's pages and those over all runs. Whatever goes wrong here, the verdicts stand."""
    from lab.page.write import write_pages

    try:
        write_pages(folder.path.parent, fresh=folder.path)
    except Exception as error:
        return f"no page   {str(error) or type(error).__name__}"
    return f"page      {shorten(folder.path)}/{PAGES}/index.html"


def _replayable(config: LabConfig, outcomes: list[CellVerdict], folder: RunFolder) -> list[str]:
    """How a corruption of this run can be replayed, or made replayable."""
    found = [cell.cell for cell in outcomes if cell.verdict is Verdict.CORRUPTS]
    if config.icount is not None:
        from lab.replay.capsule import NAME

        kept = [trial.path for cell in found for trial in folder.trials(cell.id)]
        return [f"replay    lab replay {shorten(path)}" for path in kept if (path / NAME).exists()]
    own = [cell.id for cell in found if impossible(cell) is None]
    return [f"make it replayable: lab capsule {cell}" for cell in own]
