# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit XML from a run's cells: pure. The one owner of junit_xml."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from junit_xml import TestCase, TestSuite, to_xml_report_string

from lab.report.outline import Outline
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


@dataclass(frozen=True)
class Case:
    """A JUnit case that is not a cell. ``kind`` None: it passes."""

    name: str
    group: str
    kind: Literal["failure", "error", "skipped"] | None
    message: str
    seconds: float = 0.0


def junit(
    name: str,
    cells: Sequence[CellVerdict],
    more: Sequence[Case] = (),
    outline: Outline | None = None,
) -> str:
    """JUnit XML: a case per cell; with an expectation it passes when the cell shows it.

    ``outline``: of the run, for the time, the machine's name and what was run on what.
    """
    cases = [*(_case(cell) for cell in cells), *(_other(case) for case in more)]
    about = outline or Outline("")
    properties = {"run": about.run, **about.facts}
    suite = TestSuite(
        name, cases, hostname=about.host or None, timestamp=about.began or None,
        properties={key: text for key, text in properties.items() if text},
    )  # fmt: skip
    return _tidy(to_xml_report_string([suite]))


def _tidy(text: str) -> str:
    """Without what Jenkins' schema (junit-10.xsd) refuses.

    junit_xml writes an attribute ``disabled``, which the schema does not know, and six decimals of
    a time, of which older readers take three.
    """
    root = ET.fromstring(text)  # noqa: S314 (our own)
    for element in root.iter():
        element.attrib.pop("disabled", None)
        if "time" in element.attrib:
            element.set("time", f"{float(element.attrib['time']):.3f}")
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, "unicode")}\n'


def _other(given: Case) -> TestCase:
    case = TestCase(given.name, classname=given.group, elapsed_sec=given.seconds)
    case.stdout = given.message
    if given.kind == "failure":
        case.add_failure_info(message=given.message)
    elif given.kind == "error":
        case.add_error_info(message=given.message)
    elif given.kind == "skipped":
        case.add_skipped_info(message=given.message)
    return case


def _case(cell: CellVerdict) -> TestCase:
    case = TestCase(cell.cell.id, classname=f"lab.{cell.cell.guest}", elapsed_sec=cell.seconds)
    case.stdout = _figures(cell)
    verdict = cell.verdict
    if verdict is None:
        case.add_skipped_info(message=cell.reason)
    elif cell.as_expected:
        pass
    elif verdict is Verdict.VACUOUS and cell.cell.expect is None:
        case.add_skipped_info(message=cell.reason)
    elif verdict in (Verdict.LAB_ERROR, Verdict.CRASHED):
        case.add_error_info(message=f"{verdict.value}: {cell.reason}")
    else:
        wanted = f", expected {cell.cell.expect}" if cell.cell.expect else ""
        case.add_failure_info(message=f"{verdict.value}{wanted}: {cell.reason}")
    return case


def _figures(cell: CellVerdict) -> str:
    return (
        f"windows={cell.windows} checks={cell.checks} corruptions={cell.corruptions} "
        f"trials={len(cell.trials)}"
    )
