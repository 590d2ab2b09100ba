# SPDX-License-Identifier: GPL-2.0-or-later
"""Two nights of the tip of a real tree: real builds, real Xen boots, and the commit that did it."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.exitcodes import Exit
from tests.helpers import lab as helper
from tests.helpers.bisecthistory import History, history

pytestmark = pytest.mark.boots
CONFIG = """
kernels:
  known: {{control: bad}}
  mine: {{tree: {tree}, rev: tip}}
stress: {{seconds: 8, min_windows: 20}}
matrix: {{guests: [dom0]}}
trials: 1
confidence: {{level: 1.0e-2, safety: 1, control_boots: 5, control_hits: 15, max_boots: 20}}
expect: {{corrupts: [dom0-known]}}
nightly:
  budget: 1h
  jobs:
    tip: {{cells: [dom0-mine], git: [mine], capsule: false}}
"""
GOOD, CULPRIT = 3, 4  # of the history's commits


def move_tip(made: History, number: int) -> None:
    words = ["git", f"--git-dir={made.tree}", "update-ref", "refs/heads/tip"]
    subprocess.run([*words, made.commits[number]], check=True)


def night(folder: Path) -> tuple[int, dict[str, Any]]:
    """One; its exit code and its night.json."""
    done = helper.lab("nightly", "--results", str(folder / "results"), cwd=folder)
    paths = sorted((folder / "results" / "nights").glob("*/night.json"))
    return done.returncode, json.loads(paths[-1].read_text())


@pytest.fixture
def made() -> Iterator[History]:
    """The branch is taken away again: other tests use the same repository."""
    found = history(secrets.token_hex(4))
    yield found
    words = ["git", f"--git-dir={found.tree}", "update-ref", "-d", "refs/heads/tip"]
    subprocess.run(words, check=True)


def test_the_night_names_the_commit_that_brought_it_in(made: History, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(CONFIG.format(tree=made.tree))
    move_tip(made, GOOD)
    code, first = night(tmp_path)
    assert code == Exit.OK, first["sentence"]
    assert first["jobs"][0]["commits"] == {"mine": made.commits[GOOD]}
    move_tip(made, CULPRIT)
    code, second = night(tmp_path)
    assert code == Exit.CORRUPTS, second["sentence"]
    (change,) = second["changes"]
    assert (change["cell"], change["was"], change["confirmed"]) == ("dom0-mine", "CLEAN", True)
    assert f"{made.commits[CULPRIT]} brought it in: confirmed" in change["bisect"]["says"]
    assert change["culprit"].startswith(made.commits[CULPRIT][:12])
    assert any(text.startswith("kernel: ") for text in change["inputs"])
