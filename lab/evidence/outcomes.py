# SPDX-License-Identifier: GPL-2.0-or-later
"""The cells' outcomes out of a run's folder, as the run wrote them. Nothing is judged again."""

from __future__ import annotations

from typing import Any

from lab.config.cells import Cell
from lab.evidence.run import RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict


def read_outcomes(run: RunFolder) -> list[CellVerdict]:
    """The cells as the run wrote them last, in the plan's order."""
    stored = {cell["cell"]: cell for cell in run.summary()}
    return [_outcome(Cell(**cell), stored.get(cell["id"])) for cell in run.plan()]


def _outcome(cell: Cell, stored: dict[str, Any] | None) -> CellVerdict:
    if stored is None:
        return CellVerdict(cell, Verdict.LAB_ERROR, "not run: the run was interrupted before it")
    verdict = stored["verdict"]
    return CellVerdict(
        cell,
        Verdict(verdict) if verdict is not None else None,
        str(stored["reason"]),
        tuple(_trial(trial) for trial in stored["trials"]),
        float(stored["seconds"]),
        stored.get("miss"),
        stored.get("miss_so_far"),
    )


def _trial(stored: dict[str, Any]) -> TrialVerdict:
    return TrialVerdict(**{**stored, "verdict": Verdict(stored["verdict"])})
