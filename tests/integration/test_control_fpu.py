# SPDX-License-Identifier: GPL-2.0-or-later
"""The control kernel keeps registers through all but its window: it has one mistake, not two."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

import pytest

from lab.kernel.control import build_control
from lab.qemu import accelerator as accel
from lab.qemu import binary
from lab.qemu.boot import Boot, command
from lab.supplies.ramdisk import ramdisk

pytestmark = pytest.mark.boots
PROGRAM = Path(__file__).parent.parent / "guest" / "fpucheck.c"
SECONDS = 240  # it takes about 10 on a quiet machine


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("fpucheck") / "fpucheck"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
    subprocess.run(["gcc", *flags, "-o", program, PROGRAM], check=True)
    return program


def test_this_machine_passes_its_own_check(check: Path) -> None:
    done = subprocess.run([check], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("vcpus", [1, 2])
@pytest.mark.parametrize("state", ["bad", "fixed"])
def test_registers_survive_natively(
    check: Path, tmp_path: Path, state: Literal["bad", "fixed"], vcpus: int
) -> None:
    qemu = binary.find()
    disk, console = tmp_path / "ramdisk", tmp_path / "console"
    disk.write_bytes(ramdisk(check.read_bytes()))
    boot = Boot(
        str(qemu.path), accel.decide(qemu).name, build_control(state, print).image,
        disk, "panic=1", vcpus, 256,
    )  # fmt: skip
    subprocess.run(command(boot, console), timeout=SECONDS, check=True)
    said = console.read_text(errors="replace")
    assert f"lab control kernel: lazy FPU, state={state}" in said
    assert "fpucheck ok failures=0" in said
    # An FPU instruction in kernel mode with TS set would give a warning.
    assert "cut here" not in said
