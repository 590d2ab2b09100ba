# SPDX-License-Identifier: GPL-2.0-or-later
"""A known bug's label (`known:` of lab.yaml) on a cell's results: carried on while the failure is
the same, dropped when it is not. Pure.

Two failures are the same when their verdicts are, and their reasons but for the figures in them;
all corruptions are the same failure. The failure that a label is for is the last one before the
label was written, else the first after it. From then on:

* the same failure has the label;
* a LAB_ERROR, a cell that is impossible, and one that proved nothing say nothing: neither labelled
  nor a reason to drop the label (unless the label is for a cell that proves nothing);
* anything else, CLEAN too, drops the label, until lab.yaml says another one. A bug that comes back
  after it was gone is news.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.verdict.severity import Verdict

_FIGURE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d[\d,.]*", re.IGNORECASE)
_FAILURES = (Verdict.CORRUPTS, Verdict.CRASHED, Verdict.VACUOUS)
_SAYS_NOTHING = (None, Verdict.LAB_ERROR, Verdict.VACUOUS)


@dataclass(frozen=True)
class Labelled:
    """A result as far as its label goes. ``label``: what lab.yaml said when it was run."""

    verdict: Verdict | None
    reason: str
    label: str | None


def kind_of(verdict: Verdict | None, reason: str) -> str:
    """What two results have in common whose failure is the same."""
    name = verdict.value if verdict is not None else "impossible"
    if verdict is Verdict.CORRUPTS:  # whose registers were seen first is chance
        return name
    return f"{name}: {_FIGURE.sub('#', reason)}"


def carry(results: Sequence[Labelled]) -> list[str | None]:
    """The label that each of a cell's results has, in the order of time."""
    found: list[str | None] = []
    label: str | None = None
    failure: str | None = None  # the one that the label is for; None: not seen yet
    dropped = False
    last: str | None = None
    for result in results:
        if result.label != label:
            label, failure, dropped = result.label, last, False
        kind = kind_of(result.verdict, result.reason)
        failed = result.verdict in _FAILURES
        if label is not None and not dropped:
            if failure is None and failed:
                failure = kind
            if kind != failure and result.verdict not in _SAYS_NOTHING:
                dropped = failure is not None
        found.append(label if failed and kind == failure and not dropped else None)
        last = _remember(last, result.verdict, kind)
    return found


def _remember(last: str | None, verdict: Verdict | None, kind: str) -> str | None:
    """The last failure that is not over; what proves nothing counts only where it is all."""
    if verdict is Verdict.CLEAN:
        return None
    if verdict in (Verdict.CORRUPTS, Verdict.CRASHED):
        return kind
    vacuous = last is None or last.startswith(Verdict.VACUOUS.value)
    return kind if verdict is Verdict.VACUOUS and vacuous else last
