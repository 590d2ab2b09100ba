# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a trial of the bug: the windows in which a victim woke, or all. Pure.

A window in which no victim wakes cannot show the bug, on whichever kernel. The stress program
counts those in which one woke as *tried*, and those of them whose check failed as *struck*
(repro/README.md). A boot in which the victims miss their aim has many windows and tries nothing;
counted by windows it would look like a clean one. So windows that were tried are the unit
wherever the control has enough of them. Otherwise, and with consoles of programs that do not
count them, it is all windows.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.verdict.confidence import FEWEST_BOOTS, Boot, Calibration, Unit, calibrate
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

# A control in which victims wake in fewer of its windows is measured by windows: with victims
# on another vCPU than the openers, or hundreds of openers, that is what there is.
_LEAST_TRIED = 0.02


def calibrate_control(verdicts: Sequence[TrialVerdict]) -> Calibration | None:
    """A control's rate from its boots, without those that the lab or a crash spoiled."""
    known = [v for v in verdicts if v.verdict in (Verdict.CORRUPTS, Verdict.CLEAN) and v.windows]
    unit = _choose_unit(known)
    return calibrate([Boot(count(v, unit), _hits(v, unit)) for v in known], unit)


def _choose_unit(boots: Sequence[TrialVerdict]) -> Unit:
    tried = [boot.tried or 0 for boot in boots]
    enough = sum(tried) >= _LEAST_TRIED * sum(boot.windows for boot in boots)
    struck = sum(boot.struck or 0 for boot in boots)
    everywhere = all(boot.tried is not None for boot in boots)
    many = sum(n > 0 for n in tried) >= FEWEST_BOOTS
    return "tried" if everywhere and enough and many and struck else "windows"


def count(verdict: TrialVerdict, unit: Unit) -> int:
    """A boot's windows of that unit."""
    return (verdict.tried or 0) if unit == "tried" else verdict.windows


def _hits(verdict: TrialVerdict, unit: Unit) -> int:
    return (verdict.struck or 0) if unit == "tried" else verdict.hits
