# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on one screen."""

from __future__ import annotations

from dataclasses import replace

from lab.config.cells import Cell
from lab.report.outline import say_outcome
from lab.report.screen import MOST_LINES, write_screen
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.outlines import make_run


def test_it_begins_with_the_outcome_and_names_what_is_wrong() -> None:
    text = write_screen(make_run())
    assert text.startswith("20261124T204137Z-963c: 5 of 8 cells not as expected: pv-VACUOUS")
    assert "  dom0-CLEAN: CLEAN: why\n" in text
    assert "\x1b" not in text
    assert "qemu:    7.2.22 tcg\n" in text


def test_it_is_one_screen_however_many_cells_there_are() -> None:
    many = [
        CellVerdict(Cell(f"pv-{n}", "pv", "x"), Verdict.CRASHED, "a long reason " * 30)
        for n in range(200)
    ]
    lines = write_screen(replace(make_run(), cells=tuple(many))).splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 76
    assert "  and 190 more" in lines


def test_a_run_as_it_should_be_is_one_sentence() -> None:
    clean = CellVerdict(Cell("pv-x", "pv", "x"), Verdict.CLEAN, "")
    impossible = CellVerdict(Cell("hvm-x", "hvm", "x"), None, "")
    assert say_outcome([clean]) == "1 cell, all as expected"
    assert say_outcome([clean, impossible]) == "2 cells, all as expected (1 impossible here)"
    assert say_outcome([]) == "no cells"
