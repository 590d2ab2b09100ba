# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bisect leaves for people and for CI: summary.md and junit.xml. Pure but for writing."""

from __future__ import annotations

from typing import Literal

from lab.bisect.bench import Bench
from lab.bisect.journal import Answer, Order, Round
from lab.bisect.marks import Mark, Step, wrong
from lab.report import junit as report
from lab.report.markdown import escape


def write(bench: Bench, answer: Answer | None) -> None:
    """Both files; ``answer`` None while the bisect is under way."""
    rounds = bench.journal.rounds()
    culprit = ""
    if answer and answer.culprit:
        ours = bench.order.prebuilt  # a commit made for a kernel: only its name says anything
        show = bench.describe if ours else bench.repo.summary
        culprit = show(answer.culprit)
    named = [bench.describe(commit) for commit in answer.among] if answer else []
    text = summary(bench.order, bench.steps, rounds, answer, culprit, named)
    bench.journal.folder.write_text("summary.md", text)
    cases = junit_cases(bench.order, bench.steps, rounds, answer)
    bench.journal.folder.write_text("junit.xml", report.junit("lab-bisect", [], cases))


def sure(chance: float) -> str:
    """A probability near 1, so that the part that matters is seen."""
    return "1" if chance <= 0 else f"1 - {chance:.1e}"


def span(seconds: float) -> str:
    """Seconds or minutes, for people."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def headline(order: Order, answer: Answer | None) -> str:
    """The outcome in one sentence."""
    what = "fixed it" if order.question.find_fix else "brought it in"
    if answer is None:
        return "under way, or interrupted"
    culprit = answer.name or answer.culprit
    if answer.status == "confirmed":
        return f"{culprit} {what}: confirmed"
    if answer.status == "suspected":
        return f"{culprit} {what}: suspected, {'; '.join(answer.why)}"
    if answer.status == "undecided":
        return f"undecided: {'; '.join(answer.why)}"
    return f"nothing was bisected: {'; '.join(answer.why)}"


def summary(
    order: Order,
    steps: list[Step],
    rounds: list[Round],
    answer: Answer | None,
    culprit: str,
    among: list[str],
) -> str:
    """The page of Markdown."""
    question = order.question
    asked = "When did it stop?" if question.find_fix else "Where did it come in?"
    lines = [
        f"# {asked}", "", f"**{_plain(headline(order, answer))}**", "",
        f"- {'kernels' if order.prebuilt else 'tree'}: {_plain(order.tree)}",
        f"- bad: {_plain(order.bad)} ({question.bad})",
        f"- good: {_plain(order.good)} ({question.good})",
        f"- booted as: {order.cell}",
    ]  # fmt: skip
    if question.paths:
        lines.append(f"- only commits that touch: {_plain(' '.join(question.paths))}")
    if steps:
        lines.append(
            f"- all marks right with probability {sure(wrong(steps))} "
            "(the product over the clean steps)"
        )
    if culprit:
        lines += ["", "## The commit", "", *(f"    {line}" for line in culprit.splitlines())]
    if among:
        lines += ["", "It is one of:", "", *(f"- {_plain(name)}" for name in among)]
    lines += ["", "## Steps", "", *_table(steps)]
    if rounds:
        lines += ["", "## Confirmation", "", *_rounds(rounds)]
    if not order.prebuilt:
        lines += ["", "`git bisect replay bisect.log` in the tree brings git to the same state."]
    lines += ["", "Again:", "", f"    {order.repeat}", ""]
    return "\n".join(lines)


def _table(steps: list[Step]) -> list[str]:
    rows = ["| commit | mark | verdict | windows | build s | boots s | why |",
            "|---|---|---|---:|---:|---:|---|"]  # fmt: skip
    rows += [
        f"| [{step.commit[:12]}]({step.folder}) {_plain(step.subject)} | {step.mark.value} "
        f"| {step.verdict} | {step.windows:,} | {_seconds(step.build_seconds)} "
        f"| {_seconds(step.seconds)} | {_plain(step.reason)} |"
        for step in steps
    ]
    return rows


def _rounds(rounds: list[Round]) -> list[str]:
    rows = ["| session | as expected | what it showed | s |", "|---|---|---|---:|"]
    for made in rounds:
        name = f"[{made.name}]({made.folder})" if made.folder else made.name
        word = "yes" if made.as_expected else "**no**"
        rows.append(f"| {name} | {word} | {_plain(made.says)} | {_seconds(made.seconds)} |")
    return rows


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds else "-"


def _plain(text: str) -> str:
    return escape(text)


def junit_cases(
    order: Order, steps: list[Step], rounds: list[Round], answer: Answer | None
) -> list[report.Case]:
    """A case for each commit and session, and one for the answer, which alone can fail."""
    group = f"lab.bisect.{order.cell.partition('~')[0]}"
    cases = []
    for step in steps:
        kind: Literal["skipped"] | None = "skipped" if step.mark is Mark.SKIP else None
        says = f"{step.mark.value}: {step.verdict}: {step.reason}"
        name = f"{step.commit[:12]} {step.subject}"
        cases.append(report.Case(name, group, kind, says, step.build_seconds + step.seconds))
    for made in rounds:
        failed: Literal["failure"] | None = None if made.as_expected else "failure"
        cases.append(report.Case(made.name, group, failed, made.says, made.seconds))
    says = headline(order, answer)
    if answer is None:
        return [*cases, report.Case("the answer", group, "error", says)]
    confirmed = answer.status == "confirmed"
    return [*cases, report.Case("the answer", group, None if confirmed else "failure", says)]
