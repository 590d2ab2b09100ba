"""A bisect, from its two ends to a confirmed answer: the story.

Both ends are proved. git chooses a commit; it is built and booted beside the control; what that
showed is its mark. In the end the culprit and its parent are tried again, and the culprit's
change by itself. Every part leaves its outcome in the journal before the next begins.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.bisect import report as bisectreport
from lab.bisect.journal import ENDS, Journal, Order
from lab.bisect.kernels import Built, CommitFailed, Kernels
from lab.bisect.marks import Mark, Step, choose, costs, log_text, mark_of, wrong
from lab.bisect.repo import BisectRepo, Found, ToTest, Undecided
from lab.bisect.session import Control, Sessions
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.system.files import short, write_atomic
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

BUILD_FAILED = "BUILD FAILED"
_NEIGHBOURS = 100


class NotProvedError(Exception):
    """An end is not what the user said: there is nothing to bisect. The message says why."""


@dataclass(frozen=True)
class Answer:
    """``status``: confirmed, suspected, undecided (only skipped commits are left), not proved."""

    status: str
    culprit: str = ""
    parent: str = ""
    why: tuple[str, ...] = ()
    among: tuple[str, ...] = ()  # undecided: the commits that it could be
    name: str = ""  # of a prebuilt kernel, whose commit is of our making


@dataclass
class Bisect:
    """``say`` gets the story's lines, ``progress`` what a build is doing."""

    order: Order
    journal: Journal
    repo: BisectRepo
    kernels: Kernels
    sessions: Sessions
    say: Callable[[str], None]
    progress: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)

    def run(self) -> Answer:
        """To the answer; raises LabError, KeyboardInterrupt, and goes on where it was."""
        from lab.bisect.confirm import Confirmation

        self.steps = self.journal.steps()
        if self.steps:
            self.say(f"going on after {len(self.steps)} marked commits; nothing is run again")
        try:
            self._ends()
            answer = self._search()
            if answer.culprit:
                answer = Confirmation(self).confirm(answer)
        except NotProvedError as error:
            answer = Answer("not proved", why=(str(error),))
        self.report(answer)
        return answer

    # The ends.

    def _ends(self) -> None:
        """Both proved in one session; the bad one is the control from there on."""
        folder = self.journal.evidence(ENDS)
        if not self.journal.outcome(ENDS):
            self._prove_ends(folder)
            self.steps = self.journal.steps()
            self.report(None)

    def control(self) -> Control:
        """The bad end with all its boots so far: the session that was last has them all."""
        commit = self.order.question.bad
        label = self.kernels.label(commit)
        image = self.kernels.kernel(commit, self.progress).image
        boots, count = self.journal.boots_of(self.sessions.kind.cell(label))
        return Control(label, image, boots, count)

    def _prove_ends(self, folder: RunFolder) -> None:
        question, kernels = self.order.question, self.kernels
        built = {}
        for name, commit in (("bad", question.bad), ("good", question.good)):
            self.say(f"{name} end   {self.named(commit)}")
            try:
                built[name] = self.build(commit, folder, f"{name}-end")
            except CommitFailed as error:
                raise NotProvedError(f"the {name} end does not build: {error}") from None
        self.say(f"  booting both ends as {self.sessions.kind.word}, and the lab's own control")
        bad, good, controls = self.sessions.ends(
            (kernels.label(question.bad), built["bad"].image),
            (kernels.label(question.good), built["good"].image),
            folder,
        )
        for control in controls:
            self.say(f"  control    {_outcome(control)}")
        self.say(f"  bad end    {_outcome(bad)}")
        self.say(f"  good end   {_outcome(good)}")
        self._judge_ends(bad, good, controls)
        made = [
            self._step(question.bad, Mark.BAD, bad, folder, built["bad"]),
            self._step(question.good, Mark.GOOD, good, folder, built["good"]),
        ]
        self.journal.done(ENDS, [step.as_json() for step in made])

    def _judge_ends(self, bad: CellVerdict, good: CellVerdict, controls: list[CellVerdict]) -> None:
        for outcome in (bad, good, *controls):
            if outcome.verdict is Verdict.LAB_ERROR:
                aside = self.journal.set_aside(ENDS)
                raise LabError(f"{outcome.cell.id}: {outcome.reason}: {short(aside)}")
        failed = [c for c in controls if c.verdict is not Verdict.CORRUPTS]
        if failed and bad.verdict is not Verdict.CORRUPTS:
            aside = self.journal.set_aside(ENDS)
            raise LabError(
                f"the lab's own control fails too: {_outcome(failed[0])}: {short(aside)}"
            )
        if bad.verdict is not Verdict.CORRUPTS:
            raise NotProvedError(f"the bad end does not corrupt: {_outcome(bad)}")
        if good.verdict is not Verdict.CLEAN:
            raise NotProvedError(f"the good end is not clean: {_outcome(good)}")

    # The search.

    def _search(self) -> Answer:
        question = self.order.question
        while True:
            log = self.write_log()
            skipped = [step.commit for step in self.steps if step.mark is Mark.SKIP]
            wanted = self.repo.next(question, log, skipped)
            if isinstance(wanted, Found):
                self.say(f"git: {self.named(wanted.commit)} is the first {question.new_term} one")
                parents = self.repo.parents(wanted.commit)
                name = self.kernels.label(wanted.commit) if self.order.prebuilt else ""
                parent = parents[0] if parents else ""
                return Answer("suspected", wanted.commit, parent, name=name)
            if isinstance(wanted, Undecided):
                return Answer("undecided", why=(wanted.reason,), among=wanted.commits)
            self._test(wanted)
            self.report(None)

    def _test(self, wanted: ToTest) -> None:
        """Build, boot, mark one commit."""
        # Ordered by how well they halve: the best are enough to look at.
        near = wanted.candidates[:_NEIGHBOURS]
        built = {c.commit for c in near if self.kernels.is_built(c.commit)}
        commit = choose(wanted.commit, wanted.candidates, built, costs(self.steps))
        number = len(self.steps) - 1
        self.say(f"step {number}: {self.named(commit)}{self._left(wanted)}")
        if commit != wanted.commit:
            self.say(f"  built already, and nearly as good as git's {wanted.commit[:12]}")
        name = f"{number:02d}-{self.kernels.label(commit)}"
        folder = self.journal.evidence(name)
        try:
            kernel = self.build(commit, folder, "build")
        except CommitFailed as error:
            step = Step(commit, self.repo.subject(commit), Mark.SKIP, BUILD_FAILED, str(error),
                        self.journal.relative(folder))  # fmt: skip
        else:
            label = self.kernels.label(commit)
            outcome = self.beside(name, {label: kernel.image}, self.control(), folder)[label]
            mark = mark_of(outcome.verdict)
            if mark is None:
                raise LabError(f"{outcome.cell.id}: {outcome.reason}")
            step = self._step(commit, mark, outcome, folder, kernel)
        self.journal.done(name, [step.as_json()])
        self.steps = self.journal.steps()
        self.say(f"  {mark_word(step.mark)}  {step.verdict}: {step.reason}")
        self.say(f"  all marks right so far: {bisectreport.sure(wrong(self.steps))}")

    def _left(self, wanted: ToTest) -> str:
        seen = costs(self.steps)
        steps = max(1, math.ceil(math.log2(max(wanted.left, 2))))
        seconds = steps * (seen.build + seen.trials)
        what = "commits" if self.kernels.reverts else "kernels"
        left = "1 step" if steps == 1 else f"{steps} steps"
        return (
            f" ({wanted.left} {what} in question, about {left} left"
            + (f", some {bisectreport.span(seconds)}" if seconds else "")
            + ")"
        )

    # What the parts share with the confirmation.

    def named(self, commit: str) -> str:
        return f"{self.kernels.label(commit)} {self.repo.subject(commit)}"

    def build(
        self, commit: str, folder: RunFolder, name: str, patches: tuple[Path, ...] = ()
    ) -> Built:
        """The commit's kernel; the log and where it is from go into the step's folder."""
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

    def beside(
        self, name: str, kernels: dict[str, Path], control: Control, folder: RunFolder
    ) -> dict[str, CellVerdict]:
        """A session; one that the lab failed is set aside, so that nothing is ever marked by it."""
        try:
            return self.sessions.beside(kernels, control, folder)
        except LabError as error:
            aside = self.journal.set_aside(name)
            raise LabError(f"{error}: {short(aside)}") from error

    def write_log(self, found: str = "") -> Path:
        """bisect.log: all that git is told, and what `git bisect replay` takes."""
        path = self.journal.path / "bisect.log"
        write_atomic(path, log_text(self.order.question, self.steps, found))
        return path

    def report(self, answer: Answer | None) -> None:
        """summary.md and junit.xml, whole again after every step."""
        bisectreport.write(self, answer)

    def _step(
        self, commit: str, mark: Mark, outcome: CellVerdict, folder: RunFolder, built: Built
    ) -> Step:
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


def mark_word(mark: Mark) -> str:
    """As the story says it."""
    return mark.value.upper()


def _outcome(cell: CellVerdict) -> str:
    verdict = cell.verdict.value if cell.verdict is not None else "impossible here"
    return f"{verdict}: {cell.reason}"
