# SPDX-License-Identifier: GPL-2.0-or-later
"""Tiny histories whose commits say what their kernels do, and a lab that believes them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.bisect import bench as benches
from lab.bisect.course import Bisect
from lab.bisect.journal import Answer, Journal, Order
from lab.bisect.kernels import Built, CommitFailed, Kernels
from lab.bisect.marks import Question
from lab.bisect.repo import BisectRepo, resolve
from lab.bisect.session import Kind, Sessions
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.evidence.run import FORMAT, RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

CONFIG = """
kernels: {known: {image: known}}
matrix: {guests: [dom0]}
expect: {corrupts: [dom0-known]}
"""
# What a commit's file says of its kernel, and what a boot of it comes to.
VERDICTS = {
    "good": Verdict.CLEAN, "bad": Verdict.CORRUPTS, "crash": Verdict.CRASHED,
    "eager": Verdict.VACUOUS, "ill": Verdict.LAB_ERROR,
}  # fmt: skip
MISS = 1e-6


def git(tree: Path, *words: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for key in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{key}_NAME": "n", f"GIT_{key}_EMAIL": "n@localhost"}
    done = subprocess.run(
        ["git", "-C", str(tree), *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(tree: Path, state: str, message: str, **files: str) -> str:
    """A commit whose kernel is in ``state``; other files by name."""
    (tree / "state").write_text(f"{state}\n")
    (tree / f"note {message}").write_text(message)  # no commit is empty
    for name, content in files.items():
        (tree / name).write_text(content)
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", message)
    return git(tree, "rev-parse", "HEAD")


def line(tree: Path, states: str) -> list[str]:
    """A straight history, a commit for each word."""
    tree.mkdir(parents=True)
    git(tree, "init", "-q", "-b", "main")
    stream = ""
    for number, state in enumerate(states.split()):
        message = f"c{number} {state}"
        stream += f"commit refs/heads/main\ncommitter n <n@localhost> {1600000000 + number} +0000\n"
        stream += f"data {len(message)}\n{message}\n"
        stream += _file("state", f"{state}\n") + _file(f"note {message}", message)
    subprocess.run(
        ["git", "-C", str(tree), "fast-import", "--quiet"], input=stream, text=True, check=True
    )
    git(tree, "reset", "-q", "--hard")
    return git(tree, "rev-list", "--reverse", "main").split()


def _file(name: str, content: str) -> str:
    return f"M 100644 inline {name}\ndata {len(content)}\n{content}\n"


@dataclass
class FakeKernels:
    """The built image is the commit's state. ``builds`` counts what was built."""

    repo: BisectRepo
    folder: Path
    builds: list[str] = field(default_factory=list)
    reverts: bool = True

    def label(self, commit: str) -> str:
        return commit[:12]

    def is_built(self, commit: str) -> bool:
        return (self.folder / commit).is_file()

    def kernel(
        self, commit: str, report: Callable[[str], None], patches: tuple[Path, ...] = ()
    ) -> Built:
        report("building")
        self.folder.mkdir(exist_ok=True)
        image, log = self.folder / commit, self.folder / "log"
        state = self.repo.file(commit, "state").strip()
        for patch in patches:
            image = image.with_name("patched")
            added = [text[1:] for text in patch.read_text().splitlines() if text[:1] == "+"]
            state = next(word for word in added if word in VERDICTS)
        if image.is_file():
            return Built(image)
        self.builds.append(image.name)
        log.write_text("make\n")
        if state == "broken":
            raise CommitFailed("make failed: error: broken", log)
        image.write_text(state)
        return Built(image, seconds=10.0, log=log)


@dataclass
class FakeLab:
    """An experiment: the verdict that each kernel's image names, unless ``says`` gives another."""

    says: Callable[[str, RunFolder], Verdict | None] = lambda _state, _folder: None
    state: Callable[[str], str] = str.strip  # of an image's text
    sessions: list[list[str]] = field(default_factory=list)

    def __call__(
        self, config: LabConfig, chosen: list[Cell], folder: RunFolder
    ) -> list[CellVerdict]:
        self.sessions.append([cell.kernel for cell in chosen])
        return [self._cell(config, cell, folder) for cell in chosen]

    def _cell(self, config: LabConfig, cell: Cell, folder: RunFolder) -> CellVerdict:
        image = config.kernels[cell.kernel].image
        assert image is not None
        text = "bad" if cell.kernel == "known" else image.read_bytes().decode(errors="replace")
        state = self.state(text.replace("\0", " ").strip())
        scripted = self.says(state, folder)
        verdict = VERDICTS[state] if scripted is None else scripted
        wanted = config.confidence.control_boots if cell.is_control else 1
        while len(folder.trials(cell.id)) < wanted:
            path = folder.trial(cell.id, len(folder.trials(cell.id)) + 1).path
            path.mkdir(parents=True)
            (path / "verdict.json").write_text(json.dumps({"verdict": verdict.value}))
        trials = tuple(TrialVerdict(verdict, "as scripted", windows=100) for _ in range(wanted))
        miss = MISS if verdict is Verdict.CLEAN else None
        return CellVerdict(cell, verdict, "as scripted", trials, 1.0, miss)


@dataclass
class Bench:
    """A bisect of a tiny history, which can be begun again as after a kill."""

    tree: Path
    question: Question
    tmp: Path
    lab: FakeLab = field(default_factory=FakeLab)
    said: list[str] = field(default_factory=list)
    answer: Answer | None = None
    repo: BisectRepo = field(init=False)
    kernels: FakeKernels = field(init=False)
    folder: RunFolder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = RunFolder.create(self.tmp / "results")
        self.folder.write("manifest.json", {"format": FORMAT})
        self.repo = BisectRepo.clone(self.tree, self.folder.path / "repo.git")
        self.kernels = FakeKernels(self.repo, self.tmp / "kernels")

    def bisect(self) -> Bisect:
        return _bisect(
            self.folder, self.question, self.repo, self.kernels, self.lab, self.said
        )  # fmt: skip


def bisect_of(
    question: Question,
    repo: BisectRepo,
    kernels: Kernels,
    lab: FakeLab,
    tmp: Path,
    said: list[str],
    prebuilt: bool,
) -> Bisect:
    """A bisect of whatever kernels, in a new folder."""
    folder = RunFolder.create(tmp / "results")
    folder.write("manifest.json", {"format": FORMAT})
    return _bisect(folder, question, repo, kernels, lab, said, prebuilt)


def _bisect(
    folder: RunFolder,
    question: Question,
    repo: BisectRepo,
    kernels: Kernels,
    lab: FakeLab,
    said: list[str],
    prebuilt: bool = False,
) -> Bisect:
    config = parse(CONFIG, folder.path / "lab.yaml")
    order = Order("the tree", "good", "bad", question, "dom0", "", prebuilt, "gcc", "lab bisect")
    folder.write("bisect.json", order.as_json())
    sessions = Sessions(config, Kind.parse("dom0", config), lab, ("dom0-known",))
    journal, order = Journal.open(folder.path)
    work = benches.Bench(order, journal, repo, kernels, sessions, said.append, lambda _: None)
    return Bisect(work)


def bench(
    tmp_path: Path, tree: Path, good: str, bad: str, find_fix: bool = False, *paths: str
) -> Bench:
    ends = [resolve(tree, rev) for rev in (good, bad)]
    return Bench(tree, Question(ends[0], ends[1], find_fix, paths), tmp_path)
