# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a run."""

from __future__ import annotations

from lab.config.cells import Cell
from lab.report.markdown import write_summary
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


def test_the_summary_lets_no_markup_through() -> None:
    cell = CellVerdict(Cell("pv-x", "pv", "x"), Verdict.CRASHED, "<script>|`x`\nBUG")
    page = write_summary("Run", {"machine": "<b>"}, [cell], "lab run")
    assert "<script>" not in page
    assert "<b>" not in page
    row = next(line for line in page.splitlines() if line.startswith("| pv-x"))
    assert row.count(" | ") == 5
