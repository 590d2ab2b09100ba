# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit's view of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from lab.config.cells import Cell
from lab.report import junit as report
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


def test_junit_without_expectations_follows_the_verdicts() -> None:
    made = [CellVerdict(Cell(f"pv-{v.value}", "pv", "x"), v, "why") for v in Verdict]
    xml = ET.fromstring(
        report.junit("lab", [*made, CellVerdict(Cell("pvh-x", "pvh", "x"), None, "")])
    )
    kinds = {case.get("name"): [c.tag for c in case if c.tag != "system-out"]
             for case in xml.iter("testcase")}  # fmt: skip
    assert kinds == {
        "pv-CLEAN": [], "pv-VACUOUS": ["skipped"], "pv-LAB_ERROR": ["error"],
        "pv-CRASHED": ["error"], "pv-CORRUPTS": ["failure"], "pvh-x": ["skipped"],
    }  # fmt: skip
