# SPDX-License-Identifier: GPL-2.0-or-later
"""The verdicts, their order, and what each means to JUnit, to git and to the shell."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from lab.config.kinds import Expectation
from lab.exitcodes import Exit


class Verdict(Enum):
    """What a trial or a cell showed; never used as a truth value (an enum, not an integer)."""

    CLEAN = "CLEAN"
    VACUOUS = "VACUOUS"
    LAB_ERROR = "LAB_ERROR"
    CRASHED = "CRASHED"
    CORRUPTS = "CORRUPTS"

    def __bool__(self) -> bool:
        raise TypeError("a verdict is not true or false; compare it")

    @property
    def severity(self) -> int:
        return _ORDER.index(self)

    @property
    def exit_code(self) -> Exit:
        return Exit.OK if self is Verdict.CLEAN else Exit[self.value]


_ORDER = list(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe; LAB_ERROR for an empty list, since nothing was shown."""
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.LAB_ERROR)


def shows(verdict: Verdict, expect: Expectation | None) -> bool:
    """Whether a verdict is what was expected; without an expectation only CLEAN passes."""
    if expect == "any":
        return verdict not in (Verdict.LAB_ERROR, Verdict.CRASHED)
    wanted = {"corrupts": Verdict.CORRUPTS, "vacuous": Verdict.VACUOUS}
    return verdict is wanted.get(expect or "clean", Verdict.CLEAN)


def exit_code(outcomes: Iterable[tuple[Verdict, Expectation | None]]) -> int:
    """0 when every cell shows what it should, else the code of the most severe that does not.

    A control that stays clean proves nothing, so it counts as VACUOUS.
    """
    wrong = [verdict for verdict, expect in outcomes if not shows(verdict, expect)]
    if not wrong:
        return 0
    return worst(Verdict.VACUOUS if v is Verdict.CLEAN else v for v in wrong).exit_code
