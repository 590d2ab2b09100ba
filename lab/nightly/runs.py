# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of a night: new or continued, ended when the night's time is over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.evidence.run import RunFolder
from lab.report.terminal import Terminal
from lab.run.claims import conclude
from lab.run.experiment import (
    KernelsChangedError,
    describe,
    execute,
    record_plan,
    reopen,
)
from lab.supplies.gather import gather_showing
from lab.trial.job import Job
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

_PLAN, _MANIFEST = "plan.json", "manifest.json"


@dataclass
class Limit:
    """The end of a night's time. ``stop`` ends what runs; ``reached`` says that it was this."""

    stop: threading.Event
    reached: bool = False

    def reach(self) -> None:
        self.reached = True
        self.stop.set()


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[Limit]:
    """A limit that is reached after ``seconds``, unless the block ends before."""
    made = Limit(threading.Event())
    timer = threading.Timer(max(seconds, 0.0), made.reach)
    timer.daemon = True
    timer.start()
    try:
        yield made
    finally:
        timer.cancel()


@dataclass(frozen=True)
class Wanted:
    """What a run is of. ``marks``: for its manifest, the night and the job among them."""

    config: LabConfig
    cells: Sequence[Cell]
    text: str  # the configuration as it was given
    marks: dict[str, str]
    repeat: str


@dataclass(frozen=True)
class Ran:
    """``cut``: the night's time was over before it ended; ``outcomes`` then lack what did not run.

    ``claims``: their exit code.
    """

    folder: RunFolder
    outcomes: tuple[CellVerdict, ...]
    cut: bool = False
    claims: int = 0


def run_cells(
    wanted: Wanted,
    results: Path,
    earlier: str,
    seconds: float,
    name: Callable[[str], None],
) -> Ran:
    """Run cells, or continue the run of the folder ``earlier`` where one is named.

    ``name`` is given a new folder's name before anything runs. KeyboardInterrupt after Ctrl-C;
    LabError and UserError where the cells cannot be run at all.
    """
    terminal = Terminal()
    with limit(seconds) as end:
        job, chosen = _prepare(wanted, results, earlier, name, terminal, end.stop)
        outcomes = execute(job, chosen, terminal, False, wanted.repeat).all()
    cut = job.stop.is_set()
    if cut and not end.reached:
        raise KeyboardInterrupt
    terminal.say("")
    terminal.table(outcomes, job.config.confidence.safety)
    if cut:
        return Ran(job.folder, tuple(o for o in outcomes if not _is_unfinished(o)), cut)
    facts = describe(job.supplies)
    claims = conclude(job.config, outcomes, facts, wanted.repeat, job.folder, terminal)
    return Ran(job.folder, tuple(outcomes), claims=claims)


def _prepare(
    wanted: Wanted,
    results: Path,
    earlier: str,
    name: Callable[[str], None],
    terminal: Terminal,
    stop: threading.Event,
) -> tuple[Job, list[Cell]]:
    if earlier:
        folder = RunFolder(results / earlier)
        if all((folder.path / file).is_file() for file in (_PLAN, _MANIFEST)):
            with contextlib.suppress(KernelsChangedError):
                return reopen(folder, terminal, stop)
        elif folder.path.is_dir():
            _forget(folder.path)
    config, chosen = _tune(wanted, results)
    folder = RunFolder.create(results)
    name(folder.path.name)
    began = time.monotonic()
    supplies = gather_showing(config, chosen, terminal, [])
    folder.time("gathering", time.monotonic() - began)
    folder.write_text("lab.yaml", wanted.text)
    record_plan(folder, config, chosen, supplies, wanted.repeat, wanted.marks)
    return Job(config, supplies, folder, terminal.board, stop), chosen


def _forget(folder: Path) -> None:
    """Remove a folder that its run never began in: it is empty but for the first notes."""
    for file in ("timings.json", "lab.yaml", "config.json", _PLAN):
        (folder / file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it holds something else, and stays
        folder.rmdir()


def _tune(wanted: Wanted, results: Path) -> tuple[LabConfig, list[Cell]]:
    chosen = list(wanted.cells)
    if not wanted.config.stress.search:
        return wanted.config, chosen
    from lab.config.cells import cells
    from lab.search.tune import tune

    config = tune(wanted.config, chosen, results)
    ids = {cell.id for cell in chosen}
    return config, [cell for cell in cells(config) if cell.id in ids]


def _is_unfinished(outcome: CellVerdict) -> bool:
    """Whether a cell of a run that was cut off has no verdict of its own."""
    return outcome.verdict is Verdict.LAB_ERROR or outcome.verdict is Verdict.VACUOUS
