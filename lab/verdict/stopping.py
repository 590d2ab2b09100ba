# SPDX-License-Identifier: GPL-2.0-or-later
"""When a cell has had enough boots, and what its next boot has to do: the run's rule. Pure.

A control that others are measured by boots ``control_boots`` times, each time until
``control_hits`` windows had a failed check. A cell that may be clean boots at least ``trials``
times, each time for the windows that are still needed, until its ``miss``
(lab/verdict/confidence.py) is at most ``level`` or it has had ``max_boots``; a boot ends after
``stress.seconds`` in any case. A cell that corrupts, crashes or proves nothing ends with its first
such boot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.config.cells import Cell
from lab.config.confidence import ConfidenceConfig
from lab.config.stress import StressConfig
from lab.verdict import confidence, exposure
from lab.verdict.confidence import Calibration, Unit
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

# Only our own fault is tried again, once; a corruption or a crash never is.
LAB_ERROR_RETRIES = 1


@dataclass(frozen=True)
class Asked:
    """What the stress program is asked to do in one boot: all 0 means by time only."""

    windows: int = 0  # end after so many windows
    stop: int = 0  # end after so many windows with a failed check
    tried: int = 0  # end after so many windows in which a victim woke


@dataclass(frozen=True)
class Rule:
    """For one cell. ``calibration``: of its control, None where that gives no rate."""

    cell: Cell
    trials: int
    stress: StressConfig
    confidence: ConfidenceConfig
    calibrates: bool = False  # other cells of the run are measured by this one
    calibration: Calibration | None = None

    def wants_more(self, verdicts: Sequence[TrialVerdict]) -> bool:
        """Whether another boot can change the verdict, within the budget."""
        faults = [v for v in verdicts if v.verdict is Verdict.LAB_ERROR]
        counted = [v for v in verdicts if v.verdict is not Verdict.LAB_ERROR]
        if len(faults) > LAB_ERROR_RETRIES:
            return False
        if any(v.verdict in (Verdict.CRASHED, Verdict.VACUOUS) for v in counted):
            return False
        if self.calibrates:
            return len(counted) < max(self.confidence.control_boots, self.trials)
        if any(v.verdict is Verdict.CORRUPTS for v in counted) and self.stress.stop != "never":
            return False
        if len(counted) < self.trials:
            return True
        return self._unsure(counted) and len(counted) < self.confidence.max_boots

    def _unsure(self, counted: Sequence[TrialVerdict]) -> bool:
        if self.calibration is None or any(v.verdict is Verdict.CORRUPTS for v in counted):
            return False
        done = self._count_done(counted)
        reached = confidence.miss(self.calibration, self.confidence.safety, done)
        return reached > self.confidence.level

    def batch(self, verdicts: Sequence[TrialVerdict], at_once: int) -> int:
        """How many boots are known to be wanted now, so that they can run side by side.

        No more than ``at_once`` where the number is a guess.
        """
        counted = [v for v in verdicts if v.verdict is not Verdict.LAB_ERROR]
        if self.calibrates:
            return max(1, max(self.confidence.control_boots, self.trials) - len(counted))
        if not counted and self.cell.expect != "clean":
            return 1  # it may be settled by its first
        if len(counted) < self.trials:
            return self.trials - len(counted)
        left = self.confidence.max_boots - len(counted)
        return max(1, min(at_once, left, self._boots_short_of_the_level(counted)))

    def _boots_short_of_the_level(self, counted: Sequence[TrialVerdict]) -> int:
        """If further boots say as much as those so far."""
        if self.calibration is None:
            return 1
        done = self._count_done(counted)
        known = -math.log(confidence.miss(self.calibration, self.confidence.safety, done))
        wanted = -math.log(self.confidence.level)
        return math.ceil((wanted - known) / (known / len(done))) if known > 0 else 1

    def ask(self, verdicts: Sequence[TrialVerdict], boots: int = 1) -> Asked:
        """For each of the next ``boots`` boots."""
        wanted = self._find_wanted(verdicts, boots)
        if wanted is None:
            return Asked(self.stress.windows, self._stop())
        if self._unit == "tried":
            return Asked(self.stress.windows, self._stop(), wanted)
        wanted = max(wanted, self.stress.min_windows)
        most = self.stress.windows
        return Asked(min(wanted, most) if most else wanted, self._stop())

    def _count_done(self, counted: Sequence[TrialVerdict]) -> list[int]:
        return [exposure.count(v, self._unit) for v in counted]

    @property
    def _unit(self) -> Unit:
        return self.calibration.unit if self.calibration is not None else "windows"

    def _stop(self) -> int:
        if self.stress.stop != "auto":
            return int(self.stress.stop == "first")
        if self.calibrates:
            return self.confidence.control_hits
        # Where a corruption would be a surprise, more of it is evidence.
        return 0 if self.cell.expect == "clean" else 1

    def _find_wanted(self, verdicts: Sequence[TrialVerdict], boots: int) -> int | None:
        """Windows of the unit that each boot needs; None where nothing says how many."""
        if self.calibration is None or self.calibrates or self.stress.stop == "never":
            return None
        done = self._count_done([v for v in verdicts if v.verdict is not Verdict.LAB_ERROR])
        boots = max(boots, self.trials - len(done))
        safety, level = self.confidence.safety, self.confidence.level
        return max(1, confidence.find_windows(self.calibration, safety, level, done, boots))
