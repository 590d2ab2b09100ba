# SPDX-License-Identifier: GPL-2.0-or-later
"""The commit that brought it in: a bisect from the last good revision, within the night's time.

One that has no time to end is continued by the next night.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lab.bisect import report as bisectreport
from lab.bisect.repo import BisectRepo
from lab.bisect.session import Kind
from lab.bisect.task import Asked, Task, begin, reopen
from lab.config.cells import Cell
from lab.config.kernel import KernelConfig
from lab.errors import LabError, UserError
from lab.evidence.content import load
from lab.kernel.tree import choose_compiler, find_tip, specify
from lab.nightly.desk import Desk, DiskFullError
from lab.nightly.jobs import Job
from lab.nightly.night import Carried, Change, Night, Part
from lab.nightly.runs import limit
from lab.report.terminal import Terminal

_LEFT = ("running", "cut")  # states of a bisect that the next night continues


def bisect(desk: Desk, job: Job, change: Change) -> None:
    """Start a bisect for a clean cell that corrupts, or continue it; says why where it cannot."""
    cell = next((cell for cell in job.cells if cell.id == change.cell), None)
    part = change.bisect = change.bisect or Part()
    if cell is None or part.state != "running":
        return
    _attempt(desk, part, lambda: _start(desk, job, cell, change, part), change)


def go_on(desk: Desk, carried: Carried) -> None:
    """Continue a bisect of an earlier night."""
    part = carried.part
    if part.state != "running":
        return
    desk.say(f"continuing the bisect of {carried.cell} from night {carried.night}")
    _attempt(desk, part, lambda: reopen(desk.results / part.run), carried)


def _start(desk: Desk, job: Job, cell: Cell, change: Change, part: Part) -> Task:
    if part.run and (desk.results / part.run / "bisect.json").is_file():
        return reopen(desk.results / part.run)
    asked = _ask(desk.results, job, cell, change)
    desk.say(f"{cell.id} corrupts: bisecting {asked.tree} from {asked.good[:12]}")
    repeat = (
        f"lab bisect {asked.tree} --good {asked.good} --bad {asked.bad} --cell {asked.cell} "
        f"--compiler {asked.compiler}"
    )
    marks = desk.mark(job.name, "bisect")
    task = begin(asked, job.config, desk.text, desk.results, repeat, marks)
    part.run = task.journal.path.name
    return task


def _attempt(desk: Desk, part: Part, task: Callable[[], Task], found: Change | Carried) -> None:
    """Run it to its answer or to the end of the night's time, and write down the outcome."""
    if desk.remaining() <= 0:
        part.state, part.says = "cut", "no time was left for it"
        return
    desk.check_space()
    try:
        made = task()
        desk.save()
        _run(desk, made, part, found)
    except DiskFullError:
        raise
    except UserError as error:
        part.state, part.says = "left out", str(error)
    except LabError as error:
        part.state, part.says = "failed", str(error)
    desk.say(f"  {part.says}")
    desk.save()


def _run(desk: Desk, task: Task, part: Part, found: Change | Carried) -> None:
    with limit(desk.remaining()) as end:
        try:
            answer = replace(task, stop=end.stop).run(Terminal())
        except KeyboardInterrupt:
            if not end.reached:
                raise
            steps = len(task.journal.steps())
            part.state = "cut"
            part.says = f"out of time after {steps} marked commits; the next night continues it"
            return
    part.state, part.says = "done", bisectreport.headline(task.order, answer)
    if answer.culprit:
        repo = BisectRepo(task.journal.path / "repo.git")
        found.culprit = f"{answer.culprit[:12]} {repo.subject(answer.culprit)}"


def _ask(results: Path, job: Job, cell: Cell, change: Change) -> Asked:
    """The bisect's question; UserError where it cannot be asked."""
    kernel = job.config.kernels[cell.kernel]
    _check(job, cell, kernel)
    assert kernel.tree is not None
    bad = find_commit(results, change.run, cell.kernel)
    good = find_commit(results, change.good_run, cell.kernel)
    if not good or not bad:
        raise UserError("the last good revision is not known: its run's folder is gone")
    if good == bad:
        raise UserError(f"the kernel was {good[:12]} when it was clean too: something else changed")
    release = specify(cell.kernel, kernel.tree, bad).source.release
    repository, _ = find_tip(kernel.tree, bad)
    kind = Kind(cell.guest, cell.variation).word
    compiler = choose_compiler(kernel.compiler, release, cell.kernel)
    return Asked(repository, good, bad, False, kind, (), kernel.args, compiler)


def _check(job: Job, cell: Cell, kernel: KernelConfig) -> None:
    if not job.asked.bisect:
        raise UserError("not asked for (bisect: false)")
    if cell.kernel not in job.asked.git:
        raise UserError(f"the kernel {cell.kernel} is not one of the job's git trees")
    if kernel.patches or kernel.config or kernel.fragments or kernel.make:
        raise UserError(f"the kernel {cell.kernel} is not its tree alone: it has patches or more")
    if cell.host:
        raise UserError(f"a bisect boots on the host under host:, and the cell is on {cell.host}")


def find_commit(results: Path, run: str, kernel: str) -> str:
    """Of a kernel, as a run's manifest has it; empty where it is not known."""
    try:
        kernels = load(results / run / "manifest.json")["supplies"]["kernels"]
        return str(kernels[kernel]["source_commit"])
    except (UserError, KeyError, TypeError):
        return ""


def list_left(nights: Sequence[Night]) -> list[Carried]:
    """Bisects that the newest night left under way."""
    if not nights:
        return []
    night = nights[-1]
    left = [
        Carried(night=night.night, cell=c.cell, job=c.job, part=_again(c.bisect))
        for c in night.changes
        if c.bisect is not None and c.bisect.run and c.bisect.state in _LEFT
    ]
    older = [c for c in night.carried if c.part.state in _LEFT]
    return [*(c.model_copy(update={"part": _again(c.part)}) for c in older), *left]


def _again(part: Part) -> Part:
    return Part(run=part.run)
