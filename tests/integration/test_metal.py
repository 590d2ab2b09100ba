# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells on a board that boots by network: a whole run beside QEMU, and whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.board.board import open_board
from lab.board.netboot import NetBootServer
from lab.config.cells import cells
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.evidence.run import RunFolder
from lab.evidence.trial import TrialFolder
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.kernel.resolve import resolve
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board
from lab.supplies.gather import Supplies
from lab.supplies.ramdisk import ramdisk
from lab.trial import board as trial_board
from lab.trial.board import BoardPlace
from lab.trial.job import Job
from lab.trial.trial import run_trial
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from tests.helpers.metal import Metal, build_init, open_metal
from tests.helpers.project import PROJECT
from tests.helpers.rig import MAC

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metal]:
    with open_metal(tmp_path_factory.mktemp("metal")) as made:
        yield made


def write_config(metal: Metal, folder: Path, boot_seconds: int) -> Path:
    """Both cells, in QEMU and on the board, sure enough for a test."""
    path = folder / "lab.yaml"
    text = {
        "boards": {"rack": metal.describe()},
        "hosts": {"rack1": {"board": "rack", "boot_seconds": boot_seconds}},
        "kernels": {"control-bad": {"control": "bad", "args": "no_timer_check"}},
        "matrix": {"guests": ["native", "dom0"], "hosts": ["nested", "rack1"]},
        "confidence": {"control_boots": 4, "control_hits": 10, "level": 0.01, "safety": 2},
        "stress": {"seconds": 4},
        "trials": 1,
        "expect": {"corrupts": ["dom0-control-bad"], "clean": ["native-control-bad"]},
    }
    path.write_text(yaml.safe_dump(text))
    return path


def lab(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab", *map(str, words)]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=3600)


def test_the_same_cells_in_qemu_and_on_the_board(metal: Metal, tmp_path: Path) -> None:
    done = lab("run", "-c", write_config(metal, tmp_path, 300))
    print(done.stdout, done.stderr)
    line = next(line for line in done.stdout.splitlines() if line.startswith("evidence"))
    folder = RunFolder.open(PROJECT / line.split()[1])
    found = {cell["cell"]: cell["verdict"] for cell in folder.summary()}
    assert found == {
        "native-control-bad": "CLEAN", "native-control-bad@rack1": "CLEAN",
        "dom0-control-bad": "CORRUPTS", "dom0-control-bad@rack1": "CORRUPTS",
    }  # fmt: skip
    assert done.returncode == 0
    table = [line.split()[:2] for line in done.stdout.splitlines() if "control-bad" in line]
    assert ["dom0-control-bad@rack1", "CORRUPTS"] in table
    reason = next(c["reason"] for c in folder.summary() if c["cell"] == "native-control-bad@rack1")
    assert "less bad than dom0-control-bad@rack1" in reason  # its own machine's control
    for cell in ("native-control-bad@rack1", "dom0-control-bad@rack1"):
        for trial in folder.trials(cell):
            assert f"={trial.facts().nonce}".encode() in trial.read_console()
            assert trial.facts().board == "rack"
            log = (trial.path / "netboot.log").read_text()
            assert log.count(" the script\n") == 1
            assert " the file bzImage\n" in log
    assert metal.rig.ipmitool("power", "status").endswith("off")
    again = lab("verify", folder.path)
    assert again.returncode == 0, again.stdout


class Trouble:
    """One native boot of a real kernel on the board, with a ramdisk of the test's."""

    def __init__(self, metal: Metal, folder: Path) -> None:
        self.metal, self.path = metal, folder

    def load(self, boot_seconds: int) -> LabConfig:
        path = write_config(self.metal, self.path, boot_seconds)
        text = yaml.safe_load(path.read_text()) | {"stress": {"seconds": 1}}
        return parse(yaml.safe_dump(text), path)

    def boot(self, image: Path, boot_seconds: int = 90) -> tuple[TrialVerdict, TrialFolder]:
        config = self.load(boot_seconds)
        cell = next(c for c in cells(config) if c.id == "native-control-bad@rack1")
        kernel = self.kernel(config)
        supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", ("native",), "unused"), Accel("tcg", "unused"),
            image, image, {"control-bad": Bootable(kernel, BzImage("6.1", True, False))},
            None, None,
        )  # fmt: skip
        job = Job(config, supplies, RunFolder.create(self.path), Board(), threading.Event())
        board = config.boards["rack"]
        serving = NetBootServer("127.0.0.1", self.metal.port, [MAC])
        with serving as server, open_board("rack", board) as machine:
            place = BoardPlace(machine, "rack", board, supplies, server)
            made = run_trial(job, cell, 1, place, Asked(0, 0))
            assert not machine.power.is_on()
        return made, job.folder.trial(cell.id, 1)

    def kernel(self, config: LabConfig) -> Kernel:
        return resolve("control-bad", config.kernels["control-bad"], lambda _state: None).kernel


