# SPDX-License-Identifier: GPL-2.0-or-later
"""Which commit is next: git's choice, or one that is built and nearly as good. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.bisect.marks import Step

# An already built commit is taken instead of git's choice when its mark is expected to give at
# least this share of the information (in bits) that the mark of git's choice would.
NEARLY_AS_GOOD = 0.75


@dataclass(frozen=True)
class Candidate:
    """A commit that may be tested next.

    Its mark rules out at least ``halves`` of the ``of`` commits in question (git's dist and all).
    """

    commit: str
    halves: int
    of: int

    @property
    def bits(self) -> float:
        """The expected information of a mark: 1 for an exact half."""
        share = self.halves / self.of if self.of else 0.0
        if not 0 < share < 1:
            return 0.0
        return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


@dataclass(frozen=True)
class Costs:
    """Seconds of a step, as this bisect has seen them."""

    build: float
    trials: float


def choose(gits: str, candidates: Sequence[Candidate], built: set[str], costs: Costs) -> str:
    """Git's choice, or an already built commit that is nearly as good and cheaper."""
    own = next((c for c in candidates if c.commit == gits), None)
    if own is None or gits in built or own.bits == 0:
        return gits
    best = max((c for c in candidates if c.commit in built), key=lambda c: c.bits, default=None)
    if best is None or best.bits < NEARLY_AS_GOOD * own.bits:
        return gits
    trials = max(costs.trials, 1e-9)
    return best.commit if best.bits / trials > own.bits / (costs.build + trials) else gits


def costs(steps: Sequence[Step]) -> Costs:
    """Medians over this bisect's steps; builds out of the cache are left out."""
    builds = sorted(step.build_seconds for step in steps if step.build_seconds > 0)
    trials = sorted(step.seconds for step in steps if step.seconds > 0)
    return Costs(_median(builds), _median(trials))


def _median(values: Sequence[float]) -> float:
    return values[len(values) // 2] if values else 0.0
