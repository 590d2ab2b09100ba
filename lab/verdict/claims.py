# SPDX-License-Identifier: GPL-2.0-or-later
"""What a plan's cells say about its claims, each an experiment with an expectation. Pure.

A claim HOLDS when its cells show what it says, DOES NOT HOLD when they show otherwise, and is
OPEN where nothing was shown: a kernel that has to be supplied, a cell that proved nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.config.cellname import fits
from lab.config.claim import ClaimConfig, Showing
from lab.verdict.cell import CellVerdict
from lab.verdict.confidence import Boot, bound, calibrate
from lab.verdict.severity import Verdict

HOLDS, FAILS, OPEN = "HOLDS", "DOES NOT HOLD", "OPEN"
_TALLY = re.compile(r"(\d{1,10})/(\d{1,10})")
_PLAIN: dict[Showing, Verdict] = {
    "corrupts": Verdict.CORRUPTS, "clean": Verdict.CLEAN, "vacuous": Verdict.VACUOUS,
}  # fmt: skip
# Proves neither side: not run, our own fault, a crash, a clean cell that proves nothing.
_UNSETTLED = (None, Verdict.LAB_ERROR, Verdict.CRASHED, Verdict.VACUOUS)


@dataclass(frozen=True)
class Outcome:
    """A claim's verdict (HOLDS, DOES NOT HOLD, OPEN) and what was seen, a line for each cell."""

    name: str
    claim: ClaimConfig
    verdict: str
    seen: tuple[str, ...]


@dataclass(frozen=True)
class Rate:
    """Hit windows of a cell's boots, with its 95 % bounds."""

    rate: float
    lower: float
    upper: float
    boots: int
    windows: int

    def __str__(self) -> str:
        return (
            f"{self.rate:.3f} of windows hit ({self.lower:.3f} to {self.upper:.3f} at 95 %; "
            f"{self.windows:,} windows, {self.boots} boots)"
        )


def rate_of(cell: CellVerdict) -> Rate | None:
    """None where the boots do not give one."""
    counted = [t for t in cell.trials if t.verdict is not Verdict.LAB_ERROR and t.windows]
    boots = [Boot(t.windows, t.hits) for t in counted]
    windows = sum(boot.windows for boot in boots)
    found = calibrate(boots)
    if found is not None:
        return Rate(found.rate, found.lower, found.upper, found.boots, windows)
    if boots and not any(boot.hits for boot in boots):
        return Rate(0.0, 0.0, bound(windows), len(boots), windows)
    return None


def decide(name: str, claim: ClaimConfig, cells: Sequence[CellVerdict]) -> Outcome:
    """A claim's outcome, from all cells of the run."""
    named = [c for c in cells if any(fits(c.cell.id, glob) for glob in claim.cells)]
    if not named:
        return Outcome(name, claim, OPEN, ("this run includes none of its cells",))
    if claim.than is not None:
        return _decide_comparison(name, claim, named, cells)
    if claim.tally is not None:
        return _decide_tally(name, claim, claim.tally, named)
    wanted = _PLAIN[claim.show]
    seen = tuple(_say_verdict(cell) for cell in named)
    verdicts = [cell.verdict for cell in named]
    if any(v is not wanted and v not in _UNSETTLED for v in verdicts):
        return Outcome(name, claim, FAILS, seen)
    shown = all(verdict is wanted for verdict in verdicts)
    return Outcome(name, claim, HOLDS if shown else OPEN, seen)


def _say_verdict(cell: CellVerdict) -> str:
    verdict = cell.verdict.value if cell.verdict is not None else "not run"
    return f"{cell.cell.id}: {verdict}, {cell.reason}"


def _decide_tally(
    name: str, claim: ClaimConfig, field: str, named: Sequence[CellVerdict]
) -> Outcome:
    """Only some of the checks count. No control says how often they would fail, so zero failures
    do not refute the claim, however many checks there were: they only bound the rate.
    """
    counts = [(cell.cell.id, *_tally(cell, field)) for cell in named]
    lines = tuple(
        f"{cell}: {failed:,} of {checks:,} {field} checks failed"
        + ("" if failed or not checks else f": below {bound(checks):.1e} of them at 95 %")
        for cell, checks, failed in counts
    )
    shown = all(failed for _, _, failed in counts)
    return Outcome(name, claim, HOLDS if shown else OPEN, lines)


def _tally(cell: CellVerdict, field: str) -> tuple[int, int]:
    counted = [found for t in cell.trials if (found := _TALLY.fullmatch(t.end.get(field, "")))]
    return sum(int(found[1]) for found in counted), sum(int(found[2]) for found in counted)


def _decide_comparison(
    name: str, claim: ClaimConfig, named: Sequence[CellVerdict], cells: Sequence[CellVerdict]
) -> Outcome:
    base = next((c for c in cells if c.cell.id == claim.than), None)
    known = rate_of(base) if base else None
    rates = [(cell, rate_of(cell)) for cell in named]
    lines = [_say_rate(cell, rate) for cell, rate in [*rates, *([(base, known)] if base else [])]]
    if known is None or any(rate is None for _, rate in rates):
        return Outcome(name, claim, OPEN, tuple(lines))
    judged = [_relation(claim.show, rate, known) for _, rate in rates if rate is not None]
    verdict = FAILS if FAILS in judged else OPEN if OPEN in judged else HOLDS
    return Outcome(name, claim, verdict, tuple(lines))


def _say_rate(cell: CellVerdict, rate: Rate | None) -> str:
    return f"{cell.cell.id}: {rate}" if rate is not None else _say_verdict(cell)


def _relation(show: Showing, rate: Rate, base: Rate) -> str:
    """By the bounds: overlapping ones show "alike", and neither "fewer" nor "more"."""
    below, above = rate.upper < base.lower, rate.lower > base.upper
    if show == "alike":
        return FAILS if below or above else HOLDS
    wanted, opposite = (below, above) if show == "fewer" else (above, below)
    return HOLDS if wanted else FAILS if opposite else OPEN
