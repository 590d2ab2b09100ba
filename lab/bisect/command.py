# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab bisect` and `lab bisect-step`, from arguments to exit code."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lab import __version__
from lab.bisect import repo as bisectgit
from lab.bisect import report as bisectreport
from lab.bisect import series as bisectseries
from lab.bisect.bench import Bench
from lab.bisect.course import Bisect
from lab.bisect.journal import ORDER, Answer, Journal, Order
from lab.bisect.kernels import BuildSettings, CommitFailed, Kernels, TreeKernels
from lab.bisect.marks import Mark, Question, mark_of, wrong
from lab.bisect.repo import BisectRepo
from lab.bisect.session import Experiment, Kind, Sessions, own_controls
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.evidence.run import FORMAT, RunFolder
from lab.exitcodes import GIT_ABORT, GIT_SKIP, Exit
from lab.report.terminal import Terminal
from lab.run import host
from lab.run.experiment import run_experiment
from lab.supplies.feasible import check_input
from lab.system.clock import now
from lab.system.files import shorten
from lab.verdict.cell import CellVerdict

_REPO = "repo.git"


@dataclass(frozen=True)
class Asked:
    """The command's arguments."""

    tree: Path
    good: str
    bad: str
    find_fix: bool = False
    cell: str = "dom0"
    paths: tuple[str, ...] = ()
    args: str = ""
    compiler: str = "gcc"


def bisect(
    asked: Asked, config: LabConfig, text: str, results: Path, keep_host: bool, repeat: str
) -> int:
    """`lab bisect`: a new one. ``text`` is the configuration as it was given."""
    kind = Kind.parse(asked.cell, config, asked.args)
    check_input(config, [kind.guest])
    folder, order = _prepare(asked, results, repeat)
    folder.write_text("lab.yaml", text)
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("manifest.json", {"format": FORMAT, "lab": __version__, "command": repeat,
                                   "bisect": True, "began": now()})  # fmt: skip
    folder.write(ORDER, order.as_json())
    return _go(order, Journal(folder), config, kind, keep_host)


def _prepare(asked: Asked, results: Path, repeat: str) -> tuple[RunFolder, Order]:
    """The run's folder with git's clone in it; bad input is refused before it is made."""
    if bisectseries.is_series(asked.tree):
        tree = asked.tree.resolve()
        series = bisectseries.entries(tree)
        good, bad = bisectseries.find_ends(series, asked.good, asked.bad, asked.find_fix)
        if asked.paths:
            raise UserError("--path needs a git tree: a folder of kernels has no paths")
        folder = RunFolder.create(results)
        _, commits = bisectseries.history(series, folder.path / _REPO)
        question = Question(commits[good], commits[bad], asked.find_fix)
        return folder, _order(asked, tree, question, True, repeat)
    tree = bisectgit.top_of(asked.tree)
    ends = [bisectgit.resolve(tree, rev) for rev in (asked.good, asked.bad)]
    bisectgit.check_ends(tree, ends[0], ends[1], asked.find_fix)
    folder = RunFolder.create(results)
    BisectRepo.clone(tree, folder.path / _REPO)
    question = Question(ends[0], ends[1], asked.find_fix, asked.paths)
    return folder, _order(asked, tree, question, False, repeat)


def _order(asked: Asked, tree: Path, question: Question, prebuilt: bool, repeat: str) -> Order:
    return Order(
        str(tree), asked.good, asked.bad, question, asked.cell, asked.args, prebuilt,
        asked.compiler, repeat,
    )  # fmt: skip


def resume(path: Path, keep_host: bool) -> int:
    """`lab bisect --resume`: marked commits stay, the rest is tested."""
    journal, order = Journal.open(path)
    config = LabConfig.model_validate(journal.folder.read("config.json"))
    manifest = journal.folder.manifest()
    manifest.setdefault("resumed", []).append(now())
    journal.folder.write("manifest.json", manifest)
    return _go(order, journal, config, Kind.parse(order.cell, config, order.args), keep_host)


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
    sessions = Sessions(config, kind, _experiment(repeat, True), controls)
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


def _go(order: Order, journal: Journal, config: LabConfig, kind: Kind, keep_host: bool) -> int:
    terminal = Terminal()
    terminal.say(f"bisecting {order.tree} as {kind.word}; evidence in {shorten(journal.path)}")
    repo = BisectRepo(journal.path / _REPO)
    kernels: Kernels
    if order.prebuilt:
        kernels = bisectseries.SeriesKernels(repo)
    else:
        kernels = TreeKernels(Path(order.tree), order.question.bad, _settings(order))
    sessions = Sessions(
        config, kind, _experiment(order.repeat, False), own_controls(config, kind)
    )  # fmt: skip
    bench = Bench(order, journal, repo, kernels, sessions, terminal.say, _Progress(terminal))
    try:
        answer = Bisect(bench).run()
    except KeyboardInterrupt:
        terminal.say(f"interrupted; resume with: lab bisect --resume {shorten(journal.path)}")
        return Exit.INTERRUPTED
    except LabError as error:
        terminal.say(f"LAB_ERROR, nothing was marked: {error}")
        terminal.say(f"resume with: lab bisect --resume {shorten(journal.path)}")
        return Exit.LAB_ERROR
    finally:
        if kind.guest in ("pv", "pvh", "hvm") and config.host.kind == "nested" and not keep_host:
            host.stop(config)
    _closing(bench, answer, terminal)
    return Exit.OK if answer.status == "confirmed" else Exit.VACUOUS


def _closing(bench: Bench, answer: Answer, terminal: Terminal) -> None:
    terminal.say("")
    if answer.culprit:
        found = f"first {bench.order.question.new_term} commit: {answer.culprit}"
        bench.write_log(found)
        if not bench.order.prebuilt:
            terminal.say(bench.repo.summary(answer.culprit).rstrip())
            terminal.say("")
    for commit in answer.among:
        terminal.say(f"  could be  {bench.describe(commit)}")
    terminal.say(bisectreport.headline(bench.order, answer))
    if bench.steps:
        terminal.say(f"all marks right with probability {bisectreport.sure(wrong(bench.steps))}")
    terminal.say(f"evidence  {shorten(bench.journal.path)}/summary.md")
    if not bench.order.prebuilt:
        terminal.say(f"git       git bisect replay {shorten(bench.journal.path)}/bisect.log")
    terminal.say(f"again     {bench.order.repeat}")


def _settings(order: Order) -> BuildSettings:
    return BuildSettings(order.compiler)


def _experiment(repeat: str, loud: bool) -> Experiment:
    def run(config: LabConfig, chosen: list[Cell], folder: RunFolder) -> list[CellVerdict]:
        terminal = Terminal() if loud else Terminal.board_only()
        return run_experiment(config, chosen, folder, terminal, True, repeat)

    return run


class _Progress:
    """Prints what a build is doing, at most every 20 seconds."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said = 0.0

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._said > 20:
            self._said = time.monotonic()
            self._terminal.say(f"  {text}")
