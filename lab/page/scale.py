# SPDX-License-Identifier: GPL-2.0-or-later
"""From figures to places on a drawing, linear or logarithmic, and the marks of an axis. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_DECADES = 30.0  # the largest of the figures is so many times the smallest: a logarithmic axis


@dataclass(frozen=True)
class Scale:
    """``low`` and ``high`` are drawn at ``begin`` and ``end``; figures outside at the edges."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.0
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[float]:
        """Round figures for the axis: three to seven, or each decade."""
        if self.log:
            low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            return [10.0**n for n in range(low, high + 1) if self.low <= 10.0**n <= self.high]
        step = _round_step((self.high - self.low) / 4)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``about``."""
    if about <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(about))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= about * (1 - 1e-9))


def fit(values: Iterable[float], begin: float, end: float) -> Scale:
    """A linear scale from 0 to a round figure above all values."""
    most = max(values, default=0.0)
    step = _round_step(most / 4)
    return Scale(0.0, max(step, step * math.ceil(most / step - 1e-9)), begin, end)


def fit_rates(values: Iterable[float], begin: float, end: float) -> Scale:
    """For figures above 0: logarithmic where they span decades, else linear from 0."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) < _DECADES * min(positive):
        return fit(positive, begin, end)
    low = 10.0 ** math.floor(math.log10(min(positive)) + 1e-9)
    high = 10.0 ** math.ceil(math.log10(max(positive)) - 1e-9)
    return Scale(low, high, begin, end, log=True)


def say(value: float) -> str:
    """A figure in few characters: 0, 1,200, 0.05, 1e-05."""
    if value == 0 or 0.001 <= abs(value) < 1:
        return f"{value:.3g}"
    if abs(value) < 0.001:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
