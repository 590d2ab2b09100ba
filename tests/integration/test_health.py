# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab board check` of a board that boots by network, and what is wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.board.board import open_board
from lab.board.health import read_health
from lab.exitcodes import Exit
from tests.helpers.metal import Metal, open_metal
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metal]:
    with open_metal(tmp_path_factory.mktemp("metal")) as made:
        yield made


def lab(
    metal: Metal, folder: Path, *words: str, boot_seconds: int = 120
) -> subprocess.CompletedProcess[str]:
    """`lab board` with a lab.yaml of that board alone."""
    path = folder / "lab.yaml"
    text = {
        "boards": {"rack": metal.describe()},
        "hosts": {"rack1": {"board": "rack", "boot_seconds": boot_seconds}},
        "kernels": {"control-bad": {"control": "bad", "args": "no_timer_check"}},
    }
    path.write_text(yaml.safe_dump(text))
    argv = [sys.executable, "-m", "lab", "board", *words, "-c", str(path)]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=900)


def states(metal: Metal) -> dict[str, str]:
    health = read_health(metal.rig.config)
    assert health is not None
    return {part.name: part.state for part in health.parts}


def test_a_power_control_that_lies_takes_the_board_out_of_the_pool(
    metal: Metal, tmp_path: Path
) -> None:
    """It says on, and the machine is off."""
    (metal.rig.folder / "dead").touch()
    done = lab(metal, tmp_path, "check", "rack", "--quick", boot_seconds=10)
    (metal.rig.folder / "dead").unlink()
    assert done.returncode == Exit.LAB_ERROR
    assert "its power control says that it is on, but its console" in done.stdout
    assert "rack is out of the pool since" in lab(metal, tmp_path, "list").stdout


def test_a_board_that_another_lab_has_is_not_at_fault(metal: Metal, tmp_path: Path) -> None:
    before = states(metal)
    with open_board("rack", metal.rig.config):
        done = lab(metal, tmp_path, "check", "rack", "--quick")
    assert done.returncode == Exit.LAB_ERROR
    assert f"lab: rack is held by another lab: pid {os.getpid()} of " in done.stderr
    assert states(metal) == before


def test_a_board_that_is_as_it_should_be_is_let_in_again(metal: Metal, tmp_path: Path) -> None:
    assert "rack is out of the pool since" in lab(metal, tmp_path, "list").stdout
    done = lab(metal, tmp_path, "check", "rack")
    print(done.stdout, done.stderr)
    assert done.returncode == Exit.OK
    assert "131,072 bytes, none lost, damaged or doubled" in done.stdout
    assert "it was given exit; its console then said: login:" in done.stdout
    assert "rack is in the pool" in done.stdout
    found = states(metal)
    assert {name for name, state in found.items() if state != "ok"} == {
        "own system",
        "clock",
        "Xen",
    }
    assert "out of the pool" not in lab(metal, tmp_path, "list").stdout
    assert metal.rig.ipmitool("power", "status").endswith("off")
