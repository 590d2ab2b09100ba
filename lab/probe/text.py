# SPDX-License-Identifier: GPL-2.0-or-later
"""What the probe found, for people and for CI: pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.probe.judge import Answer, Finding
from lab.probe.questions import QUESTIONS
from lab.report.junit import Case, junit

_WIDEST = 46  # of a question


def make_table(findings: Sequence[Finding]) -> list[str]:
    """A row for each question, a column for each guest; ``!`` marks what does not fit.

    At most 100 columns.
    """
    heads = "".join(f"{finding.kind:>10}" for finding in findings)
    lines = [f"{'question':<{_WIDEST}}{heads}".rstrip()]
    for question in QUESTIONS:
        cells = [_say_answer(finding, question.name) for finding in findings]
        if any(cell != "-" for cell in cells):
            row = "".join(f"{cell:>10}" for cell in cells)
            lines.append(f"{question.text:<{_WIDEST}}{row}")
    return lines


def _say_answer(finding: Finding, name: str) -> str:
    for answer in finding.answers:
        if answer.question == name:
            return answer.seen[:8] + ("" if answer.fits else "!")
    return "-"


def say_finding(finding: Finding) -> str:
    """One guest's line."""
    xen = f", Xen {finding.xen}" if finding.xen not in ("", "none") else ""
    seconds = f" ({finding.seconds:.1f} s{xen})"
    return f"{finding.kind:<7}{finding.outcome.value:<10}{finding.reason}{seconds}"


def make_page(title: str, findings: Sequence[Finding]) -> str:
    """summary.md."""
    table = [f"    {line}" for line in make_table(findings)]
    lines = [f"    {say_finding(finding)}" for finding in findings]
    return "\n".join([f"# {title}", "", *table, "", *lines]) + "\n"


def make_junit(findings: Sequence[Finding]) -> str:
    """A case for each question of each guest, and one for what they say together."""
    return junit("lab probe", [], [case for one in findings for case in list_cases(one)])


def list_cases(finding: Finding) -> list[Case]:
    """Of one guest."""
    group = f"lab.probe.{finding.kind}"
    cases = [_make_case(answer, group) for answer in finding.answers]
    said = f"{finding.outcome.value}: {finding.reason}"
    failed = finding.outcome.abi is None
    return [Case("verdict", group, "error" if failed else None, said, finding.seconds), *cases]


def _make_case(answer: Answer, group: str) -> Case:
    said = f"seen {answer.seen}, expected {' or '.join(answer.expected)}"
    return Case(answer.question, group, None if answer.fits else "failure", said)