@pytest.fixture
def trouble(metal: Metal, tmp_path: Path) -> Trouble:
    return Trouble(metal, tmp_path)


def make_ramdisk(folder: Path, body: str) -> Path:
    path = folder / "ramdisk.cpio"
    path.write_bytes(ramdisk(build_init(folder, body)))
    return path


def test_a_kernel_that_panics_has_crashed(trouble: Trouble, tmp_path: Path) -> None:
    made, trial = trouble.boot(make_ramdisk(tmp_path, "call(60, 3, 0, 0);"))  # exit
    assert made.verdict is Verdict.CRASHED
    assert "Kernel panic - not syncing: Attempted to kill init" in made.reason
    assert trial.facts().nonce.encode() in trial.read_console()


def test_a_kernel_that_hangs_is_switched_off_at_its_deadline(
    trouble: Trouble, tmp_path: Path
) -> None:
    made, trial = trouble.boot(make_ramdisk(tmp_path, "for (;;) call(34, 0, 0, 0);"), 50)  # pause
    assert made.verdict is Verdict.CRASHED
    assert made.reason.startswith("silent: the program never started (stopped at the deadline")
    ending = trial.ending()
    assert ending is not None
    assert 50 <= ending.seconds < 100


def test_a_kernel_that_floods_the_console_is_stopped(
    trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_board, "MOST_BYTES", 100_000)
    flood = 'for (;;) call(1, 1, (long)"words, words, words, and words\\n", 31);'
    made, _ = trouble.boot(make_ramdisk(tmp_path, flood))
    assert made.verdict is Verdict.CRASHED
    assert "stopped for its flood of words" in made.reason


def test_a_board_that_boots_its_own_disk_is_the_labs_error(
    trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has had the script: the board is sent to its own disk."""
    take_first(trouble.metal, monkeypatch)
    made, trial = trouble.boot(make_ramdisk(tmp_path, "for (;;);"))
    assert made.verdict is Verdict.LAB_ERROR
    assert made.reason.startswith("the board rack came back with its own system")
    assert "it asked the lab again what to boot" in made.reason
    assert b"login:" in trial.read_console()
    log = (trial.path / "netboot.log").read_text()
    assert log.splitlines()[-1].endswith("'/boot/52%3A54%3A00%3A12%3A34%3A56' exit")


def take_first(metal: Metal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch the script before the board can."""
    from lab.board.power import Power

    switch_on = Power.on

    def on(power: Power) -> None:
        address = f"http://127.0.0.1:{metal.port}/boot/{MAC}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read().startswith(b"#!ipxe\nkernel ")
        switch_on(power)

    monkeypatch.setattr(Power, "on", on)


def test_a_file_that_is_gone_is_the_labs_error(
    trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.board.power import Power

    image = make_ramdisk(tmp_path, "for (;;);")
    switch_on = Power.on

    def on(power: Power) -> None:
        image.unlink()
        switch_on(power)

    monkeypatch.setattr(Power, "on", on)
    made, trial = trouble.boot(image)
    assert made.verdict is Verdict.LAB_ERROR
    assert made.reason == f"{image} could not be sent to the board: No such file or directory"
    assert json.loads((trial.path / "ended.json").read_text())["how"] == "lab_error"
