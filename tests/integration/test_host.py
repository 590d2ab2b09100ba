# SPDX-License-Identifier: GPL-2.0-or-later
"""The nested Xen host alone: start, reuse, refusal of a wrong key, panic, stop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.lab import environment, lab, outcomes, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots
PAIR = ("pv-control-bad", "pv-control-bad~other")
TWO = """\
host: {guests_at_once: 2}
kernels: {control-bad: {control: bad}}
stress: {stop: first}
variations: {other: {settings: {naps: 1}}}
matrix: {guests: [pv], include: [pv-control-bad~other]}
trials: 1
expect: {corrupts: ["pv-*"]}
"""


def probe(name: str) -> list[str]:
    """Lines that hostprobe.py prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.hostprobe", name],
        cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    """A host started by one process, left to others."""
    done = lab("host", "start")
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    assert lab("host", "stop").returncode == 0
    assert lab("host", "status").returncode == 4


@pytest.mark.usefixtures("running")
def test_a_run_takes_over_the_running_host_and_leaves_it() -> None:
    assert lab("host", "status").returncode == 0
    done = lab("run", "pv-control-bad")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = run_folder(done.stdout)
    assert outcomes(folder)["pv-control-bad"]["verdict"] == "CORRUPTS"
    assert "Xen host taken over" in json.loads((folder / "timings.json").read_text())
    assert lab("host", "status").returncode == 0


@pytest.mark.usefixtures("running")
def test_another_host_key_and_a_second_lab_are_refused() -> None:
    said = probe("wrong_key")
    assert said[0] == "taken over True"
    assert "showed another host key than the pinned one" in said[1]
    assert "failed (3): no" in said[2]
    assert "another lab is using the nested host" in said[3]


def test_a_host_is_resumed_from_its_saved_state_and_else_booted() -> None:
    assert "left to be resumed" in probe("saved")
    first, second = probe("resumed"), probe("resumed")
    for said in (first, second):
        assert said[0] == "did resumed"
        assert said[1] == "clock right True"
        assert said[2] == "domains Domain-0"
    assert first[3] == second[3] != ""  # the same boot of Xen ...
    assert first[4] != second[4]  # ... each time proved by a word of its own
    probe("damage")
    said = probe("saved")
    assert any("does not resume" in line for line in said)
    assert "did booted, resumed, saved" in said
    assert probe("resumed")[0] == "did resumed"


def test_guests_side_by_side_have_a_console_and_a_verdict_each(tmp_path: Path) -> None:
    config = tmp_path / "two.yaml"
    config.write_text(TWO)
    done = lab("run", "-c", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = run_folder(done.stdout)
    found = outcomes(folder)
    assert {found[cell]["verdict"] for cell in PAIR} == {"CORRUPTS"}
    for cell in PAIR:
        own, other = (_nonce(folder, name) for name in (cell, *(c for c in PAIR if c != cell)))
        console = (folder / "cells" / cell / "1" / "console.log").read_text(errors="replace")
        assert own in console
        assert other not in console
    lines = done.stdout.splitlines()
    booting = [n for n, line in enumerate(lines) if " booting" in line]
    decided = [n for n, line in enumerate(lines) if "CORRUPTS: " in line]
    assert booting[1] < decided[0]  # both ran before either was done


def _nonce(folder: Path, cell: str) -> str:
    facts = json.loads((folder / "cells" / cell / "1" / "trial.json").read_text())
    return str(facts["nonce"])


def test_a_dom0_that_panics_is_reported_at_once() -> None:
    said = probe("panic")
    assert "the Xen host panicked: " in said[0]
    assert said[1:] == ["expired False", "strays []"]
