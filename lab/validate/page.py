# SPDX-License-Identifier: GPL-2.0-or-later
"""What `lab validate` says: a page fit for a mail, and JUnit. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from lab.report import junit as report
from lab.validate.decision import Decision, Outcome, Pair
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

Row = tuple[str, CellVerdict, CellVerdict]
_WIDTH = 76  # of a mail
_MEANING = {
    Outcome.FIXES: "the patch fixes it, and nothing that was watched broke",
    Outcome.DOES_NOT_FIX: "registers still leak with the patch",
    Outcome.BREAKS: "a cell that was clean or alive no longer is",
    Outcome.VACUOUS: "this proves nothing about the patch",
    Outcome.LAB_ERROR: "the lab failed; this says nothing about the patch",
}
# Without a boot of any kernel: what the two Xens answered.
_UNBOOTED = {Outcome.DOES_NOT_FIX: "Xen's interface is as it was, and no kernel was booted"}
_LEGEND = ("(windows with a failed check / windows; a window is a task's first FPU use)",)


def page(
    title: str,
    decision: Decision,
    rows: Sequence[Row],
    facts: dict[str, str],
    notes: Sequence[str],
    repeat: str,
) -> str:
    """Plain text that can be sent as it is: outcome, table, what was run, how to repeat it."""
    lines = [f"{decision.outcome.value}: {title}", ""]
    meaning = _MEANING[decision.outcome]
    if not rows:
        meaning = _UNBOOTED.get(decision.outcome, meaning)
    lines += _fill(f"{meaning}: {decision.reason}.")
    lines += ["", *_table(rows), *_LEGEND, ""] if rows else [""]
    lines += [line for name, a, b in rows for line in _why(name, a, b)]
    for key, value in facts.items():
        lines += _fill(f"{key}: {value}", indent="  ")
    if notes:
        lines += ["", "What was done to the patch so that it applies:"]
        lines += [line for note in notes for line in _fill(f"- {note}", indent="  ")]
    lines += ["", f"Again: {repeat}"]
    if decision.outcome is Outcome.FIXES:
        lines += ["", "Tested-by: YOUR NAME <your@address>"]
    return "\n".join(lines) + "\n"


def _fill(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _table(rows: Sequence[Row]) -> list[str]:
    """Hits of windows without and with the patch."""
    body = [
        (name, _cell(a), _cell(b), Pair(name, a.verdict, b.verdict).effect) for name, a, b in rows
    ]
    table = [("guest", "without the patch", "with the patch", ""), *body]
    widths = [max(len(row[n]) for row in table) for n in range(4)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _cell(found: CellVerdict) -> str:
    if found.verdict is None:
        return "impossible"
    boots = len([t for t in found.trials if t.verdict is not Verdict.LAB_ERROR])
    text = f"{found.verdict.value} {found.hits:,}/{found.windows:,} in {boots} boots"
    return text.replace("1 boots", "1 boot") if boots == 1 else text


def _why(name: str, before: CellVerdict, after: CellVerdict) -> list[str]:
    """What the figures of a pair are worth, and why a cell proves nothing."""
    lines = []
    for word, found in (("without", before), ("with", after)):
        if found.verdict in (Verdict.CLEAN, Verdict.CORRUPTS):
            continue
        lines += _fill(f"{name} {word} the patch: {found.reason}", indent="  ")
    if after.miss is not None:
        lines += _fill(f"{name} with the patch: {after.reason}", indent="  ")
    return [*lines, ""] if lines else []


def junit(decision: Decision, cells: Sequence[CellVerdict]) -> str:
    """A case for each cell, and one for the outcome: it passes when the patch fixes."""
    kinds: dict[Outcome, Literal["failure", "error", "skipped"] | None] = {
        Outcome.FIXES: None, Outcome.DOES_NOT_FIX: "failure", Outcome.BREAKS: "failure",
        Outcome.VACUOUS: "skipped", Outcome.LAB_ERROR: "error",
    }  # fmt: skip
    message = f"{decision.outcome.value}: {decision.reason}"
    extra = report.Case("the patch", "lab.validate", kinds[decision.outcome], message)
    return report.junit("xen-fpu-lab validate", list(cells), [extra])
