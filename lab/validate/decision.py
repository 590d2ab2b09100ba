# SPDX-License-Identifier: GPL-2.0-or-later
"""What a patch did, from its cells before and after it: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lab.exitcodes import Exit
from lab.verdict.severity import Verdict

_ASKED = ("pv", "dom0")  # the kinds of guest in which the bug can be; the others are watched


class Outcome(Enum):
    """The answer to "does it fix it, and break nothing else that we watch?"."""

    FIXES = "FIXES"
    DOES_NOT_FIX = "DOES NOT FIX"
    BREAKS = "BREAKS"
    VACUOUS = "VACUOUS"
    LAB_ERROR = "LAB_ERROR"

    def __bool__(self) -> bool:
        raise TypeError("an outcome is not true or false; compare it")

    @property
    def exit_code(self) -> Exit:
        return _EXIT[self.value]


_EXIT = {
    "FIXES": Exit.OK, "VACUOUS": Exit.VACUOUS, "LAB_ERROR": Exit.LAB_ERROR,
    "BREAKS": Exit.PATCH_BREAKS, "DOES NOT FIX": Exit.CORRUPTS,
}  # fmt: skip


def in_question(name: str) -> bool:
    """Whether the bug can be in a cell of that name at all."""
    return re.split("[~@-]", name)[0] in _ASKED


@dataclass(frozen=True)
class Pair:
    """A cell without the patch and with it. None: impossible, such as PVH on an old kernel."""

    name: str  # begins with the kind of guest: KIND, KIND~VARIATION, KIND-KERNEL
    before: Verdict | None
    after: Verdict | None

    @property
    def asked(self) -> bool:
        return in_question(self.name)

    @property
    def effect(self) -> str:
        """What the patch did in this cell, in a few words."""
        before, after = self.before, self.after
        if Verdict.LAB_ERROR in (before, after):
            return "not known: the lab failed"
        if before is None and after is None:
            return "impossible"
        if broken(self):
            return "broken"
        if after is Verdict.CORRUPTS:
            return "still corrupts" if before is Verdict.CORRUPTS else "corrupts"
        if after is Verdict.CLEAN and before is Verdict.CORRUPTS:
            return "fixed"
        if after is Verdict.CLEAN:
            return "still clean" if before is Verdict.CLEAN else "clean"
        if before is Verdict.CRASHED and after is Verdict.CRASHED:
            return "crashes as before"
        return "not shown"


@dataclass(frozen=True)
class Decision:
    """The outcome with its reason, a sentence."""

    outcome: Outcome
    reason: str


def broken(pair: Pair) -> bool:
    """Whether it was clean or alive without the patch and is not with it."""
    before, after = pair.before, pair.after
    if before is None or before is Verdict.CRASHED:
        return False
    if after is None or after is Verdict.CRASHED:
        return True
    return before is Verdict.CLEAN and after is Verdict.CORRUPTS


def decide(pairs: Sequence[Pair]) -> Decision:
    """The outcome for all cells. In this order, the first that holds:

    1. LAB_ERROR: a cell has no verdict because the lab failed.
    2. VACUOUS: no pv or dom0 cell corrupts without the patch, so nothing can be shown to be fixed.
    3. BREAKS: a cell that was clean or alive no longer is.
    4. DOES NOT FIX: a cell corrupts with the patch.
    5. VACUOUS: a cell that corrupted, or was clean, is not shown to be clean with the patch.
    6. FIXES: all that corrupted is clean, all that was clean still is.
    """
    failed = [p.name for p in pairs if Verdict.LAB_ERROR in (p.before, p.after)]
    if failed:
        return Decision(Outcome.LAB_ERROR, f"the lab failed in {_names(failed)}")
    ill = [pair for pair in pairs if pair.asked and pair.before is Verdict.CORRUPTS]
    if not ill:
        return Decision(
            Outcome.VACUOUS,
            "no pv or dom0 cell corrupts without the patch: there is nothing to fix",
        )
    worse = [pair for pair in pairs if broken(pair)]
    if worse:
        changes = "; ".join(f"{p.name} was {_word(p.before)}, is {_word(p.after)}" for p in worse)
        return Decision(Outcome.BREAKS, changes)
    still = [pair.name for pair in pairs if pair.after is Verdict.CORRUPTS]
    if still:
        return Decision(Outcome.DOES_NOT_FIX, f"corruption in {_names(still)} with the patch")
    unshown = [
        p.name
        for p in pairs
        if p.before in (Verdict.CORRUPTS, Verdict.CLEAN) and p.after is Verdict.VACUOUS
    ]
    if unshown:
        return Decision(Outcome.VACUOUS, f"with the patch {_names(unshown)} showed nothing")
    clean = [p.name for p in pairs if p.before is Verdict.CLEAN and p.after is Verdict.CLEAN]
    unwatched = [p.name for p in pairs if p.before is Verdict.VACUOUS or p.after is Verdict.VACUOUS]
    text = f"corruption in {_names([pair.name for pair in ill])} without the patch, none with it"
    text += f"; {_names(clean)} as clean as before" if clean else ""
    text += f"; {_names(unwatched)} not shown either way" if unwatched else ""
    return Decision(Outcome.FIXES, text)


def _names(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _word(verdict: Verdict | None) -> str:
    return verdict.value if verdict is not None else "impossible"
