# SPDX-License-Identifier: GPL-2.0-or-later
"""From trials to a cell's verdict, and from cells to what a run proves: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab.config.cells import Cell, control_of
from lab.config.confidence import ConfidenceConfig
from lab.verdict import confidence
from lab.verdict.confidence import Calibration, Unit
from lab.verdict.exposure import calibrate_control, count
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict, shows, worst

NOT_YET = "not run yet"  # the reason of a cell whose turn has not come
_DEFAULT = ConfidenceConfig()
_PLURAL: dict[Unit, str] = {"windows": "windows", "tried": "tried windows"}


@dataclass(frozen=True)
class CellVerdict:
    """A cell's outcome. ``verdict`` None: impossible here, ``reason`` says why."""

    cell: Cell
    verdict: Verdict | None
    reason: str
    trials: tuple[TrialVerdict, ...] = ()
    seconds: float = 0.0  # wall time of all its trials
    # CLEAN only: the bound on the chance that a kernel as bad as the control, by its lower bound
    # and the safety factor, would have shown nothing in this exposure.
    miss: float | None = None
    # The same for a cell that is VACUOUS only because its clean boots are too few so far.
    miss_so_far: float | None = None

    @property
    def as_expected(self) -> bool:
        """Whether the cell shows its expectation (clean, without one)."""
        return self.verdict is not None and shows(self.verdict, self.cell.expect)

    @property
    def windows(self) -> int:
        return sum(trial.windows for trial in self.trials)

    @property
    def tried(self) -> int | None:
        """Windows in which a victim woke; None where no boot counted them."""
        counted = [trial.tried for trial in self.trials if trial.tried is not None]
        return sum(counted) if counted else None

    @property
    def checks(self) -> int:
        return sum(trial.checks for trial in self.trials)

    @property
    def hits(self) -> int:
        return sum(trial.hits for trial in self.trials)

    @property
    def corruptions(self) -> int:
        return sum(trial.corruptions for trial in self.trials)

    def as_json(self) -> dict[str, Any]:
        return {
            "cell": self.cell.id,
            "verdict": self.verdict.value if self.verdict is not None else None,
            "reason": self.reason,
            "expect": self.cell.expect,
            "as_expected": self.as_expected,
            "windows": self.windows,
            "checks": self.checks,
            "corruptions": self.corruptions,
            "hits": self.hits,
            "tried": self.tried,
            "miss": self.miss,
            "miss_so_far": self.miss_so_far,
            "trials": [trial.as_json() for trial in self.trials],
            "seconds": round(self.seconds, 2),
        }


def combine(cell: Cell, trials: list[TrialVerdict], seconds: float = 0.0) -> CellVerdict:
    """The most severe trial decides. A LAB_ERROR before a successful trial is ignored."""
    if not trials:
        return CellVerdict(cell, Verdict.LAB_ERROR, "no trial was run")
    counted = [t for t in trials if t.verdict is not Verdict.LAB_ERROR]
    if trials[-1].verdict is Verdict.LAB_ERROR:
        counted = trials
    decisive = worst(trial.verdict for trial in counted)
    reason = next(trial.reason for trial in counted if trial.verdict is decisive)
    return CellVerdict(cell, decisive, reason, tuple(trials), seconds)


def with_controls(
    cells: Sequence[CellVerdict], wanted: ConfidenceConfig = _DEFAULT
) -> list[CellVerdict]:
    """A clean cell stays clean only if its control corrupted and it is as sure as wanted."""
    return [_beside_control(cell, cells, wanted) for cell in cells]


def _beside_control(
    cell: CellVerdict, run: Sequence[CellVerdict], wanted: ConfidenceConfig
) -> CellVerdict:
    if cell.cell.is_control and cell.verdict is Verdict.CORRUPTS:
        return _with_rate(cell)
    if cell.cell.is_control or cell.verdict is not Verdict.CLEAN:
        return cell
    outcomes = {c.cell.id: c for c in run if c.verdict is not None}
    chosen = control_of(cell.cell, (c.cell for c in outcomes.values()))
    if chosen is None:
        return _vacuous(cell, "no positive control in this run")
    control = outcomes[chosen.id]
    if control.verdict is not Verdict.CORRUPTS:
        assert control.verdict is not None
        why = f"the positive control did not corrupt: {chosen.id} ({control.verdict.value})"
        return _vacuous(cell, why)
    rate = calibrate_control(control.trials)
    if rate is None:
        boots = "boot" if len(control.trials) == 1 else "boots"
        return _vacuous(cell, f"{len(control.trials)} {boots} of {chosen.id} give no rate")
    return _weigh(cell, chosen.id, rate, wanted)


def _with_rate(control: CellVerdict) -> CellVerdict:
    rate = calibrate_control(control.trials)
    if rate is None:
        return control
    text = (
        f"{control.reason}; in {rate.boots} boots {rate.hits:,} of {rate.windows:,} "
        f"{_PLURAL[rate.unit]} were hit: {rate.rate:.3f}, at 95 % {rate.lower:.3f} to "
        f"{rate.upper:.3f}"
    )
    return replace(control, reason=text)


def _weigh(
    cell: CellVerdict, control: str, rate: Calibration, wanted: ConfidenceConfig
) -> CellVerdict:
    clean = [t for t in cell.trials if t.verdict is Verdict.CLEAN]
    done = [count(trial, rate.unit) for trial in clean]
    unit = _PLURAL[rate.unit]
    miss = confidence.miss(rate, wanted.safety, done)
    times = f"{wanted.safety:g} times less bad than" if wanted.safety > 1 else "as bad as"
    seen = f"{sum(done):,} {unit} of {len(done)} {'boot' if len(done) == 1 else 'boots'}"
    if miss > wanted.level:
        unsure = _vacuous(
            cell,
            f"too little exposure: in {seen} a kernel {times} {control} would show nothing "
            f"with probability {miss:.0e}; {wanted.level:.0e} is wanted",
        )
        return replace(unsure, miss_so_far=miss)
    text = (
        f"0 corruptions in {seen}; rate below {confidence.bound(sum(done)):.1e} per "
        f"{unit[:-1]} at 95 %; a kernel {times} {control} would have been caught with "
        f"probability 1 - {miss:.0e}"
    )
    return replace(cell, reason=text, miss=miss)


def _vacuous(cell: CellVerdict, reason: str) -> CellVerdict:
    return replace(cell, verdict=Verdict.VACUOUS, reason=reason)
