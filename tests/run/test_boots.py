# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/boots.py makes of a run's schedule and of its evidence."""

from __future__ import annotations

import json
from pathlib import Path

from lab.config.cells import cells
from lab.config.load import load
from lab.evidence.run import RunFolder
from lab.report.board import Span
from tests.boots import add_up, find_failures, write_config
from tests.helpers.scripted import ONE_BOARD

CELL = "native-a@rack1"
OFF, ON = "switching the board off", "switching the board on"


def make_boot(number: int, begin: float) -> list[Span]:
    """Off 1 s, on 2 s, booting 8 s, stressing 3 s, off 0.5 s."""
    states = ((OFF, 1.0), (ON, 2.0), ("booting", 8.0), ("stressing", 3.0), (OFF, 0.5))
    spans = []
    for state, seconds in states:
        spans.append(Span(CELL, number, state, begin, begin + seconds))
        begin += seconds
    return spans


def test_every_second_of_a_boot_is_the_boards_or_the_labs() -> None:
    """The next boot begins a quarter of a second after the first one's end."""
    spans = [*make_boot(1, 10.0), *make_boot(2, 24.75), Span("other", 1, "booting", 0.0, 99.0)]
    assert add_up(spans, CELL) == {
        f"{OFF} before": [1.0], ON: [2.0], "booting": [8.0], "stressing": [3.0],
        f"{OFF} after": [0.5], "between boots": [0.25],
        "the board's own": [11.0], "the lab's": [3.75], "a whole boot": [14.75],
    }  # fmt: skip


def test_a_boot_that_never_came_up_is_not_in_the_figures() -> None:
    broken = [span for span in make_boot(1, 0.0) if span.state not in ("booting", "stressing")]
    assert add_up([*broken, *make_boot(2, 20.0)], CELL) == {}


def test_every_verdict_but_clean_is_a_failure(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    for number, verdict in enumerate(("CLEAN", "LAB_ERROR", "CRASHED", None), 1):
        path = folder.trial(CELL, number).path
        path.mkdir(parents=True)
        if verdict:
            (path / "verdict.json").write_text(json.dumps({"verdict": verdict, "reason": "why"}))
    boots, failures = find_failures(folder, CELL)
    assert boots == 3
    assert [line.partition(": ")[2] for line in failures] == ["LAB_ERROR: why", "CRASHED: why"]


def test_a_lab_yaml_of_ones_own_keeps_its_board(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(ONE_BOARD + "matrix: {guests: [native, dom0], hosts: [rack1]}\n")
    made = load(write_config(path, "native-old@rack1", 100, 1))
    assert made.trials == made.confidence.max_boots == 100
    assert made.boards == load(path).boards
    wanted = next(cell for cell in cells(made) if cell.id == "native-old@rack1")
    assert wanted.expect == "clean"
    assert not any(cell.is_control for cell in cells(made))
