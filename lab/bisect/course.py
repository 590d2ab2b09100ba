# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisect, from its two ends to a confirmed answer: the story.

Both ends are proved. git chooses a commit; it is built and booted beside the control; its verdict
gives its mark. At the end the culprit and its parent are booted again, and the culprit's change
alone. The outcome of every part is in the journal before the next begins.
"""

from __future__ import annotations

import math

from lab.bisect import report
from lab.bisect.bench import Bench
from lab.bisect.choice import choose, costs
from lab.bisect.confirm import Confirmation
from lab.bisect.journal import ENDS, Answer
from lab.bisect.kernels import CommitFailed
from lab.bisect.marks import Mark, Step, mark_of, wrong
from lab.bisect.repo import Found, ToTest, Undecided
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.system.files import shorten
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

BUILD_FAILED = "BUILD FAILED"
_NEIGHBOURS = 100


class NotProvedError(Exception):
    """An end is not what the user said: there is nothing to bisect. The message says why."""


class Bisect:
    """One bisect, on its bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def run(self) -> Answer:
        """Run to the answer, from where the journal ends. Raises LabError and KeyboardInterrupt."""
        bench = self.bench
        bench.steps = bench.journal.steps()
        if bench.steps:
            bench.say(f"resuming after {len(bench.steps)} marked commits; nothing is run again")
        try:
            self._ends()
            answer = self._search()
            if answer.culprit:
                answer = Confirmation(bench).confirm(answer)
        except NotProvedError as error:
            answer = Answer("not proved", why=(str(error),))
        report.write(bench, answer)
        return answer

    # The ends.

    def _ends(self) -> None:
        """Prove both in one session; the bad one is the control from then on."""
        bench = self.bench
        folder = bench.journal.evidence(ENDS)
        if not bench.journal.outcome(ENDS):
            self._prove_ends(folder)
            bench.steps = bench.journal.steps()
            report.write(bench, None)

    def _prove_ends(self, folder: RunFolder) -> None:
        bench = self.bench
        question, kernels = bench.order.question, bench.kernels
        built = {}
        for name, commit in (("bad", question.bad), ("good", question.good)):
            bench.say(f"{name} end   {bench.describe(commit)}")
            try:
                built[name] = bench.build(commit, folder, f"{name}-end")
            except CommitFailed as error:
                raise NotProvedError(f"the {name} end does not build: {error}") from None
        bench.say(f"  booting both ends as {bench.sessions.kind.word}, and the lab's own control")
        bad, good, controls = bench.sessions.boot_ends(
            (kernels.label(question.bad), built["bad"].image),
            (kernels.label(question.good), built["good"].image),
            folder,
        )
        for control in controls:
            bench.say(f"  control    {_outcome(control)}")
        bench.say(f"  bad end    {_outcome(bad)}")
        bench.say(f"  good end   {_outcome(good)}")
        self._judge_ends(bad, good, controls)
        made = [
            bench.record(question.bad, Mark.BAD, bad, folder, built["bad"]),
            bench.record(question.good, Mark.GOOD, good, folder, built["good"]),
        ]
        bench.journal.finish(ENDS, [step.as_json() for step in made])

    def _judge_ends(self, bad: CellVerdict, good: CellVerdict, controls: list[CellVerdict]) -> None:
        bench = self.bench
        for outcome in (bad, good, *controls):
            if outcome.verdict is Verdict.LAB_ERROR:
                aside = bench.journal.set_aside(ENDS)
                raise LabError(f"{outcome.cell.id}: {outcome.reason}: {shorten(aside)}")
        failed = [c for c in controls if c.verdict is not Verdict.CORRUPTS]
        if failed and bad.verdict is not Verdict.CORRUPTS:
            aside = bench.journal.set_aside(ENDS)
            raise LabError(
                f"the lab's own control fails too: {_outcome(failed[0])}: {shorten(aside)}"
            )
        if bad.verdict is not Verdict.CORRUPTS:
            raise NotProvedError(f"the bad end does not corrupt: {_outcome(bad)}")
        if good.verdict is not Verdict.CLEAN:
            raise NotProvedError(f"the good end is not clean: {_outcome(good)}")

    # The search.

    def _search(self) -> Answer:
        bench = self.bench
        question = bench.order.question
        while True:
            log = bench.write_log()
            skipped = [step.commit for step in bench.steps if step.mark is Mark.SKIP]
            wanted = bench.repo.next(question, log, skipped)
            if isinstance(wanted, Found):
                bench.say(
                    f"git: {bench.describe(wanted.commit)} is the first {question.new_term} one"
                )
                parents = bench.repo.parents(wanted.commit)
                name = bench.kernels.label(wanted.commit) if bench.order.prebuilt else ""
                parent = parents[0] if parents else ""
                return Answer("suspected", wanted.commit, parent, name=name)
            if isinstance(wanted, Undecided):
                return Answer("undecided", why=(wanted.reason,), among=wanted.commits)
            self._test(wanted)
            report.write(bench, None)

    def _test(self, wanted: ToTest) -> None:
        """Build, boot and mark one commit."""
        # Ordered by how well they halve, so the first ones are enough.
        bench = self.bench
        near = wanted.candidates[:_NEIGHBOURS]
        built = {c.commit for c in near if bench.kernels.is_built(c.commit)}
        commit = choose(wanted.commit, wanted.candidates, built, costs(bench.steps))
        number = len(bench.steps) - 1
        bench.say(f"step {number}: {bench.describe(commit)}{self._estimate_rest(wanted)}")
        if commit != wanted.commit:
            bench.say(f"  built already, and nearly as good as git's {wanted.commit[:12]}")
        name = f"{number:02d}-{bench.kernels.label(commit)}"
        folder = bench.journal.evidence(name)
        try:
            kernel = bench.build(commit, folder, "build")
        except CommitFailed as error:
            step = Step(commit, bench.repo.subject(commit), Mark.SKIP, BUILD_FAILED, str(error),
                        bench.journal.relative(folder))  # fmt: skip
        else:
            label = bench.kernels.label(commit)
            outcome = bench.boot_beside(name, {label: kernel.image}, bench.control(), folder)[label]
            mark = mark_of(outcome.verdict)
            if mark is None:
                raise LabError(f"{outcome.cell.id}: {outcome.reason}")
            step = bench.record(commit, mark, outcome, folder, kernel)
        bench.journal.finish(name, [step.as_json()])
        bench.steps = bench.journal.steps()
        bench.say(f"  {mark_word(step.mark)}  {step.verdict}: {step.reason}")
        bench.say(f"  all marks right so far: {report.sure(wrong(bench.steps))}")

    def _estimate_rest(self, wanted: ToTest) -> str:
        bench = self.bench
        seen = costs(bench.steps)
        steps = max(1, math.ceil(math.log2(max(wanted.left, 2))))
        seconds = steps * (seen.build + seen.trials)
        what = "commits" if bench.kernels.reverts else "kernels"
        left = "1 step" if steps == 1 else f"{steps} steps"
        return (
            f" ({wanted.left} {what} in question, about {left} left"
            + (f", some {report.span(seconds)}" if seconds else "")
            + ")"
        )


def mark_word(mark: Mark) -> str:
    """A mark in the lines for the user."""
    return mark.value.upper()


def _outcome(cell: CellVerdict) -> str:
    verdict = cell.verdict.value if cell.verdict is not None else "impossible here"
    return f"{verdict}: {cell.reason}"
