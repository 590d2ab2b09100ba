# SPDX-License-Identifier: GPL-2.0-or-later
"""A pass that proves nothing is found out: real cells that could not have shown a corruption."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config.cells import cells
from lab.config.lab import LabConfig
from lab.config.load import load, parse
from lab.console.watch import Ending
from lab.evidence.run import RunFolder
from lab.report.board import Board
from lab.report.terminal import Terminal
from lab.run.experiment import run_experiment
from lab.trial.assignment import Assignment
from lab.trial.machine import OwnMachine
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

pytestmark = pytest.mark.boots
HERE = Path(__file__).parent


def outcomes(config: LabConfig, root: Path) -> dict[str, CellVerdict]:
    folder = RunFolder.create(root)
    made = run_experiment(config, cells(config), folder, Terminal(), False, "test")
    return {cell.cell.id: cell for cell in made}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CellVerdict]:
    return outcomes(load(HERE / "vacuous.yaml"), tmp_path_factory.mktemp("vacuous"))


def test_the_control_of_that_run_corrupted(matrix: dict[str, CellVerdict]) -> None:
    assert matrix["dom0-bad"].verdict is Verdict.CORRUPTS


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("dom0-bad~eager", "FPU eager"),
        ("dom0-bad~parent", "the openers' parent had used the FPU"),
        ("dom0-bad~no-openers", "no window at all"),
        ("native-bad~no-victims", "the victims never ran"),
        ("dom0-carrying", "carries another fix: stts() and clts()"),
    ],
)
def test_each_is_vacuous_with_its_reason(
    matrix: dict[str, CellVerdict], cell: str, why: str
) -> None:
    assert matrix[cell].verdict is Verdict.VACUOUS, matrix[cell].reason
    assert why in matrix[cell].reason


def test_a_control_that_stays_clean_voids_every_clean_cell(tmp_path: Path) -> None:
    """The "control" is the fixed kernel here: it cannot corrupt."""
    config = parse(
        """
kernels: {wrong: {control: fixed}, other: {control: fixed}}
matrix: {guests: [native, dom0]}
stress: {seconds: 2, min_windows: 20}
confidence: {control_boots: 2, max_boots: 2}
trials: 1
expect: {corrupts: [dom0-wrong], clean: ["*-other", native-wrong]}
""",
        tmp_path / "lab.yaml",
    )
    found = outcomes(config, tmp_path / "results")
    assert found["dom0-wrong"].verdict is Verdict.CLEAN
    for name in ("native-wrong", "native-other", "dom0-other"):
        assert found[name].verdict is Verdict.VACUOUS
        assert "the positive control did not corrupt: dom0-wrong" in found[name].reason


class WithoutXen(OwnMachine):
    """The fault to find: boots what should be dom0 on the bare machine."""

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        bare = replace(task, cell=replace(task.cell, guest="native"))
        return super().boot(bare, console, board, stop)


def test_a_dom0_that_came_up_without_xen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.run.schedule.OwnMachine", WithoutXen)
    config = parse(
        """
kernels: {bad: {control: bad}}
matrix: {guests: [dom0]}
stress: {seconds: 2, min_windows: 20}
trials: 1
""",
        tmp_path / "lab.yaml",
    )
    found = outcomes(config, tmp_path / "results")["dom0-bad"]
    assert found.verdict is Verdict.VACUOUS
    assert found.reason == "the guest found itself under xen=none, a dom0 cell needs pv"
