# SPDX-License-Identifier: GPL-2.0-or-later
"""How sure a clean cell is, computed from its control. Pure.

The unit is the window; a *hit* is a window in which a check failed. The control's boots give the
rate of hits per window and how much boots differ. A clean cell has shown nothing in its windows;
``miss`` bounds the chance that a kernel as bad as the control, by the lower bound of its rate and
a safety factor, would have shown nothing either. The rule of a run (lab/verdict/stopping.py): a
clean cell gets windows and boots until ``miss`` is at most the wanted level, or the budget is
spent.

Boots differ (one may corrupt in every window, the next in none), so they are never pooled as if
all windows were one sample:

* The rate's bounds are those of Korn and Graubard for clustered proportions (Survey Methodology
  24, 1998): Clopper and Pearson's exact interval for the effective sample size, the boots being
  the clusters. Many hits of one boot count little more than one.
* A boot that is shorter than the control's were is worth less than its share: hits come late in a
  boot, when the victims have learned to aim.
* A new boot's own rate is taken as Gamma distributed around that bound. Its squared coefficient
  of variation is the upper 95 % bound of what the control's boots showed, sampling noise
  included. A boot of n windows then shows no hit with probability (1 + v q n)^(-1/v), which
  falls much slower than (1 - q)^n: when boots differ, more boots say more than longer ones.

docs/confidence.md says what this promises and what not. tests/verdict/test_confidence.py
simulates it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95  # of every bound, one-sided
MOST_WINDOWS = 2_000_000_000  # what the stress program takes
FEWEST_BOOTS = 2  # one boot says nothing about how boots differ
Unit = Literal["windows", "tried"]  # all windows, or those in which a victim woke (exposure.py)


@dataclass(frozen=True)
class Boot:
    """One boot of a control: its windows, and those of them with a failed check."""

    windows: int
    hits: int


@dataclass(frozen=True)
class Calibration:
    """What the control's boots say about the bug: hits per window, and how boots differ."""

    boots: int
    windows: int
    hits: int
    rate: float
    lower: float  # of the rate, 95 %, one-sided
    upper: float
    spread: float  # squared coefficient of variation of a boot's rate, upper 95 % bound
    unit: Unit = "windows"

    @property
    def length(self) -> float:
        """Windows of one of the control's boots, in the mean."""
        return self.windows / self.boots


def calibrate(boots: Sequence[Boot], unit: Unit = "windows") -> Calibration | None:
    """The control's rate; None where it is not known: fewer than two boots, or no hit."""
    counted = [Boot(b.windows, min(b.hits, b.windows)) for b in boots if b.windows > 0]
    windows = sum(boot.windows for boot in counted)
    hits = sum(boot.hits for boot in counted)
    if len(counted) < FEWEST_BOOTS or hits == 0:
        return None
    size = _effective_size(counted, hits / windows)
    lower, upper = _exact(hits / windows * size, size)
    return Calibration(
        len(counted), windows, hits, hits / windows, lower, upper, _spread(counted), unit
    )  # fmt: skip


def _effective_size(boots: Sequence[Boot], rate: float) -> float:
    """Windows of a simple random sample that would say as much as these boots."""
    from scipy import special  # imported here: it is slow, and a run needs it only at its end

    windows = sum(boot.windows for boot in boots)
    count = len(boots)
    between = sum((boot.hits - rate * boot.windows) ** 2 for boot in boots)
    between *= count / (count - 1) / windows**2
    simple = rate * (1 - rate) / windows
    design = max(1.0, between / simple) if simple > 0 else 1.0
    students = special.stdtrit([windows - 1, count - 1], CONFIDENCE)
    return float(windows / design * (students[0] / students[1]) ** 2)


def _exact(hits: float, windows: float) -> tuple[float, float]:
    """Clopper and Pearson's one-sided bounds; real numbers are allowed."""
    from scipy import special

    lower = special.betaincinv(hits, windows - hits + 1, 1 - CONFIDENCE)
    upper = special.betaincinv(hits + 1, windows - hits, CONFIDENCE) if hits < windows else 1.0
    return float(lower), float(upper)


def _spread(boots: Sequence[Boot]) -> float:
    from scipy import special

    rates = [boot.hits / boot.windows for boot in boots]
    count = len(rates)
    mean = sum(rates) / count
    squares = sum((rate - mean) ** 2 for rate in rates)
    # squares / chi-squared quantile: the usual upper bound of a variance.
    return float(squares / special.chdtri(count - 1, CONFIDENCE)) / mean**2


def miss(calibration: Calibration, safety: float, boots: Sequence[int]) -> float:
    """The chance that a kernel ``safety`` times less bad than the control shows no hit.

    ``boots``: the windows of each boot of the clean cell.
    """
    return math.exp(-_information(calibration, safety, boots))


def _information(calibration: Calibration, safety: float, boots: Sequence[int]) -> float:
    """-ln of the chance that boots of so many windows show no hit."""
    spread = calibration.spread
    hits = (calibration.lower / safety * _full_windows(calibration, n) for n in boots)
    return sum(math.log1p(spread * mean) / spread if spread > 1e-9 else mean for mean in hits)


def _full_windows(calibration: Calibration, windows: int) -> float:
    """What a boot's windows are worth, in windows of the control's boots.

    A boot that is shorter than those had less time in which victims learn to aim: of the first 50
    windows of a boot one in twenty was hit, of the next 50 one in four (docs/confidence.md). So
    its windows count in proportion to its length.
    """
    return windows * min(1.0, windows / calibration.length)


def find_windows(
    calibration: Calibration, safety: float, level: float, done: Sequence[int], boots: int
) -> int:
    """Windows that each of ``boots`` further boots needs so that ``miss`` reaches ``level``."""
    rate = calibration.lower / safety
    known = _information(calibration, safety, done)
    each = max(0.0, -math.log(level) - known) / boots
    spread = calibration.spread
    try:
        expected = math.expm1(each * spread) / spread if spread > 1e-9 else each
    except OverflowError:
        return MOST_WINDOWS
    full = expected / rate
    wanted = full if full >= calibration.length else math.sqrt(full * calibration.length)
    return min(MOST_WINDOWS, math.ceil(wanted))


def bound(windows: int) -> float:
    """The exact upper bound of the rate after ``windows`` without a hit: 1 - 0.05^(1/n)."""
    return 1.0 if windows <= 0 else -math.expm1(math.log(1 - CONFIDENCE) / windows)
