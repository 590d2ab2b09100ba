# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on a cluster whose workers are lost: nothing is lost with them, nothing is counted twice.

Scheduler, workers and their processes are real; QEMU is a script that writes a console.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.cluster import fleet as fleet_module
from lab.cluster.fleet import open_fleet
from lab.config.cells import cells
from lab.config.load import parse
from lab.config.spread import spread
from lab.errors import UserError
from lab.evidence.run import FORMAT, RunFolder
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board
from lab.run.durations import Durations
from lab.run.outcomes import Outcomes
from lab.run.schedule import Schedule
from lab.run.verify import rederive
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.trial.job import Job
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from lab.xen.hypervisor import Xen
from tests.helpers.grid import NONCE, FakeQemu, LocalCluster, local_cluster

CONFIG = """
host: {accelerator: tcg}
kernels: {old: {image: old.bzImage}}
matrix: {guests: [native, dom0]}
trials: 1
confidence: {control_boots: 3}
expect: {corrupts: [dom0-old], clean: [native-old]}
"""
CONTROL, CLEAN = "dom0-old@cluster=m1", "native-old@cluster"


@pytest.fixture(scope="module")
def qemu(tmp_path_factory: pytest.TempPathFactory) -> FakeQemu:
    return FakeQemu(tmp_path_factory.mktemp("fake") / "qemu")


@pytest.fixture(scope="module")
def cluster(qemu: FakeQemu, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    env = {"LAB_QEMU": str(qemu.path), "LAB_CACHE": str(folder / "cache")}
    with local_cluster(folder, env) as made:
        made.add_workers("m1", "a", "b")
        yield made


class Rig:
    """A run of two cells, in a thread of its own, on whatever workers there are."""

    def __init__(self, folder: Path, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._config = parse(CONFIG, folder / "lab.yaml").model_copy(
            update={"cluster": cluster.config}
        )
        image = folder / "kernel"
        image.write_bytes(b"kernel")
        self._supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", ("native", "dom0"), "fake"), Accel("tcg", "fake"),
            image, image, {"old": Bootable(Kernel("old", image), BzImage("3.19.8", True, False))},
            Xen(image, "fake", "4.17"), None,
        )  # fmt: skip
        self.folder = RunFolder.create(folder / "results")
        self.board = Board()
        self.stop = threading.Event()

    def run(self) -> dict[str, CellVerdict]:
        with open_fleet(self._config.cluster, "tcg", self.board.state) as fleet:
            plan = spread(cells(self._config), cells(self._config), list(fleet.machines))
            self.folder.write("plan.json", {"cells": [asdict(cell) for cell in plan]})
            self.folder.write("manifest.json", {"format": FORMAT, "cluster": fleet.describe()})
            self.folder.write("config.json", self._config.model_dump(mode="json"))
            job = Job(self._config, self._supplies, self.folder, self.board, self.stop)
            outcomes = Outcomes(job, plan, {}, "lab run")
            made = Schedule(job, plan, outcomes, fleet=fleet).execute()
        return {outcome.cell.id: outcome for outcome in made}

    def find_worker(self, cell: str) -> str:
        return next((row.where for row in self.board.rows if row.name == cell), "")

    def count_with(self, cell: str, word: bytes) -> int:
        """Boots whose console has the word."""
        return sum(word in trial.read_console() for trial in self.folder.trials(cell))


@pytest.fixture
def rig(tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr("lab.trial.assignment._nonce", lambda *_: NONCE)
    monkeypatch.setattr(
        "lab.run.schedule.Durations", lambda: Durations(tmp_path / "durations.json")
    )
    return Rig(tmp_path, cluster)


def wait_for(event: Callable[[], bool], what: str) -> None:
    Deadline(120).wait_for(event, what)


def test_a_run_shows_what_it_shows_without_a_cluster(rig: Rig, qemu: FakeQemu) -> None:
    found = rig.run()
    assert {cell: one.verdict for cell, one in found.items()} == {
        CLEAN: Verdict.CLEAN,
        CONTROL: Verdict.CORRUPTS,
    }
    assert "dom0-old@cluster=m1" in found[CLEAN].reason  # measured by the same machine's control
    trial = rig.folder.trial(CLEAN, 1)
    assert trial.facts().machine == "m1"
    assert trial.read_console() == b"".join(
        (qemu.path.parent / f"native.{part}").read_bytes() for part in (1, 2)
    )
    assert rederive(rig.folder)[1] == []
    machine = rig.folder.manifest()["cluster"]["machines"]["m1"]
    assert machine["qemu"]["path"] == str(qemu.path)
    assert machine["cores"] == 2


def test_a_corruption_seen_by_a_worker_that_dies_is_not_lost(
    rig: Rig, qemu: FakeQemu, cluster: LocalCluster
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with qemu.held("dom0"):
            running = pool.submit(rig.run)
            wait_for(lambda: rig.count_with(CONTROL, b" corrupt ") == 2, "two corruptions")
            for name in ("a", "b"):
                cluster.kill(name)
        cluster.add_workers("m1", "c", "d")
        found = running.result()
    verdicts = [trial.verdict for trial in found[CONTROL].trials]
    assert verdicts == [Verdict.CORRUPTS] * 3  # the two of the dead were not tried again
    endings = [trial.ending() for trial in rig.folder.trials(CONTROL)]
    lost = [one.detail for one in endings if one is not None and "was lost" in one.detail]
    assert sorted(lost) == [f"the worker {name} on m1 was lost" for name in ("a", "b")]
    assert rederive(rig.folder)[1] == []


def test_a_clean_boot_whose_worker_dies_is_tried_once_more(
    rig: Rig, qemu: FakeQemu, cluster: LocalCluster
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with qemu.held("native"):
            running = pool.submit(rig.run)
            wait_for(lambda: rig.count_with(CLEAN, b" start ") == 1, "a clean boot")
            cluster.kill(rig.find_worker(CLEAN))
            wait_for(lambda: len(rig.folder.trials(CLEAN)) == 2, "its second")
        found = running.result()
    verdicts = [trial.verdict for trial in found[CLEAN].trials]
    assert verdicts == [Verdict.LAB_ERROR, Verdict.CLEAN]
    assert found[CLEAN].verdict is Verdict.CLEAN
    assert len(rig.folder.trials(CLEAN)) == 2
    assert rederive(rig.folder)[1] == []


def test_ctrl_c_ends_the_boots_that_run(rig: Rig, qemu: FakeQemu) -> None:
    with qemu.held("dom0"), ThreadPoolExecutor(1) as pool:
        running = pool.submit(rig.run)
        wait_for(lambda: rig.count_with(CONTROL, b" start ") > 0, "a boot")
        rig.stop.set()
        running.result()
    ended = [trial.ending() for trial in rig.folder.trials(CONTROL)]
    assert "interrupted" in {one.how for one in ended if one is not None}


def test_machines_with_other_versions_are_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "name_version", lambda: "1.0 (0123456789ab)")
    with pytest.raises(UserError, match=r"on m1 has the lab .*, and this machine 1\.0 \(01"):
        rig.run()


def test_a_lost_scheduler_ends_the_run_as_if_by_ctrl_c(
    rig: Rig, qemu: FakeQemu, cluster: LocalCluster
) -> None:
    with qemu.held("dom0"), ThreadPoolExecutor(1) as pool:  # the last: nothing is left after it
        running = pool.submit(rig.run)
        wait_for(lambda: rig.count_with(CONTROL, b" start ") > 0, "a boot")
        cluster.kill("scheduler")
        running.result()
    assert rig.stop.is_set()
    assert rig.count_with(CONTROL, b" corrupt ") > 0
