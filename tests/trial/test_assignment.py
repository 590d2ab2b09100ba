# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot line of a trial, and how long it may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell
from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.supplies.gather import Supplies
from lab.trial.assignment import boot_words, find_deadline
from lab.trial.job import Job

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPl5M0N0cQ0m2m0vQb8p0cXQv1yO0h1mJ0n3m0cZ8m2a"
REAL = f"host: {{kind: real, address: rack1, host_key: {KEY}}}"


@pytest.mark.parametrize("guest", GUEST_KINDS)
def test_kvm_is_given_up_sooner_and_never_before_it_can_have_ended(guest: GuestKind) -> None:
    emulated, kvm = (find_deadline(guest, 12, kvm=kvm) for kvm in (False, True))
    assert 60 + 4 * 12 < kvm < 0.6 * emulated


@pytest.mark.parametrize(
    ("accelerator", "host", "guest", "short"),
    [
        ("kvm", "", "dom0", True),
        ("kvm", "", "hvm", True),
        ("kvm", REAL, "native", True),
        ("kvm", REAL, "pv", False),  # who knows what that machine is
        ("tcg", "", "dom0", False),
        ("tcg", REAL, "native", False),
    ],
)
def test_which_cells_are_known_to_run_under_kvm(
    accelerator: str, host: str, guest: GuestKind, short: bool
) -> None:
    config: LabConfig = parse(f"kernels: {{x: {{image: /x}}}}\n{host}", Path("/x/lab.yaml"))
    nothing: Any = None
    qemu = Qemu(Path("/x"), "7.2", GUEST_KINDS, "a test")
    accel = Accel(accelerator, "a test")
    supplies = Supplies(qemu, accel, Path("/x"), Path("/x"), {}, None, None)
    cell = Cell(f"{guest}-x", guest, "x")
    assert Job(config, supplies, nothing, nothing, nothing).accelerated(cell) is short


def test_boot_words() -> None:
    assert boot_words({"run": "ab", "seconds": "3"}) == "mmx.run=ab mmx.seconds=3"
