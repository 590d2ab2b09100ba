# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab bisect` and `lab bisect-step`, from arguments to exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.bisect import repo as bisectgit
from lab.bisect.kernels import BuildSettings, CommitFailed, TreeKernels
from lab.bisect.marks import Mark, mark_of
from lab.bisect.session import Kind, Sessions, own_controls
from lab.bisect.task import Asked, Task, begin, make_experiment, reopen
from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.exitcodes import GIT_ABORT, GIT_SKIP, Exit
from lab.report.terminal import Terminal
from lab.system.files import shorten
from lab.verdict.cell import CellVerdict


def bisect(
    asked: Asked, config: LabConfig, text: str, results: Path, keep_host: bool, repeat: str
) -> int:
    """`lab bisect`: a new one. ``text`` is the configuration as it was given."""
    return _run(replace(begin(asked, config, text, results, repeat), keep_host=keep_host))


def resume(path: Path, keep_host: bool) -> int:
    """`lab bisect --resume`: marked commits stay, the rest is tested."""
    return _run(replace(reopen(path), keep_host=keep_host))


def step(
    tree: Path,
    cell: str,
    find_fix: bool,
    config: LabConfig,
    args: str,
    compiler: str,
    results: Path,
    repeat: str,
) -> int:
    """`lab bisect-step`: test the commit that `git bisect` chose; returns the code for git."""
    terminal = Terminal()
    top = bisectgit.top_of(tree)
    commit = bisectgit.under_test(top)
    kind = Kind.parse(cell, config, args)
    folder = RunFolder.create(results)
    kernels = TreeKernels(top, commit, BuildSettings(compiler))
    try:
        kernel = kernels.kernel(commit, terminal.say)
    except CommitFailed as error:
        terminal.say(f"SKIP  BUILD FAILED: {error}")
        return GIT_SKIP
    controls = own_controls(config, kind)
    if not controls:
        raise UserError(f"lab.yaml has no {kind.guest} cell under expect.corrupts: no control")
    sessions = Sessions(config, kind, make_experiment(repeat, True), controls)
    outcome = sessions.boot_alone((kernels.label(commit), kernel.image), folder)
    terminal.say(f"evidence  {shorten(folder.path)}")
    return _code(outcome, find_fix, terminal)


def _code(outcome: CellVerdict, find_fix: bool, terminal: Terminal) -> int:
    mark = mark_of(outcome.verdict)
    if mark is None:
        terminal.say(f"LAB_ERROR, no mark: {outcome.reason}")
        return GIT_ABORT
    word = outcome.verdict.value if outcome.verdict is not None else "impossible"
    terminal.say(f"{mark.value.upper()}  {word}: {outcome.reason}")
    if mark is Mark.SKIP:
        return GIT_SKIP
    # git calls 0 the old term and 1 the new one: with find_fix clean is the new one.
    return int((mark is Mark.BAD) != find_fix)


def _run(task: Task) -> int:
    terminal = Terminal()
    try:
        answer = task.run(terminal)
    except KeyboardInterrupt:
        terminal.say(f"interrupted; resume with: lab bisect --resume {shorten(task.journal.path)}")
        return Exit.INTERRUPTED
    except LabError as error:
        terminal.say(f"LAB_ERROR, nothing was marked: {error}")
        terminal.say(f"resume with: lab bisect --resume {shorten(task.journal.path)}")
        return Exit.LAB_ERROR
    return Exit.OK if answer.status == "confirmed" else Exit.VACUOUS
