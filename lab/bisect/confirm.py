# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the answer holds: culprit and parent again, and the culprit's change alone.

Three sessions boot culprit and parent beside each other, afresh each time. Then the change alone
is reverted on top of the bad end, or with ``find_fix`` applied to it; the result must be clean.
An answer that fails any of this is "suspected", with the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from lab.bisect import report
from lab.bisect.bench import Bench
from lab.bisect.journal import Answer, Round
from lab.bisect.kernels import CommitFailed
from lab.bisect.session import Control
from lab.system.files import write_atomic
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

ROUNDS = 3
Judge = Callable[[dict[str, CellVerdict], Control], tuple[bool, str]]


class Confirmation:
    """For the answer of one bisect."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def confirm(self, answer: Answer) -> Answer:
        """The answer as confirmed, or as suspected with every reason."""
        if not answer.parent:
            return replace(answer, why=("it is a root commit: there is no parent to compare",))
        why = [*self._pairs(answer), *self._change(answer)]
        status = "suspected" if why else "confirmed"
        return replace(answer, status=status, why=tuple(why))

    def _pairs(self, answer: Answer) -> list[str]:
        """Boot culprit and parent in three sessions; what was not as expected."""
        bench = self._bench
        fix = bench.order.question.find_fix
        corrupting = answer.parent if fix else answer.culprit
        clean = answer.culprit if fix else answer.parent
        images: dict[str, Path] = {}
        for commit in (answer.culprit, answer.parent):
            folder = bench.journal.evidence("confirm-1")
            try:
                built = bench.build(commit, folder, f"build-{bench.kernels.label(commit)}")
            except CommitFailed as error:
                which = "parent" if commit == answer.parent else "culprit"
                return [f"the {which} does not build: {error}"]
            images[bench.kernels.label(commit)] = built.image
        failed = []
        for number in range(1, ROUNDS + 1):
            round_ = self._pair(f"confirm-{number}", images, corrupting, clean)
            if not round_.as_expected:
                failed.append(f"{round_.name}: {round_.says}")
        return failed

    def _pair(self, name: str, images: dict[str, Path], corrupting: str, clean: str) -> Round:
        label = self._bench.kernels.label

        def judge(found: dict[str, CellVerdict], control: Control) -> tuple[bool, str]:
            bad, good = found[label(corrupting)], found[label(clean)]
            ok = _corrupted_now(bad, control) and good.verdict is Verdict.CLEAN
            return ok, f"{bad.cell.kernel} {_short(bad)}, {good.cell.kernel} {_short(good)}"

        return self._round(name, "culprit and parent", images, judge, label(clean))

    def _change(self, answer: Answer) -> list[str]:
        """Boot the bad end with the culprit's change alone, where that applies and builds."""
        bench = self._bench
        question = bench.order.question
        if not bench.kernels.reverts:
            return []
        what = "applied to" if question.find_fix else "reverted on"
        name = "confirm-change"
        patch = bench.repo.make_change(question.bad, answer.culprit, reverse=not question.find_fix)
        if patch is None:
            says = f"the change cannot be {what} the bad end without conflicts: left out"
            bench.say(f"  {says}")
            self._keep(Round(name, "", True, says))
            return []
        folder = bench.journal.evidence(name)
        file = folder.path / "change.patch"
        if not file.is_file():
            write_atomic(file, patch)
        try:
            image = bench.build(question.bad, folder, "build", (file,)).image
        except CommitFailed as error:
            says = f"the change, {what} the bad end, does not build: {error}"
            self._keep(Round(name, bench.journal.relative(folder), False, says))
            return [says]

        def judge(found: dict[str, CellVerdict], _control: Control) -> tuple[bool, str]:
            cell = found["changed"]
            return cell.verdict is Verdict.CLEAN, f"bad end with the change: {_short(cell)}"

        title = f"the change {what} the bad end"
        round_ = self._round(name, title, {"changed": image}, judge, "changed")
        return [] if round_.as_expected else [f"{title}: {round_.says}"]

    def _round(
        self, name: str, title: str, images: dict[str, Path], judge: Judge, clean: str
    ) -> Round:
        bench = self._bench
        done = bench.journal.outcome(name)
        if done:
            return Round(**done[0])
        bench.say(f"{name}: {title}, fresh boots")
        folder = bench.journal.evidence(name)
        control = bench.control()
        found = bench.boot_beside(name, images, control, folder)
        ok, says = judge(found, control)
        seconds = folder.timings().get("all cells", 0.0)
        made = Round(
            name, bench.journal.relative(folder), ok, says, seconds, found[clean].miss or 0.0
        )
        self._keep(made)
        bench.say(f"  {'as expected' if ok else 'NOT as expected'}: {says}")
        return made

    def _keep(self, round_: Round) -> None:
        self._bench.journal.finish(round_.name, [asdict(round_)])
        report.write(self._bench, None)


def _corrupted_now(cell: CellVerdict, control: Control) -> bool:
    """Whether it corrupted in this session; the control's boots of earlier ones do not count."""
    earlier = control.count if cell.cell.kernel == control.label else 0
    return any(trial.verdict is Verdict.CORRUPTS for trial in cell.trials[earlier:])


def _short(cell: CellVerdict) -> str:
    if cell.verdict is None:
        return f"impossible ({cell.reason})"
    if cell.verdict in (Verdict.CLEAN, Verdict.CORRUPTS):
        return str(cell.verdict.value)
    return f"{cell.verdict.value} ({cell.reason})"
