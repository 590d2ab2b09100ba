# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit XML from a run's cells: pure. The one owner of junit_xml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from junit_xml import TestCase, TestSuite, to_xml_report_string

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


def junit(name: str, cells: list[CellVerdict], more: Sequence[Case] = ()) -> str:
    """JUnit XML: a case per cell; with an expectation it passes when the cell shows it."""
    cases = [*(_case(cell) for cell in cells), *(_other(case) for case in more)]
    suite = TestSuite(name, cases)
    text: str = to_xml_report_string([suite])
    return text


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
