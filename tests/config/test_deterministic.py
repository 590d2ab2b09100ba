# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic boots as configuration: what they are set to, and which cells cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import Cell
from lab.config.deterministic import configure, impossible
from lab.config.load import parse
from lab.supplies.feasible import find_not_deterministic
from lab.trial.assignment import gather_facts

CONFIG = parse("kernels: {old: {image: old.bzImage}}", Path("/x/lab.yaml"))


def test_the_nonce_is_fixed_by_cell_and_seed() -> None:
    exact = configure(CONFIG)
    cell = Cell("dom0-old", "dom0", "old")
    assert gather_facts(cell, 1, exact).nonce == gather_facts(cell, 1, exact).nonce
    assert gather_facts(cell, 1, exact).nonce != gather_facts(cell, 2, exact).nonce
    assert gather_facts(cell, 1, CONFIG).nonce != gather_facts(cell, 1, CONFIG).nonce


def test_deterministic_means_emulation() -> None:
    exact = configure(CONFIG, 3)
    assert (exact.host.accelerator, exact.icount) == ("tcg", 3)
    assert CONFIG.icount is None


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (Cell("pv-old", "pv", "old"), "pv guests need a nested Xen host"),
        (Cell("dom0-old~2vcpu", "dom0", "old", vcpus=2), "it has 2 processors"),
        (Cell("native-old", "native", "old"), None),
    ],
)
def test_what_cannot_be_deterministic_is_said(cell: Cell, why: str | None) -> None:
    said = impossible(cell)
    assert said is None if why is None else said is not None and said.startswith(why)
    left_out = find_not_deterministic(configure(CONFIG), [cell])
    assert list(left_out) == ([cell.id] if why else [])
    assert find_not_deterministic(CONFIG, [cell]) == {}
