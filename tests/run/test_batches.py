# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Xen host runs first."""

from __future__ import annotations

from lab.config.cells import Cell
from lab.run.batches import batches


def cell(name: str, xen: str = "", control: bool = False) -> Cell:
    return Cell(name, "pv", name, xen=xen, expect="corrupts" if control else None)


def names(found: list[list[Cell]]) -> list[list[str]]:
    return [[one.id for one in batch] for batch in found]


def test_one_xen_is_one_host() -> None:
    assert names(batches([cell("c", control=True), cell("a"), cell("b")])) == [["c", "a", "b"]]


def test_one_host_for_each_xen_the_controls_first() -> None:
    chosen = [cell("a", "ts"), cell("b"), cell("c", control=True), cell("d", "ts")]
    assert names(batches(chosen)) == [["c", "b"], ["a", "d"]]


def test_no_host_waits_for_a_control_of_a_later_one() -> None:
    chosen = [cell("c", "x", control=True), cell("a", "x"), cell("k", control=True), cell("b")]
    found = names(batches(chosen))
    assert found == [["c"], ["k", "b"], ["a"]]
    assert names(batches([cell("a", "x"), cell("b")])) == [["a"], ["b"]]
