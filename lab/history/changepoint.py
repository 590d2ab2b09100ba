# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a series of nights changed, by a Bayesian change point in closed form. Pure.

After each night there are two stories of the series so far: nothing changed, or it changed once,
at one of the nights. Each story has a prior (a night brings a change with probability ``HAZARD``)
and the series' marginal likelihood under it. The change is believed when its posterior is above
``SURE``; then a new series begins at the most probable night of the change.

* Counts are Beta-binomial with Jeffreys' prior (1/2, 1/2). Boots differ, so windows are not
  independent: windows and hits are divided by the design effect, the variance between a night's
  boots as a multiple of what independent windows would have.
* Durations are normal in their logarithm, the mean and the variance not known (normal-inverse-gamma
  prior).

docs/history.md says what this promises; tests/nights.py simulates it.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HAZARD = 0.01  # prior probability of a change, each night
SURE = 0.95
_A = _B = 0.5
_FEWEST_BOOTS = 2  # one boot says nothing about how boots differ
Boots = Sequence[tuple[int, int]]  # windows and hits of each


@dataclass(frozen=True)
class Point:
    """A change: from ``at`` on, an index into the series; believed after the night ``seen``."""

    at: int
    seen: int
    start: int  # where the series that it ended had begun
    posterior: float


class Counts:
    """Nights of so many windows, of which so many were hit."""

    def __init__(self) -> None:
        self._windows, self._hits = [0.0], [0.0]  # sums over the nights before each
        self._between, self._within = [0.0], [0.0]  # the parts of the design effect

    def add(self, boots: Boots) -> None:
        """A night more."""
        windows, hits = sum(w for w, _ in boots), sum(h for _, h in boots)
        between, within = _spread(boots, windows, hits)
        for sums, value in (
            (self._windows, windows), (self._hits, hits), (self._between, between),
            (self._within, within),
        ):  # fmt: skip
            sums.append(sums[-1] + value)

    def rate(self, start: int, end: int) -> float:
        windows = self._windows[end] - self._windows[start]
        return (self._hits[end] - self._hits[start]) / windows if windows else 0.0

    def effect(self, start: int, end: int) -> float:
        """The design effect, over these nights; at least 1."""
        within = self._within[end] - self._within[start]
        return max(1.0, (self._between[end] - self._between[start]) / within) if within else 1.0

    def evidence(self, start: int, end: int) -> Callable[[int, int], float]:
        """Of nights of a series, that they have one rate: the logarithm of the likelihood."""
        effect = self.effect(start, end)

        def log_marginal(first: int, last: int) -> float:
            windows = (self._windows[last] - self._windows[first]) / effect
            hits = (self._hits[last] - self._hits[first]) / effect
            return _log_beta(_A + hits, _B + windows - hits) - _LOG_BETA

        return log_marginal


def _spread(boots: Boots, windows: int, hits: int) -> tuple[float, float]:
    """Variance of hits between a night's boots, and what independent windows would have.

    Both as sums over the night, so that nights can be added up. Boots may differ in length:
    the variance is that of the ratio of hits to windows.
    """
    rate = hits / windows if windows else 0.0
    if len(boots) < _FEWEST_BOOTS or rate in (0.0, 1.0):
        return 0.0, 0.0
    squares = sum((h - rate * w) ** 2 for w, h in boots)
    return squares * len(boots) / (len(boots) - 1), windows * rate * (1 - rate)


class Durations:
    """Nights that took so many seconds. A busy night is no reason to believe in a change, so a
    night counts as at most ``_REACH`` away from the ones before it.
    """

    # A night's seconds differ by some 15 %; the mean is not known to within a factor of e.
    _SHAPE, _SCALE, _WEIGHT = 1.0, 0.02, 0.02
    _REACH = 0.3  # of the logarithm
    _LOOK_BACK = 21  # nights

    def __init__(self) -> None:
        self._values: list[float] = []
        self._sums, self._squares = [0.0], [0.0]

    def add(self, seconds: float) -> None:
        """A night more; ``seconds`` above 0."""
        value = math.log(seconds)
        before = self._values[-self._LOOK_BACK :] or [value]
        usual = statistics.median(before)
        self._values.append(value)
        value = min(max(value, usual - self._REACH), usual + self._REACH)
        value -= self._values[0]  # the prior's centre
        self._sums.append(self._sums[-1] + value)
        self._squares.append(self._squares[-1] + value * value)

    def typical(self, start: int, end: int) -> float:
        """The median of these nights' seconds."""
        return math.exp(statistics.median(self._values[start:end]))

    def evidence(self, start: int, end: int) -> Callable[[int, int], float]:
        """Of nights of a series, that they are alike: the logarithm of the likelihood."""
        del start, end
        return self._log_marginal

    def _log_marginal(self, first: int, last: int) -> float:
        number = last - first
        total = self._sums[last] - self._sums[first]
        squares = self._squares[last] - self._squares[first]
        weight = self._WEIGHT + number
        scale = self._SCALE + (squares - total * total / weight) / 2
        shape, constant = self._constant(number)
        return constant - shape * math.log(scale)

    @classmethod
    @functools.cache
    def _constant(cls, number: int) -> tuple[float, float]:
        """The shape after so many nights, and what of the likelihood depends on nothing else."""
        shape = cls._SHAPE + number / 2
        width = math.log(cls._WEIGHT) - math.log(cls._WEIGHT + number)
        return shape, (
            math.lgamma(shape) - math.lgamma(cls._SHAPE) + cls._SHAPE * math.log(cls._SCALE)
            + (width - number * math.log(2 * math.pi)) / 2
        )  # fmt: skip


def locate(
    evidence: Callable[[int, int], float], start: int, end: int, least: int = 1
) -> tuple[float, int]:
    """The posterior of a change in the nights ``start`` to ``end``, and its most probable place.

    ``least``: how many nights there must be before it, and from it on.
    """
    nights = end - start
    places = range(start + least, end - least + 1)
    if not places:
        return 0.0, start
    unchanged = evidence(start, end) + nights * math.log1p(-HAZARD)
    changed = [math.log(HAZARD) + evidence(start, at) + evidence(at, end) for at in places]
    best = max(changed)
    total = best + math.log(sum(math.exp(value - best) for value in changed))
    # exp() of a large number overflows; a posterior of 1 does not need it.
    posterior = 1 / (1 + math.exp(min(700.0, unchanged - total)))
    return posterior, places[changed.index(best)]


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


_LOG_BETA = _log_beta(_A, _B)


class Watch:
    """A series that is looked at after every night."""

    def __init__(self, series: Counts | Durations, least: int = 1) -> None:
        self.series = series
        self._least = least
        self._start = self._end = 0

    def look(self) -> Point | None:
        """After a night was added: the change that is believed from now on."""
        self._end += 1
        evidence = self.series.evidence(self._start, self._end)
        posterior, at = locate(evidence, self._start, self._end, self._least)
        if posterior <= SURE:
            return None
        found = Point(at, self._end - 1, self._start, posterior)
        self._start = at
        return found

    def restart(self) -> None:
        """A new series begins with the next night: an input is known to have changed."""
        self._start = self._end
