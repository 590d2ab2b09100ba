# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit's view of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from lxml import etree

from lab.config.cells import Cell
from lab.report import junit as report
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.outlines import make_cells, make_run


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


def find_problem(xml: str) -> str:
    """By the schema beside this file; empty when it is valid."""
    schema = etree.XMLSchema(etree.parse(str(Path(__file__).with_name("junit.xsd"))))
    valid = schema.validate(etree.fromstring(xml.encode()))
    return "" if valid else str(schema.error_log)


def test_jenkins_takes_it_with_and_without_what_is_known_of_the_run() -> None:
    cases = [report.Case(f"step {kind}", "lab", kind, "x") for kind in ("failure", "error", None)]
    assert find_problem(report.junit("lab", make_cells(), cases, make_run())) == ""
    assert find_problem(report.junit("lab", [])) == ""


def test_the_schema_refuses_what_jenkins_refuses() -> None:
    good = report.junit("lab", make_cells())
    assert "disabled" in find_problem(good.replace('skipped="', 'disabled="0" skipped="'))
    assert "time" in find_problem(good.replace('time="12.346"', 'time="12.345600"'))


def test_the_run_is_in_it() -> None:
    (suite,) = ET.fromstring(report.junit("lab", make_cells(), outline=make_run()))
    assert suite.get("hostname") == "bench1"
    assert suite.get("timestamp") == "2026-11-24T20:41:37Z"
    known = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert known["qemu"] == "7.2.22 tcg"
    assert known["kernel bad"] == "6.1.192 built"
    assert known["run"] == "20261124T204137Z-963c"
