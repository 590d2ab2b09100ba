# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that has a system of its own: all five kinds beside QEMU, boots by GRUB, its Xen.

One machine for all of it, in the order of this file: each boot of its own system counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.board.board import open_board
from lab.board.netboot import NetBootServers
from lab.config.cells import cells
from lab.config.load import parse
from lab.evidence.run import RunFolder
from lab.evidence.trial import TrialFolder
from lab.report.board import Board
from lab.run.boards import Bench
from lab.supplies.gather import gather
from lab.trial.goodsystem import GoodSystem
from lab.trial.job import Job
from lab.trial.trial import run_trial
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from tests.helpers.project import PROJECT
from tests.helpers.rack import Rack, open_rack

pytestmark = [
    pytest.mark.boots,
    pytest.mark.skipif("LAB_RACK" not in os.environ, reason="some 19 minutes: LAB_RACK=1"),
]

FRONT = "pv-control-bad~front@rack1"
_GRUB_CFG = "/boot/grub/grub.cfg"  # written by update-grub, which takes a minute here
# Names and contents of all else that prepare-board and the boots change.
_FILES = f"""cd / && find boot etc/default etc/grub.d | sort
find boot/grub etc/default etc/grub.d -type f | sort | grep -vx {_GRUB_CFG[1:]} | xargs sha256sum"""


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with open_rack(tmp_path_factory.mktemp("rack")) as made:
        yield made


def write_config(rack: Rack, folder: Path, way: str, **changes: Any) -> Path:
    path = folder / "lab.yaml"
    text = {
        "boards": {"rack": rack.describe(way)},
        "hosts": {"rack1": {"board": "rack", "boot_seconds": 600}},
        "kernels": {"control-bad": {"control": "bad", "args": "no_timer_check"}},
        "xens": {"front": {"file": str(rack.image.xen)}},
        "variations": {"front": {"xen": "front"}},
        "matrix": {"hosts": ["nested", "rack1"]},
        "confidence": {"control_boots": 4, "control_hits": 10, "level": 0.3, "safety": 1},
        "stress": {"seconds": 4},
        "trials": 1,
        "expect": {
            "corrupts": ["dom0-control-bad", "pv-control-bad"],
            "clean": ["native-*", "pvh-*", "hvm-*"],
        },
        **changes,
    }
    path.write_text(yaml.safe_dump(text))
    return path


def lab(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab", *map(str, words)]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=3600)


def run(config: Path) -> tuple[subprocess.CompletedProcess[str], RunFolder]:
    done = lab("run", "-c", config)
    print(done.stdout, done.stderr)
    line = next(line for line in done.stdout.splitlines() if line.startswith("evidence"))
    return done, RunFolder.open(PROJECT / line.split()[1])


def test_all_five_kinds_in_qemu_and_on_the_board(rack: Rack, tmp_path: Path) -> None:
    """native and dom0 by network, the others on the board's own Xen."""
    done, folder = run(write_config(rack, tmp_path, "network"))
    found = {cell["cell"]: cell["verdict"] for cell in folder.summary()}
    assert found == {
        f"{kind}-control-bad{host}": "CORRUPTS" if kind in ("dom0", "pv") else "CLEAN"
        for kind in ("native", "dom0", "pv", "pvh", "hvm")
        for host in ("", "@rack1")
    }
    assert done.returncode == 0
    for trial in folder.trials("hvm-control-bad@rack1"):
        assert trial.facts().board == "rack"
    assert "xen_version" in (folder.host / "@rack1" / "xl-info.txt").read_text()
    assert rack.rig.ipmitool("power", "status").endswith("off")
    assert lab("verify", folder.path).returncode == 0


def test_a_board_is_prepared_and_boots_by_grub(rack: Rack, tmp_path: Path) -> None:
    """prepare-board proves it; then a native kernel, and dom0, once each."""
    path = write_config(rack, tmp_path, "grub")
    loaded = parse(path.read_text(), path)
    plan = {cell.id: cell for cell in cells(loaded)}
    wanted = [plan["native-control-bad@rack1"], plan["dom0-control-bad@rack1"]]
    supplies = gather(loaded, wanted, lambda *_: None, [])
    job = Job(loaded, supplies, RunFolder.create(tmp_path / "r"), Board(), threading.Event())
    made: list[tuple[TrialVerdict, TrialFolder]] = []
    with (
        open_board("rack", loaded.boards["rack"]) as machine,
        NetBootServers({}) as servers,
    ):
        bench = Bench(job, "rack", machine, servers)
        good = bench.find_good("rack1")
        good.bring_up(lambda _state: None)
        rack.before.write_text(good.shell.run(["sh", "-c", _FILES]))
        said = rack.fab("prepare-board")
        assert "GRUB booted the lab's entry once, cleared next_entry, and came back" in said
        for cell in wanted:
            verdict = run_trial(job, cell, 1, bench.find_place(cell), Asked(0, 0))
            made.append((verdict, job.folder.trial(cell.id, 1)))
        bench.close()
    (native, trial), (dom0, _) = made
    assert native.verdict is Verdict.CLEAN, native
    assert f"={trial.facts().nonce}".encode() in trial.read_console()
    assert b"Booting `xen-fpu-lab" in trial.read_console()
    assert dom0.verdict is Verdict.CORRUPTS, dom0


def test_a_xen_under_test_runs_in_front_of_the_boards_dom0(rack: Rack, tmp_path: Path) -> None:
    matrix = {"guests": [], "include": [FRONT], "hosts": ["rack1"]}
    expect = {"corrupts": [FRONT]}
    done, folder = run(write_config(rack, tmp_path, "grub", matrix=matrix, expect=expect))
    (found,) = folder.summary()
    assert found["verdict"] == "CORRUPTS", found
    assert done.returncode == 0
    evidence = folder.host / "@rack1" / "front"
    nonce = folder.read(f"{(evidence / 'xen.json').relative_to(folder.path)}")["nonce"]
    assert f"lab={nonce}" in (evidence / "xl-info.txt").read_text()
    assert f"lab={nonce}".encode() in (evidence / "xen-console.log").read_bytes()


def test_restore_leaves_the_files_as_they_were(rack: Rack, tmp_path: Path) -> None:
    path = write_config(rack, tmp_path, "grub")
    loaded = parse(path.read_text(), path)
    with open_board("rack", loaded.boards["rack"]) as machine:
        good = GoodSystem(
            machine, "rack", loaded.boards["rack"], 600, tmp_path / "log", threading.Event()
        )
        good.bring_up(lambda _state: None)
        prepared = good.shell.run(["sh", "-c", _FILES])
        assert "boot/lab" in prepared
        assert "serial --unit=0" in good.shell.run(["cat", _GRUB_CFG])
        assert "GRUB is as it was" in rack.fab("restore")
        assert good.shell.run(["sh", "-c", _FILES]) == rack.before.read_text() != prepared
        written = good.shell.run(["cat", _GRUB_CFG])
        assert "with Xen hypervisor" in written
        assert "serial --unit" not in written
        good.leave()
        machine.power.off()
