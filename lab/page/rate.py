# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a cell's windows are hit, with the bounds that its boots give. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.history.result import Result
from lab.verdict.confidence import Boot, bound, calibrate


@dataclass(frozen=True)
class Rate:
    """Hits per window; ``low`` and ``high`` at 95 %, one-sided. ``value`` 0: no hit was seen."""

    value: float
    low: float
    high: float
    windows: int
    hits: int
    boots: int


def measure(results: Iterable[Result]) -> Rate | None:
    """Over all boots of these results; None without a window.

    One boot says nothing about how boots differ: its bounds are 0 and 1 when it has a hit.
    """
    boots = [Boot(windows, hits) for result in results for windows, hits in result.boots if windows]
    windows, hits = sum(boot.windows for boot in boots), sum(boot.hits for boot in boots)
    if not windows:
        return None
    if not hits:
        return Rate(0.0, 0.0, bound(windows), windows, 0, len(boots))
    found = calibrate(boots)
    low, high = (found.lower, found.upper) if found is not None else (0.0, 1.0)
    return Rate(hits / windows, low, high, windows, hits, len(boots))
