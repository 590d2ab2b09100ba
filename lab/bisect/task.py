# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole bisect as one task: its folder is made, it runs to its answer, and it can be resumed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import __version__
from lab.bisect import repo as bisectgit
from lab.bisect import report as bisectreport
from lab.bisect import series as bisectseries
from lab.bisect.bench import Bench
from lab.bisect.course import Bisect
from lab.bisect.journal import ORDER, Answer, Journal, Order
from lab.bisect.kernels import BuildSettings, Kernels, TreeKernels
from lab.bisect.marks import Question, wrong
from lab.bisect.repo import BisectRepo
from lab.bisect.session import Experiment, Kind, Sessions, own_controls
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.run import FORMAT, RunFolder
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


@dataclass(frozen=True)
class Task:
    """A bisect with a folder. ``stop``: ends it, as Ctrl-C does, between two boots."""

    order: Order
    journal: Journal
    config: LabConfig
    kind: Kind
    keep_host: bool = False
    stop: threading.Event | None = None

    def run(self, terminal: Terminal) -> Answer:
        """To the answer, from where the folder ends; LabError where nothing can be marked.

        KeyboardInterrupt when it was stopped: it can be resumed.
        """
        order, journal, config, kind = self.order, self.journal, self.config, self.kind
        terminal.say(f"bisecting {order.tree} as {kind.word}; evidence in {shorten(journal.path)}")
        repo = BisectRepo(journal.path / _REPO)
        kernels: Kernels
        if order.prebuilt:
            kernels = bisectseries.SeriesKernels(repo)
        else:
            settings = BuildSettings(order.compiler)
            kernels = TreeKernels(Path(order.tree), order.question.bad, settings)
        experiment = make_experiment(order.repeat, False, self.stop)
        sessions = Sessions(config, kind, experiment, own_controls(config, kind))
        say = self._stopping(terminal.say)
        bench = Bench(order, journal, repo, kernels, sessions, say, _Progress(terminal))
        try:
            answer = Bisect(bench).run()
        finally:
            ours = config.host.kind == "nested" and not kind.host
            nested = kind.guest in ("pv", "pvh", "hvm") and ours
            if nested and not self.keep_host:
                host.stop(config)
        _closing(bench, answer, terminal)
        return answer

    def _stopping(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """``say`` is called before every part: there it can end without a loss."""

        def speak(text: str) -> None:
            if self.stop is not None and self.stop.is_set():
                raise KeyboardInterrupt
            say(text)

        return speak


def begin(
    asked: Asked,
    config: LabConfig,
    text: str,
    results: Path,
    repeat: str,
    marks: Mapping[str, str] | None = None,
) -> Task:
    """A new one's folder, before anything is built. ``text`` is the configuration as it was given.

    ``marks``: more for its manifest. UserError for bad input, before the folder is made.
    """
    kind = Kind.parse(asked.cell, config, asked.args)
    check_input(config, [kind.guest], kind.host)
    folder, order = _prepare(asked, results, repeat)
    folder.write_text("lab.yaml", text)
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("manifest.json", {"format": FORMAT, "lab": __version__, "command": repeat,
                                   "bisect": True, "began": now(), **(marks or {})})  # fmt: skip
    folder.write(ORDER, order.as_json())
    return Task(order, Journal(folder), config, kind)


def reopen(path: Path) -> Task:
    """An earlier one; marked commits stay. UserError when the folder is not of one."""
    journal, order = Journal.open(path)
    config = LabConfig.model_validate(journal.folder.read("config.json"))
    manifest = journal.folder.manifest()
    manifest.setdefault("resumed", []).append(now())
    journal.folder.write("manifest.json", manifest)
    return Task(order, journal, config, Kind.parse(order.cell, config, order.args))


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


def make_experiment(repeat: str, loud: bool, stop: threading.Event | None = None) -> Experiment:
    """Runs cells into a session's folder; ``loud``: with all that `lab run` prints."""

    def run(config: LabConfig, chosen: list[Cell], folder: RunFolder) -> list[CellVerdict]:
        terminal = Terminal() if loud else Terminal.board_only()
        return run_experiment(config, chosen, folder, terminal, True, repeat, stop=stop)

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
