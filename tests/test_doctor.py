# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from lab import doctor
from lab.config.kinds import GUEST_KINDS
from lab.errors import LabError, UserError
from lab.qemu import binary
from lab.qemu.accelerator import Accel, Proof
from lab.qemu.binary import Qemu, kinds_of
from lab.system import debian
from lab.system.machine import read_available
from lab.system.packages import Packages

GOOD = Qemu(Path("/usr/bin/qemu"), "7.2.22", GUEST_KINDS, "a test")
NEWER = Qemu(Path("/usr/bin/qemu"), "10.0.13", *kinds_of((10, 0, 13)))
TCG = Accel("tcg", "there is no /dev/kvm")
KVM = Accel("kvm", "Xen was seen to boot under it", nests=True)
KVM_FLAT = Accel("kvm", "Xen was seen to boot under it", nests=False)


def test_pythons_in_range_are_good_and_others_are_noted() -> None:
    assert doctor.python((3, 11)).ok
    assert doctor.python((3, 13)).ok
    assert doctor.python((3, 14)).ok is None


def test_missing_packages_are_one_line_for_apt() -> None:
    assert doctor.packages(Packages([], [])).ok
    check = doctor.packages(Packages(["make", "gcc"], ["gdb"]))
    assert check.ok is False
    assert check.todo == "apt-get install --no-install-recommends make gcc gdb"
    assert doctor.packages(Packages([], ["gdb"])).ok is None, "the lab works without"


def test_where_there_is_no_debian_it_says_so() -> None:
    check = doctor.packages(None)
    assert check.ok is False
    assert check.says.startswith("this is not Debian: the lab needs Debian 12 or 13")


def test_a_qemu_without_all_kinds_says_which_and_what_will_be_done() -> None:
    assert doctor.qemu(GOOD, TCG).ok
    check = doctor.qemu(NEWER, TCG)
    assert check.ok is None
    assert "only native, dom0, pv by emulation" in check.says
    assert "7.2" in check.todo
    assert doctor.qemu(NEWER, KVM).ok


def test_emulation_is_a_note_not_a_fault() -> None:
    assert doctor.accelerator(KVM).ok
    check = doctor.accelerator(TCG)
    assert check.ok is None
    assert "there is no /dev/kvm" in check.says
    assert "slower" in check.todo


@pytest.mark.parametrize(
    ("own", "chosen", "ok"),
    [(GOOD, TCG, True), (NEWER, TCG, None), (NEWER, KVM, True), (GOOD, KVM_FLAT, None)],
)
def test_nested_virtualization_by_what(own: Qemu, chosen: Accel, ok: bool | None) -> None:
    check = doctor.nesting(own, chosen)
    assert check.ok is ok
    assert ok or check.todo


def test_emulation_that_boots_no_xen_is_a_fault() -> None:
    assert doctor.emulation(Proof(True, "SVM", "Xen booted", 1.1)).says.endswith("SVM enabled")
    assert doctor.emulation(Proof(False, "", "silent", 120)).ok is False


def test_libvirts_way_to_write_versions() -> None:
    assert doctor.libvirt("9000000").says.startswith("9.0.0,")
    assert doctor.libvirt("11003000").says.startswith("11.3.0,")


def test_mmdebstrap_names_the_first_thing_that_is_missing() -> None:
    ask = doctor.mmdebstrap
    assert ask(True, True, "root", False, False, "no").ok
    assert ask(True, False, "ann", True, True, "").ok
    assert "not installed" in ask(False, True, "root", True, True, "").says
    assert "newuidmap" in ask(True, False, "ann", True, False, "").says
    assert "usermod --add-subuids" in ask(True, False, "ann", False, True, "").todo
    assert "EPERM" in ask(True, False, "ann", True, True, "EPERM").says


def test_room_and_memory() -> None:
    assert doctor.disk(50_000, Path("/c")).ok
    assert doctor.disk(4_000, Path("/c")).ok is None
    assert doctor.disk(500, Path("/c")).ok is False
    assert doctor.memory(read_available("MemTotal: 1 kB\nMemAvailable: 8388608 kB\n")).ok
    assert doctor.memory(1000).ok is None
    assert doctor.cores(2).ok
    assert doctor.cores(1).ok is None
    with pytest.raises(LabError):
        read_available("")


def test_a_compiler_without_its_cache_is_worth_knowing() -> None:
    assert doctor.compiler(None, None).ok is False
    assert doctor.compiler("gcc", None).ok is None
    assert doctor.compiler("gcc", "/usr/bin/ccache").ok


def test_one_broken_check_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Qemu:
        raise UserError("QEMU is not installed")

    def broken(_package: str) -> str:
        raise LabError("apt-cache failed")

    monkeypatch.setattr(binary, "find", missing)
    monkeypatch.setattr(debian, "find_candidate", broken)
    monkeypatch.setattr(doctor, "_libvirt", lambda: doctor.libvirt("9000000"))
    found = {check.name: check for check in doctor.checks()}
    assert found["qemu"].ok is False
    assert found["xen"].ok is False
    assert found["libvirt"].ok
    assert found["cores"].says
    assert all(check.todo for check in found.values() if check.ok is False)
