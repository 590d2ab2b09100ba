# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster of one machine and two workers, of which one is killed: the verdicts are the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.evidence.run import RunFolder
from tests.helpers.grid import LocalCluster, local_cluster
from tests.helpers.lab import LAB, environment, lab, outcomes, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots

CONFIG = """
kernels: {control-bad: {control: bad}, control-fixed: {control: fixed}}
matrix: {guests: [native, dom0]}
confidence: {level: 0.9, safety: 1, control_boots: 3, control_hits: 20}
trials: 1
expect: {corrupts: [dom0-control-bad], clean: ["*-control-fixed", native-control-bad]}
"""
KILLED = "dom0-control-fixed@cluster"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path, {}) as made:
        made.add_workers("m1", "a", "b")
        yield made


def test_a_killed_worker_changes_no_verdict(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(CONFIG)
    words = ["run", "-c", str(tmp_path / "lab.yaml"), "--results", str(tmp_path / "results")]
    words += ["--cluster", cluster.address, "--keys", str(cluster.keys)]
    with subprocess.Popen(
        [*LAB, *words, "native-control-bad", "dom0-*"], cwd=PROJECT, env=environment(),
        stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        kill_worker_of(cluster, tmp_path / "results" / "latest")
        said, _ = running.communicate(timeout=1200)
    print(said)
    folder = run_folder(said)
    assert {name: cell["verdict"] for name, cell in outcomes(folder).items()} == {
        "native-control-bad@cluster": "CLEAN",
        "dom0-control-bad@cluster=m1": "CORRUPTS",
        KILLED: "CLEAN",
    }
    assert running.returncode == 0
    verdicts = [trial["verdict"] for trial in outcomes(folder)[KILLED]["trials"]]
    assert verdicts[0] == "LAB_ERROR"
    assert set(verdicts[1:]) == {"CLEAN"}
    assert lab("verify", str(folder)).returncode == 0


def kill_worker_of(cluster: LocalCluster, run: Path) -> None:
    """The one that boots the clean dom0 cell, as soon as its program has started."""
    limit = time.monotonic() + 1200
    while time.monotonic() < limit:
        trials = RunFolder(run).trials(KILLED)
        if trials and b" start " in trials[0].read_console():
            cluster.kill(cluster.find_worker(trials[0].facts().nonce))
            return
        time.sleep(0.1)
    raise AssertionError("the cell was not booted")
