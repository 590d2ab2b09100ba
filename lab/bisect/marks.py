# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bisect knows and what follows from it: marks, git's log, confidence, choice. Pure.

The state of a bisect is its question and its marks. The log made of them is all that git gets
(``git bisect replay``), the same in a bisect that was killed and in one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from lab.verdict.severity import Verdict


class Mark(Enum):
    """What a step says about a commit. LAB_ERROR is not a mark: it stops the bisect."""

    GOOD = "good"  # the corruption is not there
    BAD = "bad"
    SKIP = "skip"

    def __bool__(self) -> bool:
        raise TypeError("a mark is not true or false; compare it")


def mark_of(verdict: Verdict | None) -> Mark | None:
    """The mark of a verdict; None where it must not mark: the lab was at fault.

    ``verdict`` None: the kernel cannot be booted as this guest kind at all.
    """
    if verdict is None:
        return Mark.SKIP
    return {
        Verdict.CLEAN: Mark.GOOD, Verdict.CORRUPTS: Mark.BAD,
        Verdict.VACUOUS: Mark.SKIP, Verdict.CRASHED: Mark.SKIP, Verdict.LAB_ERROR: None,
    }[verdict]  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is looked for between two commits (full hashes).

    ``find_fix``: which commit ended it? The bad end is then the older one.
    """

    good: str
    bad: str
    find_fix: bool = False
    paths: tuple[str, ...] = ()

    @property
    def new_term(self) -> str:
        return "fixed" if self.find_fix else "bad"

    @property
    def old_term(self) -> str:
        return "broken" if self.find_fix else "good"

    @property
    def newer(self) -> str:
        return self.good if self.find_fix else self.bad

    @property
    def older(self) -> str:
        return self.bad if self.find_fix else self.good

    def term(self, mark: Mark) -> str:
        """A mark in the terms of this bisect's git log."""
        if mark is Mark.SKIP:
            return "skip"
        is_new = (mark is Mark.GOOD) == self.find_fix
        return self.new_term if is_new else self.old_term


@dataclass(frozen=True)
class Step:
    """A marked commit, and the evidence for its mark. ``folder`` is below the run's."""

    commit: str
    subject: str
    mark: Mark
    verdict: str  # a Verdict's word, or BUILD FAILED
    reason: str
    folder: str
    miss: float = 0.0  # upper bound of the chance that a bad kernel looks so; 0: it corrupts
    windows: int = 0
    boots: int = 0  # of this commit's kernel
    build_seconds: float = 0.0  # 0: it was built already
    seconds: float = 0.0  # boots, control included

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "mark": self.mark.value}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Step:
        return cls(**{**content, "mark": Mark(content["mark"])})


def log_text(question: Question, steps: Sequence[Step], found: str = "") -> str:
    """The log that `git bisect replay` takes, in git's own format.

    ``steps`` hold the two ends too. ``found``: a closing comment, as git writes one.
    """
    start = ["git bisect start"]
    if question.find_fix:
        start += ["'--term-new' 'fixed'", "'--term-old' 'broken'"]
    if question.paths:
        start += ["'--'", *(_quote(path) for path in question.paths)]
    lines = [" ".join(start)]
    for step in steps:
        term = question.term(step.mark)
        lines.append(f"# {term}: [{step.commit}] {_one_line(step.subject)}")
        lines.append(f"git bisect {term} {step.commit}")
    if found:
        lines.append(f"# {_one_line(found)}")
    return "\n".join(lines) + "\n"


def _quote(word: str) -> str:
    """As git's own sq_quote, the only form that git reads back."""
    return "'" + word.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def wrong(steps: Iterable[Step]) -> float:
    """An upper bound of the chance that any mark is wrong: 1 minus the product of (1 - miss)."""
    total = math.fsum(math.log1p(-min(step.miss, 1 - 1e-12)) for step in steps)
    return -math.expm1(total)
