# SPDX-License-Identifier: GPL-2.0-or-later
"""The last good result of a cell, the first bad one after it, and what changed between. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.history.inputs import find_changed
from lab.history.result import Result
from lab.verdict.severity import Verdict

_SAYS_NOTHING = (None, Verdict.LAB_ERROR, Verdict.VACUOUS)


@dataclass(frozen=True)
class SinceGood:
    """``good``: the last one as expected; ``bad``: the first one after it that is not.

    Results that prove nothing are neither. ``good`` None: none was ever. ``bad`` None: all is well.
    """

    good: Result | None
    bad: Result | None
    inputs: dict[str, tuple[str, str]] = field(default_factory=dict)


def find_since_good(results: Sequence[Result]) -> SinceGood:
    """Of one cell's results in the order of time."""
    good = bad = None
    for result in results:
        if result.as_expected:
            good, bad = result, None
        elif bad is None and result.verdict not in _SAYS_NOTHING:
            bad = result
    inputs = find_changed(good.inputs, bad.inputs) if good and bad else {}
    return SinceGood(good, bad, inputs)
