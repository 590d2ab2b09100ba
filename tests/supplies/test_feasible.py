# SPDX-License-Identifier: GPL-2.0-or-later
"""What is refused before anything is downloaded, built or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import Cell
from lab.config.kinds import GUEST_KINDS
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.errors import UserError
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.supplies.feasible import check_input, find_impossible_kinds

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPl5M0N0cQ0m2m0vQb8p0cXQv1yO0h1mJ0n3m0cZ8m2a"


def config(text: str) -> LabConfig:
    return parse(f"kernels: {{x: {{image: /x}}}}\n{text}", Path("/somewhere/lab.yaml"))


def test_a_guest_that_does_not_fit_into_the_host_is_refused() -> None:
    large = config("guests: {memory_mib: 2000}")
    with pytest.raises(UserError, match=r"guests\.memory_mib: 2000 .* 1952 for a guest"):
        check_input(large, ["pv"])
    check_input(large, ["native", "dom0"])
    check_input(config("guests: {memory_mib: 1952}"), ["pv"])


def test_more_memory_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.supplies.feasible.memory_mib", lambda: 4096)
    with pytest.raises(UserError, match=r"999999999 MiB are more than this machine has .4096"):
        check_input(config("guests: {memory_mib: 999999999}"), ["native"])


@pytest.mark.parametrize(
    ("accel", "impossible"),
    [
        (Accel("kvm", "Xen booted, with nested VMX", nests=True), []),
        (Accel("kvm", "Xen booted, without nesting (kvm_intel nested=0)"), ["hvm-x", "pvh-x"]),
        (Accel("tcg", "there is no /dev/kvm"), []),
    ],
)
def test_a_kvm_that_does_not_nest_says_what_it_cannot_do(
    accel: Accel, impossible: list[str]
) -> None:
    qemu = Qemu(Path("/x"), "7.2", GUEST_KINDS, "a test")
    cells = [Cell(f"{guest}-x", guest, "x") for guest in GUEST_KINDS]
    found = find_impossible_kinds(config(""), cells, qemu, accel)
    assert sorted(found) == impossible
    assert all("kvm_intel nested=0" in why and "lab doctor" in why for why in found.values())


def test_a_real_host_without_its_private_key_is_refused(tmp_path: Path) -> None:
    real = config(
        f"host: {{kind: real, address: rack1, identity: {tmp_path}/none, host_key: {KEY}}}"
    )
    with pytest.raises(UserError, match=r"host\.identity: there is no private key"):
        check_input(real, ["pv"])
    check_input(real, ["native"])


def test_a_malformed_host_key_is_refused_when_the_file_is_read() -> None:
    with pytest.raises(UserError, match=r"host\.host_key: has no base64 after 'ssh-ed25519'"):
        config("host: {kind: real, address: rack1, host_key: ssh-ed25519 AAAA...}")
