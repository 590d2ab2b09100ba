# SPDX-License-Identifier: GPL-2.0-or-later
"""A search for settings, short, on the control kernel as dom0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.config.cells import cells
from lab.config.load import parse
from lab.evidence.run import RunFolder
from lab.search.command import resume, search
from lab.search.course import RECORD, Plan

pytestmark = pytest.mark.boots

CONFIG = """
kernels: {bad: {control: bad}}
matrix: {guests: [dom0]}
expect: {corrupts: [dom0-bad]}
"""


def test_a_search_boots_ranks_and_can_be_taken_up_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = parse(CONFIG, tmp_path / "lab.yaml")
    plan = Plan(cells(config)[0].id, seed=1, count=3, boots=1, pairs=2, seconds=3)
    assert search(config, plan, tmp_path) == 0
    folder = RunFolder.open(tmp_path / "latest")
    record = folder.read(RECORD)
    assert set(record["outcome"]["scores"]) == {"0", "1", "2"}
    assert all(score["windows"] for score in record["outcome"]["scores"].values())
    assert any(score["hits"] for score in record["outcome"]["scores"].values())
    # Cut off before its last boot was judged: the same outcome, by that one boot.
    trials = sorted(folder.path.glob("cells/*/*/verdict.json"))
    before = {path: json.loads(path.read_text()) for path in trials}
    trials[-1].unlink()
    assert resume(folder.path) == 0
    assert "hits/window" in capsys.readouterr().out
    after = {path: json.loads(path.read_text()) for path in trials}
    assert {p for p in trials if before[p] != after[p]} <= {trials[-1]}
