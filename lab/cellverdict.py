"""From trials to a cell's verdict, and from cells to what a run proves: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.judge import TrialVerdict
from lab.plan import Cell
from lab.verdict import Verdict, shows, worst


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

    @property
    def as_expected(self) -> bool:
        """Whether the cell shows its expectation (clean, where there is none)."""
        return self.verdict is not None and shows(self.verdict, self.cell.expect)

    @property
    def windows(self) -> int:
        return sum(trial.windows for trial in self.trials)

    @property
    def checks(self) -> int:
        return sum(trial.checks for trial in self.trials)

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
            "trials": [trial.as_json() for trial in self.trials],
            "seconds": round(self.seconds, 2),
        }


def combine(cell: Cell, trials: list[TrialVerdict], seconds: float = 0.0) -> CellVerdict:
    """The most severe trial decides. A LAB_ERROR that a later trial made good is set aside."""
    if not trials:
        return CellVerdict(cell, Verdict.LAB_ERROR, "no trial was run")
    counted = [t for t in trials if t.verdict is not Verdict.LAB_ERROR]
    if trials[-1].verdict is Verdict.LAB_ERROR:
        counted = trials
    decisive = worst(trial.verdict for trial in counted)
    reason = next(trial.reason for trial in counted if trial.verdict is decisive)
    made = CellVerdict(cell, decisive, reason, tuple(trials), seconds)
    if decisive is Verdict.CLEAN:
        text = f"0 corruptions in {made.windows:,} windows{_bound(made.windows)}"
        return CellVerdict(cell, decisive, text, tuple(trials), seconds)
    return made


def _bound(windows: int) -> str:
    """What zero of n says of the rate: the exact one-sided 95 % bound, 1 - 0.05^(1/n)."""
    return f": rate below {1 - 0.05 ** (1 / windows):.1e} per window at 95 %" if windows else ""


def with_controls(cells: list[CellVerdict]) -> list[CellVerdict]:
    """A clean cell is VACUOUS unless a control of this run corrupted.

    The control is one of the cell's own guest kind where the run has one, else any.
    """
    return [_beside_controls(cell, cells) for cell in cells]


def _beside_controls(cell: CellVerdict, run: list[CellVerdict]) -> CellVerdict:
    if cell.verdict is not Verdict.CLEAN or cell.cell.is_control:
        return cell
    controls = [c for c in run if c.cell.is_control]
    own_kind = [c for c in controls if c.cell.guest == cell.cell.guest and c.verdict is not None]
    asked = own_kind or controls
    if any(control.verdict is Verdict.CORRUPTS for control in asked):
        return cell
    if asked:
        names = ", ".join(
            f"{c.cell.id} ({c.verdict.value if c.verdict is not None else '-'})" for c in asked
        )
        reason = f"the positive control did not corrupt: {names}"
    else:
        reason = "no positive control in this run"
    return CellVerdict(cell.cell, Verdict.VACUOUS, reason, cell.trials, cell.seconds)
