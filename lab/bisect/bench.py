# SPDX-License-Identifier: GPL-2.0-or-later
"""What search and confirmation share: building a commit, and booting it beside the control."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.bisect.journal import Journal, Order
from lab.bisect.kernels import Built, CommitFailed, Kernels
from lab.bisect.marks import Mark, Step, log_text
from lab.bisect.repo import BisectRepo
from lab.bisect.session import Control, Sessions
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.system.files import shorten, write_atomic
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


@dataclass
class Bench:
    """``say`` gets the lines for the user, ``progress`` what a build is doing."""

    order: Order
    journal: Journal
    repo: BisectRepo
    kernels: Kernels
    sessions: Sessions
    say: Callable[[str], None]
    progress: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)

    def control(self) -> Control:
        """The bad end with all its boots so far, which are in the last session's folder."""
        commit = self.order.question.bad
        label = self.kernels.label(commit)
        image = self.kernels.kernel(commit, self.progress).image
        boots, count = self.journal.boots_of(self.sessions.kind.cell(label))
        return Control(label, image, boots, count)

    def describe(self, commit: str) -> str:
        """A commit's label and subject."""
        return f"{self.kernels.label(commit)} {self.repo.subject(commit)}"

    def build(
        self, commit: str, folder: RunFolder, name: str, patches: tuple[Path, ...] = ()
    ) -> Built:
        """The commit's kernel; its log and provenance go into the step's folder."""
        try:
            built = self.kernels.kernel(commit, self.progress, patches)
        except CommitFailed as error:
            if error.log is not None:
                shutil.copy(error.log, folder.path / f"{name}.log")
            raise
        if built.log is not None:
            shutil.copy(built.log, folder.path / f"{name}.log")
        text = json.dumps(built.provenance, indent=1) + "\n"
        write_atomic(folder.path / f"{name}.json", text)
        if built.seconds:
            self.say(f"  built in {built.seconds:.0f} s")
        return built

    def boot_beside(
        self, name: str, kernels: dict[str, Path], control: Control, folder: RunFolder
    ) -> dict[str, CellVerdict]:
        """Run a session. One in which the lab failed is set aside, so that it marks nothing."""
        try:
            return self.sessions.boot_beside(kernels, control, folder)
        except LabError as error:
            aside = self.journal.set_aside(name)
            raise LabError(f"{error}: {shorten(aside)}") from error

    def write_log(self, found: str = "") -> Path:
        """Write bisect.log, all that git gets to know; `git bisect replay` reads it."""
        path = self.journal.path / "bisect.log"
        write_atomic(path, log_text(self.order.question, self.steps, found))
        return path

    def record(
        self, commit: str, mark: Mark, outcome: CellVerdict, folder: RunFolder, built: Built
    ) -> Step:
        """A marked commit, with the evidence for its mark."""
        return Step(
            commit=commit,
            subject=self.repo.subject(commit),
            mark=mark,
            verdict=outcome.verdict.value if outcome.verdict is not None else "impossible",
            reason=outcome.reason,
            folder=self.journal.relative(folder),
            miss=outcome.miss or 0.0,
            windows=outcome.windows,
            boots=sum(t.verdict is not Verdict.LAB_ERROR for t in outcome.trials),
            build_seconds=built.seconds,
            seconds=folder.timings().get("all cells", 0.0),
        )
